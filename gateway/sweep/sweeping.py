"""One file under another policy: which of its decisions would be others, and by which rules."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from gateway.sweep.kernel import Case
from gateway.sweep.layout import ACTIONS, GROUPED, ID, Rows
from gateway.sweep.manifest import Part, Store
from gateway.sweep.numbers import room
from gateway.sweep.opened import Mask, Opened
from gateway.sweep.question import Asked
from gateway.sweep.truths import Actions, Truths

_RANDOM = 1 << 64  # what `id.random` is below

FLIPS: dict[str, Any] = {
    **dict.fromkeys(ID, pl.UInt64),
    "surface": pl.String,
    "old": pl.UInt8,
    "new": pl.UInt8,
    "gained": pl.List(pl.String),
    "lost": pl.List(pl.String),
}


@dataclass(frozen=True)
class Swept:
    """What one file came to. `counts` are decisions by old and new action, `flips` (see FLIPS) those that differ, in no
    order.

    `slow` are those that columns cannot decide.
    """

    counts: dict[tuple[int, int], int]
    flips: pl.DataFrame
    slow: list[tuple[int, int]]


class _Told(NamedTuple):
    """What both policies say of some rows. `beyond` are decided one by one."""

    row: Rows
    old: Actions
    new: Actions
    beyond: Mask

    @property
    def flipped(self) -> Mask:
        """Those that differ."""
        flipped: Mask = (self.old != self.new) & ~self.beyond
        return flipped

    def some(self, which: Mask) -> _Told:
        return _Told._make(column[which] for column in self)


@dataclass(frozen=True)
class _Judged:
    """Rows of one case. `still` are decisions with one input that are not among them, since both policies say the same:
    how many of each action. `why` tells of some of the rows the reasons by which they differ; None where none does."""

    told: _Told
    still: Mapping[int, int]
    why: Callable[[Rows], pl.DataFrame] | None


def swept(store: Store, part: Part, asked: Asked) -> Swept:
    """What becomes of its decisions."""
    opened = Opened(store, part)
    judged = list(_judged(opened, asked))
    told = _Told._make(np.concatenate(columns) for columns in zip(*(one.told for one in judged), strict=True))
    decisions = _decisions(opened, told) if part.several else told
    flipped = decisions.some(decisions.flipped)
    still = sum((Counter(one.still) for one in judged), Counter())
    slow = opened.ids(decisions.row[decisions.beyond]).rows() if decisions.beyond.any() else []
    return Swept(_counts(decisions, flipped, still), _flips(opened, judged, flipped), slow)


def _judged(opened: Opened, asked: Asked) -> Iterator[_Judged]:
    """What both policies say of the rows of each case."""
    groups = list(zip(opened.part.groups, asked.cases, strict=True))
    distinct = list({id(case): case for _, case in groups}.values())
    chosen = _chosen(opened, asked)
    for case in distinct:
        mine = chosen
        if len(distinct) > 1:
            own = opened.alike.of_groups((group for group, which in groups if which is case), opened.part.columns)
            mine = own if chosen is None else own & chosen
        rows = None if mine is None else np.flatnonzero(mine)
        yield _undecided(opened, rows) if case is None else _decided(opened, case, rows)


def _chosen(opened: Opened, asked: Asked) -> Mask | None:
    """Which rows are looked at; None for all."""
    wanted = []
    if asked.since > opened.part.first:
        wanted.append(pl.col("id.time") >= asked.since)
    if asked.share < 1:
        wanted.append(pl.col("id.random") < pl.lit(int(asked.share * _RANDOM), dtype=pl.UInt64))
    return opened.ids().select(pl.all_horizontal(wanted)).to_series().to_numpy() if wanted else None


def _undecided(opened: Opened, mine: Rows | None) -> _Judged:
    old = opened.alike.numbers("action", mine)
    every = np.ones(len(old), dtype=np.bool_)
    return _Judged(_told(mine, every, old, old, every), {}, None)


def _decided(opened: Opened, case: Case, mine: Rows | None) -> _Judged:
    rows = case.narrowed(opened, mine)
    truths = Truths(opened, rows)
    old, new = case.actions(truths)
    beyond = case.beyond(opened, rows)
    other = np.not_equal(old, new, out=room("other", len(old)).view(np.bool_))
    if beyond is not None:
        other |= beyond
    if opened.part.several:
        other |= opened.alike.numbers("of", rows) > 1
    told = _told(rows, other, old, new, beyond)
    still = _counted(old) - _counted(told.old)
    if rows is not mine:
        still += opened.alike.actions(mine) - opened.alike.actions(rows)
    return _Judged(told, still, partial(case.reasons, truths) if case.changed else None)


def _counted(actions: Actions) -> Counter[int]:
    same = room("counted", len(actions)).view(np.bool_)
    many = [int(np.count_nonzero(np.equal(actions, action, out=same))) for action in range(1, len(ACTIONS))]
    return Counter(dict(enumerate([len(actions) - sum(many), *many])))


def _told(rows: Rows | None, which: Mask, old: Actions, new: Actions, beyond: Mask | None) -> _Told:
    """Of these rows, or of all, some with what is said of them."""
    places = np.flatnonzero(which)
    odd = np.zeros(len(places), dtype=np.bool_) if beyond is None else beyond[places]
    return _Told(places if rows is None else rows[places], old[places], new[places], odd)


def _decisions(opened: Opened, told: _Told) -> _Told:
    """One row a decision: of several inputs the worst decides. `row` is one of its rows."""
    alone = opened.alike.numbers("of", told.row) == 1
    others = told.some(~alone)
    frame = pl.DataFrame({**others._asdict(), **opened.ids(others.row).to_dict()})
    worst = frame.group_by(ID).agg(pl.col(_Told._fields).max())
    pairs = zip(told.some(alone), (worst[name].to_numpy() for name in _Told._fields), strict=True)
    return _Told._make(np.concatenate([mine, theirs]) for mine, theirs in pairs)


def _counts(decisions: _Told, flipped: _Told, still: Mapping[int, int]) -> dict[tuple[int, int], int]:
    """How many there are of each old and new action."""
    pairs = np.bincount(flipped.old * 3 + flipped.new, minlength=9).reshape(3, 3)
    sure = _counted(decisions.old[~decisions.beyond])
    for action in range(3):
        pairs[action, action] = sure[action] + still.get(action, 0) - pairs[action].sum()
    return {(old, new): many for old, row in enumerate(pairs.tolist()) for new, many in enumerate(row) if many}


def _flips(opened: Opened, judged: Sequence[_Judged], flipped: _Told) -> pl.DataFrame:
    """The decisions that differ, with why."""
    if not len(flipped.row):
        return pl.DataFrame(schema=FLIPS)
    actions = (pl.Series(name, getattr(flipped, name)) for name in ("old", "new"))
    told = opened.ids(flipped.row).hstack([_surfaces(opened, flipped.row), *actions])
    mine = [(one.why, one.told) for one in judged if one.why is not None]
    if opened.part.several:
        every = opened.ids().with_row_index("row").join(told, on=ID, how="semi")["row"].to_numpy()
        why = pl.concat([reasons(np.intersect1d(rows.row, every)) for reasons, rows in mine])
        why = opened.ids(why["row"].to_numpy()).hstack(why.drop("row"))
        why = why.group_by(ID).agg(pl.col("gained", "lost").explode().drop_nulls().unique().sort())
        return told.join(why, on=ID, how="left").select(*FLIPS)
    why = pl.concat([reasons(rows.row[rows.flipped]) for reasons, rows in mine])
    return told.hstack(why[["gained", "lost"]])


def _surfaces(opened: Opened, rows: Rows) -> pl.Series:
    name = GROUPED["surface"]
    if name not in opened.part.columns:
        return pl.Series("surface", [None], dtype=pl.String).new_from_index(0, len(rows))
    return opened.alike.texts(name, rows).alias("surface")
