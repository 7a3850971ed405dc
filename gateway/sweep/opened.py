"""One part, opened: its columns by name, of all rows or of some, out of whichever of its files has them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import polars as pl

from gateway.sweep import found, scores
from gateway.sweep.alike import Alike
from gateway.sweep.layout import ID, Rows, is_alike
from gateway.sweep.manifest import CACHE, Part, Store
from gateway.sweep.mapped import Mapped


class Opened:
    """What was read is held until it is let go of. For one thread."""

    def __init__(self, store: Store, part: Part):
        self.part = part
        self._store = store
        self._read: dict[str, pl.Series] = {}
        self._known = {*part.columns, *scores.tops(part)}

    @cached_property
    def alike(self) -> Alike:
        """Rows by what they have in common."""
        return Alike(self._store.file(self.part, ".alike.arrow"), self._store.file(self.part, ".alike.npy"))

    def columns(
        self, names: Collection[str], rows: Rows | None = None, made: Mapping[str, pl.Expr] | None = None
    ) -> pl.DataFrame:
        """These columns, what is made of others, and `row`, of all rows or of these; others it has not are left out."""
        asked = dict(made or {})
        of_kinds = {name: asked.pop(name) for name in [*asked] if all(map(is_alike, asked[name].meta.root_names()))}
        of_texts = {name: asked.pop(name) for name in [*asked] if self._text(asked[name])}
        once = self.alike.made(of_kinds, rows) if of_kinds else []
        once += [self._mapped.made(made.alias(name), rows) for name, made in of_texts.items() if self._mapped]
        roots = {root for expr in asked.values() for root in expr.meta.root_names()}
        here = sorted(name for name in {*names, *roots} if name in self._known)
        self._fetch([name for name in here if not is_alike(name) and not self._maps(name)])
        place = pl.Series("row", _all(self.part.rows) if rows is None else rows)
        ids = [one for one in self._ids(rows) if one.name in names] if not set(ID).isdisjoint(names) else []
        frame = pl.DataFrame([place, *ids, *once, *(self._column(name, rows) for name in here)])
        return frame.with_columns_seq(**asked).drop(roots.difference(names), strict=False) if asked else frame

    def _text(self, made: pl.Expr) -> bool:
        """Whether it is made of one column of texts that are told once."""
        return self._mapped is not None and [*map(self._mapped.has_words, made.meta.root_names())] == [True]

    def ids(self, rows: Rows | None = None) -> pl.DataFrame:
        """The ids of these rows, or of all."""
        return pl.DataFrame(self._ids(rows))

    def found(self, kind: str, what: pl.Expr | None = None) -> pl.LazyFrame:
        """What was found, of one kind; of `what` is asked of it, all that may be true of."""
        if self._mapped is not None and what is not None:
            return found.taken(self._mapped, kind, what)
        return pl.scan_parquet(self._store.file(self.part, ".found.parquet")).filter(pl.col("kind") == kind)

    def _ids(self, rows: Rows | None) -> list[pl.Series]:
        ids = self._all_ids if rows is None else self._all_ids[rows]
        times = ids["time"].astype(np.uint64) + np.uint64(self.part.first)
        return [pl.Series(ID[0], times), pl.Series(ID[1], np.ascontiguousarray(ids["random"]))]

    @cached_property
    def _all_ids(self) -> np.ndarray[Any, Any]:
        ids: np.ndarray[Any, Any] = np.load(self._store.file(self.part, ".ids.npy"), mmap_mode="r").view(np.ndarray)
        return ids

    def _column(self, name: str, rows: Rows | None) -> pl.Series:
        if is_alike(name):
            return self.alike.column(name, rows)
        if self._mapped is not None and name in self._mapped:
            return self._mapped.column(name, rows)
        return self._read[name] if rows is None else self._read[name].gather(pl.Series(rows))

    def _maps(self, name: str) -> bool:
        return self._mapped is not None and name in self._mapped

    @cached_property
    def _mapped(self) -> Mapped | None:
        file = self._store.file(self.part, CACHE)
        return Mapped(file) if file.is_file() else None

    def _fetch(self, names: list[str]) -> None:
        wanted = [name for name in names if name not in self._read]
        if wanted:
            file = pl.scan_parquet(self._store.file(self.part))
            self._read |= {one.name: one for one in file.select(scores.taken(self.part, wanted)).collect()}


@lru_cache(maxsize=1)
def _all(rows: int) -> Rows:
    """Every place in a part. Most parts have as many."""
    return np.arange(rows, dtype=np.uint32)
