"""So many requests a second: a bucket that holds one second's worth, and at least one."""

from __future__ import annotations


class Limit:
    """`rate` is requests a second. Times are on any one clock, in seconds."""

    def __init__(self, rate: float):
        self._rate = rate
        self._most = max(1.0, rate)
        self._held = self._most
        self._at: float | None = None

    def take(self, now: float) -> int:
        """Use one. How many are left; -1 where there was none."""
        self._held = min(self._most, self._held + (now - (self._at or now)) * self._rate)
        self._at = now
        if self._held < 1:
            return -1
        self._held -= 1
        return int(self._held)
