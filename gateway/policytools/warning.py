"""A warning about a policy file, at its place."""

from __future__ import annotations

from gateway.policy.reading import Checked
from gateway.yamlfile import Problem
from gateway.yamlfile.tree import Where


def warning(checked: Checked, where: Where, detail: str, hint: str, code: str, *, key: bool = False) -> Problem:
    """About what stands there in the file, or about its key."""
    return warning_at(checked, checked.document.at(where, key=key), detail, hint, code)


def warning_at(checked: Checked, place: tuple[int, int], detail: str, hint: str, code: str) -> Problem:
    """About what stands at this line and column."""
    line, column = place
    file = checked.document.file
    return Problem(detail, code=code, file=file, line=line, column=column, hint=hint, severity="warning")
