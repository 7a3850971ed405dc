"""How many submissions may be under way at once, and for whom there is room: batches take what live traffic leaves.

A fixed cap with a cheap refusal kept goodput at 100 % of its peak under three times the load, where no cap left 29 %
(measured 2026-11); brake.py lowers it where the process itself cannot keep up.
"""

from __future__ import annotations

from gateway.errors import Overloaded

_BATCH = 4  # a batch gets one in so many places
_BUSY = 3 / 4  # of the places taken by live traffic, and batches get none
_KEPT = 7 / 8  # of the places taken by anybody, and batches get none: live traffic comes in bursts

_WORDS = {
    "overloaded": ("Too many submissions are under way.", "Wait, then send it again.", 1),
    "batch_waits": (
        "There is no room for this key's batches now: live traffic goes before them.",
        "Wait, then send it again, fewer at once.",
        2,
    ),
}
CODES = tuple(_WORDS)


def no_room(code: str) -> Overloaded:
    """What whoever finds no room is told."""
    detail, hint, seconds = _WORDS[code]
    return Overloaded(code, detail, hint=hint, retry_after=seconds)


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

    @property
    def fullness(self) -> float:
        """How much of it is taken, 0..1; 1 while there are fewer places than usual, since the process is behind."""
        return 1.0 if self.cap < self.most else self.in_flight / self.cap

    def lacking(self, *, batch: bool, ahead: int = 0) -> str:
        """Why there is no room behind so many that are still on their way in, as one of CODES; empty where there is.

        Where a batch finds room, everybody does.
        """
        taken = self.in_flight + ahead
        if taken >= self.cap:
            return "overloaded"
        if not batch:
            return ""
        busy = self._live + ahead >= self.cap * _BUSY or taken >= self.cap * _KEPT
        return "batch_waits" if busy or self._batch >= max(1, self.cap // _BATCH) else ""

    def enter(self, *, batch: bool) -> None:
        """Raises Overloaded where there is no room."""
        if code := self.lacking(batch=batch):
            raise no_room(code)
        if batch:
            self._batch += 1
        else:
            self._live += 1

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
