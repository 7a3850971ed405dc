"""The embedded database: one SQLite file in WAL mode, brought up to date when it is opened.

Queries go through a few threads (see reader.py). Writes go through one thread (see commit.py), so that the hops between
threads are paid once a batch and not once a statement.
"""

from __future__ import annotations

import asyncio
import fcntl
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, Table
from sqlalchemy.exc import SQLAlchemyError

from gateway.errors import ConfigError
from gateway.store.commit import GroupCommit, Row
from gateway.store.engine import open_engine, open_reader
from gateway.store.reader import Reader
from gateway.store.schema import MigrationError, bring_up_to_date


class Database:
    """`writer.put(table, row)` returns once the row is on disk; `reader` is for queries."""

    def __init__(self, reader: Reader, engine: Engine):
        self.reader = reader
        self._engine = engine
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="modgate-commit")
        self._connection = engine.connect()
        self._inserts: dict[tuple[str, int], tuple[str, tuple[str, ...]]] = {}
        self.writer = GroupCommit(self._commit)

    @classmethod
    async def open(cls, folder: Path) -> Database:
        """Create or migrate `modgate.sqlite` in this folder. ConfigError where that cannot be done."""
        file = folder / "modgate.sqlite"
        engine = open_engine(file)
        try:
            await asyncio.to_thread(_prepare, file, engine)
        except (OSError, SQLAlchemyError, MigrationError) as error:
            cause = getattr(error, "orig", None) or error
            raise ConfigError(f"storage.dir: the database {file} cannot be used: {cause}") from error
        return cls(open_reader(file), engine)

    async def close(self) -> None:
        """Write what is waiting, then close."""
        await self.writer.close()
        await self.reader.close()
        await asyncio.to_thread(self._shut)

    async def _commit(self, batch: list[Row]) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self._write, batch)

    def _write(self, batch: list[Row]) -> None:
        by_table: dict[Table, list[dict[str, Any]]] = {}
        for table, row in batch:
            by_table.setdefault(table, []).append(row)
        with self._connection.begin():
            for table, rows in by_table.items():
                statement, columns = self._insert(table, len(rows))
                self._connection.exec_driver_sql(statement, tuple([row[name] for row in rows for name in columns]))

    def _insert(self, table: Table, rows: int) -> tuple[str, tuple[str, ...]]:
        """One INSERT of so many rows, and a row's columns in order.

        The statements are kept: half the cost of a row would be compiling. And it is one, not one a row, since sqlite3
        lets go of the interpreter at each, and two threads that pass it to and fro do little else.
        """
        if (table.name, rows) not in self._inserts:
            columns = tuple(column.name for column in table.columns if column.autoincrement is not True)
            one = f"({', '.join('?' * len(columns))})"
            statement = f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES {', '.join([one] * rows)}"  # noqa: S608
            self._inserts[table.name, rows] = (statement, columns)
        return self._inserts[table.name, rows]

    def _shut(self) -> None:
        self._thread.shutdown()
        self._connection.close()
        self._engine.dispose()


def _prepare(file: Path, engine: Engine) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with (file.parent / ".migrating").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several workers may start at the same moment
        bring_up_to_date(engine, file)
