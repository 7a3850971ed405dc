"""One point in time by which everything has ended: attempts, retries and fallbacks included."""

from __future__ import annotations

import asyncio

from msgspec import Struct


class Deadline(Struct, frozen=True):
    """`at` is on the event loop's own clock, so a loop with virtual time moves it too."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        return cls(asyncio.get_running_loop().time() + seconds)

    def left(self) -> float:
        """Seconds until then; negative once it has passed."""
        return self.at - asyncio.get_running_loop().time()

    def part(self, share: float) -> Deadline:
        """The point in time at which this share of what is left is over."""
        return self if share == 1.0 else Deadline.after(self.left() * share)
