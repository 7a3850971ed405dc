"""What each key has spent today: by our own database, and where there is a Redis by what all replicas say there.

Each process writes the sum of its own into a field of its own. So a sum told twice counts once, and one that Redis lost
is there again with the next charge. The larger of both counts holds: neither can know of more than was spent.
"""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Callable, Sequence

from gateway.replicas.asking import Asked, NoAnswer

_DAY = 86_400  # seconds


class Purse:
    """`add` and `today` are those of the database's own count. With a `line` of None that is all there is."""

    def __init__(self, add: Callable[[str, float], None], today: Callable[[str], float], line: Asked | None):
        self._add = add
        self._today = today
        self._line = line
        self._writer = secrets.token_hex(8)
        self._day = 0
        self._mine: dict[str, float] = {}

    def add(self, key: str, amount: float) -> None:
        """So much more, at this moment."""
        self._add(key, amount)
        if self._line is None:
            return
        day = int(time.time() // _DAY)
        if day != self._day:
            self._day, self._mine = day, {}
        self._mine[key] = self._mine.get(key, 0.0) + amount
        self._tell(self._line, key)

    async def today(self, key: str) -> float:
        """What the key has spent since midnight, UTC."""
        known = self._today(key)
        if self._line is None:
            return known
        try:
            told = await self._line.ask("spend", "HVALS", _name(key))
        except NoAnswer as silence:
            if silence.why == "refused":  # what stands there is not ours
                self._line.tell("spend", "DEL", _name(key))
                self._tell(self._line, key)
            return known
        return max(known, self._sum(told, self._line))

    def _tell(self, line: Asked, key: str) -> None:
        line.tell("spend", "HSET", _name(key), self._writer, self._mine.get(key, 0.0))
        line.tell("spend", "EXPIRE", _name(key), 2 * _DAY)

    @staticmethod
    def _sum(told: Sequence[bytes], line: Asked) -> float:
        """Of all that are amounts of money."""
        total = 0.0
        for written in told:
            try:
                amount = float(written)
            except ValueError:
                amount = math.nan
            if 0 <= amount < math.inf:
                total += amount
            else:
                line.missed("spend", "broken")
        return total


def _name(key: str) -> str:
    return f"modgate:1:spent:{int(time.time() // _DAY)}:{key}"
