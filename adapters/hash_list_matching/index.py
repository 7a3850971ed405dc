"""Which of a million hashes are within a few bits of one: multi-index hashing.

A hash of 256 bits is cut in 16 pieces of 16. Two hashes at most d bits apart have a piece in which they differ by at
most d // 16 bits, and of d < 16 already one of their first d + 1 pieces is the same. So only hashes are compared that
share such a piece: of a million evenly spread ones some 4,000 at distance 31, instead of all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PIECES, VALUES = 16, 1 << 16

Bytes = NDArray[np.uint8]
Rows = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Hit:
    """That the hash in row `query` of the asked ones is `distance` bits from row `row` of the known ones."""

    query: int
    row: int
    distance: int


class Index:
    """Known hashes, shape (n, 32), to be found within `distance` bits (0..63). Some 100 bytes each above 15 bits."""

    def __init__(self, known: Bytes, distance: int):
        self._known = _words(known)
        self._distance = distance
        pieces = _pieces(known)[:, : distance + 1]
        self._near = np.flatnonzero(np.bitwise_count(np.arange(VALUES)) <= distance // PIECES)  # as masks
        self._order = [np.argsort(piece, kind="stable").astype(np.int32) for piece in pieces.T]
        self._first = [np.concatenate(([0], np.cumsum(np.bincount(piece, minlength=VALUES)))) for piece in pieces.T]

    def __len__(self) -> int:
        return len(self._known)

    def near(self, asked: Bytes) -> list[Hit]:
        """All known hashes within the distance of those asked, shape (m, 32), the nearest first."""
        hits = [hit for query, row in enumerate(asked) for hit in self._near_one(query, row)]
        return sorted(hits, key=lambda hit: hit.distance)

    def _near_one(self, query: int, asked: Bytes) -> list[Hit]:
        rows = np.concatenate([self._sharing(at, _pieces(asked)[0, at]) for at in range(len(self._order))])
        distances = np.bitwise_count(self._known[rows] ^ _words(asked)).sum(axis=1, dtype=np.int64)
        close = distances <= self._distance
        found = dict(
            zip(rows[close].tolist(), distances[close].tolist(), strict=True)
        )  # a hash may share several pieces
        return [Hit(query, row, distance) for row, distance in found.items()]

    def _sharing(self, at: int, piece: np.uint16) -> Rows:
        """The known hashes whose piece `at` is this one, or differs from it by no more bits than it may."""
        values = self._near ^ piece
        first, last = self._first[at][values], self._first[at][values + 1]
        counts = last - first
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        rows: Rows = self._order[at][np.repeat(first, counts) + within]
        return rows


def _pieces(hashes: Bytes) -> NDArray[np.uint16]:
    return np.ascontiguousarray(hashes).reshape(-1, 32).view(np.uint16)


def _words(hashes: Bytes) -> NDArray[np.uint64]:
    return np.ascontiguousarray(hashes).reshape(-1, 32).view(np.uint64)
