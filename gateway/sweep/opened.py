"""One part, opened: its columns by name, of all rows or of some, out of whichever of its files has them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl

from gateway.policy.cel.typed import Some
from gateway.sweep import scores
from gateway.sweep.alike import Alike
from gateway.sweep.found import Things
from gateway.sweep.highest import Highest
from gateway.sweep.layout import ALL, ID, Rows, is_alike
from gateway.sweep.manifest import CACHE, INDEX, Part, Store
from gateway.sweep.mapped import Mapped
from gateway.sweep.met import Found, met
from gateway.sweep.numbers import room
from gateway.sweep.where import Among, Either, High, Made, Met, Where

Mask = npt.NDArray[np.bool_]  # by row of the part

_NO_ROWS = np.zeros(0, dtype=np.intp)


class Opened:
    """What was read is held until it is let go of. For one thread."""

    def __init__(self, store: Store, part: Part):
        self.part = part
        self._store = store
        self._read: dict[str, pl.Series] = {}
        self._met: dict[Some, Found] = {}
        self._places: dict[Where, Rows | None] = {}
        self._known = {*part.columns, *scores.tops(part)}

    @cached_property
    def alike(self) -> Alike:
        """Rows by what they have in common."""
        return Alike(self._index)

    @cached_property
    def _index(self) -> Mapped:
        return Mapped(self._store.file(self.part, INDEX))

    # columns

    def columns(
        self, names: Collection[str], rows: Rows | None = None, made: Mapping[str, Made] | None = None
    ) -> pl.DataFrame:
        """These columns and what is made of others, of all rows or of these; others it has not are left out."""
        once, exprs = self._once(made or {}, rows)
        plain = {name: expr.meta.root_names()[0] for name, expr in exprs.items() if expr.meta.is_column()}
        exprs = {name: expr for name, expr in exprs.items() if name not in plain}
        roots = {root for expr in exprs.values() for root in expr.meta.root_names()}
        here = sorted(name for name in {*names, *roots} if name in self._known)
        self._fetch([*here, *plain.values()])
        once += [self._column(column, rows).alias(name) for name, column in plain.items()]
        ids = [one for one in self._ids(rows) if one.name in names] if not set(ID).isdisjoint(names) else []
        frame = pl.DataFrame([*ids, *once, *(self._column(name, rows) for name in here)])
        return frame.with_columns_seq(**exprs).drop(roots.difference(names), strict=False) if exprs else frame

    def ids(self, rows: Rows | None = None) -> pl.DataFrame:
        """The ids of these rows, or of all."""
        return pl.DataFrame(self._ids(rows))

    def outcomes(self, node: Some, states: pl.Series, rows: Rows | None) -> pl.Series:
        """Whether something found meets the condition, of all rows or of these. `states` says who looked there.

        Where not all looked, one more may be there: that spoils "only one", and what was seen is there all the same.
        """
        found, looked = self._met_by(node), states == ALL
        seen = pl.Series(self.inside(found.true, rows))
        if not found.unknown.size and looked.all():
            return seen
        maybe = pl.Series(self.inside(found.unknown, rows))
        true, false = (seen & looked if node.once else seen), ~(seen | maybe) & looked
        return pl.select(pl.when(true).then(True).when(false).then(False)).to_series()

    def _once(self, made: Mapping[str, Made], rows: Rows | None) -> tuple[list[pl.Series], dict[str, pl.Expr]]:
        """What need not be made row by row, and how the others are made."""
        once: list[pl.Series] = []
        exprs: dict[str, pl.Expr] = {}
        of_kinds: dict[str, pl.Expr] = {}
        for name, one in made.items():
            where = self.where(one.where) if one.where is not None and one.where.exact else None
            roots = one.expr.meta.root_names()
            if where is not None:
                once.append(pl.Series(name, self.inside(where, rows)))
            elif all(map(is_alike, roots)):
                of_kinds[name] = one.expr
            elif self._mapped is not None and len(roots) == 1 and self._mapped.has_words(roots[0]):
                once.append(self._mapped.made(one.expr.alias(name), rows))
            else:
                exprs[name] = one.expr
        return once + (self.alike.made(of_kinds, rows) if of_kinds else []), exprs

    def _ids(self, rows: Rows | None) -> list[pl.Series]:
        since, random = (self._index.array(name, rows) for name in ID)
        return [pl.Series(ID[0], since + np.uint64(self.part.first)), pl.Series(ID[1], random)]

    def _column(self, name: str, rows: Rows | None) -> pl.Series:
        if is_alike(name):
            return self.alike.column(name, rows)
        if self._mapped is not None and name in self._mapped:
            return self._mapped.column(name, rows)
        return self._read[name] if rows is None else self._read[name].gather(pl.Series(rows))

    @cached_property
    def _mapped(self) -> Mapped | None:
        file = self._store.file(self.part, CACHE)
        return Mapped(file) if file.is_file() else None

    def _fetch(self, names: Iterable[str]) -> None:
        """Read those that lie neither in the index nor in the cache."""
        mapped = self._mapped or ()
        wanted = [n for n in names if n not in self._read and not is_alike(n) and n not in mapped]
        if wanted:
            file = pl.scan_parquet(self._store.file(self.part))
            self._read |= {one.name: one for one in file.select(scores.taken(self.part, wanted)).collect()}

    # rows

    def where(self, where: Where) -> Rows | None:
        """The rows, in no order; None where they can only be told by looking at all."""
        if where not in self._places:
            self._places[where] = self._looked_for(where)
        return self._places[where]

    def _looked_for(self, where: Where) -> Rows | None:
        match where:
            case High(category=slug, least=least):
                return self._highest.at_least(slug, least)
            case Met(node=node):
                return self._met_by(node).true
            case Either(parts=parts):
                found = [self.where(part) for part in parts]
                known = [rows for rows in found if rows is not None]
                if len(known) < len(found):
                    return None
                return known[0] if len(known) == 1 else np.concatenate([*known, _NO_ROWS])
            case Among(parts=parts):
                return min((rows for part in parts if (rows := self.where(part)) is not None), key=len, default=None)

    def inside(self, where: Rows, rows: Rows | None) -> Mask:
        """Of these rows, or of all, whether they are among the others."""
        with self._marked([where]) as marks:
            return marks.copy() if rows is None else marks[rows]

    def among(self, places: Collection[Rows], rows: Rows | None) -> Rows:
        """All of these places, in order, as far as they are among the rows."""
        if rows is None:
            every = np.sort(np.concatenate([*places, _NO_ROWS]))
            return every[np.diff(every, prepend=-1) > 0]
        with self._marked(places) as marks:
            return rows[marks[rows]]

    @contextmanager
    def _marked(self, places: Collection[Rows]) -> Iterator[Mask]:
        """By row, whether it is in one of these. Wiped afterwards."""
        marks = room("marks", self.part.rows).view(np.bool_)
        for place in places:
            marks[place] = True
        yield marks
        for place in places:
            marks[place] = False

    @cached_property
    def several(self) -> Rows:
        """Rows of decisions that have other inputs too."""
        return np.flatnonzero(self.alike.numbers("of") > 1) if self.part.several else _NO_ROWS

    @cached_property
    def _highest(self) -> Highest:
        return Highest(self._index, self.part)

    def _met_by(self, node: Some) -> Found:
        if node not in self._met:
            self._met[node] = met(node, self._things, unsure=self.part.unsure)
        return self._met[node]

    @cached_property
    def _things(self) -> Things:
        return Things(self._store.file(self.part, ".found.parquet"), self._mapped)
