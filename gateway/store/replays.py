"""Idempotency keys: the same key with the same request gets the first answer again, and nothing is done twice.

The row is there before any vendor is asked, so a second request that comes meanwhile is told to wait. A key is good
for a day, per tenant. The form is Stripe's and that of the IETF draft "The Idempotency-Key HTTP Header Field".
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import ColumnElement, delete, insert, select, update
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from gateway.errors import Conflict, Overloaded
from gateway.store.reader import Reader, Statements
from gateway.store.tables import replays

KEPT = 86_400.0  # seconds a key is remembered
ABANDONED = 60.0  # seconds after which an unanswered request counts as lost, with its process


class Replays:
    """`claim` before the work, then `keep` its answer, or `release` where there was none.

    Each raises Overloaded where the database cannot be written to.
    """

    def __init__(self, reader: Reader):
        self._reader = reader

    async def claim(self, tenant: str, key: str, fingerprint: str) -> bytes | None:
        """The answer given before, or None where the work is now ours to do.

        Raises Conflict where the key was used for another request, or the first one is still under way.
        """
        async with self._writing() as connection:
            await connection.change(delete(replays).where(replays.c.created_at < time.time() - KEPT))
        try:
            async with self._writing() as connection:
                row = {"tenant": tenant, "key": key, "fingerprint": fingerprint, "created_at": time.time()}
                await connection.change(insert(replays).values(**row))
        except IntegrityError:
            async with self._writing() as connection:
                return await self._again(connection, tenant, key, fingerprint)
        return None

    async def keep(self, tenant: str, key: str, answer: bytes) -> None:
        """Remember what was answered."""
        async with self._writing() as connection:
            await connection.change(update(replays).where(_is(tenant, key)).values(answer=answer))

    async def release(self, tenant: str, key: str) -> None:
        """Forget the key: the request failed, and may be sent again."""
        async with self._writing() as connection:
            await connection.change(delete(replays).where(_is(tenant, key)))

    @asynccontextmanager
    async def _writing(self) -> AsyncIterator[Statements]:
        try:
            async with self._reader.begin() as connection:
                yield connection
        except IntegrityError:  # the key is taken: not the database's fault
            raise
        except SQLAlchemyError as error:
            raise Overloaded(
                "evidence_unavailable",
                "The Idempotency-Key could not be recorded, so nothing was done.",
                hint="Send it again in a moment.",
                retry_after=2,
            ) from error

    async def _again(self, connection: Statements, tenant: str, key: str, fingerprint: str) -> bytes | None:
        known = (await connection.execute(select(replays).where(_is(tenant, key)))).one_or_none()
        if known is None or known.fingerprint != fingerprint:
            raise Conflict(
                "idempotency_key_reused",
                "This Idempotency-Key was used for another request.",
                hint="Use a new key for a new request.",
            )
        if known.answer is not None:
            answer: bytes = known.answer
            return answer
        if known.created_at > time.time() - ABANDONED:
            raise Conflict(
                "idempotency_in_flight",
                "The first request with this Idempotency-Key is still under way.",
                hint="Wait a moment and send it again.",
            )
        await connection.change(update(replays).where(_is(tenant, key)).values(created_at=time.time()))
        return None


def _is(tenant: str, key: str) -> ColumnElement[bool]:
    return (replays.c.tenant == tenant) & (replays.c.key == key)
