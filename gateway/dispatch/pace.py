"""How long a provider usually takes: the last answers, and quantiles of them."""

from __future__ import annotations

from collections import deque

_KEPT = 256  # answers
_ENOUGH = 20  # of them for a quantile to mean something
_EVERY = 16  # answers between two sortings


class Pace:
    """Seconds of usable answers, newest last."""

    def __init__(self) -> None:
        self._took: deque[float] = deque(maxlen=_KEPT)
        self._sorted: list[float] = []
        self._since = 0

    def answered(self, took: float) -> None:
        """One more, in seconds."""
        self._took.append(took)
        self._since += 1

    def quantile(self, share: float) -> float | None:
        """The time within which this share of the answers came; None while too few are known."""
        if len(self._took) < _ENOUGH:
            return None
        if not self._sorted or self._since >= _EVERY:
            self._sorted = sorted(self._took)
            self._since = 0
        return self._sorted[min(len(self._sorted) - 1, int(share * len(self._sorted)))]
