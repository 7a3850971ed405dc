"""Room for bodies: so many bytes of them are held at once, and the others wait for their turn in the order they came.

A body counts from before its first byte is read until its pictures are decoded. A hundred uploads of 5 MB read as they
came took 1,000 MB (measured 2026-11). What waits costs little: its bytes stay with the network, but for some 200 KB
(READ_AHEAD in cli/serve.py).
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

from aiohttp import web

from gateway.patience import within

FREE = 64 * 1024  # bytes of each body that nobody counts


@dataclass(eq=False, slots=True)
class _Turn:
    share: Share
    size: int
    come: asyncio.Future[None]


class Room:
    """`size` bytes. A body larger than all of it comes in alone.

    Whoever holds some and asks for more goes before all others: only then will it give anything back. Where all who
    hold some ask for more, one of them gets it all the same, and goes on getting it, or none would ever end.
    """

    def __init__(self, size: int):
        self.size = size
        self.taken = 0
        self._ending = 0  # how many hold some and do not wait for more
        self._queue: deque[_Turn] = deque()

    async def take(self, share: Share, size: int, until: float) -> None:
        turn = _Turn(share, size, asyncio.get_running_loop().create_future())
        if share.held:
            self._ending -= 1
            self._queue.appendleft(turn)
        else:
            self._queue.append(turn)
        self._serve()
        if turn.come.done():
            return
        try:
            async with within(until):
                await asyncio.shield(turn.come)  # a turn may come to who leaves in the same moment
        except BaseException:
            self._leave(turn)
            raise

    def give_back(self, share: Share) -> None:
        self.taken -= share.held
        self._ending -= 1
        self._serve()

    def _serve(self) -> None:
        while self._queue and (self.taken + self._queue[0].size <= self.size or not self._ending):
            turn = self._queue.popleft()
            self._ending += 1
            self.taken += turn.size
            turn.share.held += turn.size
            turn.come.set_result(None)

    def _leave(self, turn: _Turn) -> None:
        """Nobody waits for this turn any more. One that has come all the same is given back with its share."""
        if turn in self._queue:
            self._queue.remove(turn)
            self._ending += bool(turn.share.held)
            self._serve()


class Share:
    """What one request holds of the room; `until`, on the clock of time.perf_counter, it waits for more."""

    def __init__(self, room: Room, until: float):
        self._room = room
        self.until = until
        self.held = 0

    async def cover(self, size: int) -> None:
        """Hold room for a body of so many bytes, once it is there. Raises Overloaded where that takes too long."""
        more = size - FREE - self.held
        if more > 0:
            await self._room.take(self, more, self.until)

    def give_back(self) -> None:
        """All of it, if there is any: what was sent is not held any more."""
        if self.held:
            self._room.give_back(self)
            self.held = 0


SHARE = web.RequestKey("share", Share)
