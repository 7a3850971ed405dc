"""A provider's way out that fails on purpose, as vendors in trouble do. What is spoiled is not sent at all, or is late.

The failures come from where real ones come from, below retries, breakers and budgets; so all of that is what is tried.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from enum import StrEnum

from msgspec.structs import replace

from gateway.dispatch.question import Provider
from gateway.dispatch.transport import Headers
from gateway.domain import FULL, Look, Modality, Signal
from gateway.errors import VendorUnavailable
from gateway.wire import Call, Reply, Transport

SHIFT = FULL // 5  # added to every score
_PATIENCE = 1  # seconds that a storm's Retry-After asks for
_SLOW = (0.8, 2.0)  # of the provider's timeout: now and then an answer is still in time


class Scenario(StrEnum):
    """What goes wrong with a vendor."""

    OUTAGE = "vendor-outage"  # no connection
    SLOW = "slow"  # most answers come after its timeout
    STORM = "throttle-storm"  # 429, wait a second
    GARBAGE = "garbage"  # 200 and half a JSON
    SHIFT = "score-shift"  # every score a fifth of the scale higher, as by a model that was tuned anew


class Rehearsal:
    """A transport before a provider's own, and its table, which spoil this share of its calls; `share` may change.

    `send` is the transport behind it. `calls` counts all, `spoiled` those that did not go as the vendor would have it.
    """

    def __init__(self, provider: Provider, scenario: Scenario, share: float):
        self.send: Transport = provider.send
        self._translate = provider.translate
        self._timeout = provider.adapter.settings.timeout
        self._scenario = scenario
        self.share = share
        self.calls = 0
        self.spoiled = 0

    async def __call__(self, address: str, call: Call) -> Reply:
        self.calls += 1
        spoil = _SPOILING.get(self._scenario)
        instead = await spoil(self._timeout) if spoil is not None and self._hits() else None
        return await self.send(address, call) if instead is None else instead

    def translate(self, look: Look, name: str, inputs: Mapping[Modality, int]) -> tuple[Signal, ...]:
        """As the provider's table has it, shifted where that is what goes wrong."""
        signals = self._translate(look, name, inputs)
        if self._scenario is Scenario.SHIFT and self._hits():
            return tuple([_shifted(signal) for signal in signals])
        return signals

    def _hits(self) -> bool:
        hit = random.random() < self.share  # noqa: S311  # no secret
        self.spoiled += hit
        return hit


async def _refuse(patience: float) -> Reply | None:
    raise VendorUnavailable("refused: no connection (a drill)")


async def _wait(patience: float) -> Reply | None:
    await asyncio.sleep(patience * random.uniform(*_SLOW))  # noqa: S311  # no secret
    return None


async def _throttle(patience: float) -> Reply | None:
    return Reply(
        429, Headers({"retry-after": str(_PATIENCE)}), b'{"error": {"message": "Too many requests (a drill)"}}'
    )


async def _break_off(patience: float) -> Reply | None:
    return Reply(200, Headers({"content-type": "application/json"}), b'{"drill": [{"half')


def _shifted(signal: Signal) -> Signal:
    return signal if signal.score is None else replace(signal, score=min(FULL, signal.score + SHIFT))


# What comes instead of the vendor's answer; None: that comes after all. Each is told the provider's timeout in seconds
_SPOILING: Mapping[Scenario, Callable[[float], Awaitable[Reply | None]]] = {
    Scenario.OUTAGE: _refuse,
    Scenario.SLOW: _wait,
    Scenario.STORM: _throttle,
    Scenario.GARBAGE: _break_off,
}
