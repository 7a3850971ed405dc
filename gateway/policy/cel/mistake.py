"""What is wrong in an expression, and where: every mistake that was found, in the order in which they stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Code = Literal["bad_expression", "not_in_profile", "unknown_name", "wrong_type", "bad_value"]


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing wrong. `at` counts characters from 0 in the expression; `hint` says what would be right, or nothing.

    `code`: bad_expression is no CEL at all, not_in_profile is CEL that some back end could not do; the others say that
    a name is not known, that two kinds of value do not go together, and that a value cannot be meant.
    """

    at: int
    message: str
    hint: str = ""
    code: Code = "bad_expression"

    def __str__(self) -> str:
        return self.message + (f"; {self.hint}" if self.hint else "")


class ExpressionError(Exception):
    """An expression that cannot be used. `position`, `message` and `hint` are those of the first mistake.

    Printed: a line for each mistake, `line:column: message; hint`, and under it the line it is in with a caret.
    """

    def __init__(self, text: str, mistakes: Sequence[Mistake]):
        self.text = text
        self.mistakes = tuple(sorted(mistakes, key=lambda mistake: mistake.at))
        first = self.mistakes[0]
        self.position, self.message, self.hint = first.at, first.message, first.hint
        super().__init__("\n".join(_shown(text, mistake) for mistake in self.mistakes))


def line_and_column(text: str, at: int) -> tuple[int, int]:
    """Where the character at this offset stands, both counted from 1."""
    return text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)


def _shown(text: str, mistake: Mistake) -> str:
    line, column = line_and_column(text, mistake.at)
    written = text.split("\n")[line - 1].replace("\t", " ")
    return f"{line}:{column}: {mistake}\n | {written}\n | {' ' * (column - 1)}^"
