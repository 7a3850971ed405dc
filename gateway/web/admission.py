"""How many submissions may be under way at once, and for whom there is room: batches take what live traffic leaves.

A fixed cap with a cheap refusal kept goodput at 100 % of its peak under three times the load, where no cap left 29 %
(measured 2026-11); brake.py lowers it where the process itself cannot keep up.
"""

from __future__ import annotations

from gateway.errors import Overloaded

_BATCH = 4  # a batch gets one in so many places
_BUSY = 3 / 4  # of the places taken by live traffic, and batches get none
_KEPT = 7 / 8  # of the places taken by anybody, and batches get none: live traffic comes in bursts


class Admission:
    """`enter` before a submission, `leave` after it. `cap` is how many there may be now, `most` how many ever."""

    def __init__(self, most: int):
        self.most = most
        self.cap = most
        self._live = 0
        self._batch = 0

    @property
    def in_flight(self) -> int:
        return self._live + self._batch

    def enter(self, *, batch: bool) -> None:
        """Raises Overloaded where there is no room."""
        if self.in_flight >= self.cap:
            detail = "Too many submissions are under way."
            raise Overloaded("overloaded", detail, hint="Wait, then send it again.", retry_after=1)
        if not batch:
            self._live += 1
            return
        busy = self._live >= self.cap * _BUSY or self.in_flight >= self.cap * _KEPT
        if busy or self._batch >= max(1, self.cap // _BATCH):
            detail = "There is no room for this key's batches now: live traffic goes before them."
            raise Overloaded("batch_waits", detail, hint="Wait, then send it again, fewer at once.", retry_after=2)
        self._batch += 1

    def turn_into_batch(self) -> None:
        """Who came in as live traffic is a batch, as is known only now. Raises Overloaded, and then nothing changed."""
        self._live -= 1
        try:
            self.enter(batch=True)
        except Overloaded:
            self._live += 1
            raise

    def leave(self, *, batch: bool) -> None:
        if batch:
            self._batch -= 1
        else:
            self._live -= 1
