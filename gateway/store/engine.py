"""SQLite as we use it: WAL, every commit on disk before it counts, transactions that begin where we say so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event

from gateway.store.reader import MOST, Reader


def open_engine(file: Path) -> Engine:
    """For writing, and for the schema."""
    engine = create_engine(f"sqlite:///{file}", connect_args={"check_same_thread": False})
    event.listen(engine, "connect", _settle)
    event.listen(engine, "connect", _leave_begin_to_us)
    event.listen(engine, "begin", _begin)
    return engine


def open_reader(file: Path) -> Reader:
    """For queries."""
    engine = create_engine(f"sqlite:///{file}", connect_args={"check_same_thread": False}, pool_size=MOST)
    event.listen(engine, "connect", _settle)
    return Reader(engine)


def _settle(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA busy_timeout=5000")  # milliseconds; other workers of this machine write too
    cursor.execute("PRAGMA cache_size=-512")  # kB: a commit of 100 rows, instead of 2 MB; the system has the rest
    cursor.close()


def _leave_begin_to_us(connection: Any, _record: object) -> None:
    """sqlite3 would commit each CREATE TABLE by itself, and a migration that fails half way would stay half done."""
    connection.isolation_level = None


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
