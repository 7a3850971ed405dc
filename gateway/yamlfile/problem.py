"""What is wrong in a file of ours, in a form that a person, `--json` and an editor can all read.

Problem    one: a ConfigError with a stable `code`
Problems   several, raised as one error; prints one per line in file order
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any, Literal

from gateway.errors import ConfigError

Severity = Literal["error", "warning"]

MOST_TOLD = 100  # mistakes of one kind in a file: nobody mends more in one go, and a suggestion for each takes its time


class Problem(ConfigError):
    """One thing wrong in a file.

    `code` is one stable word: bad_file, bad_yaml, duplicate_key, unset_variable, bad_variable, unknown_key,
    missing_key, wrong_type, bad_value, unknown_name, not_available, more, and those a policy adds. `line` and `column`
    count from 1 and are 0 where the file as a whole is meant. The message is one line, whatever the file holds.
    """

    def __init__(
        self,
        detail: str,
        *,
        code: str,
        file: str = "",
        line: int = 0,
        column: int = 0,
        hint: str = "",
        severity: Severity = "error",
    ):
        super().__init__(_one_line(detail), file=file, line=line, column=column, hint=_one_line(hint))
        self.code = code
        self.severity = severity

    @property
    def problems(self) -> tuple[Problem, ...]:
        """This one; in `Problems` all of them, in file order."""
        return (self,)

    def as_dict(self) -> dict[str, Any]:
        """One entry of `policy check --json`; what is about the file as a whole stands at its beginning."""
        return {
            "file": self.file,
            "line": self.line or 1,
            "column": self.column or 1,
            "severity": self.severity,
            "code": self.code,
            "message": self.detail,
            "hint": self.hint,
        }


class Problems(Problem):
    """Several at once, so that a file is mended in one go. Position, code and detail are those of the first."""

    def __init__(self, problems: Sequence[Problem]):
        self._all = tuple(sorted(problems, key=lambda each: (each.file, each.line, each.column)))
        first = self._all[0]
        super().__init__(
            first.detail,
            code=first.code,
            file=first.file,
            line=first.line,
            column=first.column,
            hint=first.hint,
            severity=first.severity,
        )
        self.args = ("\n".join(str(each) for each in self._all),)

    @property
    def problems(self) -> tuple[Problem, ...]:
        return self._all


def _one_line(text: str) -> str:
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def first_of(problems: Iterable[Problem]) -> list[Problem]:
    """The first of them, and where there are more, that there are: the rest is not even looked for."""
    found = list(islice(problems, MOST_TOLD + 1))
    for last in found[MOST_TOLD:]:
        found[MOST_TOLD] = Problem(
            "there is more like this from here on",
            code="more",
            file=last.file,
            line=last.line,
            column=last.column,
            hint="mend what is told first",
            severity=last.severity,
        )
    return found


def together(problems: Sequence[Problem]) -> Problem:
    """The one error to raise for these, of which there is at least one."""
    return problems[0] if len(problems) == 1 else Problems(problems)
