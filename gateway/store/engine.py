"""SQLite as we use it: WAL, every commit on disk before it counts, transactions that begin where we say so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine


def open_engine(file: Path) -> Engine:
    """For writing, and for the schema."""
    engine = create_engine(f"sqlite:///{file}", connect_args={"check_same_thread": False})
    event.listen(engine, "connect", _settle)
    event.listen(engine, "connect", _leave_begin_to_us)
    event.listen(engine, "begin", _begin)
    return engine


def open_reader(file: Path) -> AsyncEngine:
    """For queries."""
    reader = create_async_engine(f"sqlite+aiosqlite:///{file}")
    event.listen(reader.sync_engine, "connect", _settle)
    return reader


def _settle(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA busy_timeout=5000")  # milliseconds; other workers of this machine write too
    cursor.close()


def _leave_begin_to_us(connection: Any, _record: object) -> None:
    """sqlite3 would commit each CREATE TABLE by itself, and a migration that fails half way would stay half done."""
    connection.isolation_level = None


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
