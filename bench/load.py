"""A load generator that is cheap enough not to be what is measured: plain protocols, one request at a time each."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count as numbers
from typing import cast

NUMBER = b"0000000000"  # in a body, becomes another number in each request: no two are equal
PATIENCE = 30.0  # seconds until an answer counts as lost, where nobody says otherwise

Requests = Iterator[bytes]


@dataclass(slots=True)
class Result:
    """Seconds that answers took, sorted, by their status; 0 are those that never came. And how long it all was."""

    took: dict[int, list[float]] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def many(self) -> int:
        return sum(map(len, self.took.values()))

    @property
    def rps(self) -> float:
        """Good answers a second."""
        return len(self.took.get(200, ())) / self.seconds

    @property
    def errors(self) -> int:
        return self.many - len(self.took.get(200, ()))

    def quantile(self, share: float, status: int = 200) -> float:
        """Seconds; 0 where there was no such answer."""
        took = self.took.get(status) or [0.0]
        return took[min(len(took) - 1, int(share * len(took)))]

    def add(self, status: int, took: float) -> None:
        self.took.setdefault(status, []).append(took)

    def ended(self, seconds: float) -> Result:
        self.seconds = seconds
        for each in self.took.values():
            each.sort()
        return self


def requests(port: int, path: str, body: bytes, headers: Mapping[str, str] | None = None) -> Requests:
    """The bytes of one POST after the other."""
    lines = {"Host": f"127.0.0.1:{port}", "Content-Type": "application/json", **(headers or {})}
    head = f"POST {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    whole = head.encode() + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    before, _, after = whole.partition(NUMBER)
    if not after:
        raise ValueError(f"the body lacks {NUMBER!r}")
    for number in numbers(time.time_ns() % 10**9):
        yield b"%b%010d%b" % (before, number, after)


async def closed_loop(port: int, sent: Requests, connections: int, seconds: float) -> Result:
    """As fast as it answers, from this many connections, for so long."""
    result = Result()
    started = time.perf_counter()
    until = started + seconds

    async def one_after_the_other() -> None:
        while time.perf_counter() < until:
            line = await _opened(port)
            while line.alive and time.perf_counter() < until:
                begun = time.perf_counter()
                result.add(await line.ask(next(sent)), time.perf_counter() - begun)
            line.close()

    await asyncio.gather(*(one_after_the_other() for _ in range(connections)))
    return result.ended(time.perf_counter() - started)


async def open_loop(port: int, sent: Requests, rate: float, seconds: float, patience: float = PATIENCE) -> Result:
    """So many a second whatever comes back; each counts from when it was due, and is lost after `patience` seconds."""
    result, idle, many = Result(), list[_Line](), max(1, int(rate * seconds))
    all_heard = asyncio.Event()
    started = time.perf_counter()

    def count(status: int, due: float) -> None:
        result.add(status, time.perf_counter() - due)
        if result.many == many:
            all_heard.set()

    def put(line: _Line, due: float) -> None:
        def heard(status: int) -> None:
            if line.alive:
                idle.append(line)
            count(status, due)

        line.put(next(sent), heard, patience)

    async def put_on_a_new_line(due: float) -> None:
        try:
            put(await asyncio.wait_for(_opened(port), patience), due)
        except OSError:
            count(0, due)

    async with asyncio.TaskGroup() as opening:
        for number in range(many):
            due = started + number / rate
            if (left := due - time.perf_counter()) > 0:
                await asyncio.sleep(left)
            elif number % 16 == 0:  # late: let answers in all the same
                await asyncio.sleep(0)
            if line := _alive(idle):
                put(line, due)
            else:
                opening.create_task(put_on_a_new_line(due))
        sending = time.perf_counter() - started
    await all_heard.wait()
    for line in idle:
        line.close()
    return result.ended(max(sending, seconds))


def _alive(idle: list[_Line]) -> _Line | None:
    """The one that was used last; those that the other side closed meanwhile are dropped."""
    while idle:
        line = idle.pop()
        if line.alive:
            return line
    return None


async def _opened(port: int) -> _Line:
    _, line = await asyncio.get_running_loop().create_connection(_Line, "127.0.0.1", port)
    return line


class _Line(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self) -> None:
        self.alive = False
        self._held = b""
        self._heard: Callable[[int], None] | None = None
        self._timer: asyncio.TimerHandle
        self._transport: asyncio.Transport

    def put(self, sent: bytes, heard: Callable[[int], None], patience: float) -> None:
        """`heard` is told the status of the answer, or 0 where none came in time; then the line is dead."""
        self._heard, self._held = heard, b""
        self._timer = asyncio.get_running_loop().call_later(patience, self.close)
        self._transport.write(sent)

    async def ask(self, sent: bytes) -> int:
        """The same, waited for."""
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.put(sent, answer.set_result, PATIENCE)
        return await answer

    def close(self) -> None:
        self.alive = False
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport, self.alive = cast(asyncio.Transport, transport), True

    def connection_lost(self, exc: Exception | None) -> None:
        self.alive = False
        self._tell(0)

    def data_received(self, data: bytes) -> None:
        self._held = self._held + data if self._held else data
        end = self._held.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._held[:end].lower()
        if _whole(head, self._held[end + 4 :]):
            self.alive = b"connection: close" not in head
            self._tell(int(head[9:12]))

    def _tell(self, status: int) -> None:
        if self._heard is not None:
            self._timer.cancel()
            heard, self._heard = self._heard, None
            heard(status)


def _whole(head: bytes, body: bytes) -> bool:
    at = head.find(b"content-length:")
    if at >= 0:
        return len(body) >= int(head[at + 15 :].split(b"\r\n", 1)[0])
    return body.endswith(b"0\r\n\r\n")
