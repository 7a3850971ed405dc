"""Profanity by word list: lexicon.tsv in this folder, several languages.

A term stands between word boundaries, except in the scripts that put no blanks between words, where it may stand
anywhere. The longest term wins, so a harmless phrase (severity 0) takes its words out of the count.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_WORD = re.compile(r"[\w'’\u0900-\u097f]+")
_UNSPACED = re.compile("[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]+")
_WORST = 3.0  # the source's scale: 1 mild, 2 strong, 3 severe

Term = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Lexicon:
    """`spaced` and `unspaced` hold, by first word or first character, what may begin there, longest first."""

    spaced: dict[str, list[tuple[Term, float]]]
    unspaced: dict[str, list[tuple[str, float]]]

    @classmethod
    def load(cls, file: Path) -> Lexicon:
        """Read the list: language, severity, terms. Raises OSError or ValueError."""
        spaced: dict[str, list[tuple[Term, float]]] = {}
        unspaced: dict[str, list[tuple[str, float]]] = {}
        for term, value in _entries(file):
            if _UNSPACED.match(term):
                unspaced.setdefault(term[0], []).append((term, value))
            elif words := tuple(_WORD.findall(term)):
                spaced.setdefault(words[0], []).append((words, value))
        for terms in (*spaced.values(), *unspaced.values()):
            terms.sort(key=lambda entry: -len(entry[0]))
        return cls(spaced, unspaced)

    @property
    def vocabulary(self) -> frozenset[str]:
        """The terms of one word."""
        return frozenset(words[0] for terms in self.spaced.values() for words, _ in terms if len(words) == 1)

    def value(self, plain: str) -> float | None:
        """The worst term of a text after `normalise.plain`: severity / 3, so 0.5 lies between mild and strong.

        0 where no term is listed; None where there is nothing to read.
        """
        if not plain.strip():
            return None
        return max((*self._among(_WORD.findall(plain)), *self._within(plain)), default=0.0)

    def _among(self, words: list[str]) -> Iterator[float]:
        position = 0
        while position < len(words):
            length = 1
            for term, value in self.spaced.get(words[position], ()):
                if tuple(words[position : position + len(term)]) == term:
                    length = len(term)
                    yield value
                    break
            position += length

    def _within(self, plain: str) -> Iterator[float]:
        for run in _UNSPACED.finditer(plain):
            for position in range(run.start(), run.end()):
                for term, value in self.unspaced.get(plain[position], ()):
                    if plain.startswith(term, position):
                        yield value
                        break


def _entries(file: Path) -> Iterator[tuple[str, float]]:
    for line in file.read_text("utf-8").splitlines():
        if not line.startswith("#"):
            _, severity, terms = line.split("\t")
            for term in terms.split("|"):
                yield term, float(severity) / _WORST
