"""Run the migrations that a database lacks: `python -m gateway.store.migrate FILE`. See schema.py."""

from __future__ import annotations

import sys
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy.exc import SQLAlchemyError

from gateway.store.engine import open_engine

_MIGRATIONS = Path(__file__).parent / "migrations"


def migrate(file: Path, version: str = "head") -> None:
    """To this version, the newest, in one transaction. Raises CommandError and SQLAlchemyError."""
    engine = open_engine(file)
    alembic = Config()
    alembic.set_main_option("script_location", str(_MIGRATIONS))
    try:
        with engine.connect() as connection, connection.begin():
            alembic.attributes["connection"] = connection
            command.upgrade(alembic, version)
    finally:
        engine.dispose()


if __name__ == "__main__":
    try:
        migrate(Path(sys.argv[1]))
    except (CommandError, SQLAlchemyError) as error:
        sys.exit(" ".join(str(getattr(error, "orig", None) or error).split()))
