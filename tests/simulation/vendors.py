"""A vendor whose moods change: it answers by a truth that the content decides, late, wrongly, or not at all."""

from __future__ import annotations

import asyncio
from enum import StrEnum
from random import Random
from typing import Any, ClassVar

from gateway.adapter import LocalAdapter, VendorSettings
from gateway.domain import Content, Exchange, Finding, Look, Modality
from gateway.errors import VendorDenied, VendorDrift, VendorRejected, VendorThrottled, VendorUnavailable

SLUGS = ("hate", "violence", "spam", "sexual")


class Mood(StrEnum):
    """What a vendor does for a while."""

    WELL = "well"
    SLOW = "slow"
    FLAKY = "flaky"
    DOWN = "down"
    HANGING = "hanging"
    THROTTLING = "throttling"
    DENYING = "denying"
    DRIFTING = "drifting"
    REFUSING = "refusing"
    BROKEN = "broken"  # a bug of the adapter


def truth(digest: str) -> dict[str, float]:
    """What is really in a content: mostly nothing, now and then something."""
    dice = Random(digest)
    return {slug: round(dice.random() if dice.random() < 0.2 else dice.random() / 20, 4) for slug in SLUGS}


class Moody(LocalAdapter):
    """`sees` is what it can score; `mood` is set from outside. `heard` counts how often it was really asked."""

    accepts: ClassVar = frozenset(Modality)
    tier: ClassVar = 2

    def __init__(self, sees: tuple[str, ...], dice: Random, *, together: bool, **settings: Any):
        super().__init__(VendorSettings.model_validate({"adapter": "simulated", **settings}))
        self.together = together  # type: ignore[misc]
        self.sees = sees
        self.mood = Mood.WELL
        self.heard = 0
        self.busy = 0
        self._dice = dice

    async def open(self, workshop: Any) -> None: ...

    async def look(self, content: Content, send: Any) -> Look:
        self.heard += 1
        self.busy += 1
        try:
            await asyncio.sleep(self._dice.lognormvariate(-2.0, 0.6))
            await self._act()
            return self._look(content)
        finally:
            self.busy -= 1

    async def _act(self) -> None:
        dice = self._dice
        match self.mood:
            case Mood.SLOW:
                await asyncio.sleep(dice.uniform(0.5, 4))
            case Mood.HANGING:
                await asyncio.sleep(1e6)
            case Mood.FLAKY if dice.random() < 0.4:
                raise dice.choice([VendorUnavailable("HTTP 503", http=503), VendorDrift("half", http=200)])
            case Mood.DOWN:
                raise VendorUnavailable("refused: no connection")
            case Mood.THROTTLING if dice.random() < 0.7:
                wait = dice.choice([None, 0.2, 3.0, 3600.0])
                raise VendorThrottled("HTTP 429", http=429, retry_after=wait)
            case Mood.DENYING:
                raise VendorDenied("HTTP 401", http=401)
            case Mood.DRIFTING:
                raise VendorDrift("another shape", http=200)
            case Mood.REFUSING if dice.random() < 0.5:
                raise VendorRejected("HTTP 400", http=400)
            case Mood.BROKEN if dice.random() < 0.5:
                raise dice.choice([KeyError("x"), asyncio.CancelledError(), MemoryError()])
            case _:
                pass

    def _look(self, content: Content) -> Look:
        """The truth as this vendor sees it. Of several parts the worst counts, and all were looked at."""
        truths = [truth(part.digest) for part in content.inputs]
        looked = frozenset(part.modality for part in content.inputs)
        findings = [Finding(slug, max(said[slug] for said in truths), looked) for slug in self.sees]
        if self.mood is Mood.FLAKY and self._dice.random() < 0.1:
            findings = []  # an empty 200
        return Look(tuple(findings), exchanges=(Exchange(200, "{}", 1.0),))
