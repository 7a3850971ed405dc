"""Writes down which policies came into force, when and by whom, and which canaries were halted.

Nothing waits for it: where the database does not answer, the log has it.
"""

from __future__ import annotations

import asyncio
import time

import orjson
import structlog
from sqlalchemy.exc import SQLAlchemyError

from gateway.errors import ConfigError, NotFound
from gateway.policy.book import PolicyBook
from gateway.policy.canary import Canary
from gateway.policy.policy import Policy
from gateway.policy.version import Version
from gateway.record import Record
from gateway.store.commit import WriterClosed
from gateway.store.database import Database
from gateway.store.tables import OPERATORS, events
from gateway.store.versions import Activation, Versions
from gateway.witness import Witness

log = structlog.get_logger("modgate.policies")

START, CHANGE = "process start", "file change"


async def deciding(record: Record, policies: PolicyBook, versions: Versions) -> Policy:
    """The version that decided, as it is loaded or as it was kept. Raises NotFound where neither is to be had."""
    name, hash = record.policy.name, record.policy.hash
    here = policies.version(name, hash)
    if here is not None:
        return here
    try:
        rows = await versions.of(hash)
        if rows:
            row = rows[0]
            policy = await asyncio.to_thread(policies.restore, row.file, row.source, orjson.loads(row.lists))
            if policy.hash == hash:
                return policy
    except (SQLAlchemyError, ConfigError) as error:
        log.warning("version_unreadable", policy=name, hash=hash, problem=str(error)[:200])
    detail = "The version this was decided under is neither here nor kept such that it can be read now."
    raise NotFound("policy_has_changed", detail, hint="`modgate policy explain ID --policy FILE` takes any file.")


class History:
    """Of this process and all others on its database. `versions` reads what was written."""

    def __init__(self, database: Database, witness: Witness):
        self._database = database
        self._witness = witness
        self.versions = Versions(database.reader)
        self._writing: set[asyncio.Task[None]] = set()

    async def begin(self, policies: PolicyBook) -> None:
        """What this process begins with."""
        for version in policies.versions:
            await self._keep(version, START)

    async def close(self) -> None:
        await asyncio.gather(*self._writing, return_exceptions=True)

    async def policy_of(self, record: Record, policies: PolicyBook) -> Policy:
        """The version that decided."""
        return await deciding(record, policies, self.versions)

    async def taken(self, version: Version) -> None:
        """A file changed, and was taken up."""
        await self._keep(version, CHANGE)

    def halted(self, canary: Canary) -> None:
        """A canary ended by itself."""
        self._witness.canary_halted(canary.policy.name)
        task = asyncio.create_task(self._tell(canary))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def _keep(self, version: Version, by: str) -> None:
        policy = version.policy
        activation = Activation(
            name=policy.name,
            version=policy.version,
            hash=policy.hash,
            role=version.role,
            file=policy.file.name,
            tests=version.tests,
            source=version.source,
            lists=version.lists,
        )
        try:
            await self.versions.keep(activation, by)
        except SQLAlchemyError as error:
            log.error("activation_unwritten", policy=policy.name, hash=policy.hash, problem=str(error)[:200])

    async def _tell(self, canary: Canary) -> None:
        policy = canary.policy
        body = {"policy": policy.name, "version": policy.version, "hash": policy.hash, "why": canary.halted}
        row = {
            "tenant": OPERATORS,
            "created_at": time.time(),
            "kind": "policy.halted",
            "subject": f"{policy.name}@{policy.version}"[:40],
            "body": orjson.dumps(body),
        }
        try:
            await self._database.writer.put(events, row)
        except (SQLAlchemyError, WriterClosed) as error:
            log.error("event_unwritten", event="policy.halted", policy=policy.name, problem=str(error)[:200])
