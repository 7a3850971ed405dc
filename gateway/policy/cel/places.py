"""Where in its YAML file a mistake is, however the expression is written there: plain, in quotes, or under a `|`.

YAML changes nothing but white space and, in quotes, a few escapes. So the file is read beside the expression, character
by character; where that fails, at an escape by number, the mistake is told at the beginning of the expression.
"""

from __future__ import annotations

from gateway.policy.cel.mistake import ExpressionError, line_and_column
from gateway.yamlfile.problem import Problem, together


def located(error: ExpressionError, *, file: str, source: str, line: int, column: int) -> Problem:
    """The mistakes as problems of the file. `source` is its text; the expression's value begins at line:column."""
    start = _offset(source, line, column)
    found = []
    for mistake in error.mistakes:
        at = start + _along(source[start:], error.text, mistake.at)
        place = line_and_column(source, at)
        found.append(
            Problem(mistake.message, code=mistake.code, file=file, line=place[0], column=place[1], hint=mistake.hint)
        )
    return together(found)


def _offset(source: str, line: int, column: int) -> int:
    lines = source.split("\n")
    return sum(len(each) + 1 for each in lines[: line - 1]) + column - 1


def _along(written: str, text: str, at: int) -> int:
    """Where in `written` the character at this offset of the text stands; 0 where that cannot be told."""
    style = written[:1]
    place = written.find("\n") + 1 if style in ("|", ">") else 1 if style in ('"', "'") else 0
    found = 0
    for char in text[: at + 1]:
        if not char.isspace():
            found = _find(written, place, char, style)
            if found < 0:
                return 0
            place = found + (2 if (style, char) == ("'", "'") else 1)
    return place if at >= len(text) else found


def _find(written: str, place: int, char: str, style: str) -> int:
    """Where the character stands next, after white space and a backslash at most; -1 if something else is there."""
    while place < len(written) and written[place].isspace():
        place += 1
    if style == '"' and written[place : place + 1] == "\\":
        place += 1
        while place < len(written) and written[place].isspace():  # an escaped end of line
            place += 1
    return place if written[place : place + 1] == char else -1
