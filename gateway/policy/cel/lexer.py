"""An expression → its tokens: names, numbers, texts and marks, each with its place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

from gateway.policy.cel.hints import CHARACTERS
from gateway.policy.cel.mistake import ExpressionError, Mistake

Kind = Literal["name", "number", "text", "mark", "end"]

MAX_LENGTH = 8_000  # characters of an expression

_TOKEN = re.compile(
    r"""
    (?: [ \t\r\n\f]+ | //[^\n]* )*
    (?: (?P<text>
        (?: [bB]?[rR] | [rR][bB] ) (?: \"{3} (?s:.*?) \"{3} | '{3} (?s:.*?) '{3} | "[^"\r\n]*" | '[^'\r\n]*' )
      | [bB]? (?: \"{3} (?s: \\. | [^\\] )*? \"{3} | '{3} (?s: \\. | [^\\] )*? '{3}
              | " (?: \\. | [^"\\\r\n] )* " | ' (?: \\. | [^'\\\r\n] )* ' ) )
    | (?P<number> 0[xX][0-9a-fA-F]+ [uU]? | (?: [0-9]+\.[0-9]+ | \.[0-9]+ | [0-9]+ ) (?: [eE][-+]?[0-9]+ )? [uU]? )
    | (?P<name> [A-Za-z_][A-Za-z0-9_]* )
    | (?P<mark> === | !== | => | =< | <> | == | != | <= | >= | && | \|\| | [-+*/%?:.,()\[\]{}<>!=&|] )
    | (?P<end> \Z )
    | (?P<strange> . ) )
    """,
    re.VERBOSE,
)


class Token(NamedTuple):
    """`written` is how it stands in the text; for the end it is empty."""

    kind: Kind
    written: str
    at: int


def tokens(text: str) -> list[Token]:
    """All tokens, the end last. Raises ExpressionError at the first character that begins none."""
    if len(text) > MAX_LENGTH:
        hint = "long lists of values belong under lists"
        raise ExpressionError(text, [Mistake(MAX_LENGTH, f"longer than {MAX_LENGTH:,} characters", hint)])
    return [*_read(text), Token("end", "", len(text.rstrip()))]


def _read(text: str) -> Iterator[Token]:
    for match in _TOKEN.finditer(text):
        kind, group = match.lastgroup, match.lastindex or 0
        if kind == "end":
            return
        at = match.start(group)
        if kind == "strange":
            raise ExpressionError(text, [_stranger(text, at)])
        yield Token(kind, match[group], at)  # type: ignore[arg-type]


def _stranger(text: str, at: int) -> Mistake:
    char = text[at]
    if char in "\"'":
        return Mistake(at, "this text is not closed", f"it needs a second {char} on the same line")
    return Mistake(at, f"unexpected character {char!r}", CHARACTERS.get(char, ""))
