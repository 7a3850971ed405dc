"""Who asks files: processes where there is much to ask, else threads of this one.

In one process Python does one thing at a time, and two threads ask hardly more than one. A process takes half a second
to start: it does so while the question is still being put together.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, ProcessPoolExecutor, ThreadPoolExecutor
from importlib import import_module
from multiprocessing import parent_process
from threading import Thread
from typing import Any, TypeVar

from gateway.errors import ConfigError
from gateway.forking import fork_server

T = TypeVar("T")

MUCH = 25_000_000  # rows from which on a process on each core is worth its start
_THREADS = 2  # else: while one reads, the other judges
_WORK = "gateway.sweep.runs"  # what a process loads before there is anything to ask


class Workers:
    """For so many rows. `many` work at a time."""

    def __init__(self, rows: int):
        self.many = _THREADS
        self._pool: Executor
        if rows < MUCH:
            self._pool = ThreadPoolExecutor(self.many, "sweep")
            return
        self.many = os.cpu_count() or 1
        self._pool = ProcessPoolExecutor(self.many, fork_server(), _begin)
        for _ in range(self.many):
            self._pool.submit(import_module, _WORK)

    async def do(self, work: Callable[..., T], *args: Any) -> T:
        """`work(*args)`, in another process if this has some: it has to be importable, and all of it can be sent.

        Raises ConfigError where the process ends before it is done, and what the work raises.
        """
        try:
            return await asyncio.wrap_future(self._pool.submit(work, *args))
        except BrokenExecutor:
            hint = "it may have been too little memory; what is done is kept, and asking again goes on"
            raise ConfigError("a process that asked a file was ended from outside", hint=hint) from None

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        """Wait for what is being done, and drop the rest."""
        self._pool.shutdown(cancel_futures=True)


def _begin() -> None:
    """In a process, before anything is loaded: one thread each, for there are as many as cores."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who started it hears of it, and ends it
    os.environ["POLARS_MAX_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None  # noqa: S101 - it is a child
    parent.join()
    os._exit(1)
