"""Decoders in processes that may crash, hang or eat memory, and are then killed and replaced.

Guards, from the inside out: 1 GiB of address space a worker, no core dumps, a fresh worker after 200 tasks, a kill
after 5 seconds, never more tasks at a time than workers, a short queue in front. This contains accidents of C code. It
is no sandbox: a worker runs as the same user, so whoever takes over a decoder has what the gateway has.

Workers come from a fork server which has the decoders loaded, so they start in milliseconds and share that memory.
"""

from __future__ import annotations

import asyncio
import math
import os
import resource
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from importlib import import_module
from typing import Any, TypeVar

from pebble import ProcessExpired, ProcessPool

from gateway.errors import Overloaded, RequestError
from gateway.forking import fork_server
from gateway.media.heap import return_large_blocks
from gateway.media.inspect import undecodable
from gateway.patience import within

T = TypeVar("T")

MEMORY = 1 << 30
PRELOAD = ("gateway.media.pool", "gateway.media.normalise", "gateway.media.refit")


class DecodePool:
    """Runs importable functions on untrusted bytes, `workers` at a time.

    `waiting` tasks may queue in front, `timeout` is seconds of work, `memory` bytes of address space, `max_tasks` the
    life of a worker. `preload` names modules the workers shall have imported before their first task. `on_loss` hears
    "timeout", "crash" or "memory" for each task that ended in one of these ways.
    """

    def __init__(
        self,
        *,
        workers: int = 2,
        waiting: int = 64,
        timeout: float = 5.0,
        memory: int = MEMORY,
        max_tasks: int = 200,
        preload: Sequence[str] = PRELOAD,
        on_loss: Callable[[str], None] = lambda cause: None,
    ):
        self._workers = workers
        self._timeout = timeout
        self._max_tasks = max_tasks
        self._memory = memory
        self._preload = tuple(preload)
        self._on_loss = on_loss
        self._most_waiting = waiting
        self._waiting = 0
        self._free = asyncio.Semaphore(workers)
        self._pool: Any = None  # a ProcessPool; pebble's methods carry no types
        self._running: set[Any] = set()
        self._changing = threading.Lock()
        self._closed = False

    async def warm(self) -> None:
        """Start the workers and wait until they answer."""
        await asyncio.gather(*(self.run(os.getpid, timeout=60.0) for _ in range(self._workers)))

    async def close(self) -> None:
        """Kill the workers; what still runs ends as Overloaded, and so does what comes later."""
        self._closed = True
        for future in tuple(self._running):
            future.cancel()  # pebble does not always answer for what it stops
        await asyncio.to_thread(self._end)

    async def run(
        self,
        work: Callable[..., T],
        *args: Any,
        timeout: float | None = None,  # noqa: ASYNC109 - kills
        until: float = math.inf,
    ) -> T:
        """`work(*args)` in a worker, which dies with this call if it is cancelled.

        Raises whatever RequestError `work` raises; Unreadable for all its other errors, and where the worker crashes,
        is starved of memory or is killed after `timeout` seconds; Overloaded where too many tasks wait already, and
        where none has begun with it by `until`, on the clock of time.perf_counter.
        """
        if self._closed or (self._free.locked() and self._waiting >= self._most_waiting):
            raise _busy()
        self._waiting += 1
        try:
            async with within(until):
                await self._free.acquire()
        finally:
            self._waiting -= 1
        try:
            outcome = await self._attended(work, args, self._timeout if timeout is None else timeout)
        finally:
            self._free.release()
        if isinstance(outcome, _Refused):
            if outcome.starved:
                self._on_loss("memory")
            raise outcome.kind(outcome.code, outcome.detail, hint=outcome.hint)
        return outcome

    async def _attended(self, work: Callable[..., T], args: tuple[Any, ...], seconds: float) -> T | _Refused:
        try:
            try:
                return await self._once(work, args, seconds)
            except BrokenProcessPool:  # a death elsewhere can bring the whole pool down: one more try, in a new one
                return await self._once(work, args, seconds)
        except TimeoutError:
            self._on_loss("timeout")
            raise undecodable("The image takes too long to decode.") from None
        except (BrokenProcessPool, ProcessExpired):
            if self._closed:
                raise _busy() from None
            self._on_loss("crash")
            raise undecodable("The image does not decode: the decoder crashed.") from None

    async def _once(self, work: Callable[..., T], args: tuple[Any, ...], seconds: float) -> T | _Refused:
        if self._pool is None or not self._pool.active:
            await asyncio.to_thread(self._mend)
        pool = self._pool
        if self._closed or pool is None:  # nothing may start behind the back of `close`
            raise BrokenProcessPool
        try:
            future = pool.schedule(_attempt, args=(work, args))
        except RuntimeError as error:  # broken since we looked
            raise BrokenProcessPool from error
        self._running.add(future)
        answer: asyncio.Future[T | _Refused] = asyncio.wrap_future(future)
        try:
            await asyncio.wait({answer}, timeout=seconds)  # a monotonic clock; pebble's own timeout is not
            if answer.cancelled():
                raise BrokenProcessPool  # by `close`
            if answer.done():
                return answer.result()
            if not future.running():
                pool.stop()  # no worker ever took it: this pool is stuck, and replaced by the next call
            raise TimeoutError
        finally:
            self._running.discard(future)
            future.cancel()  # kills the worker if it is still at it

    def _mend(self) -> None:
        """Start the pool, or replace a broken one. Blocks."""
        with self._changing:
            if self._closed:
                raise BrokenProcessPool
            if self._pool is not None and self._pool.active:
                return
            broken, self._pool = self._pool, None
            if broken is not None:
                _stop(broken)
            self._pool = self._started()

    def _started(self) -> Any:
        context = fork_server(self._preload)
        pool = ProcessPool(self._workers, self._max_tasks, _confine, (self._memory, self._preload), context)
        if not pool.active:  # asking is what starts it
            raise BrokenProcessPool
        return pool

    def _end(self) -> None:
        with self._changing:
            pool, self._pool = self._pool, None
            if pool is not None:
                _stop(pool)


def _busy() -> Overloaded:
    return Overloaded("decoders_busy", "Too many images are waiting to be decoded.", retry_after=1.0)


@dataclass(frozen=True, slots=True)
class _Refused:
    """A RequestError on its way back. Exceptions themselves do not all survive pickling, and one that fails to arrive
    brings the pool down."""

    kind: type[RequestError]
    code: str
    detail: str
    hint: str
    starved: bool

    @classmethod
    def by(cls, error: RequestError, *, starved: bool = False) -> _Refused:
        return cls(type(error), error.code, error.detail, error.hint, starved)


def _attempt(work: Callable[..., T], args: tuple[Any, ...]) -> T | _Refused:
    """In the worker: the result of the work, or why there is none."""
    try:
        return work(*args)
    except RequestError as error:
        return _Refused.by(error)
    except MemoryError:
        return _Refused.by(undecodable("The image takes too much memory to decode."), starved=True)
    except BaseException as error:  # decoders raise what they like, and none of it may leave the worker
        return _Refused.by(undecodable(f"The image does not decode: {error}"[:200]))


def _confine(memory: int, modules: Sequence[str]) -> None:
    """In the worker, before its first task."""
    return_large_blocks()
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # each thread would reserve address space
    for module in modules:
        import_module(module)
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # dies at once, also within C code


def _stop(pool: Any) -> None:
    pool.stop()
    pool.join()
