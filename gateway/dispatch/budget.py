"""What a provider may be asked beyond what callers asked: retries and hedges, out of one allowance that expires.

Counted over the last ten seconds, so a quiet hour saves nothing up for a storm, and a vendor that is down altogether
is asked hardly more often than when it is well (Envoy's and Finagle's retry budgets).
"""

from __future__ import annotations

from collections import deque

RETRY_SHARE = 0.20  # of the calls in the window
HEDGE_SHARE = 0.05
LEAST_RETRIES = 4  # in a window, however few calls there are
LEAST_HEDGES = 3  # likewise: a share of next to nothing would never hedge a quiet gateway
_WINDOW = 10  # seconds


class Budget:
    """`asked` for each first attempt; `retry` and `hedge` take one where there is one left. Times are seconds."""

    def __init__(self) -> None:
        self._seconds: deque[list[int]] = deque()  # [second, asked, retries, hedges]

    def asked(self, now: float) -> None:
        """A call was made because somebody needs an answer."""
        self._second(now)[1] += 1

    def retry(self, now: float) -> bool:
        """Whether a provider may be asked again; if so it is counted."""
        second = self._second(now)
        asked, retries, hedges = self._sums()
        if retries + hedges + 1 > max(LEAST_RETRIES, RETRY_SHARE * asked):
            return False
        second[2] += 1
        return True

    def hedge(self, now: float) -> bool:
        """Whether another provider may be asked beside a slow one; if so it is counted."""
        second = self._second(now)
        asked, retries, hedges = self._sums()
        if hedges + 1 > max(LEAST_HEDGES, HEDGE_SHARE * asked):
            return False
        if retries + hedges + 1 > max(LEAST_RETRIES, RETRY_SHARE * asked):
            return False
        second[3] += 1
        return True

    def _sums(self) -> tuple[int, int, int]:
        return (
            sum(second[1] for second in self._seconds),
            sum(second[2] for second in self._seconds),
            sum(second[3] for second in self._seconds),
        )

    def _second(self, now: float) -> list[int]:
        number = int(now)
        while self._seconds and self._seconds[0][0] <= number - _WINDOW:
            self._seconds.popleft()
        if not self._seconds or self._seconds[-1][0] != number:
            self._seconds.append([number, 0, 0, 0])
        return self._seconds[-1]
