"""The record in the database → files that can be swept. What is there already is not read again.

Decisions are read by tenant in the order of their making. One that was made a moment ago may be followed by another
that was made before it and is written later, so the last minute is read again next time and known ones are left out.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from datetime import UTC, datetime
from typing import Any

import polars as pl
from pydantic import ValidationError
from sqlalchemy import func, select, tuple_

from gateway.policy.policy import Policy
from gateway.record import from_json
from gateway.replay import Sees
from gateway.store.reader import Reader
from gateway.store.tables import decisions
from gateway.sweep import parts
from gateway.sweep.layout import FOUND, numbers_of
from gateway.sweep.manifest import Manifest, Part, Store
from gateway.sweep.rows import Bits, Rows, frame_of

MOST = 1_000_000  # rows of a file
_FLUSH = 100_000  # rows held in memory at most, and lost at most by a crash
_PAGE = 1_000  # decisions read at once
_LATE = 60.0  # seconds within which decisions may come to the database out of order

Told = Callable[[int, int], None]  # how many are done, of how many


class Export:
    """Opened on a store that is locked. `everything` is of rows.py, `fields` what is kept of context."""

    def __init__(self, reader: Reader, store: Store, everything: Policy, fields: Collection[str]):
        self._reader = reader
        self._store = store
        self._everything = everything
        self._fields = frozenset(fields)

    async def run(self, sees: Sees, told: Told) -> Manifest:
        """What is new, until it is all there."""
        manifest = self._store.load()
        manifest.sees = {
            route: {m: {who: tuple(slugs) for who, slugs in by.items()} for m, by in legs.items()}
            for route, legs in sees.items()
        }
        self._store.tidy(manifest)
        done, started = 0, time.time()
        tenants, many = await self._waiting(manifest)
        for tenant in tenants:
            async for rows in self._pages(tenant, manifest, started):
                await asyncio.to_thread(self._keep, manifest, tenant, rows, started)
                done += len(rows)
                told(done, many)
        self._store.save(manifest)
        return manifest

    async def _waiting(self, manifest: Manifest) -> tuple[list[str], int]:
        """The tenants, and how many decisions there are to read of all of them."""
        async with self._reader.connect() as connection:
            names = (await connection.execute(select(decisions.c.tenant).distinct())).scalars().all()
            many = 0
            for name in names:
                new = select(func.count()).where(*_since(name, manifest.until.get(name, 0.0)))
                many += (await connection.execute(new)).scalar_one()
        return sorted(names), many

    async def _pages(self, tenant: str, manifest: Manifest, started: float) -> AsyncIterator[list[Any]]:
        """Decisions that are not exported, some at a time. Those of one page are of one day."""
        known = await asyncio.to_thread(self._known, manifest, tenant)
        place = (manifest.until.get(tenant, 0.0), "")
        held: list[Any] = []
        while True:
            page = await self._page(tenant, place)
            for row in page:
                place = (row.created_at, row.id)
                if held and (_day(row.created_at) != _day(held[0].created_at) or len(held) >= _FLUSH):
                    yield held
                    held = []
                if row.id not in known:
                    held.append(row)
            if len(page) < _PAGE:
                break
        if held:
            yield held

    async def _page(self, tenant: str, place: tuple[float, str]) -> Sequence[Any]:
        order = (decisions.c.created_at, decisions.c.id)
        query = (
            select(decisions.c.id, decisions.c.created_at, decisions.c.evidence)
            .where(decisions.c.tenant == tenant, decisions.c.created_at >= place[0], tuple_(*order) > place)
            .order_by(*order)
            .limit(_PAGE)
        )
        async with self._reader.connect() as connection:
            return (await connection.execute(query)).all()

    def _known(self, manifest: Manifest, tenant: str) -> set[str]:
        """Those of the last minute that are exported."""
        since = max(
            0, int((manifest.until.get(tenant, 0.0) - _LATE) * 1000)
        )  # an id is made a little before its decision
        late = [part for part in manifest.parts if part.tenant == tenant and part.last >= since]
        return {id for part in late for id in parts.ids_since(self._store, part, since)}

    def _keep(self, manifest: Manifest, tenant: str, stored: Sequence[Any], started: float) -> None:
        """Into a file, and then into the manifest: from there on they are exported."""
        rows = Rows(self._everything, manifest.sees, self._fields, Bits(manifest.bits))
        for row in stored:
            try:
                numbers_of(row.id)
                rows.add(from_json(row.evidence))
            except (ValidationError, ValueError):
                manifest.unreadable += 1
        made, found = rows.take()
        if made:
            self._into_part(manifest, tenant, _day(stored[0].created_at), frame_of(made), pl.DataFrame(found, FOUND))
        manifest.until[tenant] = min(stored[-1].created_at, started - _LATE)
        self._store.save(manifest)
        self._store.tidy(manifest)

    def _into_part(self, manifest: Manifest, tenant: str, day: str, frame: pl.DataFrame, found: pl.DataFrame) -> None:
        """After what is there of this day, as long as there is room."""
        folder = f"days/{day}/{_folder(tenant)}"
        last = next((part for part in reversed(manifest.parts) if self._goes_on(part, folder, frame.height)), None)
        if last is not None:
            frame, found = parts.joined(self._store, last, frame, found)
            manifest.parts.remove(last)
        name = f"{folder}/part-{manifest.next}"
        manifest.next += 1
        manifest.parts.append(parts.write(self._store, name, tenant, frame, found, self._fields))

    def _goes_on(self, part: Part, folder: str, more: int) -> bool:
        same = part.name.startswith(f"{folder}/") and frozenset(part.fields) == self._fields
        return same and part.rows + more <= MOST


def _since(tenant: str, moment: float) -> tuple[Any, Any]:
    return decisions.c.tenant == tenant, decisions.c.created_at >= moment


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).date().isoformat()


def _folder(tenant: str) -> str:
    """A name that is safe in a path, and no other tenant's."""
    return "".join(letter if letter.isalnum() or letter in "-_" else f"%{ord(letter):x}." for letter in tenant) or "%"
