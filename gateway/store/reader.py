"""Queries beside the writer: their statements run in threads, and the loop goes on meanwhile.

SQLAlchemy's own asynchronous engine would do, but it brings the whole ORM with it: 9 MB of every process, and some
hundred milliseconds of every start (measured 2026-11).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeVar

from sqlalchemy import Connection, Delete, Engine, Executable, Insert, Result, Update

T = TypeVar("T")

MOST = 4  # connections at a time, with a thread each; who comes then waits


class Reader:
    """Gives out connections. Nothing here raises but what SQLAlchemy raises."""

    def __init__(self, engine: Engine):
        self._engine = engine
        self._threads = [ThreadPoolExecutor(1, thread_name_prefix="modgate-read") for _ in range(MOST)]
        self._free = asyncio.Semaphore(MOST)

    def connect(self) -> AbstractAsyncContextManager[Statements]:
        """For reading: what is changed is undone."""
        return self._taken(keep=False)

    def begin(self) -> AbstractAsyncContextManager[Statements]:
        """One transaction: what is changed counts once this is left without an error."""
        return self._taken(keep=True)

    async def close(self) -> None:
        """Waits for what runs. Nobody may ask any more."""
        await asyncio.to_thread(self._shut)

    @asynccontextmanager
    async def _taken(self, keep: bool) -> AsyncIterator[Statements]:
        async with self._free:
            thread = self._threads.pop()
            statements, well = Statements(self._engine, thread), False
            try:
                yield statements
                well = True
            finally:
                self._threads.append(thread)  # which does all in order: whoever has it next comes after the end
                await statements.end(keep and well)

    def _shut(self) -> None:
        for thread in self._threads:
            thread.shutdown()
        self._engine.dispose()


class Statements:
    """A connection, taken with the first statement."""

    def __init__(self, engine: Engine, thread: ThreadPoolExecutor):
        self._engine = engine
        self._thread = thread
        self._taken: Connection | None = None

    async def execute(self, query: Executable) -> Result[*tuple[Any, ...]]:
        """All rows of the answer, which are at hand."""
        return await self._apart(lambda: self._connection().execute(query).freeze()())

    async def change(self, statement: Insert | Update | Delete) -> int:
        """How many rows it concerned."""
        return await self._apart(lambda: self._connection().execute(statement).rowcount)

    async def end(self, keep: bool) -> None:
        """Give the connection back, what was changed kept or not."""
        await self._apart(lambda: self._end(keep))

    def _connection(self) -> Connection:
        if self._taken is None:
            self._taken = self._engine.connect()
        return self._taken

    def _end(self, keep: bool) -> None:
        if self._taken is not None:
            with self._taken:  # which undoes what is not committed
                if keep:
                    self._taken.commit()

    async def _apart(self, work: Callable[[], T]) -> T:
        """In the thread. A caller who is cancelled leaves it running; the end waits for it all the same."""
        return await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._thread, work))
