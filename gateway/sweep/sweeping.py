"""One file under another policy: which of its decisions would be others, and by which rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from gateway.policy.cel.vocabulary import HASHES, LABELS
from gateway.sweep import parts
from gateway.sweep.kernel import Case
from gateway.sweep.layout import HASH, ID, LABEL
from gateway.sweep.manifest import Group, Part, Store
from gateway.sweep.question import Cases, Plan, Question

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
    """What one file came to. `counts` are decisions by old and new action, `flips` (see FLIPS) those that differ.

    `slow` are those that columns cannot decide.
    """

    counts: dict[tuple[int, int], int]
    flips: pl.DataFrame
    slow: list[tuple[int, int]]


def swept(store: Store, plan: Plan, part: Part) -> Swept:
    """What becomes of its decisions."""
    judged = _judged(store, part, plan.question, plan.cases(part))
    decisions = _decisions(judged, several=part.several > 0)
    sure, slow = decisions.filter(~pl.col("beyond")), decisions.filter(pl.col("beyond"))
    flipped = sure.filter(pl.col("old") != pl.col("new"))
    return Swept(
        _counts(sure, flipped), _flips(store, part, judged, flipped), parts.ids_of(store, part, slow["row"]).rows()
    )


def _judged(store: Store, part: Part, question: Question, cases: Cases) -> list[tuple[Case | None, pl.DataFrame]]:
    """The rows of each case, with what both policies say."""
    distinct = list({id(case): case for case in cases.values()}.values())
    chosen = _chosen(part, question)
    frame = parts.read(store, part, _columns(part, distinct, chosen)).with_row_index("row")
    things = {LABELS: parts.found(store, part, LABEL), HASHES: parts.found(store, part, HASH)}
    judged = []
    for case in distinct:
        mine = frame if case is None else case.found(frame, things, unsure=part.unsure)
        if len(distinct) > 1:
            mine = _in_groups(mine, [group for group, which in cases.items() if which is case])
        mine = mine if chosen is None else mine.filter(chosen)
        judged.append((case, _undecided(mine) if case is None else case.judged(mine)))
    return judged


def _columns(part: Part, cases: Sequence[Case | None], chosen: pl.Expr | None) -> set[str]:
    names = {name for case in cases if case is not None for name in case.columns} | {"action"}
    names |= set(parts.GROUPED.values()) if len(cases) > 1 else set()
    names |= {"of", *ID} if part.several else set()
    return names | (set(chosen.meta.root_names()) if chosen is not None else set())


def _chosen(part: Part, question: Question) -> pl.Expr | None:
    """Which rows are looked at; None for all."""
    wanted = []
    if question.since > part.first:
        wanted.append(pl.col("id.time") >= question.since)
    if question.share < 1:
        wanted.append(pl.col("id.random") < pl.lit(int(question.share * _RANDOM), dtype=pl.UInt64))
    return pl.all_horizontal(wanted) if wanted else None


def _in_groups(frame: pl.DataFrame, groups: Sequence[Group]) -> pl.DataFrame:
    """The rows that belong to these groups."""
    there = {name: column for name, column in parts.GROUPED.items() if column in frame.columns}
    wanted = pl.DataFrame(
        [[getattr(group, name) for name in there] for group in groups],
        schema=dict.fromkeys(there.values(), pl.String),
        orient="row",
    ).unique()
    keys = list(there.values())
    texts = frame.select("row", *(pl.col(key).cast(pl.String) for key in keys))
    rows = texts.join(wanted, on=keys, how="semi", nulls_equal=True)
    return frame.join(rows.select("row"), on="row", how="semi", maintain_order="left")


def _undecided(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(
        pl.col("action").alias("old"), pl.col("action").alias("new"), pl.lit(True).alias("beyond")
    )


def _decisions(judged: Sequence[tuple[Case | None, pl.DataFrame]], *, several: bool) -> pl.DataFrame:
    """One row a decision: of several inputs the worst decides. `row` is one of its rows."""
    names = ["row", "old", "new", "beyond"]
    if not several:
        return pl.concat([frame.select(names) for _, frame in judged])
    every = pl.concat([frame.select(*names, "of", *ID) for _, frame in judged])
    together = every.filter(pl.col("of") > 1).group_by(ID).agg(pl.col(names).max())
    return pl.concat([every.filter(pl.col("of") == 1).select(names), together.select(names)])


def _counts(decisions: pl.DataFrame, flipped: pl.DataFrame) -> dict[tuple[int, int], int]:
    """How many there are of each old and new action."""
    counted = {(old, new): many for old, new, many in flipped.group_by("old", "new").len().rows()}
    for action in range(3):
        whole = int((decisions["old"] == action).sum())
        counted[action, action] = whole - sum(many for (old, _), many in counted.items() if old == action)
    return {pair: many for pair, many in sorted(counted.items()) if many}


def _flips(
    store: Store, part: Part, judged: Sequence[tuple[Case | None, pl.DataFrame]], flipped: pl.DataFrame
) -> pl.DataFrame:
    """The decisions that differ, with why."""
    if not flipped.height:
        return pl.DataFrame(schema=FLIPS)
    rows = flipped["row"]
    told = (
        parts.ids_of(store, part, rows).hstack(flipped.select("old", "new")).with_columns(_surfaces(store, part, rows))
    )
    if part.several:
        rows = parts.read(store, part, ID).with_row_index("row").join(told, on=ID, how="semi")["row"]
    known = None if part.several else (pl.col("old") != pl.col("new")) & ~pl.col("beyond")
    asked = [(case, _at(case, frame, rows, known)) for case, frame in judged if case is not None]
    why = pl.concat([case.reasons(frame).select("row", "gained", "lost") for case, frame in asked])
    reasons = parts.ids_of(store, part, why["row"]).hstack(why.drop("row"))
    if part.several:
        reasons = reasons.group_by(ID).agg(pl.col("gained", "lost").explode().drop_nulls().unique().sort())
    return (
        told.join(reasons, on=ID, how="left").select(pl.col(name).cast(kind) for name, kind in FLIPS.items()).sort(ID)
    )


def _surfaces(store: Store, part: Part, rows: pl.Series) -> pl.Series:
    name = "context.surface:string"
    if name not in part.columns:
        return pl.Series("surface", [None], dtype=pl.String).new_from_index(0, rows.len())
    return parts.read(store, part, {name})[name].gather(rows).cast(pl.String).alias("surface")


def _at(case: Case, frame: pl.DataFrame, rows: pl.Series, known: pl.Expr | None) -> pl.DataFrame:
    """These rows with what their reasons need; `known` tells them without a look at `rows`."""
    kept = frame.select({"row", "old", "new", "beyond", *case.evidence})
    return kept.filter(pl.col("row").is_in(rows.implode()) if known is None else known)
