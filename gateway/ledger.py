"""What was decided, and on what evidence. A decision is on disk before anybody hears of it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Protocol

import orjson
from msgspec import Struct
from msgspec.json import Decoder
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from gateway.domain import Action, Answer, Decision
from gateway.errors import NotFound, Overloaded
from gateway.record import Case, Record, Revision, from_json, to_json
from gateway.store.commit import Row, WriterClosed
from gateway.store.database import Database
from gateway.store.tables import debt_contents, debts, decisions, events, late_answers, revisions

_ANSWER, _DECISION = Decoder(Answer), Decoder(Decision)


class Debt(Struct, frozen=True):
    """A second look that a decision is owed, not before `due_at` (since 1970): the higher the `risk`, the sooner.

    `lacking` are those who gave no answer, as provider/modality; `content` is what to look at.
    """

    due_at: float
    risk: int
    lacking: tuple[str, ...]
    content: bytes


class Ledger(Protocol):
    """Where decisions go and come from."""

    async def record(self, record: Record, debt: Debt | None = None) -> None:
        """Return once the record, with what is owed of it, cannot be lost.

        Raises Overloaded where it cannot be kept: then nothing is decided.
        """

    async def amend(self, record: Record, late: Sequence[Answer], revision: Revision | None) -> None:
        """Keep what came after a decision, all of it or nothing. Raises Overloaded."""

    async def find(self, id: str, tenant: str) -> Case:
        """One decision of this tenant with its evidence. Raises NotFound, and Overloaded where it cannot be read."""


class DatabaseLedger:
    """The ledger in the database, through its one writer."""

    def __init__(self, database: Database):
        self._database = database

    async def record(self, record: Record, debt: Debt | None = None) -> None:
        row = {
            "id": record.id,
            "tenant": record.tenant,
            "created_at": record.created_at,
            "action": record.action.value,
            "degraded": record.degraded,
            "policy_name": record.policy.name,
            "policy_hash": record.policy.hash,
            "evidence": to_json(record),
        }
        await self._write((decisions, row), *(_owed(record, debt) if debt else ()))

    async def amend(self, record: Record, late: Sequence[Answer], revision: Revision | None) -> None:
        await self._write(*amendment(record, late, revision, record.action))

    async def find(self, id: str, tenant: str) -> Case:
        query = select(decisions.c.evidence).where(decisions.c.id == id, decisions.c.tenant == tenant)
        came = select(late_answers.c.evidence).where(late_answers.c.decision_id == id).order_by(late_answers.c.id)
        again = select(revisions).where(revisions.c.decision_id == id).order_by(revisions.c.id)
        try:
            async with self._database.reader.connect() as connection:
                kept = (await connection.execute(query)).scalar_one_or_none()
                late = (await connection.execute(came)).scalars().all() if kept else []
                revised = (await connection.execute(again)).all() if kept else []
        except SQLAlchemyError as error:
            raise Overloaded(
                "evidence_unavailable",
                "The record cannot be read at this moment.",
                hint="Ask again in a moment.",
                retry_after=2,
            ) from error
        if kept is None:
            raise NotFound("unknown_decision", "There is no decision with this id.", hint="Ids look like mod_…")
        return Case(
            from_json(kept),
            tuple(_ANSWER.decode(answer) for answer in late),
            tuple(Revision(row.created_at, row.cause, _DECISION.decode(row.evidence)) for row in revised),
        )

    async def _write(self, *rows: Row) -> None:
        try:
            await self._database.writer.put_together(*rows)
        except (SQLAlchemyError, WriterClosed) as error:
            raise Overloaded(
                "evidence_unavailable",
                "The decision could not be recorded, so none is given.",
                hint="Send it again in a moment.",
                retry_after=2,
            ) from error


def _owed(record: Record, debt: Debt) -> tuple[Row, Row]:
    row = {
        "decision_id": record.id,
        "tenant": record.tenant,
        "created_at": record.created_at,
        "risk": debt.risk,
        "lacking": " ".join(debt.lacking),
        "size": len(debt.content),
        "tries": 0,
        "due_at": debt.due_at,
        "owner": "",
        "lease_until": 0.0,
    }
    return (debts, row), (debt_contents, {"decision_id": record.id, "content": debt.content})


def amendment(record: Record, late: Sequence[Answer], revision: Revision | None, was: Action) -> list[Row]:
    """What is kept of answers that came after a decision, and of the new one; `was` is what held until now."""
    now = time.time()
    rows: list[Row] = [
        (late_answers, {"decision_id": record.id, "created_at": now, "evidence": to_json(answer)}) for answer in late
    ]
    if revision is not None:
        rows.append((revisions, _revised(record, revision)))
        if revision.decision.action is not was:
            rows.append((events, _told(record, revision, was)))
    return rows


def _revised(record: Record, revision: Revision) -> dict[str, Any]:
    return {
        "decision_id": record.id,
        "created_at": revision.created_at,
        "cause": revision.cause,
        "action": revision.decision.action.value,
        "evidence": to_json(revision.decision),
    }


def _told(record: Record, revision: Revision, was: Action) -> dict[str, Any]:
    """The event of a decision that is now another."""
    body = {
        "decision_id": record.id,
        "cause": revision.cause,
        "was": was.value,
        "action": revision.decision.action.value,
        "reasons": [reason.code for reason in revision.decision.reasons],
    }
    return {
        "tenant": record.tenant,
        "created_at": revision.created_at,
        "kind": "decision.revised",
        "subject": record.id,
        "body": orjson.dumps(body),
    }
