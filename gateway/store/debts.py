"""Debts in the database: who may look at one now, what came of it, and how many there are.

A debt is claimed for a while by one process, and what comes of it is written only while the claim holds, in one
transaction with the end of the debt: it is paid once, whatever dies in between.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, Table, delete, func, insert, select, update

from gateway.store.reader import Reader, Statements
from gateway.store.tables import debt_contents, debts

_AT_ONCE = 10_000  # names in one statement; SQLite takes 32,766
LEASE = 60.0  # seconds a claim holds


@dataclass(slots=True)
class Tally:
    """How many are owed, how many bytes they hold, since when the oldest is, and the risk of the least risky."""

    count: int = 0
    bytes: int = 0
    oldest: float | None = None  # seconds since 1970
    least: int | None = None

    def expect(self, risk: int, size: int) -> None:
        """One more, that is on its way to the disk."""
        self.count += 1
        self.bytes += size
        self.least = risk if self.least is None else min(self.least, risk)


class Debts:
    """`tally` is as of the last `refresh`, and what was expected since."""

    def __init__(self, reader: Reader):
        self._reader = reader
        self._owner = secrets.token_hex(8)
        self.tally = Tally()

    async def refresh(self) -> None:
        columns = (func.count(), func.sum(debts.c.size), func.min(debts.c.created_at), func.min(debts.c.risk))
        async with self._reader.connect() as connection:
            count, size, oldest, least = (await connection.execute(select(*columns).select_from(debts))).one()
        self.tally = Tally(count, size or 0, oldest, least)

    async def lacking(self) -> list[str]:
        """Who is waited for: one entry for each set of them."""
        async with self._reader.connect() as connection:
            return list((await connection.execute(select(debts.c.lacking).distinct())).scalars())

    async def claim(self, lacking: Collection[str], most: int) -> list[Row[Any]]:
        """The riskiest that wait for one of these sets, the oldest first; ours until the lease ends."""
        now = time.time()
        free = (debts.c.due_at <= now) & (debts.c.lease_until < now) & debts.c.lacking.in_(lacking)
        order = (debts.c.risk.desc(), debts.c.created_at)
        chosen = select(debts.c.decision_id).where(free).order_by(*order).limit(most)
        ours = {"owner": self._owner, "lease_until": now + LEASE, "tries": debts.c.tries + 1}
        async with self._reader.begin() as connection:
            await connection.change(update(debts).where(debts.c.decision_id.in_(chosen)).values(**ours))
            claimed = select(debts).where(debts.c.owner == self._owner, debts.c.lease_until == ours["lease_until"])
            return list((await connection.execute(claimed.order_by(*order))).all())

    async def content(self, id: str) -> bytes | None:
        query = select(debt_contents.c.content).where(debt_contents.c.decision_id == id)
        async with self._reader.connect() as connection:
            return (await connection.execute(query)).scalar_one_or_none()

    async def settle(self, id: str, rows: Sequence[tuple[Table, dict[str, Any]]] = ()) -> bool:
        """Its end, content and all, together with what came of it. False where the claim is no longer ours."""
        async with self._reader.begin() as connection:
            if not await connection.change(delete(debts).where(self._is_ours(id))):
                return False
            await connection.change(delete(debt_contents).where(debt_contents.c.decision_id == id))
            await _insert(connection, rows)
            return True

    async def postpone(
        self, id: str, lacking: str, due_at: float, rows: Sequence[tuple[Table, dict[str, Any]]] = ()
    ) -> None:
        """It stays owed, until later; together with what came of this look."""
        later = {"lacking": lacking, "due_at": due_at, "lease_until": 0.0}
        async with self._reader.begin() as connection:
            if await connection.change(update(debts).where(self._is_ours(id)).values(**later)):
                await _insert(connection, rows)

    async def give_back(self) -> None:
        """Whatever is claimed by us is anybody's again."""
        async with self._reader.begin() as connection:
            await connection.change(update(debts).where(debts.c.owner == self._owner).values(lease_until=0.0))

    async def expire(self, before: float) -> int:
        """Drop those older than that; how many there were."""
        async with self._reader.begin() as connection:
            return await _drop(connection, debts.c.created_at < before)

    async def trim(self, most: int, size: int) -> int:
        """Drop the least risky beyond so many and so many bytes, the newest first; how many there were."""
        query = select(debts.c.decision_id, debts.c.size).order_by(debts.c.risk.desc(), debts.c.created_at)
        async with self._reader.connect() as connection:
            rows = (await connection.execute(query)).all()
        total, beyond = 0, []
        for place, row in enumerate(rows):
            total += row.size
            if place >= most or total > size:
                beyond.append(row.decision_id)
        async with self._reader.begin() as connection:
            return await _drop(connection, debts.c.decision_id.in_(beyond[:_AT_ONCE]))

    def _is_ours(self, id: str) -> ColumnElement[bool]:
        return (debts.c.decision_id == id) & (debts.c.owner == self._owner) & (debts.c.lease_until > time.time())


async def _insert(connection: Statements, rows: Sequence[tuple[Table, dict[str, Any]]]) -> None:
    for table, row in rows:
        await connection.change(insert(table).values(**row))


async def _drop(connection: Statements, which: ColumnElement[bool]) -> int:
    gone = select(debts.c.decision_id).where(which)
    await connection.change(delete(debt_contents).where(debt_contents.c.decision_id.in_(gone)))
    return await connection.change(delete(debts).where(which))
