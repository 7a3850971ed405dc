"""Rows that are alike in all that has few values: what decided, on what, and what came of it.

Each kind of row is told once, and a row has its number there, so that it is found without reading the others. What all
rows of a kind have in common is asked of the kind.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

from gateway.domain import Action
from gateway.sweep.layout import ACTIONS, GROUPED, Rows, is_alike, masks
from gateway.sweep.manifest import Group
from gateway.sweep.mapped import Mapped
from gateway.sweep.numbers import Numbers, looked_up, narrow, taken

T = TypeVar("T", bound=np.generic)

_KIND = "kind."  # a column of the kinds, by its name among those of the rows
_MANY = "rows"  # how many there are of a kind
_PLACE = "kind"  # which kind a row is
_MASKS = ("hits.", "unknown.")


def laid(frame: pl.DataFrame) -> Iterator[pl.Series]:
    """What is written: the kinds of rows, with how many there are of each, and the kind of each row."""
    names = [name for name in frame.columns if is_alike(name)]
    keys = frame.select(pl.col(n).fill_null(0) if n.startswith(_MASKS) else pl.col(n) for n in names)
    kinds = keys.group_by(names, maintain_order=True).len(_MANY).sort("action", maintain_order=True)
    numbered = kinds.drop(_MANY).with_row_index("number")
    place = keys.join(numbered, on=names, how="left", nulls_equal=True, maintain_order="left")["number"]
    yield from (kinds[name].alias(f"{_KIND}{name}") for name in kinds.columns)
    yield pl.Series(_PLACE, narrow(place.to_numpy(), kinds.height))


class Alike:
    """The kinds of one part, and of which kind each row is."""

    def __init__(self, index: Mapped):
        self._index = index
        self._place: Numbers = index.array(_PLACE)

    def __len__(self) -> int:
        """How many kinds there are."""
        return len(self._index.array(f"{_KIND}{_MANY}"))

    def column(self, name: str, rows: Rows | None) -> pl.Series:
        """One of the columns, of all rows or of these."""
        return taken(self._kinds(name), self._of(rows))

    def made(self, made: Mapping[str, pl.Expr], rows: Rows | None) -> list[pl.Series]:
        """What is made of the columns, for each kind once."""
        numbers = self._of(rows)
        return [taken(one, numbers) for one in self.asked(made).get_columns()[1:]]

    def asked(self, made: Mapping[str, pl.Expr]) -> pl.DataFrame:
        """How many rows there are of each kind, and what is made of its columns, as long where it is all the same."""
        names = {root for expr in made.values() for root in expr.meta.root_names()}
        kinds = pl.DataFrame([self._kinds(name) for name in (*names, _MANY)])
        return kinds.select_seq(_MANY, **made)

    def texts(self, name: str, rows: Rows) -> pl.Series:
        """One of the columns of texts, of these rows."""
        return self._kinds(name).cast(pl.String).gather(pl.Series(self._of(rows)))

    def strictest(self, bits: Iterable[tuple[Action, int]]) -> npt.NDArray[np.uint8]:
        """Of each kind, the strictest action of those whose bit is set, as its number in ACTIONS."""
        found = np.zeros(len(self), dtype=np.uint8)
        several = list(bits)
        for number, action in enumerate(ACTIONS):
            for word, mask in masks(bit for led, bit in several if led is action).items():
                found[self._index.array(f"{_KIND}hits.{word}") & np.uint64(mask) != 0] = number
        return found

    def bits(self, asked: Sequence[int | None], rows: Rows) -> npt.NDArray[np.bool_]:
        """Of each of these rows, whether each of these bits is set; None is no bit."""
        numbers, found = self._of(rows), np.zeros((len(rows), len(asked)), dtype=np.bool_, order="F")
        for place, bit in enumerate(asked):
            for word, mask in masks([] if bit is None else [bit]).items():
                is_set = self._index.array(f"{_KIND}hits.{word}") & np.uint64(mask) != 0
                found[:, place] = looked_up(is_set, numbers)
        return found

    def numbers(
        self, name: str, rows: Rows | None = None, out: npt.NDArray[np.uint8] | None = None
    ) -> npt.NDArray[np.uint8]:
        """One of the columns of small numbers, of all rows or of these."""
        return self.by_kind(self._index.array(f"{_KIND}{name}"), rows, out)

    def by_kind(self, values: npt.NDArray[T], rows: Rows | None, out: npt.NDArray[T] | None = None) -> npt.NDArray[T]:
        """Row by row, what is said of its kind."""
        return looked_up(values, self._of(rows), out)

    def actions(self, rows: Rows | None) -> Counter[int]:
        """How many of these rows were decided how, of decisions with one input."""
        action, alone = self._index.array(f"{_KIND}action"), self._index.array(f"{_KIND}of") == 1
        many = (
            self._index.array(f"{_KIND}{_MANY}") if rows is None else np.bincount(self._of(rows), minlength=len(action))
        )
        told = np.bincount(action[alone], weights=many[alone], minlength=3)
        return Counter({action: int(number) for action, number in enumerate(told)})

    def of_groups(self, groups: Iterable[Group], known: Collection[str]) -> npt.NDArray[np.bool_]:
        """By row, whether it belongs to one of these. `known` are the columns that there are."""
        wanted = {group.apart for group in groups}
        columns = [self._kinds(name).cast(pl.String) for name in GROUPED.values() if name in known]
        own = [
            tuple(kind.get(name) for name in GROUPED.values()) in wanted for kind in pl.DataFrame(columns).to_dicts()
        ]
        belongs: npt.NDArray[np.bool_] = np.array(own, dtype=np.bool_)[self._place]
        return belongs

    def _kinds(self, name: str) -> pl.Series:
        return self._index.column(f"{_KIND}{name}").alias(name)

    def _of(self, rows: Rows | None) -> Numbers:
        found: Numbers = self._place if rows is None else np.take(self._place, rows)
        return found
