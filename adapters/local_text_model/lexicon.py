"""Profanity by word list: lexicon.tsv in this folder, several languages.

A term stands between word boundaries, except in the scripts that put no blanks between words, where it may stand
anywhere. The longest term wins, so a harmless phrase (severity 0) takes its words out of the count.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_WORD = re.compile(r"\w(?:[\w'’*]*\w)?")
_VOWEL_INSIDE = re.compile(r"(?<=\w)[aeiou](?=\w)")
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
                for spelling in {words, _masked(words)}:
                    spaced.setdefault(spelling[0], []).append((spelling, value))
        for phrases in spaced.values():
            phrases.sort(key=lambda entry: -len(entry[0]))
        for strings in unspaced.values():
            strings.sort(key=lambda entry: -len(entry[0]))
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


def _masked(words: Term) -> Term:
    """A term with the first vowel inside it starred out, as many write it."""
    return (_VOWEL_INSIDE.sub("*", words[0], count=1), *words[1:])


def _entries(file: Path) -> Iterator[tuple[str, float]]:
    for line in file.read_text("utf-8").splitlines():
        if not line.startswith("#"):
            _, severity, terms = line.split("\t")
            for term in terms.split("|"):
                yield term, round(float(severity) / _WORST, 4)
