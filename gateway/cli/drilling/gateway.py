"""The gateway that a drill is held at, over HTTP."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import aiohttp
import orjson

from gateway.domain import Modality
from gateway.errors import (
    BadContent,
    ConfigError,
    Conflict,
    Forbidden,
    Internal,
    NotFound,
    Overloaded,
    RequestError,
    Unauthorized,
)

_REFUSALS: Mapping[int, type[RequestError]] = {
    kind.http: kind for kind in (BadContent, Unauthorized, Forbidden, NotFound, Conflict, Overloaded)
}
_DEBT = {"owed": "modgate_debt", "paid": "modgate_debt_paid_total", "lost": "modgate_debt_lost_total"}


class Gateway:
    """What a drill needs of it. What it refuses is a RequestError in its words, and so is it where none answers."""

    def __init__(self, client: aiohttp.ClientSession, provider: str):
        self._client = client
        self._provider = provider

    async def sees(self) -> frozenset[Modality]:
        """What may be sent to the provider. Raises ConfigError where there is no such provider."""
        said = await self._ask("GET", "/v1/providers")
        for told in said["providers"]:
            if told["name"] == self._provider:
                return frozenset(map(Modality, told["sees"]))
        names = ", ".join(told["name"] for told in said["providers"])
        raise ConfigError(f"the gateway has no provider '{self._provider}'", hint=f"there are {names}")

    async def spoil(self, scenario: str, share: float, seconds: float, mode: str) -> Mapping[str, Any]:
        """Begin, or change the share."""
        asked = {"scenario": scenario, "share": share, "for": f"{seconds:.3f}s", "mode": mode}
        return await self._ask("PUT", f"/v1/drills/{self._provider}", asked)

    async def mend(self) -> None:
        """End it. Where that fails, it ends by itself."""
        with suppress(RequestError):
            await self._ask("DELETE", f"/v1/drills/{self._provider}")

    async def debt(self) -> dict[str, float]:
        """Second looks owed, had and given up."""
        _, said = await self._heard("GET", "/metrics")
        lines = said.decode().splitlines()
        return {
            name: sum(float(line.rpartition(" ")[2]) for line in lines if re.match(rf"{metric}[{{ ]", line))
            for name, metric in _DEBT.items()
        }

    async def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        status, heard = await self._heard(method, path, body)
        try:
            said = dict(orjson.loads(heard))
        except (ValueError, TypeError):
            raise _nobody(f"what does is none, it says {heard[:60]!r}") from None
        if status == 200:
            return said
        code, detail = str(said.get("code", "refused")), str(said.get("detail", f"HTTP {status}."))
        raise _REFUSALS.get(status, Internal)(code, detail, hint=str(said.get("hint", "")))

    async def _heard(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> tuple[int, bytes]:
        try:
            async with self._client.request(method, path, json=body) as answer:
                return answer.status, await answer.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _nobody(str(error) or type(error).__name__) from None


def _nobody(why: str) -> Overloaded:
    return Overloaded("no_gateway", f"No gateway answers: {why}.", hint="Is it running? --url says where.")
