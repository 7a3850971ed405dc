"""Labels and lists: in their file, and in the cache by name, so that a rule about few names looks at these alone."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl

from gateway.sweep.layout import FOUND, Rows
from gateway.sweep.mapped import Mapped

_KEPT = ("confidence", "provider", "row")


def laid(found: pl.DataFrame) -> Iterator[pl.Series]:
    """Columns of the cache, out of what was found in the order of parts.py."""
    for name in _KEPT:
        column = found[name].cast(pl.Categorical) if FOUND[name] == pl.String else found[name]
        yield column.alias(f"found.{name}")
    names = found.group_by("kind", "name", maintain_order=True).len("many")
    for name in ("kind", "name"):
        yield names[name].cast(pl.Categorical).alias(f"names.{name}")
    yield names["many"].cum_sum().cast(pl.UInt32).alias("names.end")


class Things:
    """What was found on the inputs of one part. `file` has it all, and so has the cache, where there is one."""

    def __init__(self, file: Path, mapped: Mapped | None):
        self._file = file
        self._mapped = mapped

    def like(self, kind: str, what: pl.Expr) -> pl.LazyFrame:
        """What was found of this kind and may meet a condition: left out are names that for certain do not."""
        if self._mapped is None:
            return pl.scan_parquet(self._file).filter(pl.col("kind") == kind)
        mapped, names = self._mapped, self._called(kind, what)
        pieces = [slice(*each) for each in names.select("start", "end").rows()]
        asked = {"row", *what.meta.root_names()}
        found = [mapped.column(f"found.{name}", pieces).alias(name) for name in _KEPT if name in asked]
        if "name" in asked:
            which = np.repeat(np.arange(names.height), names["end"] - names["start"])
            found.append(names["name"].gather(pl.Series(which)))
        return pl.LazyFrame(found)

    def sure_of(self, kind: str, what: pl.Expr, least: int) -> Rows | None:
        """The rows in which something with such a name has at least that confidence; None without a cache. For parts in
        which all have one: of each name they rise."""
        if self._mapped is None:
            return None
        rows, confidence = self._mapped.array("found.row"), self._mapped.array("found.confidence")
        found = [rows[:0]]
        for start, end in self._called(kind, what).select("start", "end").rows():
            below = np.searchsorted(confidence[start:end], confidence.dtype.type(least))
            found.append(rows[start + below : end])
        return np.concatenate(found).astype(np.intp)

    def _called(self, kind: str, what: pl.Expr) -> pl.DataFrame:
        return self._names.filter(pl.col("kind") == kind, what.fill_null(True))

    @cached_property
    def _names(self) -> pl.DataFrame:
        """Where those of each name begin and end."""
        assert self._mapped is not None  # noqa: S101 - who asks has looked
        kind, name, end = (self._mapped.column(f"names.{name}").alias(name) for name in ("kind", "name", "end"))
        start = end.shift(1, fill_value=0).alias("start")
        nothing = [
            pl.Series(name, [None], FOUND[name]).new_from_index(0, len(end)) for name in ("confidence", "provider")
        ]
        return pl.DataFrame([kind, name.cast(pl.String), start, end, *nothing])
