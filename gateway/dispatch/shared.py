"""One piece of work that several wait for: it goes on while anybody does, and ends when nobody is left."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Shared(Generic[T]):
    """A task of its own, begun at once. Whoever is cancelled takes it down only if nobody else waits."""

    def __init__(self, work: Coroutine[Any, Any, T]):
        self._task = asyncio.create_task(work)
        self._waiting = 0

    @property
    def given_up(self) -> bool:
        """Whether everybody went away before it was done: there will be no outcome."""
        return self._task.cancelled() or self._task.cancelling() > 0

    async def outcome(self) -> T:
        """What comes of it, or what it raises."""
        self._waiting += 1
        try:
            return await asyncio.shield(self._task)
        finally:
            self._waiting -= 1
            if not self._waiting:
                self._task.cancel()
