"""Rows that come under the same policies: which columns have to be read of them, what is asked, and what it says."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl

from gateway.domain import Action
from gateway.sweep.judge import Judge, Key, Possible, changed
from gateway.sweep.layout import WORD, Rows, masks
from gateway.sweep.opened import Mask, Opened
from gateway.sweep.signals import FALSE, any_of
from gateway.sweep.strictest import Actions, evidence, strictest

_BYTES = 8  # of a word

Grid = npt.NDArray[np.bool_]  # a row each, and a column each name


class Case:
    """Rows of a part that come under the same policies. Without `old`, what was decided is the old action.

    `stored` says that `old` is what decided: then only what is otherwise under `new` is asked, and the rest is read
    out of the bits that were kept.
    """

    def __init__(self, new: Judge, old: Judge | None, stored: bool, bits: Sequence[tuple[str, str]], words: int):
        self._new, self._old, self._stored = new, old, stored
        self._bits = {(rule, Action(action)): n for n, (rule, action) in enumerate(bits) if n < words * WORD}
        self.changed = changed(old, new) if old is not None else set(new.reasons)

    @property
    def columns(self) -> set[str]:
        """What is asked for of all rows, or of some."""
        return {name for each in (self._before, self._after) for one in each.values() for name in one.reads}

    @cached_property
    def _before(self) -> dict[Key, Possible]:
        """What is asked of the old policy."""
        return {} if self._by_bits or self._old is None else self._old.reasons

    @cached_property
    def _after(self) -> dict[Key, Possible]:
        """What is asked of the new one. Reasons that stay the same are read out of bits, where those decided."""
        reasons = self._new.reasons
        return {key: one for key, one in reasons.items() if key in self.changed} if self._stored else reasons

    def _kept(self, opened: Opened) -> Actions | None:
        """What reasons that stay the same come to, of each kind of row."""
        same = [(action, n) for (rule, action), n in self._bits.items() if (rule, action) not in self.changed]
        return opened.alike.strictest(same) if self._stored else None

    @property
    def _by_bits(self) -> bool:
        return self._stored or self._old is None

    def narrowed(self, opened: Opened, rows: Rows | None) -> Rows | None:
        """Those of the rows, or of all, that may be decided otherwise than they were; None for all.

        Where of all reasons that are others it is known in which rows they were one, and in which they are. Inputs of
        decisions that have several are always among them.
        """
        if not self._stored or self._odd is not None:
            return rows
        places = [opened.several]
        for judge in (self._old, self._new):
            for one in (judge.reasons[key] for key in self.changed if judge and key in judge.reasons):
                place = opened.where(one.where) if one.where is not None and one.where.exact else None
                if place is None:
                    return rows
                places.append(place)
        return opened.among(places, rows)

    def actions(self, opened: Opened, rows: Rows | None) -> tuple[Actions, Actions]:
        """What both policies say of these rows, or of all."""
        old = opened.alike.numbers("action", rows) if self._by_bits else strictest(opened, self._before, rows)
        return old, strictest(opened, self._after, rows, self._kept(opened))

    def beyond(self, opened: Opened, rows: Rows | None) -> Mask | None:
        """Of these rows, or of all, whether they are decided one by one; None for no row."""
        if self._odd is None:
            return None
        odd: Mask = opened.columns(self._odd.meta.root_names(), rows).select(self._odd).to_series().to_numpy()
        return odd

    @cached_property
    def _odd(self) -> pl.Expr | None:
        """Whether columns cannot say it: what they hold together, and reasons of the policy that decided which they do
        not know. None for never."""
        if self._stored and not self.changed:
            return None
        held = self._old.reasons if self._stored and self._old else self._bits
        strange = self._any_bit(n for key, n in self._bits.items() if key not in held)
        odd = any_of([strange, *(side.beyond for side in (self._new, self._old) if side is not None)])
        return None if odd is FALSE else odd.fill_null(False)

    def reasons(self, opened: Opened, rows: Rows) -> pl.DataFrame:
        """By row, `gained` and `lost`: the reasons that are new, and those that are gone."""
        asked = [one for key in self._told for one in (self._side(self._old, key), self._side(self._new, key))]
        frame = evidence(opened, [one for one in asked if one is not None], rows)
        frame = frame.select_seq("row", **{f"{n}{side}": expr for n, side, expr in self._sides})
        after, before = (_grid(frame, [f"{n}{side}" for n in range(len(self._told))]) for side in ("after", "before"))
        names = [rule for rule, _ in self._told]
        gained, lost = _listed(names, after & ~before), _listed(names, before & ~after)
        return pl.DataFrame([frame["row"], gained.alias("gained"), lost.alias("lost")])

    @cached_property
    def _told(self) -> list[Key]:
        """The reasons that may be told apart."""
        return sorted({*self.changed, *(self._bits if self._old is None else ())})

    @cached_property
    def _sides(self) -> list[tuple[int, str, pl.Expr]]:
        """Whether each of them was a reason before, and is one after."""
        sides = (("before", self._old), ("after", self._new))
        told = [(n, side, self._side(judge, key)) for n, key in enumerate(self._told) for side, judge in sides]
        return [(n, side, FALSE if one is None else one.holds.fill_null(False)) for n, side, one in told]

    def _side(self, judge: Judge | None, key: Key) -> Possible | None:
        """The reason as this policy has it, or as it was kept."""
        if judge is self._new or not self._by_bits:
            return judge.reasons.get(key) if judge is not None else None
        return Possible(self._any_bit([self._bits[key]])) if key in self._bits else None

    def _any_bit(self, numbers: Iterable[int]) -> pl.Expr:
        words = ((pl.col(f"hits.{n}") & pl.lit(mask, dtype=pl.UInt64)) > 0 for n, mask in masks(numbers).items())
        return any_of(word.fill_null(False) for word in words)


def _grid(told: pl.DataFrame, names: Sequence[str]) -> Grid:
    return np.column_stack([told[name].to_numpy() for name in names])


def _listed(names: Sequence[str], which: Grid) -> pl.Series:
    """By row, those of the names that are true. Few rows differ in that: each list is made once."""
    bits = np.packbits(which, axis=1)
    words = np.pad(bits, ((0, 0), (0, -bits.shape[1] % _BYTES))).view(np.uint64).T
    first, place = np.unique(words[0], return_index=True, return_inverse=True)[1:]
    for word in words[1:]:
        number = np.unique(word, return_inverse=True)[1]
        first, place = np.unique(place * len(which) + number, return_index=True, return_inverse=True)[1:]
    lists = [sorted({name for name, true in zip(names, each, strict=True) if true}) for each in which[first]]
    return pl.Series(lists, dtype=pl.List(pl.String)).gather(place)
