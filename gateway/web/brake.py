"""Fewer at once while the event loop cannot keep up: the cap is halved, and given back slowly.

Lag counts where even the least of a second is too much, as CoDel has it: one long callback is no overload. After each
halving there is time for the work under way to end, and never less than a quarter of the cap is left, since a busy
neighbour on the machine makes lag too, and refusing callers does not cure that. Controllers that followed the lag
closely refused more than they saved (measured 2026-11), so this one takes minutes to come back.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import structlog

from gateway.web.admission import Admission

log = structlog.get_logger("modgate.brake")

EVERY = 0.05  # seconds between samples
TOO_MUCH = 0.1  # seconds of lag
_SUSTAINED = 1.0  # seconds of nothing but too much
_SETTLE = 5.0  # seconds from one halving to the next
_EASE = 10.0  # seconds from a change to the next step up
_STEP = 16  # one in so many of the most, each time
_LEAST = 4  # one in so many of the most is always left


class Brake:
    """Moves `admission.cap` by the lag it is told of. Times are seconds on one clock."""

    def __init__(self, admission: Admission):
        self._admission = admission
        self._least = max(1, admission.most // _LEAST)
        self._since: float | None = None  # when the run of too much began
        self._changed = float("-inf")

    def sample(self, lag: float, now: float) -> None:
        """The loop was late by `lag` seconds."""
        if lag <= TOO_MUCH:
            self._since = None
            if self._admission.cap < self._admission.most and now - self._changed >= _EASE:
                self._set(self._admission.cap + max(1, self._admission.most // _STEP), now)
            return
        if self._since is None:
            self._since = now
        if now - self._since > _SUSTAINED and now - self._changed >= _SETTLE and self._admission.cap > self._least:
            self._set(self._admission.cap // 2, now)
            log.warning("braking", lag=round(lag, 3), cap=self._admission.cap)

    def _set(self, cap: int, now: float) -> None:
        self._admission.cap = min(max(cap, self._least), self._admission.most)
        self._changed = now


async def feel(brake: Brake, observe: Callable[[float], None]) -> None:
    """Sample for ever; `observe` is told of each lag. The loop's own clock stands still while it is busy: not used."""
    while True:
        due = time.monotonic() + EVERY
        await asyncio.sleep(EVERY)
        now = time.monotonic()
        lag = max(0.0, now - due)
        observe(lag)
        brake.sample(lag, now)
