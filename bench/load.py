"""A load generator that is cheap enough not to be what is measured: raw sockets, one request at a time each."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count


@dataclass(frozen=True, slots=True)
class Result:
    """Latencies in seconds, sorted; how long it all took; how many answers were not 200."""

    latencies: list[float]
    seconds: float
    errors: int

    @property
    def rps(self) -> float:
        return len(self.latencies) / self.seconds

    def quantile(self, share: float) -> float:
        return self.latencies[min(len(self.latencies) - 1, int(share * len(self.latencies)))]


NUMBER = b"0000000000"  # in a body, becomes another number in each request: no two are equal

Requests = Iterator[bytes]


def requests(port: int, path: str, body: bytes) -> Requests:
    """The bytes of one POST after the other."""
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
    whole = head.encode() + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    before, _, after = whole.partition(NUMBER)
    if not after:
        raise ValueError(f"the body lacks {NUMBER!r}")
    for number in count(time.time_ns() % 10**9):
        yield b"%b%010d%b" % (before, number, after)


async def closed_loop(port: int, sent: Requests, connections: int, seconds: float) -> Result:
    """As fast as it answers, from this many connections, for so long."""
    latencies: list[float] = []
    errors = 0
    started = time.perf_counter()
    until = started + seconds

    async def client() -> None:
        nonlocal errors
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while time.perf_counter() < until:
            begun = time.perf_counter()
            errors += await _exchange(reader, writer, next(sent)) != b"200"
            latencies.append(time.perf_counter() - begun)
        writer.close()

    await asyncio.gather(*(client() for _ in range(connections)))
    return Result(sorted(latencies), time.perf_counter() - started, errors)


async def open_loop(port: int, sent: Requests, rate: float, seconds: float) -> Result:
    """So many a second whatever comes back; latency counts from when each was due."""
    latencies: list[float] = []
    errors = 0
    started = time.perf_counter()
    idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def one(due: float) -> None:
        nonlocal errors
        pair = idle.pop() if idle else await asyncio.open_connection("127.0.0.1", port)
        errors += await _exchange(*pair, next(sent)) != b"200"
        idle.append(pair)
        latencies.append(time.perf_counter() - due)

    async with asyncio.TaskGroup() as group:
        for number in range(int(rate * seconds)):
            due = started + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            group.create_task(one(due))
    for _, writer in idle:
        writer.close()
    return Result(sorted(latencies), time.perf_counter() - started, errors)


async def _exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, sent: bytes) -> bytes:
    writer.write(sent)
    head = await reader.readuntil(b"\r\n\r\n")
    at = head.lower().find(b"content-length:")
    await reader.readexactly(int(head[at + 15 :].split(b"\r\n", 1)[0]))
    return head[9:12]
