"""What the English heads see of a text: words, pairs of words and pieces of words, weighted by TF-IDF.

The training script hands these two functions to scikit-learn as analysers; `Block` computes the same numbers with a
dict and numpy. A test holds the two to within 1e-3 of each other.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

_WORD = re.compile(r"\w[\w'*@$]*\b")
_SIZES = (3, 4, 5)  # of the pieces, in characters


def words(text: str) -> list[str]:
    """The words of a folded text and each two in a row."""
    found = _WORD.findall(text)
    return found + [" ".join(pair) for pair in pairwise(found)]


def pieces(text: str) -> list[str]:
    """Every 3, 4 and 5 characters in a row inside a blank-separated word, the blank at both ends counted."""
    padded = [f" {word} " for word in text.split()]
    return [word[at : at + size] for word in padded for size in _SIZES for at in range(len(word) - size + 1)]


@dataclass(frozen=True, slots=True)
class Block:
    """One analyser with its vocabulary: term → row, and the inverse document frequency of each row."""

    analyse: Callable[[str], list[str]]
    rows: dict[str, int]
    idf: NDArray[np.float32]

    def weigh(self, text: str) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
        """Rows and weights of a folded text: (1 + ln count) · idf, scaled to length 1. Empty where no term is known."""
        counts = Counter(row for term in self.analyse(text) if (row := self.rows.get(term)) is not None)
        rows = np.fromiter(counts, np.intp, len(counts))
        weights = (1 + np.log(np.fromiter(counts.values(), np.float32, len(counts)))) * self.idf[rows]
        return rows, weights / (np.linalg.norm(weights) or 1)
