"""How long the payer rests after a round, so that callers have this process before it does."""

from __future__ import annotations

import time
from collections.abc import Callable

_SHARE = 3.0  # rounds take one in so many seconds of a process that is busy all the time
_LEAST = 0.1  # times as long as the round took, where nobody else wants anything


def nobody() -> float:
    """Nobody comes in."""
    return 0.0


class Rest:
    """`begin` with a round, `due` after it. `cpu` is the CPU seconds of this process.

    A second look costs as much CPU as three submissions (measured 2026-11), but it mostly waits for vendors. While the
    process was busy for a third of a round at most, whoever it was busy for, the next one follows at once.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, cpu: Callable[[], float] = time.process_time):
        self._clock = clock
        self._cpu = cpu
        self._begun = self._used = 0.0

    def begin(self) -> None:
        self._begun, self._used = self._clock(), self._cpu()

    def due(self, fullness: float) -> float:
        """Seconds: hardly any where there is room, up to twice as long as the round where there is none.

        `fullness`, 0..1, is how many of the process's places are taken.
        """
        took, used = self._clock() - self._begun, self._cpu() - self._used
        busy = min(1.0, max(used / took if took > 0 else 1.0, fullness))
        return took * max(_SHARE * busy - 1, _LEAST)
