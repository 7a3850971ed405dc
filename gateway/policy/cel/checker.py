"""A tree → a typed tree: every name is known, every comparison makes sense, every back end can do it.

Mistakes on the two sides of && and || are independent, so they are all told.
"""

from __future__ import annotations

from typing import Literal, cast

from gateway.policy.cel import fitting
from gateway.policy.cel.fitting import COMPARISONS, FLIPPED, whenever
from gateway.policy.cel.mistake import ExpressionError, Mistake
from gateway.policy.cel.operands import Operands, Wrong, shape_of
from gateway.policy.cel.relations import Operand, as_condition, is_condition, relate, within
from gateway.policy.cel.shapes import TEXTS, Kind, Many, told
from gateway.policy.cel.spelling import spelled
from gateway.policy.cel.tree import Binary, Call, Name, Node, Not, Tree, Value, start
from gateway.policy.cel.typed import (
    Always,
    Condition,
    Constant,
    Constants,
    Field,
    Holds,
    Present,
    Some,
    Term,
    TypedTree,
    Votes,
    all_of,
    any_of,
    one_of,
    opposite,
    outer_parts,
    some,
    walk,
)
from gateway.policy.cel.vocabulary import Vocabulary
from gateway.policy.cel.words import MACROS, METHODS, ROOTS

MAX_PARTS = 500  # conditions in one rule, macros over written lists counted out: SQLite's parser goes 1,000 deep
_TOO_LARGE = f"has more than {MAX_PARTS} parts, macros over lists counted out"
MAX_OUTER = 3  # conditions in a macro that are not about its element: one back end tries all their outcomes


def check(tree: Tree, vocabulary: Vocabulary) -> TypedTree:
    """The typed tree of a condition. Raises ExpressionError with every mistake."""
    checker = _Checker(vocabulary)
    root = checker.part(tree.root)
    if checker.mistakes:
        raise ExpressionError(tree.text, list(checker.mistakes.values()))
    if sum(1 for _ in walk(root)) > MAX_PARTS:
        raise ExpressionError(tree.text, [Mistake(0, _TOO_LARGE, "write several rules", "bad_value")])
    return TypedTree(tree.text, root, checker.operands.learnt)


class _Checker:
    def __init__(self, vocabulary: Vocabulary):
        self.operands = Operands(vocabulary)
        self.mistakes: dict[int, Mistake] = {}  # by place: in a list written out, the first element tells for all
        self._parts = 0

    def part(self, node: Node) -> Condition:
        """The condition a node is. What is wrong with it is noted."""
        try:
            return self._condition(node)
        except Wrong as wrong:
            self.mistakes.setdefault(wrong.mistake.at, wrong.mistake)
            return Always(False)

    def _condition(self, node: Node) -> Condition:
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise Wrong(0, _TOO_LARGE, "write several rules", "bad_value")  # at the beginning: told once
        if isinstance(node, Not):
            return opposite(self.part(node.of))
        if isinstance(node, Binary):
            return self._binary(node)
        if isinstance(node, Call) and (node.name, bool(node.of)) != ("coverage", False):
            return self._call(node)
        return as_condition(self.operands, node, self.operands.term(node))

    def _operand(self, node: Node) -> Operand:
        if isinstance(node, Not | Binary):
            return self._condition(node)
        if isinstance(node, Call) and (node.name in MACROS or node.name in METHODS) and node.of:
            return self._condition(node)
        return self.operands.term(node)

    def _binary(self, node: Binary) -> Condition:
        if node.operator in ("&&", "||"):
            parts = _chained(node)
            self._parts += len(parts) - 2  # each operator counts
            return (all_of if node.operator == "&&" else any_of)([self.part(each) for each in parts])
        for side, other, operator in (
            (node.left, node.right, node.operator),
            (node.right, node.left, FLIPPED.get(node.operator, "")),
        ):
            if isinstance(side, Call) and side.name == "votes" and not side.of:
                return self._votes(side, operator, other)
        if isinstance(node.left, Not) and (node.operator == "in" or _is_text_or_number(node.right)):
            hint = f"write !(a {node.operator} b), with the brackets"
            raise Wrong(node.left.at, f"! is read before {node.operator}", hint)
        if node.operator == "in" and isinstance(node.right, Name) and node.right.name == "scores":
            return Present(self.operands.category(node.left))
        left, right = self._operand(node.left), self._operand(node.right)
        judge = within if node.operator == "in" else relate
        return judge(self.operands, node, left, right)

    # words that are called

    def _call(self, node: Call) -> Condition:
        if node.of and node.name in MACROS:
            return self._macro(node, node.of)
        if node.of and node.name in METHODS:
            return self._method(node, node.of)
        self.operands.term(node)  # raises: nothing else is called
        raise AssertionError(node.name)

    def _method(self, node: Call, of: Node) -> Condition:
        word = METHODS[node.name]
        kinds = word.takes
        term = self.operands.term(of)
        if isinstance(term, Field) and term.shape is Kind.UNSAID:
            term = self.operands.learn(term, kinds[0])
        if isinstance(term, Constants) or shape_of(term) is not kinds[0]:
            raise Wrong(
                node.at,
                f"{node.name} is for {_plural(kinds[0])}, but {spelled(of)} is {told(shape_of(term))}",
                _instead(term, of),
            )
        arguments = self._arguments(node, kinds[1:])
        if isinstance(term, Constant):
            return Always(word.mean(term.value, *(argument.value for argument in arguments)))
        if arguments and arguments[0].value == "":
            return whenever(term, known=True)  # every text has the empty one in it; databases do not agree
        return Holds(word, (term, *arguments))

    def _arguments(self, node: Call, kinds: tuple[Kind, ...]) -> list[Constant]:
        if len(node.arguments) != len(kinds):
            raise Wrong(node.at, f"{node.name} needs {len(kinds)} value in its brackets", f'like {node.name}("abc")')
        arguments = []
        for argument, kind in zip(node.arguments, kinds, strict=True):
            term = self.operands.term(argument)
            if not isinstance(term, Constant) or term.kind is not kind:
                raise Wrong(start(argument), f"{node.name} needs {told(kind)} written here", f'like {node.name}("abc")')
            arguments.append(term)
        return arguments

    def _votes(self, call: Call, operator: str, other: Node) -> Condition:
        if operator not in COMPARISONS:
            raise Wrong(call.at, "votes(…) is compared with one whole number", 'write votes("hate", 0.7) >= 2')
        if len(call.arguments) != 2:
            raise Wrong(call.at, "votes needs a category and a threshold", 'write votes("hate", 0.7) >= 2')
        category = self.operands.category(call.arguments[0])
        threshold = self._threshold(call.arguments[1])
        least = self._count(other)

        def at_least(count: int) -> Condition:
            return Votes(category, threshold, count) if count > 0 else Always(True)

        match operator:
            case ">=":
                return at_least(least)
            case ">":
                return at_least(least + 1)
            case "<":
                return opposite(at_least(least))
            case "<=":
                return opposite(at_least(least + 1))
        exactly = all_of([at_least(least), opposite(at_least(least + 1))])
        return exactly if operator == "==" else opposite(exactly)

    def _threshold(self, node: Node) -> int:
        term = self.operands.term(node)
        if not isinstance(term, Constant) or term.kind not in (Kind.INT, Kind.DOUBLE):
            raise Wrong(
                start(node), "the threshold of votes is a number from 0 to 1 written here", 'like votes("hate", 0.7)'
            )
        try:
            return fitting.threshold(term.value, node.written if isinstance(node, Value) else repr(term.value))
        except ValueError as error:
            message, hint = error.args
            raise Wrong(start(node), message, hint, "bad_value") from None

    def _count(self, node: Node) -> int:
        term = self._operand(node)
        if is_condition(term) or not isinstance(term, Constant) or term.kind is not Kind.INT:
            raise Wrong(start(node), "votes are counted in whole numbers written here", 'like votes("hate", 0.7) >= 2')
        return cast(int, term.value)

    # macros

    def _macro(self, node: Call, of: Node) -> Condition:
        variable, body = self._bound(node)
        over = self.operands.term(of)
        macro = cast(Literal["exists", "all", "exists_one"], node.name)
        if isinstance(over, Field) and over.shape is Kind.UNSAID:
            over = self.operands.learn(over, TEXTS)
        if isinstance(over, Constants):
            return self._counted_out(macro, over, variable, body)
        if not isinstance(over, Field) or not isinstance(over.shape, Many):
            raise Wrong(node.at, f"{macro} is for lists, but {spelled(of)} is {told(shape_of(over))}")
        return self._of_request(node, macro, over, variable, body)

    def _bound(self, node: Call) -> tuple[str, Node]:
        """The variable of a macro and what is asked of it."""
        example = f"write labels.{node.name}(l, l.confidence >= 0.7)"
        if len(node.arguments) != 2:
            raise Wrong(node.at, f"{node.name} needs a name for the element, and a condition", example)
        name, body = node.arguments
        if not isinstance(name, Name):
            raise Wrong(start(name), f"{node.name} needs a name for the element first", example)
        if name.name in ROOTS:
            raise Wrong(name.at, f"'{name.name}' is taken", "call the element otherwise", "bad_value")
        return name.name, body

    def _counted_out(self, macro: str, over: Constants, variable: str, body: Node) -> Condition:
        parts = []
        for value in over.values:
            with self.operands.where(variable, Constant(value, over.kind)):
                parts.append(self._condition(body))
        return {"exists": any_of, "all": all_of, "exists_one": one_of}[macro](parts)

    def _of_request(
        self, node: Call, macro: Literal["exists", "all", "exists_one"], over: Field, variable: str, body: Node
    ) -> Condition:
        elements = Some(over, Always(True)).elements
        with self.operands.where(variable, elements):
            condition = self.part(body)
        if len(outer_parts(condition)) > MAX_OUTER:
            message = f"more than {MAX_OUTER} conditions in {macro} are not about {variable}"
            raise Wrong(
                node.at, message, f"take them out: {spelled(node.of or node)}.{macro}(…) && …", "not_in_profile"
            )
        return some(over, condition, macro)


def _chained(node: Binary) -> list[Node]:
    """The sides of `a && b && c`: they can be hundreds, too many to go down one by one."""
    sides: list[Node] = []
    left: Node = node
    while isinstance(left, Binary) and left.operator == node.operator:
        sides.append(left.right)
        left = left.left
    return [left, *reversed(sides)]


def _plural(kind: Kind) -> str:
    return f"{told(kind).removeprefix('a ')}s"


def _instead(term: Term, of: Node) -> str:
    return f'write "…" in {spelled(of)}' if shape_of(term) == TEXTS else ""


def _is_text_or_number(node: Node) -> bool:
    return isinstance(node, Value) and not isinstance(node.value, bool)
