"""The gateway that a drill is held at, over HTTP."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import aiohttp

from gateway.domain import Modality
from gateway.errors import BadContent, Overloaded, RequestError

_DEBT = {"owed": "modgate_debt", "paid": "modgate_debt_paid_total", "lost": "modgate_debt_lost_total"}


class Gateway:
    """What a drill needs of it. What it refuses is raised as a RequestError with its own words."""

    def __init__(self, client: aiohttp.ClientSession, provider: str):
        self._client = client
        self._provider = provider

    async def sees(self) -> frozenset[Modality]:
        """What may be sent to the provider. Raises BadContent where there is no such provider."""
        said = await self._ask("GET", "/v1/providers")
        for told in said["providers"]:
            if told["name"] == self._provider:
                return frozenset(map(Modality, told["sees"]))
        names = ", ".join(told["name"] for told in said["providers"])
        raise BadContent("unknown_provider", f"There is no provider '{self._provider}'.", hint=f"There are {names}.")

    async def spoil(self, scenario: str, share: float, seconds: float, mode: str) -> Mapping[str, Any]:
        """Begin, or change the share."""
        asked = {"scenario": scenario, "share": share, "for": f"{seconds:.3f}s", "mode": mode}
        return await self._ask("PUT", f"/v1/drills/{self._provider}", asked)

    async def mend(self) -> None:
        """End it. Where that fails, it ends by itself."""
        try:
            await self._ask("DELETE", f"/v1/drills/{self._provider}")
        except RequestError:
            return

    async def debt(self) -> dict[str, float]:
        """Second looks owed, had and given up."""
        async with self._client.get("/metrics") as answer:
            lines = (await answer.text()).splitlines()
        return {
            name: sum(float(line.rpartition(" ")[2]) for line in lines if re.match(rf"{metric}[{{ ]", line))
            for name, metric in _DEBT.items()
        }

    async def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        try:
            async with self._client.request(method, path, json=body) as answer:
                said = await answer.json(content_type=None)
                status = answer.status
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            hint = "Is it running? --url says where."
            raise Overloaded("no_gateway", f"No gateway answers: {error or type(error).__name__}.", hint=hint) from None
        if status == 200 and isinstance(said, dict):
            return said
        told = said if isinstance(said, dict) else {}
        refused = BadContent if status in (400, 404) else Overloaded
        raise refused(
            str(told.get("code", "refused")), str(told.get("detail", f"HTTP {status}.")), hint=str(told.get("hint", ""))
        )
