"""The line to Redis. Nobody waits for it long, and nothing depends on it: what gets no answer is done without.

One connection a process, and what is asked while an answer is under way goes out together: 40 µs of CPU each under
load, where a pool of connections takes 170 (measured 2026-11). Three batches in a row without an answer in time, and
the line is lost: from then on nobody waits at all, until Redis has answered again.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

from redis.asyncio import Connection
from redis.asyncio.connection import parse_url
from redis.exceptions import ConnectionError, RedisError, ResponseError

from gateway.replicas.asking import Command, NoAnswer, Purpose
from gateway.witness import Witness

PATIENCE = 0.05  # seconds for a batch; twice that is the longest anybody waits
_CONNECTING = 2.0  # seconds to connect and sign in, while nobody waits
_LATE = 3  # batches in a row without an answer, and the line is lost
_IDLE = 1.0  # seconds without a question until Redis is asked whether it is there
_AGAIN = (0.25, 5.0)  # seconds until the next try to connect: at first, and at most
_BATCH = 64  # commands
_MOST_WAITING = 256  # commands; what comes beyond that gets no answer
_NOT_YET = "not connected yet"
# No connection, no answer in time (an OSError too), and what the client makes of a server that speaks nonsense
FAULTS = (RedisError, OSError, ValueError, LookupError, TypeError, AttributeError)


class _Ask:
    """A command on its way. Without `answer` nobody waits for what comes of it."""

    __slots__ = ("answer", "command", "purpose")

    def __init__(self, purpose: Purpose, command: Command, answer: asyncio.Future[Any] | None):
        self.purpose = purpose
        self.command = command
        self.answer = answer


class Line:
    """`open`, then `ask` and `tell`, at last `close`. The address, with its password, is in nothing that is told."""

    def __init__(self, url: str, witness: Witness):
        self._url = url
        self._witness = witness
        self._queue: deque[_Ask] = deque()
        self._wanted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.well = False
        self.why = _NOT_YET

    async def open(self) -> None:
        """Connect, if that can be done in a moment; else that goes on beside all else."""
        settled = asyncio.Event()
        self._task = asyncio.create_task(self._keep(settled))
        await settled.wait()

    async def close(self) -> None:
        """What was told before is still passed on, if Redis takes it."""
        with suppress(NoAnswer):
            await self.ask("hint", "PING")
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._fail(self._queue, "lost")

    async def ask(self, purpose: Purpose, *command: str | bytes | int | float) -> Any:
        """What Redis answers, within twice PATIENCE. Raises NoAnswer."""
        self._check(purpose)
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._put(_Ask(purpose, command, answer))
        return await answer

    def tell(self, purpose: Purpose, *command: str | bytes | int | float) -> None:
        """The same without waiting. What cannot be told is not."""
        try:
            self._check(purpose)
        except NoAnswer:
            return
        self._put(_Ask(purpose, command, None))

    def missed(self, purpose: Purpose, why: str) -> None:
        """Something was done without Redis."""
        self._witness.redis_missed(purpose, why)

    @property
    def database(self) -> int:
        """The number of the database in that Redis."""
        return int(parse_url(self._url).get("db", 0))

    def connection(self) -> Connection:
        """Another connection to the same Redis, not yet open."""
        return _connection(self._url)

    def _check(self, purpose: Purpose) -> None:
        why = "" if self.well else "lost"
        if len(self._queue) >= _MOST_WAITING:
            why = "full"
        if why:
            self.missed(purpose, why)
            raise NoAnswer(why)

    def _put(self, ask: _Ask) -> None:
        self._queue.append(ask)
        self._wanted.set()

    async def _keep(self, settled: asyncio.Event) -> None:
        """For ever: connect and pass on, until the line is lost; then the same again, later each time."""
        tries = 0
        while True:
            try:
                await self._pass_on(settled)
            except FAULTS as error:
                tries = 0 if self.well else tries + 1
                self._lose(type(error).__name__)
            settled.set()
            await asyncio.sleep(random.uniform(0.5, 1) * min(_AGAIN[0] * 2**tries, _AGAIN[1]))  # noqa: S311

    async def _pass_on(self, settled: asyncio.Event) -> None:
        """Raises what the line is lost for."""
        connection = _connection(self._url)
        try:
            async with asyncio.timeout(_CONNECTING):
                await connection.connect()  # type: ignore[no-untyped-call]
            self._change(True, "")
            settled.set()
            late = 0
            while True:
                batch = await self._next_batch()
                try:
                    async with asyncio.timeout(PATIENCE):
                        self._deliver(batch, await _exchanged(connection, [ask.command for ask in batch]))
                    late = 0
                except asyncio.CancelledError:
                    self._fail(batch, "lost")
                    raise
                except FAULTS as error:
                    late += 1
                    self._fail(batch, "slow" if isinstance(error, TimeoutError) else "lost")
                    await connection.disconnect(nowait=True)  # what it still says is no answer to the next question
                    if late >= _LATE:
                        raise
        finally:
            await connection.disconnect(nowait=True)

    async def _next_batch(self) -> list[_Ask]:
        """What waits; after a while of nothing, a question of our own."""
        try:
            async with asyncio.timeout(_IDLE):
                await self._wanted.wait()
        except TimeoutError:
            return [_Ask("hint", ("PING",), None)]
        batch = [self._queue.popleft() for _ in range(min(_BATCH, len(self._queue)))]
        if not self._queue:
            self._wanted.clear()
        return batch

    def _deliver(self, batch: Sequence[_Ask], replies: Sequence[Any]) -> None:
        for ask, reply in zip(batch, replies, strict=True):
            if isinstance(reply, ResponseError):
                self._fail((ask,), "refused")
            elif ask.answer is not None and not ask.answer.done():
                ask.answer.set_result(reply)

    def _fail(self, asks: Iterable[_Ask], why: str) -> None:
        for ask in asks:
            self.missed(ask.purpose, why)
            if ask.answer is not None and not ask.answer.done():
                ask.answer.set_exception(NoAnswer(why))

    def _lose(self, why: str) -> None:
        self._change(False, why)
        self._fail(self._queue, "lost")
        self._queue.clear()
        self._wanted.clear()

    def _change(self, well: bool, why: str) -> None:
        """Told once for each loss and each return."""
        if well is not self.well or self.why == _NOT_YET:
            self._witness.redis_changed(well, why)
        self.well, self.why = well, why


def _connection(url: str) -> Connection:
    made: dict[str, Any] = dict(parse_url(url))
    kind: type[Connection] = made.pop("connection_class", Connection)
    return kind(**made, protocol=2, socket_timeout=None, socket_connect_timeout=_CONNECTING)


async def _exchanged(connection: Connection, commands: Sequence[Command]) -> list[Any]:
    """As `_exchange`. A connection that ends is tried anew once: Redis closes those that were idle."""
    try:
        return await _exchange(connection, commands)
    except ConnectionError:
        await connection.disconnect(nowait=True)
        return await _exchange(connection, commands)


async def _exchange(connection: Connection, commands: Sequence[Command]) -> list[Any]:
    """Replies in the order of the commands; an error that Redis answers is one of them. Connects where it has to."""
    await connection.send_packed_command(connection.pack_commands(commands))
    replies: list[Any] = []
    for _ in commands:
        try:
            replies.append(await connection.read_response(disable_decoding=True))
        except ResponseError as refused:
            replies.append(refused)
    return replies
