"""Many writers, one transaction: everything that waits while a commit runs goes into the next one.

Measured (2026-11): 435 decisions a second with a transaction each, 25,800 with this, on the same SQLite file. Nearly
all of a commit is its fsync, some 300 µs of CPU whether it holds one row or ten. So where rows come thick and fast, a
commit waits a few milliseconds for more of them; where they do not, it does not wait at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from sqlalchemy import Table

Row = tuple[Table, dict[str, Any]]

_BATCH = 100  # rows in one transaction: bounds how long a waiter waits behind others
_THICK = 0.0025  # seconds between rows, on average, below which a commit waits for more
_GATHER = 8  # rows worth waiting for
_LONGEST = 0.008  # seconds a commit waits at most
_USUAL = 0.1  # the weight of the newest gap in the average


class WriterClosed(Exception):
    """The gateway is stopping; nothing more is written."""


class GroupCommit:
    """Hand it rows; each call returns after the COMMIT that holds its row, or raises what that raised."""

    def __init__(self, commit: Callable[[list[Row]], Awaitable[None]]):
        self._commit = commit
        self._waiting: list[tuple[tuple[Row, ...], asyncio.Future[None]]] = []
        self._running: asyncio.Task[None] | None = None
        self._closed = False
        self._gap = 1.0  # seconds between rows, on average
        self._newest = 0.0  # when the newest row came, on the loop's clock

    async def put(self, table: Table, row: dict[str, Any]) -> None:
        """One row."""
        await self.put_together((table, row))

    async def put_together(self, *rows: Row) -> None:
        """All of these rows or none."""
        if self._closed:
            raise WriterClosed("the writer is closed")
        loop = asyncio.get_running_loop()
        now = loop.time()
        self._gap += _USUAL * (min(1.0, now - self._newest) - self._gap)
        self._newest = now
        done = loop.create_future()
        self._waiting.append((rows, done))
        if self._running is None:
            self._running = asyncio.create_task(self._drain())
        await done

    async def close(self) -> None:
        """Refuse new rows, wait for those that are on their way."""
        self._closed = True
        if self._running is not None:
            await self._running

    async def _drain(self) -> None:
        try:
            while self._waiting:
                if self._gap < _THICK and len(self._waiting) < _GATHER and not self._closed:
                    await asyncio.sleep(min(_LONGEST, self._gap * _GATHER))
                batch, self._waiting = self._waiting[:_BATCH], self._waiting[_BATCH:]
                try:
                    await self._commit([row for rows, _ in batch for row in rows])
                except Exception as error:  # every waiter of a failed transaction is told
                    _settle(batch, error)
                else:
                    _settle(batch, None)
        finally:
            self._running = None


def _settle(batch: list[tuple[tuple[Row, ...], asyncio.Future[None]]], error: Exception | None) -> None:
    for _, done in batch:
        if done.cancelled():
            continue
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)
