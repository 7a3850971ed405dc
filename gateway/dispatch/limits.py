"""How often a provider may be asked: the generic cell rate algorithm, one number of state, no timer."""

from __future__ import annotations


class RateLimit:
    """`rate` asks a second on average, `burst` at once; by default as many as come in a second, at least one.

    `gap` is seconds between two asks, `slack` how many seconds early one may come.
    """

    def __init__(self, rate: float, burst: float | None = None):
        self.gap = 1 / rate
        self.slack = self.gap * (max(1.0, rate if burst is None else burst) - 1)
        self._due = 0.0  # when the next ask would be due, were all evenly spaced

    def take(self, now: float) -> float:
        """0 where it may be asked at this moment, which then counts; else the seconds until it may."""
        wait = self._due - self.slack - now
        if wait > 1e-9:
            return wait
        self._due = max(self._due, now) + self.gap
        return 0.0
