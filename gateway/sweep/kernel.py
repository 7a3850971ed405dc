"""Rows that come under the same policies: which columns have to be read of them, what is asked, and what it says."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property

import numpy as np
import polars as pl

from gateway.domain import Action
from gateway.sweep.judge import Judge, Key, Possible, changed
from gateway.sweep.layout import WORD, Rows, masks
from gateway.sweep.numbers import room
from gateway.sweep.opened import Mask, Opened
from gateway.sweep.signals import FALSE, any_of
from gateway.sweep.truths import Actions, Grid, Truths

_ONE_NUMBER = 24  # reasons of a row that are told as one number
_POWERS = 1 << np.arange(_ONE_NUMBER)


class Case:
    """Rows of a part that come under the same policies. Without `old`, what was decided is the old action.

    `stored` says that `old` is what decided: then only what is otherwise under `new` is asked, and the rest is read
    out of the bits that were kept.
    """

    def __init__(self, new: Judge, old: Judge | None, stored: bool, bits: Sequence[tuple[str, str]], words: int):
        self._new, self._old, self._stored = new.reasons, {} if old is None else old.reasons, stored
        self._by_bits = stored or old is None
        self._bits = {(rule, Action(action)): n for n, (rule, action) in enumerate(bits) if n < words * WORD}
        self.changed = changed(old, new) if old is not None else set(new.reasons)
        self._told = sorted({*self.changed, *(self._bits if old is None else ())})  # reasons that may be told apart
        self._odd = self._beyond([each for each in (new, old) if each is not None])

    @property
    def columns(self) -> set[str]:
        """What is asked for of all rows, or of some."""
        return {name for each in (self._before, self._after) for one in each.values() for name in one.reads}

    @cached_property
    def _before(self) -> dict[Key, Possible]:
        """What is asked of the old policy."""
        return {} if self._by_bits else self._old

    @cached_property
    def _after(self) -> dict[Key, Possible]:
        """What is asked of the new one. Reasons that stay the same are read out of bits, where those decided."""
        changed = {key: one for key, one in self._new.items() if key in self.changed}
        return changed if self._stored else self._new

    def _kept(self, opened: Opened) -> Actions | None:
        """What reasons that stay the same come to, of each kind of row."""
        same = [(action, n) for (rule, action), n in self._bits.items() if (rule, action) not in self.changed]
        return opened.alike.strictest(same) if self._stored else None

    def narrowed(self, opened: Opened, rows: Rows | None) -> Rows | None:
        """Those of the rows, or of all, that may be decided otherwise than they were; None for all.

        Where of all reasons that are others it is known in which rows they were one, and in which they are. Inputs of
        decisions that have several are always among them.
        """
        if not self._stored or self._odd is not None:
            return rows
        places = [opened.several]
        for side in (self._old, self._new):
            for one in (side[key] for key in self.changed if key in side):
                place = opened.where(one.where) if one.where is not None and one.where.exact else None
                if place is None:
                    return rows
                places.append(place)
        return opened.among(places, rows)

    def actions(self, truths: Truths) -> tuple[Actions, Actions]:
        """What both policies say of the rows that are looked at. It lies in rooms of its thread (numbers.py)."""
        opened, rows = truths.opened, truths.rows
        old, new = (room(name, opened.part.rows if rows is None else len(rows)) for name in ("old", "new"))
        if self._by_bits:
            opened.alike.numbers("action", rows, old)
        else:
            truths.strictest(self._before, old)
        truths.strictest(self._after, new, self._kept(opened))
        return old, new

    def beyond(self, opened: Opened, rows: Rows | None) -> Mask | None:
        """Of these rows, or of all, whether they are decided one by one; None for no row."""
        if self._odd is None:
            return None
        odd: Mask = opened.columns(self._odd.meta.root_names(), rows).select(self._odd).to_series().to_numpy()
        return odd

    def _beyond(self, judges: Sequence[Judge]) -> pl.Expr | None:
        """Whether columns cannot say it: what they hold together, and reasons of the policy that decided which they do
        not know. None for never."""
        if self._stored and not self.changed:
            return None
        held = self._old if self._stored else self._bits
        strange = self._any_bit(n for key, n in self._bits.items() if key not in held)
        odd = any_of([strange, *(judge.beyond for judge in judges)])
        return None if odd is FALSE else odd.fill_null(False)

    def reasons(self, truths: Truths, rows: Rows) -> pl.DataFrame:
        """Of these rows, which were looked at, `gained` and `lost`: reasons that are new, and those that are gone."""
        after = truths.holding([self._new.get(key) for key in self._told], rows)
        if self._by_bits:
            before = truths.opened.alike.bits([self._bits.get(key) for key in self._told], rows)
        else:
            before = truths.holding([self._old.get(key) for key in self._told], rows)
        names = [rule for rule, _ in self._told]
        lists = {"gained": _listed(names, after & ~before), "lost": _listed(names, before & ~after)}
        return pl.DataFrame({"row": rows, **lists})

    def _any_bit(self, numbers: Iterable[int]) -> pl.Expr:
        words = ((pl.col(f"hits.{n}") & pl.lit(mask, dtype=pl.UInt64)) > 0 for n, mask in masks(numbers).items())
        return any_of(word.fill_null(False) for word in words)


def _listed(names: Sequence[str], which: Grid) -> pl.Series:
    """By row, those of the names that are true. Few rows differ in that: each list is made once."""
    place = np.zeros(len(which), dtype=np.intp)
    for start in range(0, len(names), _ONE_NUMBER):
        number = which[:, start : start + _ONE_NUMBER] @ _POWERS[: len(names) - start]
        place = np.unique((place << _ONE_NUMBER) + number, return_inverse=True)[1]
    example = np.zeros(int(place.max(initial=-1)) + 1, dtype=np.intp)
    example[place] = np.arange(len(place))
    lists = [sorted({name for name, true in zip(names, each, strict=True) if true}) for each in which[example].tolist()]
    return pl.Series(lists, dtype=pl.List(pl.String)).gather(pl.Series(place))
