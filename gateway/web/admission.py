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
    """Gives places away. `cap` is how many there may be now, `most` how many ever."""

    def __init__(self, most: int):
        self.most = most
        self.cap = most
        self.live = 0
        self.batch = 0

    @property
    def in_flight(self) -> int:
        return self.live + self.batch

    def lacking(self, *, batch: bool) -> str:
        """Why there is no room, as one of CODES; empty where there is."""
        if self.in_flight >= self.cap:
            return "overloaded"
        if not batch:
            return ""
        busy = self.live >= self.cap * _BUSY or self.in_flight >= self.cap * _KEPT
        return "batch_waits" if busy or self.batch >= max(1, self.cap // _BATCH) else ""

    def enter(self, *, batch: bool) -> Place:
        """A place, to be left. Raises Overloaded where there is no room."""
        if code := self.lacking(batch=batch):
            raise no_room(code)
        return Place(self, batch)


class Place:
    """That of one submission, until it leaves."""

    __slots__ = ("_admission", "_batch", "_left")

    def __init__(self, admission: Admission, batch: bool):
        self._admission = admission
        self._batch = batch
        self._left = False
        self._count(1)

    def turn_into_batch(self) -> None:
        """Who came in as live traffic is a batch, as is known only now. Raises Overloaded, and then nothing changed."""
        if self._batch:
            return
        self._count(-1)
        code = self._admission.lacking(batch=True)
        self._batch = not code
        self._count(1)
        if code:
            raise no_room(code)

    def leave(self) -> None:
        """Once is enough."""
        if not self._left:
            self._left = True
            self._count(-1)

    def _count(self, many: int) -> None:
        if self._batch:
            self._admission.batch += many
        else:
            self._admission.live += many
