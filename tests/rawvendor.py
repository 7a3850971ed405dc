"""A vendor that answers with whatever bytes a test says, and our client asking it, on asyncio's loop or uvloop's."""

from __future__ import annotations

import asyncio
import inspect
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from functools import wraps
from typing import Any

import pytest
import uvloop

from gateway.dispatch.transport import HttpTransport
from gateway.errors import VendorError
from gateway.wire import Call, Reply

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
PATIENCE = 30.0  # seconds within which every answer and every failure has come, on a busy machine too

Serves = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def on_either_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """A test that runs on asyncio's loop, and again on uvloop's."""

    @wraps(test)
    def run(loop: str, *args: Any, **kwargs: Any) -> None:
        with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
            runner.run(test(*args, **kwargs))

    own = inspect.signature(test)
    loop = inspect.Parameter("loop", inspect.Parameter.KEYWORD_ONLY)
    run.__signature__ = own.replace(parameters=[*own.parameters.values(), loop])
    return pytest.mark.parametrize("loop", LOOPS)(run)


class Served:
    """`connections` are those that were opened so far, oldest first."""

    def __init__(self) -> None:
        self.url = ""
        self.port = 0
        self.connections: list[asyncio.StreamWriter] = []


@asynccontextmanager
async def serving(serves: Serves, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"):
    """A server that leaves each connection to `serves`, and closes it thereafter."""
    served = Served()
    tasks = set()

    async def one(reader, writer):
        tasks.add(asyncio.current_task())
        served.connections.append(writer)
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await serves(reader, writer)
        writer.close()

    server = await asyncio.start_server(one, host, 0, ssl=tls)
    served.port = server.sockets[0].getsockname()[1]
    served.url = f"{'https' if tls else 'http'}://{f'[{host}]' if ':' in host else host}:{served.port}"
    try:
        yield served
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def request_on(reader) -> bytes:
    """The path of one request, read to its end."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    await reader.readexactly(int(length.partition(b":")[2]))
    return head.split(b" ")[1]


def saying(*answers: bytes) -> Serves:
    """Answers the requests on a connection with these, one after the other, and then closes it."""

    async def serves(reader, writer):
        for answer in answers:
            await request_on(reader)
            writer.write(answer)
            await writer.drain()

    return serves


async def echoing(reader, writer):
    """Answers each request with its path: an answer to another question shows."""
    while True:
        writer.write(plain(await request_on(reader)))


def plain(body: bytes, status: bytes = b"200 OK", *headers: bytes) -> bytes:
    """An answer as most vendors write it."""
    lines = (b"HTTP/1.1 " + status, b"Content-Length: %d" % len(body), *headers)
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def reset(writer) -> None:
    """Close at once and without an end."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@asynccontextmanager
async def client(tls: ssl.SSLContext | None = None):
    send = HttpTransport(tls or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))  # which trusts nobody and is quickly made
    await send.open()
    try:
        yield send
    finally:
        await send.close()


async def ask(send, url: str, path: str = "/", data: bytes = b"{}") -> Reply:
    async with asyncio.timeout(PATIENCE):
        return await send(url, Call("POST", path, data=data))


async def failure(send, url: str, path: str = "/", data: bytes = b"{}") -> VendorError:
    """The failure that asking ends in."""
    with pytest.raises(VendorError) as raised:
        await ask(send, url, path, data)
    return raised.value
