"""Rows that come under the same policies: which columns have to be read of them, what is asked, and what it says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl

from gateway.domain import Action
from gateway.policy.cel.typed import Some
from gateway.sweep.conditions import Among, Things, outcomes
from gateway.sweep.judge import Judge, Key, Possible, changed
from gateway.sweep.layout import WORD
from gateway.sweep.signals import FALSE, any_of

Grid = npt.NDArray[np.bool_]  # a row each, and a column each name

_KEPT = {Action.BLOCK: "kept.block", Action.REVIEW: "kept.review"}  # whether a reason that stays the same leads there
_NEVER = Possible(FALSE, steady=True)


class Case:
    """Rows of a part that come under the same policies. Without `old`, what was decided is the old action.

    `stored` says that `old` is what decided: then only what is otherwise under `new` is asked, and the rest is read
    out of the bits that were kept.
    """

    def __init__(self, new: Judge, old: Judge | None, stored: bool, bits: Sequence[tuple[str, str]], words: int):
        self._new, self._old, self._stored = new, old, stored
        self._bits = {(rule, Action(action)): n for n, (rule, action) in enumerate(bits) if n < words * WORD}
        self._words = words
        self.changed = changed(old, new) if old is not None else set(new.reasons)

    @cached_property
    def _asked(self) -> tuple[dict[Key, Possible], dict[Key, Possible]]:
        """What is asked of the old policy and of the new one."""
        old = {} if self._old is None or self._stored else self._old.reasons
        mine = self.changed if self._stored else self._new.reasons.keys()
        return old, {key: possible for key, possible in self._new.reasons.items() if key in mine}

    @cached_property
    def made(self) -> dict[str, pl.Expr]:
        """What has to be made out of other columns before anything is asked."""
        made = {
            name: expr for side in self._asked for possible in side.values() for name, expr in possible.made.items()
        }
        if self._stored:
            same = [(key[1], n) for key, n in self._bits.items() if key not in self.changed]
            for action, name in _KEPT.items():
                made[name] = self._any_bit(n for led, n in same if led is action)
        return made | {"strange": self._any_bit(self._strange)}

    @cached_property
    def columns(self) -> set[str]:
        """What has to be read beside."""
        names = {name for side in self._asked for possible in side.values() for name in possible.columns}
        return names | {"action"} | {name for name in self.beyond.meta.root_names() if name not in self.made}

    @property
    def _by_bits(self) -> bool:
        return self._stored or self._old is None

    @cached_property
    def beyond(self) -> pl.Expr:
        """Rows that are decided one by one."""
        if self._stored and not self.changed:
            return FALSE
        sides = [side.beyond for side in (self._new, self._old) if side is not None]
        return any_of([*sides, pl.col("strange") if self._strange else FALSE])

    @cached_property
    def _strange(self) -> list[int]:
        """Reasons of the policy that decided which columns do not know."""
        held = self._old.reasons if self._stored and self._old else self._bits
        return [n for key, n in self._bits.items() if key not in held]

    @cached_property
    def narrow(self) -> pl.Expr | None:
        """Which rows may be decided otherwise, of stored scores alone; None where that takes a look at all."""
        if not self._stored or self._old is None:
            return None
        otherwise = [self.beyond]
        for key in self.changed:
            before, after = self._old.reasons.get(key, _NEVER), self._new.reasons.get(key, _NEVER)
            if not (before.steady and after.steady):
                return None
            if before.leads != after.leads:
                otherwise.append(before.outcome != after.outcome)
        return any_of(otherwise).fill_null(False)

    def found(self, frame: pl.DataFrame, things: Things, among: Among, *, unsure: bool) -> pl.DataFrame:
        """The frame with what was found on its inputs, as the expressions ask for it."""
        nodes: dict[str, Some] = {}
        for side in self._asked:
            for possible in side.values():
                nodes |= possible.found
        return frame.with_columns(
            outcomes(node, things, frame[node.over.root], among, unsure=unsure).alias(name)
            for name, node in nodes.items()
        )

    def judged(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The frame with `old`, `new` and `beyond`."""
        return frame.with_columns_seq(**self._answers)

    @cached_property
    def _answers(self) -> dict[str, pl.Expr]:
        old, new = self._asked
        before = _action(old) if old else pl.col("action")
        kept = {action: pl.col(name) for action, name in _KEPT.items()} if self._stored else {}
        return {"old": before, "new": _action(new, kept), "beyond": self.beyond.fill_null(False)}

    def reasons(self, flips: pl.DataFrame) -> pl.DataFrame:
        """By row, `gained` and `lost`: the reasons that are new, and those that are gone."""
        told = flips.select_seq("row", **{f"{n}{side}": expr for n, side, expr in self._sides})
        after, before = (_grid(told, [f"{n}{side}" for n in range(len(self._told))]) for side in ("after", "before"))
        names = [rule for rule, _ in self._told]
        gained, lost = _listed(names, after & ~before), _listed(names, before & ~after)
        return pl.DataFrame([told["row"], gained.alias("gained"), lost.alias("lost")])

    @cached_property
    def _told(self) -> list[Key]:
        """The reasons that may be told apart."""
        return sorted({*self.changed, *(self._bits if self._old is None else ())})

    @cached_property
    def _sides(self) -> list[tuple[int, str, pl.Expr]]:
        """Whether each of them was a reason before, and is one after."""
        sides = (("before", self._before), ("after", self._after))
        return [(n, side, said(key)) for n, key in enumerate(self._told) for side, said in sides]

    @cached_property
    def evidence(self) -> set[str]:
        """What a judged frame needs to keep for its reasons."""
        return {name for _, _, expr in self._sides for name in expr.meta.root_names()}

    def _after(self, key: Key) -> pl.Expr:
        return self._new.reasons[key].holds.fill_null(False) if key in self._new.reasons else FALSE

    def _before(self, key: Key) -> pl.Expr:
        if self._by_bits:
            return self._any_bit([self._bits[key]]) if key in self._bits else FALSE
        held = self._old.reasons if self._old else {}
        return held[key].holds.fill_null(False) if key in held else FALSE

    def _any_bit(self, numbers: Iterable[int]) -> pl.Expr:
        masks: dict[int, int] = {}
        for number in numbers:
            masks[number // WORD] = masks.get(number // WORD, 0) | 1 << number % WORD
        words = ((pl.col(f"hits.{n}") & pl.lit(mask, dtype=pl.UInt64)) > 0 for n, mask in masks.items())
        return any_of(word.fill_null(False) for word in words)


def _action(asked: Mapping[Key, Possible], kept: Mapping[Action, pl.Expr] | None = None) -> pl.Expr:
    """The strictest that any of them leads to."""
    block, review = (
        any_of([*(one.outcome for key, one in asked.items() if key[1] is action), (kept or {}).get(action, FALSE)])
        for action in (Action.BLOCK, Action.REVIEW)
    )
    number = [pl.lit(n, dtype=pl.UInt8) for n in range(3)]
    return pl.when(block).then(number[2]).when(review).then(number[1]).otherwise(number[0])


def _grid(told: pl.DataFrame, names: Sequence[str]) -> Grid:
    return np.column_stack([told[name].to_numpy() for name in names])


def _listed(names: Sequence[str], which: Grid) -> pl.Series:
    """By row, those of the names that are true. Few rows differ in that: each list is made once."""
    bits = np.packbits(which, axis=1)
    kinds: dict[bytes, int] = {}
    place = [kinds.setdefault(kind, len(kinds)) for kind in bits.view(f"V{bits.shape[1]}").ravel().tolist()]
    first = np.unique(place, return_index=True)[1]
    lists = [sorted({name for name, true in zip(names, kind, strict=True) if true}) for kind in which[first]]
    return pl.Series(lists, dtype=pl.List(pl.String)).gather(place)
