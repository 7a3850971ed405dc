"""Which policies came into force when, by whom, and what they said: so that an old decision can be explained."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Row, insert, literal, select

from gateway.store.reader import Reader
from gateway.store.tables import policy_versions

_TOLD = [column for column in policy_versions.c if column.name not in ("source", "lists")]


@dataclass(frozen=True)
class Activation:
    """One version coming into force. `lists` are texts by path; `role` is in_force, canary or shadow."""

    name: str
    version: int
    hash: str
    role: str
    file: str
    tests: str
    source: str
    lists: Mapping[str, str]


class Versions:
    """All of these raise SQLAlchemyError where the database does not answer."""

    def __init__(self, reader: Reader):
        self._reader = reader

    async def keep(self, activation: Activation, by: str) -> bool:
        """Write it down, unless it is what this file was in this role already: several processes see it come."""
        table = policy_versions
        newest = (
            select(table.c.hash)
            .where(table.c.file == activation.file, table.c.role == activation.role)
            .order_by(table.c.id.desc())
            .limit(1)
            .scalar_subquery()
        )
        row = _row(activation, by)
        new = select(*(literal(value, table.c[name].type) for name, value in row.items())).where(
            newest.is_distinct_from(activation.hash)
        )
        async with self._reader.begin() as connection:
            return bool(await connection.change(insert(table).from_select(list(row), new)))

    async def newest(self, most: int) -> Sequence[Row[Any]]:
        """The last ones, without their source."""
        query = select(*_TOLD).order_by(policy_versions.c.id.desc()).limit(most)
        async with self._reader.connect() as connection:
            return (await connection.execute(query)).all()

    async def of(self, hash: str) -> Sequence[Row[Any]]:
        """All times this version came into force, the newest first, with its source."""
        query = select(policy_versions).where(policy_versions.c.hash == hash).order_by(policy_versions.c.id.desc())
        async with self._reader.connect() as connection:
            return (await connection.execute(query)).all()


def _row(activation: Activation, by: str) -> dict[str, Any]:
    return {
        "name": activation.name,
        "version": activation.version,
        "hash": activation.hash,
        "role": activation.role,
        "file": activation.file,
        "activated_at": time.time(),
        "activated_by": by,
        "tests": activation.tests,
        "source": activation.source,
        "lists": orjson.dumps(dict(activation.lists)).decode(),
    }
