"""Decisions that columns cannot make, made one by one on the stored record, as they were made the first time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import polars as pl
from sqlalchemy import select

from gateway.domain import Decision
from gateway.policy.decide import decide
from gateway.policy.policy import Policy
from gateway.record import Record, from_json
from gateway.replay import Sees, facts_of
from gateway.store.reader import Reader
from gateway.store.tables import decisions
from gateway.sweep.layout import ACTIONS, ID, id_of, numbers_of
from gateway.sweep.question import Question
from gateway.sweep.sweeping import FLIPS, Swept

_PAGE = 500


async def with_slow(swept: Swept, reader: Reader, question: Question, sees: Sees) -> tuple[Swept, int]:
    """The same with them decided, and how many of them are in the database no more: of those nothing is said."""
    ids = [id_of(*numbers) for numbers in swept.slow]
    judged: list[dict[str, Any]] = []
    for start in range(0, len(ids), _PAGE):
        async with reader.connect() as connection:
            query = select(decisions.c.evidence).where(decisions.c.id.in_(ids[start : start + _PAGE]))
            kept = (await connection.execute(query)).scalars().all()
        judged += await asyncio.to_thread(_judged, kept, question, sees)
    counts = dict(swept.counts)
    for row in judged:
        pair = (row["old"], row["new"])
        counts[pair] = counts.get(pair, 0) + 1
    flips = pl.DataFrame([row for row in judged if row["old"] != row["new"]], FLIPS)
    return Swept(counts, pl.concat([swept.flips, flips]), swept.slow), len(ids) - len(judged)


def _judged(kept: Sequence[bytes], question: Question, sees: Sees) -> list[dict[str, Any]]:
    return [_row(from_json(evidence), question, sees) for evidence in kept]


def _row(record: Record, question: Question, sees: Sees) -> dict[str, Any]:
    old = record.decision if question.old is None else _decided(question.old, record, sees)
    new = _decided(question.new, record, sees)
    before, after = _rules(old), _rules(new)
    surface = record.context.get("surface")
    return {
        **dict(zip(ID, numbers_of(record.id), strict=True)),
        "surface": surface if isinstance(surface, str) else None,
        "old": ACTIONS.index(old.action),
        "new": ACTIONS.index(new.action),
        "gained": sorted(after - before),
        "lost": sorted(before - after),
    }


def _decided(policy: Policy, record: Record, sees: Sees) -> Decision:
    return decide(policy.under(record.context, record.tenant), facts_of(record, sees))


def _rules(decision: Decision) -> set[str]:
    return {reason.rule for reason in decision.reasons}
