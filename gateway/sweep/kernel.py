"""Rows that come under the same policies: which columns have to be read of them, what is asked, and what it says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

import polars as pl

from gateway.domain import Action
from gateway.policy.cel.typed import Some
from gateway.sweep.conditions import outcomes
from gateway.sweep.judge import Judge, Key, Possible, changed
from gateway.sweep.layout import ACTIONS, WORD
from gateway.sweep.signals import FALSE, any_of


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
    def columns(self) -> set[str]:
        """What has to be read."""
        names = {name for side in self._asked for possible in side.values() for name in possible.columns}
        return names | {"action"} | set(self.beyond.meta.root_names()) | (self._hits if self._by_bits else set())

    @property
    def _by_bits(self) -> bool:
        return self._stored or self._old is None

    @property
    def _hits(self) -> set[str]:
        return {f"hits.{n}" for n in range(self._words)}

    @cached_property
    def beyond(self) -> pl.Expr:
        """Rows that are decided one by one."""
        if self._stored and not self.changed:
            return FALSE
        strange = [n for key, n in self._bits.items() if self._stored and self._old and key not in self._old.reasons]
        sides = [side.beyond for side in (self._new, self._old) if side is not None]
        return any_of([*sides, self._any_bit(strange)])

    def found(self, frame: pl.DataFrame, things: Mapping[str, pl.LazyFrame], *, unsure: bool) -> pl.DataFrame:
        """The whole part with what was found on its inputs, as the expressions ask for it."""
        nodes: dict[str, Some] = {}
        for side in self._asked:
            for possible in side.values():
                nodes |= possible.found
        made = [outcomes(node, things[node.over.root], frame[node.over.root], unsure=unsure) for node in nodes.values()]
        return frame.with_columns(series.alias(name) for name, series in zip(nodes, made, strict=True))

    def judged(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The frame with `old`, `new` and `beyond`."""
        old, new = self._asked
        before = _action(old, {}) if old else pl.col("action")
        after = _action(new, self._kept if self._stored else {})
        made = {name: expr for side in (old, new) for possible in side.values() for name, expr in possible.made.items()}
        beyond = self.beyond.fill_null(False).alias("beyond")
        return frame.with_columns(**made).with_columns(before.alias("old"), after.alias("new"), beyond)

    @property
    def _kept(self) -> dict[Action, pl.Expr]:
        """Whether some reason that is the same under both leads to an action."""
        same = [(key[1], n) for key, n in self._bits.items() if key not in self.changed]
        return {action: self._any_bit(n for led, n in same if led is action) for action in ACTIONS}

    def reasons(self, flips: pl.DataFrame) -> pl.DataFrame:
        """By row, `gained` and `lost`: the reasons that are new, and those that are gone."""
        keys, sides = self._told, self._sides
        told = flips.with_columns(**sides).select("row", *sides)
        named = [pl.DataFrame(schema={"row": pl.UInt32, "gained": pl.String, "lost": pl.String})]
        for n, (rule, _) in enumerate(keys):
            before, after = told[f"{n}before"], told[f"{n}after"]
            for name, which in (("gained", after & ~before), ("lost", before & ~after)):
                named.append(told.filter(which).select(pl.col("row").cast(pl.UInt32), pl.lit(rule).alias(name)))
        listed = pl.concat(named, how="diagonal").group_by("row").agg(pl.all().drop_nulls().unique().sort())
        return told.select("row").join(listed, on="row", how="left", maintain_order="left")

    @cached_property
    def _told(self) -> list[Key]:
        """The reasons that may be told apart."""
        return sorted({*self.changed, *(self._bits if self._old is None else ())})

    @cached_property
    def _sides(self) -> dict[str, pl.Expr]:
        sides = (("before", self._before), ("after", self._after))
        return {f"{n}{side}": said(key) for n, key in enumerate(self._told) for side, said in sides}

    @cached_property
    def evidence(self) -> set[str]:
        """What a judged frame needs to keep for its reasons."""
        return {name for expr in self._sides.values() for name in expr.meta.root_names()}

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


def _action(asked: Mapping[Key, Possible], kept: Mapping[Action, pl.Expr]) -> pl.Expr:
    """The strictest that any of them leads to."""
    block, review = (
        any_of([*(one.outcome for key, one in asked.items() if key[1] is action), kept.get(action, FALSE)])
        for action in (Action.BLOCK, Action.REVIEW)
    )
    number = [pl.lit(n, dtype=pl.UInt8) for n in range(3)]
    return pl.when(block).then(number[2]).when(review).then(number[1]).otherwise(number[0])
