"""Rows that are alike in all that has few values: what decided, on what, and what came of it.

Each kind of row is told once, in a table; a row has its number there, uncompressed, so that it is found without
reading the others. What all rows of a kind have in common is asked of the table.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from gateway.sweep.layout import GROUPED, Rows, is_alike
from gateway.sweep.manifest import Group
from gateway.sweep.numbers import Numbers, narrow, taken, told

_MASKS = ("hits.", "unknown.")


def told_apart(frame: pl.DataFrame) -> tuple[pl.DataFrame, Numbers]:
    """The kinds of rows, with how many there are of each, and the kind of each row."""
    names = [name for name in frame.columns if is_alike(name)]
    keys = frame.select(pl.col(n).fill_null(0) if n.startswith(_MASKS) else pl.col(n) for n in names)
    kinds = keys.group_by(names, maintain_order=True).len("rows")
    numbered = kinds.drop("rows").with_row_index("kind")
    place = keys.join(numbered, on=names, how="left", nulls_equal=True, maintain_order="left")["kind"]
    return kinds, narrow(place.to_numpy(), kinds.height)


class Alike:
    """The kinds of one part, and of which kind each row is. `kinds` and `place` are files."""

    def __init__(self, kinds: Path, place: Path):
        self.kinds = pl.read_ipc(kinds.read_bytes())
        self._place: Numbers = np.load(place, mmap_mode="r").view(np.ndarray)

    def column(self, name: str, rows: Rows | None) -> pl.Series:
        """One of its columns, of all rows or of these."""
        return taken(self.kinds[name], self._of(rows))

    def made(self, made: Mapping[str, pl.Expr], rows: Rows | None) -> list[pl.Series]:
        """What is made of its columns, for each kind once."""
        values = self.kinds.with_columns_seq(**made).select_seq(*made)
        return told(values, self._of(rows))

    def actions(self, rows: Rows | None) -> Counter[int]:
        """How many of these rows were decided how, of decisions with one input."""
        many = self.kinds["rows"].to_numpy() if rows is None else np.bincount(self._of(rows), minlength=len(self.kinds))
        alone = self.kinds["of"].to_numpy() == 1
        told = np.bincount(self.kinds["action"].to_numpy()[alone], weights=many[alone], minlength=3)
        return Counter({action: int(number) for action, number in enumerate(told)})

    def of_groups(self, groups: Iterable[Group]) -> npt.NDArray[np.bool_]:
        """By row, whether it belongs to one of these."""
        wanted = {group.apart for group in groups}
        columns = [name for name in GROUPED.values() if name in self.kinds.columns]
        texts = self.kinds.select(pl.col(name).cast(pl.String) for name in columns).to_dicts()
        own = [tuple(kind.get(name) for name in GROUPED.values()) in wanted for kind in texts]
        belongs: npt.NDArray[np.bool_] = np.array(own, dtype=np.bool_)[self._place]
        return belongs

    def _of(self, rows: Rows | None) -> Numbers:
        found: Numbers = self._place if rows is None else self._place[rows]
        return found
