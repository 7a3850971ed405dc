"""A database brought to the newest version: a new one is made as tables.py has it, an older one is migrated.

Migrations run in a process of their own. alembic and all that it loads are 10 MB, which a gateway would keep for as
long as it runs, and needs only where it finds an older database.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from sqlalchemy import Column, Engine, MetaData, String, Table, insert, inspect, select

from gateway.store.tables import metadata

NEWEST = "0005"  # the last file of migrations/versions; a test compares

_ALEMBICS = MetaData()
_version = Table("alembic_version", _ALEMBICS, Column("version_num", String(32), primary_key=True))


class MigrationError(Exception):
    """What alembic said, on one line."""


def bring_up_to_date(engine: Engine, file: Path) -> None:
    """All or nothing. Raises MigrationError, and SQLAlchemyError where there is no database to be had here."""
    with engine.connect() as connection, connection.begin():
        if not inspect(connection).has_table(_version.name):
            metadata.create_all(connection, checkfirst=False)  # what is there without a version is not ours
            _ALEMBICS.create_all(connection)
            connection.execute(insert(_version).values(version_num=NEWEST))
        found = connection.execute(select(_version.c.version_num)).scalar_one_or_none()
    if found != NEWEST:
        _migrate(file)


def _migrate(file: Path) -> None:
    command = [sys.executable, "-m", "gateway.store.migrate", str(file)]
    done = subprocess.run(command, capture_output=True, text=True)  # noqa: S603  # our own program
    if done.returncode:
        raise MigrationError((done.stderr.strip().splitlines() or ["it ended without a word"])[-1])
