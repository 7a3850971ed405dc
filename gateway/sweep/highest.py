"""The rows of a part with the highest scores of each category, by score.

Most contents have next to nothing of most things. Who asks which rows score so much is told so here, and the column
itself, of all rows, is not looked at.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from gateway.sweep.layout import Rows
from gateway.sweep.manifest import Part
from gateway.sweep.mapped import Mapped
from gateway.sweep.scores import slugs

_SHARE = 40  # of so many rows, one is told of
_FEW = 1_000  # so many are always


def laid(frame: pl.DataFrame, part: Part) -> Iterator[pl.Series]:
    """What is written of the scores in this frame, which holds them as scores.py lays them."""
    floors = []
    for slug in slugs(part.scores):
        scores = frame[f"t.{slug}"].fill_null(0).to_numpy()
        floors.append(_floor(scores))
        rows = np.flatnonzero(scores >= floors[-1]).astype(np.uint32)
        falling = np.argsort(scores[rows], kind="stable")[::-1]
        yield pl.Series(f"rows.{slug}", rows[falling])
        yield pl.Series(f"scores.{slug}", scores[rows][falling])
    yield pl.Series("floors", floors, dtype=pl.UInt16)


def _floor(scores: np.ndarray[tuple[int], np.dtype[np.uint16]]) -> int:
    """The lowest score that few enough reach; 1 where all that have one may be told of."""
    most = max(len(scores) // _SHARE, _FEW)
    if np.count_nonzero(scores) <= most:
        return 1
    return int(np.partition(scores, -most - 1)[-most - 1]) + 1


class Highest:
    """What `laid` laid, of this part."""

    def __init__(self, index: Mapped, part: Part):
        self._index = index
        self._floors = dict(zip(slugs(part.scores), index.array("floors").tolist(), strict=True))

    def at_least(self, slug: str, bound: int) -> Rows | None:
        """The rows in which somebody scores it so high, the highest first; None where they are too many to be here."""
        if bound < self._floors[slug]:
            return None
        falling = self._index.array(f"scores.{slug}")
        many = len(falling) - np.searchsorted(falling[::-1], np.uint16(bound))
        return self._index.array(f"rows.{slug}")[:many].astype(np.intp)
