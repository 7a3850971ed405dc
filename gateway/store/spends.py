"""What each key has spent today, over all processes on this database and through their restarts.

A process counts its own at once and writes it every few seconds, as one row for each key and day that it alone
changes; what the others wrote is read at the same time. A process that is killed forgets what it had not written.
"""

from __future__ import annotations

import secrets
import time
from collections import defaultdict

from sqlalchemy import ColumnElement, delete, func, insert, select, update

from gateway.store.reader import Reader
from gateway.store.tables import spends

_DAY = 86_400  # seconds


def until_tomorrow(now: float) -> float:
    """Seconds until the next day begins, UTC. `now` is seconds since 1970."""
    return _DAY - now % _DAY


class Spends:
    """`add` and `today` never wait; `sync` now and then, and once `close`. Days are those of UTC."""

    def __init__(self, reader: Reader):
        self._reader = reader
        self._writer = secrets.token_hex(8)
        self._mine: defaultdict[tuple[int, str], float] = defaultdict(float)
        self._unwritten: set[tuple[int, str]] = set()
        self._others: dict[tuple[int, str], float] = {}

    def add(self, key: str, amount: float) -> None:
        """So much more, at this moment."""
        of_today = (_today(), key)
        self._mine[of_today] += amount
        self._unwritten.add(of_today)

    def today(self, key: str) -> float:
        of_today = (_today(), key)
        return self._mine.get(of_today, 0.0) + self._others.get(of_today, 0.0)

    async def sync(self) -> None:
        """Write what is new here, read what is new elsewhere. Raises SQLAlchemyError; then the next one does it."""
        unwritten, self._unwritten = self._unwritten, set()
        try:
            if unwritten:
                await self._write(unwritten)
            await self._read(_today())
        except BaseException:
            self._unwritten |= unwritten
            raise

    async def _write(self, unwritten: set[tuple[int, str]]) -> None:
        async with self._reader.begin() as connection:
            await connection.change(delete(spends).where(spends.c.day < _today() - 1))
            for day, key in unwritten:
                amount = self._mine[day, key]
                known = await connection.change(update(spends).where(self._is(day, key)).values(amount=amount))
                if not known:
                    row = {"day": day, "key": key, "writer": self._writer, "amount": amount}
                    await connection.change(insert(spends).values(**row))
        for old in [kept for kept in self._mine if kept[0] < _today() - 1]:
            del self._mine[old]

    async def _read(self, day: int) -> None:
        query = (
            select(spends.c.key, func.sum(spends.c.amount))
            .where(spends.c.day == day, spends.c.writer != self._writer)
            .group_by(spends.c.key)
        )
        async with self._reader.connect() as connection:
            rows = (await connection.execute(query)).all()
        self._others = {(day, key): amount for key, amount in rows}

    def _is(self, day: int, key: str) -> ColumnElement[bool]:
        return (spends.c.day == day) & (spends.c.key == key) & (spends.c.writer == self._writer)


def _today() -> int:
    """Days since 1970, UTC."""
    return int(time.time() // _DAY)
