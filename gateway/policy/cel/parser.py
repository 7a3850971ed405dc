"""Tokens → a tree, by precedence climbing (Pratt). All of CEL's grammar is read, so that what the profile lacks is
told by its name and not as a syntax error; and what people write by habit (`and`, `=>`, `=`) is read as it was meant.
"""

from __future__ import annotations

from gateway.policy.cel import literals
from gateway.policy.cel.hints import ABSENT, INSTEAD, NAMES_INSTEAD, RESERVED
from gateway.policy.cel.lexer import Token, tokens
from gateway.policy.cel.mistake import ExpressionError, Mistake
from gateway.policy.cel.tree import Binary, Call, Index, Items, Name, Node, Not, Select, Tree, Value

MAX_DEPTH = 50  # levels of brackets and of `!`

RELATION = 3
_BINDS = {
    "||": 1,
    "&&": 2,
    **dict.fromkeys(("==", "!=", "<", "<=", ">", ">=", "in"), RELATION),
    **dict.fromkeys(("+", "-"), 4),
    **dict.fromkeys(("*", "/", "%"), 5),
}
_FOLLOWS = frozenset((".", "["))
_CLOSES = {"(": ")", "[": "]"}


def parse(text: str) -> Tree:
    """The tree of one expression. Raises ExpressionError with every mistake found up to the first that stops it."""
    return _Parser(text).whole()


class _Parser:
    def __init__(self, text: str):
        self._text = text
        self._tokens = tokens(text)
        self._token = self._tokens[0]  # the one that stands next
        self._next = 0
        self._depth = 0
        self._listing = False  # whether the innermost brackets are [ ], where 0,7 are two numbers
        self._mistakes: list[Mistake] = []

    def whole(self) -> Tree:
        if not self._token.written:
            raise self._stop(0, "the expression is empty", 'a condition looks like scores["hate"] >= 0.7')
        root = self._expression()
        if self._token.kind != "end":
            raise self._unexpected()
        if self._mistakes:
            raise ExpressionError(self._text, self._mistakes)
        return Tree(self._text, root)

    # what stands next

    def _take(self) -> Token:
        token = self._token
        self._next += 1
        self._token = self._tokens[self._next]
        return token

    def _sees(self, mark: str) -> bool:
        return self._token.written == mark  # no name, number or text is written like a mark

    # what goes wrong

    def _note(self, at: int, message: str, hint: str = "") -> None:
        self._mistakes.append(Mistake(at, message, hint))

    def _lacks(self, at: int, what: str, hint: str) -> None:
        self._mistakes.append(Mistake(at, f"{what} not in the profile", hint, "not_in_profile"))

    def _stop(self, at: int, message: str, hint: str = "") -> ExpressionError:
        return ExpressionError(self._text, [*self._mistakes, Mistake(at, message, hint)])

    def _unexpected(self) -> ExpressionError:
        token, before = self._token, self._tokens[self._next - 1] if self._next else None
        if token.kind == "end":
            return self._stop(
                token.at,
                "the expression ends too early",
                f"after '{before.written}' something is missing" if before else "",
            )
        if token.written in (")", "]", "}"):
            return self._stop(token.at, f"'{token.written}' closes nothing", "")
        if token.written == "not" and self._tokens[self._next + 1].written == "in":
            return self._stop(token.at, "unexpected 'not in'", "write !(x in list)")
        if token.kind in ("name", "number", "text") and before:
            return self._stop(
                token.at,
                f"unexpected {_quoted(token)}",
                f"between it and {_quoted(before)} an operator or a comma is missing",
            )
        return self._stop(token.at, f"unexpected {_quoted(token)}")

    # operators

    def _expression(self) -> Node:
        self._deeper()
        node = self._binary(0)
        if self._sees("?"):
            self._lacks(self._take().at, "a ? b : c is", ABSENT["?"])
            self._expression()
            self._expect(":")
            self._expression()
        self._depth -= 1
        return node

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._stop(self._token.at, f"nested more than {MAX_DEPTH} deep", "write several rules")

    def _binary(self, least: int) -> Node:
        left = self._unary()
        while True:
            operator = self._operator()
            binds = _BINDS.get(operator, 0)
            if binds <= least:
                return left
            token = self._take()
            self._complain_of(token, operator, left)
            left = Binary(token.at, operator, left, self._binary(binds))

    def _operator(self) -> str:
        """The operator that stands next, or that is meant by what does."""
        written = self._token.written
        return written if written in _BINDS else INSTEAD.get(written.lower(), "")

    def _complain_of(self, token: Token, operator: str, left: Node) -> None:
        if token.written != operator:
            self._note(token.at, f"'{token.written}' is no operator", f"did you mean {operator}?")
        elif operator in ABSENT:
            self._lacks(token.at, f"'{operator}' is", ABSENT[operator])
        elif _BINDS[operator] == RELATION and self._compares(left):
            self._note(token.at, "comparisons are not chained", "write a < b && b < c")

    def _compares(self, left: Node) -> bool:
        """Whether what stands left of an operator just taken is a comparison without brackets round it."""
        bare = self._tokens[self._next - 2].written != ")"
        return bare and isinstance(left, Binary) and _BINDS[left.operator] == RELATION

    def _unary(self) -> Node:
        token = self._token
        if token.written == "!" or token.written.lower() == "not":
            self._take()
            if token.written != "!":
                self._note(token.at, f"'{token.written}' is no operator", "did you mean !?")
            self._deeper()
            node = Not(token.at, self._unary())
            self._depth -= 1
            return node
        if self._sees("-"):
            return self._minus()
        return self._postfix(self._primary())

    def _minus(self) -> Node:
        minus = self._take()
        if self._token.kind == "number":
            number = self._take_number()
            return self._postfix(self._number(Token("number", f"-{number.written}", minus.at)))
        self._lacks(minus.at, "'-' is", ABSENT["-"])
        return self._unary()

    # what follows a value

    def _postfix(self, node: Node) -> Node:
        while self._token.written in _FOLLOWS:
            token = self._take()
            node = self._index(node, token) if token.written == "[" else self._member(node)
        if self._sees("{"):
            self._stop_at_brace()
        return node

    def _member(self, of: Node) -> Node:
        if self._sees("?"):
            raise self._stop(self._token.at, "'.?' is not in the profile", ABSENT["has"])
        if self._token.kind != "name":
            raise self._unexpected()
        name = self._take()
        if self._sees("("):
            return Call(name.at, name.written, self._arguments(), of)
        return Select(name.at, of, name.written)

    def _index(self, of: Node, bracket: Token) -> Node:
        if self._sees("?"):
            raise self._stop(self._token.at, "'[?' is not in the profile", ABSENT["has"])
        if isinstance(of, Name) and of.name == "scores" and self._token.kind == "name":
            self._expect_quotes()
        key = self._expression()
        self._expect("]", bracket)
        return Index(bracket.at, of, key)

    def _expect_quotes(self) -> None:
        """A category with a stroke in it, without quotes, reads like a division."""
        slug, close, _ = self._text[self._token.at :].partition("]")
        if close and "/" in slug:
            raise self._stop(self._token.at, "a category is written in quotes", f'write "{slug.strip()}"')

    def _arguments(self) -> tuple[Node, ...]:
        return self._list(self._take())

    def _list(self, bracket: Token) -> tuple[Node, ...]:
        """What stands between brackets; the last may be followed by a comma in `[ ]`."""
        items: list[Node] = []
        close = _CLOSES[bracket.written]
        outer, self._listing = self._listing, bracket.written == "["
        while not self._sees(close):
            if items:
                self._expect(",", bracket)
                if bracket.written == "[" and self._sees(close):
                    break
            items.append(self._expression())
        self._take()
        self._listing = outer
        return tuple(items)

    def _expect(self, mark: str, bracket: Token | None = None) -> None:
        if self._sees(mark):
            self._take()
        elif bracket and self._token.kind == "end":
            raise self._stop(
                bracket.at, f"'{bracket.written}' is not closed", f"a '{_CLOSES[bracket.written]}' is missing"
            )
        else:
            raise self._unexpected()

    # values

    def _primary(self) -> Node:
        token = self._token
        if token.kind == "number":
            return self._number(self._take_number())
        if token.kind == "text":
            return self._quotation(self._take())
        if token.kind == "name":
            return self._name()
        if self._sees("("):
            return self._group(self._take())
        if self._sees("["):
            return Items(token.at, self._list(self._take()))
        if self._sees("{"):
            self._stop_at_brace()
        raise self._unexpected()

    def _group(self, bracket: Token) -> Node:
        outer, self._listing = self._listing, False
        node = self._expression()
        self._expect(")", bracket)
        self._listing = outer
        return node

    def _stop_at_brace(self) -> None:
        at = self._token.at
        raise ExpressionError(
            self._text, [*self._mistakes, Mistake(at, "maps and messages are not in the profile", "", "not_in_profile")]
        )

    def _take_number(self) -> Token:
        """The number that stands next. A decimal comma is told and read as meant: no word takes two in a row."""
        whole = self._take()
        comma, part = self._token, self._tokens[min(self._next + 1, len(self._tokens) - 1)]
        written = f"{whole.written},{part.written}"
        if (
            self._listing
            or not (whole.written.isdigit() and comma.written == "," and part.written.isdigit())
            or not self._text.startswith(written, whole.at)
        ):
            return whole
        self._take()
        self._take()
        point = f"{whole.written}.{part.written}"
        meant = f"{point}, or {whole.written}{part.written}" if len(part.written) == 3 else point
        self._note(whole.at, f"'{written}': numbers are written with a point", f"write {meant}")
        return Token("number", point, whole.at)

    def _number(self, token: Token) -> Node:
        try:
            return Value(token.at, literals.number(token.written), token.written)
        except ValueError as error:
            self._refuse(token, error)
            return Value(token.at, 0, "0")

    def _quotation(self, token: Token) -> Node:
        try:
            return Value(token.at, literals.text(token.written))
        except ValueError as error:
            self._refuse(token, error)
            return Value(token.at, "")

    def _refuse(self, token: Token, error: ValueError) -> None:
        lacking = "profile" in str(error)
        self._mistakes.append(Mistake(token.at, str(error), "", "not_in_profile" if lacking else "bad_expression"))

    def _name(self) -> Node:
        token = self._take()
        name = token.written
        if name in ("true", "false"):
            return Value(token.at, name == "true")
        if name == "null":
            self._lacks(token.at, "null is", ABSENT["null"])
        elif name in RESERVED or name == "in":
            raise self._stop(token.at, f"unexpected '{name}'", "" if name == "in" else "CEL keeps this word for itself")
        if self._sees("("):
            return Call(token.at, name, self._arguments())
        if name in ("True", "TRUE", "False", "FALSE"):
            self._note(token.at, f"'{name}' is no value", f"did you mean {NAMES_INSTEAD[name]}?")
        return Name(token.at, name)


def _quoted(token: Token) -> str:
    return token.written if token.kind == "text" else f"'{token.written}'"
