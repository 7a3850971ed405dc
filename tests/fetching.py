"""A server that answers as a test says, and a fetcher that may reach it and nothing else on this machine."""

import asyncio
import socket
import struct
import zlib
from contextlib import asynccontextmanager

import pytest
from aiohttp.abc import AbstractResolver

from gateway.errors import RequestError
from gateway.media.addresses import Rules
from gateway.media.fetch import Fetcher


def png() -> bytes:
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(bytes(4))), chunk(b"IEND", b"")]
    )


PNG = png()
PRIVATE = "10.0.0.1"
LOOPBACK = "127.0.0.1"


def answer(body=b"", status="200 OK", length=True, **headers):
    """A whole HTTP response as bytes."""
    if length:
        headers["Content-Length"] = len(body)
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([f"HTTP/1.1 {status}", "Connection: close", *lines, "", ""]).encode() + body


class Server:
    """Answers each path with bytes, or with a coroutine that is handed the writer; `heard` are the request heads."""

    def __init__(self, routes):
        self.routes = routes
        self.heard = []

    async def __call__(self, reader, writer):
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.heard.append(head)
            said = self.routes[head.split(" ")[1].partition("?")[0]]
            if callable(said):
                await said(writer)
            else:
                writer.write(said)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


class Names(AbstractResolver):
    """A resolver from a table; a name's answers are given one after the other, the last one again and again."""

    def __init__(self, **names):
        self.names = {name.replace("_", "."): list(answers) for name, answers in names.items()}
        self.asked = []
        self.closed = False

    async def resolve(self, host, port=0, family=socket.AF_UNSPEC):
        self.asked.append(host)
        answers = self.names.get(host)
        if answers is None:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        now = answers.pop(0) if len(answers) > 1 else answers[0]
        if now == "slow":
            await asyncio.sleep(60)
        return [
            {
                "hostname": host,
                "host": address,
                "port": port,
                "family": socket.AF_INET6 if ":" in address else socket.AF_INET,
                "proto": socket.IPPROTO_TCP,
                "flags": socket.AI_NUMERICHOST,
            }
            for address in now.split()
        ]

    async def close(self):
        self.closed = True


@asynccontextmanager
async def serving(routes, tls=None, **options):
    """A server and a fetcher that may reach it, and nothing else on this machine."""
    heard = Server(routes)
    server = await asyncio.start_server(heard, LOOPBACK, 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    options = {"max_bytes": 100_000, "deadline": 30.0, "stall": 20.0, **options}
    rules = Rules.of(networks=[f"{LOOPBACK}/32"], ports=[port])
    fetcher = Fetcher(rules, **options)
    await fetcher.open()
    heard.port, heard.url = port, f"http://{LOOPBACK}:{port}"
    try:
        yield heard, fetcher
    finally:
        await fetcher.close()
        server.close()


async def refusal(fetcher, url) -> str:
    with pytest.raises(RequestError) as caught:
        await fetcher.fetch(url)
    return caught.value.code
