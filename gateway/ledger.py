"""What was decided, and on what evidence. A decision is on disk before anybody hears of it."""

from __future__ import annotations

from typing import Protocol

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from gateway.errors import NotFound, Overloaded
from gateway.record import Record, from_json, to_json
from gateway.store.commit import WriterClosed
from gateway.store.database import Database
from gateway.store.tables import decisions


class Ledger(Protocol):
    """Where decisions go and come from."""

    async def record(self, record: Record) -> None:
        """Return once the record cannot be lost. Raises Overloaded where it cannot be kept: then nothing is decided."""

    async def find(self, id: str, tenant: str) -> Record:
        """One decision of this tenant with its evidence. Raises NotFound."""


class DatabaseLedger:
    """The ledger in the database, through its one writer."""

    def __init__(self, database: Database):
        self._database = database

    async def record(self, record: Record) -> None:
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
        try:
            await self._database.writer.put(decisions, row)
        except (SQLAlchemyError, WriterClosed) as error:
            raise Overloaded(
                "evidence_unavailable",
                "The decision could not be recorded, so none is given.",
                hint="Send it again in a moment.",
                retry_after=2,
            ) from error

    async def find(self, id: str, tenant: str) -> Record:
        query = select(decisions.c.evidence).where(decisions.c.id == id, decisions.c.tenant == tenant)
        async with self._database.reader.connect() as connection:
            kept = (await connection.execute(query)).scalar_one_or_none()
        if kept is None:
            raise NotFound("unknown_decision", "There is no decision with this id.", hint="Ids look like mod_…")
        return from_json(kept)
