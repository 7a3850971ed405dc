"""Pictures behind addresses that a vendor can really reach: those which a gateway under rehearsal lends it.

No other address is ever fetched. It is done before the vendor answers, so that vendors need no socket.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import aiohttp

from adapters.simulator.images import NotAPicture, Picture, look

PATIENCE = aiohttp.ClientTimeout(total=10.0)
MOST_BYTES = 32 * 1024 * 1024
_PATH = rb"/[^\s\"'<>\\&]*"  # of an address in JSON or in a form


class Reach:
    """`places` are beginnings of addresses, each with where to ask instead: public name → http://127.0.0.1:8080."""

    def __init__(self, places: Mapping[str, str]):
        self.places = dict(places)
        self._session: aiohttp.ClientSession | None = None

    async def pictures(self, body: bytes) -> dict[str, Picture | None]:
        """What is behind each such address in a request; None where no picture is to be had there."""
        found: dict[str, Picture | None] = {}
        for public, place in self.places.items():
            for written in re.findall(re.escape(public.encode()) + _PATH, body):
                address = written.decode("utf-8", "replace")
                found[address] = await self._fetched(place + address.removeprefix(public))
        return found

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _fetched(self, address: str) -> Picture | None:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=PATIENCE)
        try:
            async with self._session.get(address, allow_redirects=False, raise_for_status=True) as response:
                return look(await response.content.read(MOST_BYTES))
        except (aiohttp.ClientError, TimeoutError, NotAPicture):
            return None
