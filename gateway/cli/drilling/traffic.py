"""Harmless submissions of a drill's own, evenly spaced, and what became of each."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from itertools import count
from time import monotonic
from typing import Any

import aiohttp

from gateway.domain import Modality

LOST_AFTER = 60.0  # seconds without an answer
_USABLE = ("ok", "cached")


@dataclass(frozen=True, slots=True)
class Sent:
    """One submission: when it was sent, in seconds since the drill began, and what came of it after `took` seconds.

    `status` is the HTTP status, 0 where none came; `body` the decision, empty where there is none.
    """

    phase: str
    at: float
    took: float
    status: int
    body: Mapping[str, Any]

    @property
    def lost(self) -> bool:
        """Whether it was not decided."""
        return self.status != 200 or "action" not in self.body

    @property
    def outcome(self) -> str:
        return "lost" if self.lost else str(self.body["action"])

    @property
    def silent(self) -> bool:
        """Whether it was allowed though nobody looked at some of it, or without saying that somebody did not answer."""
        if self.outcome != "allow":
            return False
        asked = [answer for answer in self.body["providers"] if answer["role"] != "shadow"]
        seen = {answer["input"] for answer in asked if answer["status"] in _USABLE}
        blind = any(part["index"] not in seen for part in self.body["inputs"])
        failed = any(answer["role"] == "ask" and answer["error"] for answer in asked)
        return blind or bool(self.body["coverage"]["missing"]) or (failed and not self.body["degraded"])

    def of(self, provider: str) -> list[str]:
        """How this provider stood, once for each input it was asked about."""
        answers = [] if self.lost else self.body["providers"]
        return [answer["status"] for answer in answers if answer["name"] == provider and answer["role"] != "shadow"]

    @property
    def attempts(self) -> int:
        """Questions put to vendors for it."""
        return 0 if self.lost else sum(answer["attempts"] or 0 for answer in self.body["providers"])


class Traffic:
    """Sends `rate` a second, texts and pictures in turn as far as the provider takes them, no two the same."""

    def __init__(self, client: aiohttp.ClientSession, rate: float, kinds: frozenset[Modality], policy: str | None):
        self._client = client
        self._rate = rate
        self._policy = policy
        self._kinds = sorted(kinds)
        self._numbers: Iterator[int] = count(1)
        self._began = monotonic()
        self.sent: list[Sent] = []

    async def run(self, phase: str, route: str, drill: str, seconds: float) -> None:
        """So long, and until all is answered."""
        began = monotonic()
        async with asyncio.TaskGroup() as group:
            for number in range(max(1, round(self._rate * seconds))):
                await asyncio.sleep(max(0.0, began + number / self._rate - monotonic()))
                group.create_task(self._one(phase, route, drill))
            await asyncio.sleep(max(0.0, began + seconds - monotonic()))

    def elapsed(self) -> float:
        """Seconds since the drill began."""
        return monotonic() - self._began

    async def _one(self, phase: str, route: str, drill: str) -> None:
        at, number = self.elapsed(), next(self._numbers)
        kind = self._kinds[number % len(self._kinds)]
        asked: dict[str, Any] = {"route": route, "context": {"drill": drill}}
        asked |= {"policy": self._policy} if self._policy else {}
        asked |= _text(drill, number) if kind is Modality.TEXT else _picture(drill, number)
        status, body = await self._answer(asked)
        self.sent.append(Sent(phase, at, self.elapsed() - at, status, body))

    async def _answer(self, asked: Mapping[str, Any]) -> tuple[int, Mapping[str, Any]]:
        try:
            async with self._client.post("/v1/moderate", json=asked) as answer:
                body = await answer.json(content_type=None)
                return answer.status, body if isinstance(body, dict) else {}
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return 0, {}


def _text(drill: str, number: int) -> dict[str, Any]:
    return {"text": f"A walk on the beach with my dog, day {number} ({drill})."}


def _picture(drill: str, number: int) -> dict[str, Any]:
    picture = import_module("gateway.cli.drilling.pictures").beach(drill, number)  # with Pillow, which only drills need
    return {"images": [{"data": "data:image/png;base64," + b64encode(picture).decode()}]}
