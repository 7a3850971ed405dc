"""The tables of a new database, and those of an older one that is brought up to date: the same."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from alembic.script import ScriptDirectory

from gateway.store import schema
from gateway.store.database import Database
from gateway.store.migrate import migrate
from gateway.store.schema import NEWEST

MIGRATIONS = Path(schema.__file__).parent / "migrations"


async def opened_once(folder: Path) -> None:
    await (await Database.open(folder)).close()


def file_of(folder: Path) -> Path:
    return folder / "modgate.sqlite"


def schema_of(folder: Path) -> dict[str, set[tuple]]:
    """Columns and indexes of every table, in no order: a column that came later stands last."""
    with closing(sqlite3.connect(file_of(folder))) as connection:
        names = [name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")]
        return {name: columns(connection, name) | indexes(connection, name) for name in names}


def columns(connection: sqlite3.Connection, table: str) -> set[tuple]:
    """Name, type, whether null is taken, default, place in the primary key."""
    return {row[1:] for row in connection.execute(f"pragma table_info({table})")}


def indexes(connection: sqlite3.Connection, table: str) -> set[tuple]:
    listed = connection.execute(f"pragma index_list({table})").fetchall()
    return {
        (name, unique, *(row[2] for row in connection.execute(f"pragma index_info({name})")))
        for _, name, unique, *_ in listed
    }


async def test_a_new_database_is_what_the_migrations_lead_to(tmp_path):
    new, old = tmp_path / "new", tmp_path / "old"
    await opened_once(new)
    old.mkdir()
    migrate(file_of(old))
    assert schema_of(new) == schema_of(old)
    assert "decisions" in schema_of(new)


async def test_an_older_database_is_migrated_and_keeps_what_it_holds(tmp_path):
    migrate(file_of(tmp_path), "0003")
    with closing(sqlite3.connect(file_of(tmp_path))) as older, older:
        older.execute("insert into api_keys values ('app', 'acme', 'submit', 'sha256:0', 1.0, null)")
    await opened_once(tmp_path)
    with closing(sqlite3.connect(file_of(tmp_path))) as now:
        assert now.execute("select version_num from alembic_version").fetchall() == [(NEWEST,)]
        assert now.execute("select name, priority from api_keys").fetchall() == [("app", "live")]


def test_the_newest_revision_is_the_last_file():
    scripts = ScriptDirectory(str(MIGRATIONS))
    assert scripts.get_heads() == [NEWEST]
