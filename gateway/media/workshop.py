"""Where models in this process do their work: pictures in the decode pool, thinking in threads, nothing on the loop."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from gateway.media.pool import DecodePool

T = TypeVar("T")


class Workshop:
    """The Workshop that adapters are handed. `threads`: one a core unless told. The pool's maker closes it."""

    def __init__(self, pool: DecodePool, threads: int | None = None):
        self._pool = pool
        self._threads = ThreadPoolExecutor(threads or os.cpu_count() or 1, thread_name_prefix="think")

    async def decode(self, work: Callable[[bytes], T], data: bytes, /) -> T:
        """`work(data)` in a guarded process. Raises Unreadable or Overloaded, as DecodePool.run does."""
        return await self._pool.run(work, data)

    async def think(self, work: Callable[..., T], /, *args: Any) -> T:
        """`work(*args)` in a thread. It cannot be stopped: a caller who leaves leaves it running."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, partial(work, *args))

    def close(self) -> None:
        """Drop what waits for a thread; what thinks already ends by itself."""
        self._threads.shutdown(wait=False, cancel_futures=True)
