"""The expressions of a policy file: checked, and with every mistake at its place in the file."""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import chain

from gateway.policy.cel import ExpressionError, Mistake, TypedTree, Vocabulary, check, parse
from gateway.yamlfile import MOST_TOLD, Document, Problem, first_of
from gateway.yamlfile.tree import Where

_BREAKS = re.compile("\r\n|[\n\r\x85\u2028\u2029]")  # as libyaml counts lines
_ANCHOR = re.compile(r"^&\S+\s+")
_STYLES = frozenset("&'\"|>")  # what a value that is not plain begins with
_ESCAPED = {'"': "\\", "'": "'"}


class Expressions:
    """Checks one expression after the other: of what kind an undeclared field is, the first to use it decides."""

    def __init__(self, document: Document, vocabulary: Vocabulary):
        self._document = document
        self._vocabulary = vocabulary
        self.problems: list[Problem] = []

    def tree(self, where: Where, text: str) -> TypedTree | None:
        """The typed tree of what stands there; None, and problems noted, where it cannot be used, or enough is told."""
        if len(self.problems) > MOST_TOLD:
            return None
        try:
            tree = check(parse(text), self._vocabulary)
        except ExpressionError as wrong:
            self.problems = first_of(
                chain(self.problems, (self._problem(where, text, mistake) for mistake in wrong.mistakes))
            )
            return None
        self._vocabulary = self._vocabulary.knowing(tree.learnt)
        return tree

    def _problem(self, where: Where, text: str, mistake: Mistake) -> Problem:
        line, column = place(self._document, where, text, mistake.at)
        file = self._document.file
        return Problem(mistake.message, code=mistake.code, file=file, line=line, column=column, hint=mistake.hint)


@lru_cache(4)
def _lines(text: str) -> list[str]:
    """A file is split once for all the places that are looked for in it."""
    return _BREAKS.split(text)


def place(document: Document, where: Where, text: str, at: int) -> tuple[int, int]:
    """Line and column in the file of the character at this offset in a text that stands there.

    However YAML wrote it (plain, quoted, folded, as a block), what is not space keeps its order.
    """
    line, column = document.at(where)
    lines = _lines(document.text)
    first = lines[line - 1][column - 1 :]
    if not at and first[:1] not in _STYLES:
        return line, column
    first = _ANCHOR.sub("", first, count=1)
    column = len(lines[line - 1]) - len(first) + 1
    quote = first[:1] if first[:1] in ("'", '"') else ""
    if first[:1] in ("|", ">"):
        line, column = line + 1, 1
    elif quote:
        column += 1
    ahead = len("".join(text[:at].split()))
    beyond = ahead == len("".join(text.split()))
    found = _nth(lines, line, column, quote, ahead - beyond)
    return (found[0], found[1] + beyond) if ahead or not beyond else (line, column)


def _nth(lines: list[str], line: int, column: int, quote: str, many: int) -> tuple[int, int]:
    """The place of the character which so many that are not space stand before."""
    while line <= len(lines):
        written = lines[line - 1]
        while column <= len(written):
            step = 2 if quote and written[column - 1] == _ESCAPED[quote] and column < len(written) else 1
            if not written[column - 1].isspace():
                if many <= 0:
                    return line, column
                many -= 1
            column += step
        line, column = line + 1, 1
    return len(lines), len(lines[-1]) + 1
