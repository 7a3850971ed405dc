"""One file under another policy: which of its decisions would be others, and by which rules."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from gateway.sweep.kernel import Case
from gateway.sweep.layout import ACTIONS, GROUPED, ID, Rows
from gateway.sweep.manifest import Part, Store
from gateway.sweep.opened import Mask, Opened
from gateway.sweep.question import Plan, Question
from gateway.sweep.strictest import Actions

AT_ONCE = 2  # files that are asked at once: while one is read, the other is judged

_RANDOM = 1 << 64  # what `id.random` is below
_FLIPPED = (pl.col("old") != pl.col("new")) & ~pl.col("beyond")

FLIPS: dict[str, Any] = {
    **dict.fromkeys(ID, pl.UInt64),
    "surface": pl.String,
    "old": pl.UInt8,
    "new": pl.UInt8,
    "gained": pl.List(pl.String),
    "lost": pl.List(pl.String),
}
_AS_FLIPS = [pl.col(name).cast(kind) for name, kind in FLIPS.items()]


@dataclass(frozen=True)
class Swept:
    """What one file came to. `counts` are decisions by old and new action, `flips` (see FLIPS) those that differ.

    `slow` are those that columns cannot decide.
    """

    counts: dict[tuple[int, int], int]
    flips: pl.DataFrame
    slow: list[tuple[int, int]]


@dataclass(frozen=True)
class _Judged:
    """Rows of one case, with what both policies say of them. `still` are decisions with one input that are not among
    them, since both say the same: how many of each action."""

    case: Case | None
    frame: pl.DataFrame
    still: Mapping[int, int]


def swept(store: Store, plan: Plan, part: Part) -> Swept:
    """What becomes of its decisions."""
    opened = Opened(store, part)
    judged = list(_judged(opened, plan))
    decisions = _decisions(judged, several=part.several > 0)
    sure, slow = decisions, decisions.head(0)
    if decisions["beyond"].any():
        sure, slow = decisions.filter(~pl.col("beyond")), decisions.filter("beyond")
    flipped = sure[np.flatnonzero(sure["old"].to_numpy() != sure["new"].to_numpy())]
    still = sum((Counter(one.still) for one in judged), Counter())
    ids = opened.ids(slow["row"].to_numpy()).rows() if slow.height else []
    return Swept(_counts(sure, flipped, still), _flips(opened, judged, flipped), ids)


def _judged(opened: Opened, plan: Plan) -> Iterator[_Judged]:
    """What both policies say of the rows of each case."""
    asked = list(zip(opened.part.groups, plan.cases(opened.part), strict=True))
    distinct = list({id(case): case for _, case in asked}.values())
    chosen = _chosen(opened, plan.question)
    for case in distinct:
        mine = chosen
        if len(distinct) > 1:
            own = opened.alike.of_groups((group for group, which in asked if which is case), opened.part.columns)
            mine = own if chosen is None else own & chosen
        rows = None if mine is None else np.flatnonzero(mine)
        yield _undecided(opened, rows) if case is None else _decided(opened, case, rows)


def _chosen(opened: Opened, question: Question) -> Mask | None:
    """Which rows are looked at; None for all."""
    wanted = []
    if question.since > opened.part.first:
        wanted.append(pl.col("id.time") >= question.since)
    if question.share < 1:
        wanted.append(pl.col("id.random") < pl.lit(int(question.share * _RANDOM), dtype=pl.UInt64))
    return opened.ids().select(pl.all_horizontal(wanted)).to_series().to_numpy() if wanted else None


def _undecided(opened: Opened, mine: Rows | None) -> _Judged:
    old = opened.alike.numbers("action", mine)
    every = np.ones(len(old), dtype=np.bool_)
    return _Judged(None, _told(opened, mine, every, old, old, every), {})


def _decided(opened: Opened, case: Case, mine: Rows | None) -> _Judged:
    rows = case.narrowed(opened, mine)
    old, new = case.actions(opened, rows)
    beyond = case.beyond(opened, rows)
    other = old != new
    if beyond is not None:
        other |= beyond
    if opened.part.several:
        other |= opened.alike.numbers("of", rows) > 1
    told = _told(opened, rows, other, old, new, beyond)
    still = _counted(old) - _counted(told["old"].to_numpy())
    if rows is not mine:
        still += opened.alike.actions(mine) - opened.alike.actions(rows)
    return _Judged(case, told, still)


def _counted(actions: Actions) -> Counter[int]:
    return Counter({action: int(np.count_nonzero(actions == action)) for action in range(len(ACTIONS))})


def _told(
    opened: Opened, rows: Rows | None, which: Mask, old: Actions, new: Actions, beyond: Mask | None
) -> pl.DataFrame:
    """Of these rows, or of all, some with what both policies say of them."""
    places = np.flatnonzero(which)
    row = places if rows is None else rows[places]
    odd = np.zeros(len(places), dtype=np.bool_) if beyond is None else beyond[places]
    frame = pl.DataFrame({"row": row, "old": old[places], "new": new[places], "beyond": odd})
    if not opened.part.several:
        return frame
    return frame.hstack([pl.Series("of", opened.alike.numbers("of", row)), *opened.ids(row).get_columns()])


def _decisions(judged: Sequence[_Judged], *, several: bool) -> pl.DataFrame:
    """One row a decision: of several inputs the worst decides. `row` is one of its rows."""
    names = ["row", "old", "new", "beyond"]
    if not several:
        return pl.concat([one.frame.select(names) for one in judged])
    every = pl.concat([one.frame.select(*names, "of", *ID) for one in judged])
    together = every.filter(pl.col("of") > 1).group_by(ID).agg(pl.col(names).max())
    return pl.concat([every.filter(pl.col("of") == 1).select(names), together.select(names)])


def _counts(sure: pl.DataFrame, flipped: pl.DataFrame, still: Mapping[int, int]) -> dict[tuple[int, int], int]:
    """How many there are of each old and new action."""
    pairs = np.bincount(flipped["old"].to_numpy() * 3 + flipped["new"].to_numpy(), minlength=9).reshape(3, 3)
    old = sure["old"].to_numpy()
    for action in range(3):
        pairs[action, action] = np.count_nonzero(old == action) + still.get(action, 0) - pairs[action].sum()
    return {(old, new): many for old, row in enumerate(pairs.tolist()) for new, many in enumerate(row) if many}


def _flips(opened: Opened, judged: Sequence[_Judged], flipped: pl.DataFrame) -> pl.DataFrame:
    """The decisions that differ, with why."""
    if not flipped.height:
        return pl.DataFrame(schema=FLIPS)
    rows = flipped["row"].to_numpy()
    told = opened.ids(rows).hstack([flipped["row"], flipped["old"], flipped["new"], _surfaces(opened, rows)])
    mine = [(one.case, one.frame) for one in judged if one.case is not None and one.case.changed]
    if opened.part.several:
        every = opened.ids().with_row_index("row").join(told, on=ID, how="semi")["row"]
        reasons = pl.concat([_why(opened, *each, pl.col("row").is_in(every.implode())) for each in mine])
        reasons = opened.ids(reasons["row"].to_numpy()).hstack(reasons.drop("row"))
        reasons = reasons.group_by(ID).agg(pl.col("gained", "lost").explode().drop_nulls().unique().sort())
        told = told.join(reasons, on=ID, how="left")
    else:
        told = told.hstack(pl.concat([_why(opened, *each, _FLIPPED) for each in mine])[["gained", "lost"]])
    return told.select_seq(_AS_FLIPS).sort(ID)


def _why(opened: Opened, case: Case, frame: pl.DataFrame, which: pl.Expr) -> pl.DataFrame:
    """The reasons of some rows that are new, and those that are gone."""
    return case.reasons(opened, frame.filter(which)["row"].to_numpy())


def _surfaces(opened: Opened, rows: Rows) -> pl.Series:
    name = GROUPED["surface"]
    if name not in opened.part.columns:
        return pl.Series("surface", [None], dtype=pl.String).new_from_index(0, len(rows))
    return opened.alike.column(name, rows).cast(pl.String).alias("surface")
