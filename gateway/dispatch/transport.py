"""The one way to a vendor: no redirects, no cookies, no proxy, no hidden retry, a cap on the answer."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Iterator, Mapping
from functools import lru_cache

from yarl import URL

from gateway.adapter import Call, Reply, Transport
from gateway.dispatch.connections import Connections, Origin
from gateway.errors import VendorDrift

_USUAL = {
    "Accept": "application/json",
    "Accept-Encoding": "identity",
    "User-Agent": "modgate",
    "Content-Type": "application/json",
}
_UNSENDABLE = re.compile(r"[^\t\x20-\x7e\x80-\xff]")  # in a header: what would end the line, or is not latin-1


class HttpTransport:
    """`Transport` over one set of connections for all vendors. Open with `open`, close with `close`."""

    def __init__(self, tls: ssl.SSLContext | None = None):
        self._tls = tls
        self._connections: Connections | None = None

    async def open(self) -> None:
        self._connections = Connections(self._tls)

    async def close(self) -> None:
        if self._connections is not None:
            self._connections.close()
            self._connections = None

    async def __call__(self, address: str, call: Call) -> Reply:
        if self._connections is None:
            raise RuntimeError("the transport is not open")
        clock = asyncio.get_running_loop().time
        started = clock()
        origin, target = _target(address + call.path)
        if call.query:  # apart from what is remembered: there may be a key in it
            target = URL(target).with_query(call.query).raw_path_qs
        head, body = _head(call.method, origin, target, tuple(call.headers.items())), call.body or b""
        connection = await self._connections.take(origin)
        answer = await connection.exchange(b"%bContent-Length: %d\r\n\r\n%b" % (head, len(body), body))
        self._connections.give_back(origin, connection)
        if answer.status == 200 and answer.headers.get("content-encoding", "identity").lower() != "identity":
            raise VendorDrift("the answer is compressed though we asked for it plain", http=answer.status)
        return Reply(answer.status, Headers(answer.headers), answer.body, (clock() - started) * 1000)


class Headers(Mapping[str, str]):
    """An answer's headers, found in any letter case."""

    def __init__(self, lower: Mapping[str, str]):
        self._lower = lower

    def __getitem__(self, name: str) -> str:
        return self._lower[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._lower)

    def __len__(self) -> int:
        return len(self._lower)


@lru_cache(512)
def _target(where: str) -> tuple[Origin, str]:
    """Where to connect, and what to ask for there."""
    url = URL(where)
    if url.raw_host is None or url.port is None:
        raise ValueError(f"{where} is no address")
    return Origin(url.raw_host, url.port, url.scheme == "https"), url.raw_path_qs


@lru_cache(512)
def _head(method: str, origin: Origin, target: str, headers: tuple[tuple[str, str], ...]) -> bytes:
    """A request up to its Content-Length. ValueError for a header that would break the line."""
    named = {name.lower() for name, _ in headers}
    usual = {"Host": _host(origin), **_USUAL}
    given = [*(line for line in usual.items() if line[0].lower() not in named), *headers]
    for name, value in given:
        if _UNSENDABLE.search(name + value):
            raise ValueError(f"the header {name!r} has characters that cannot be sent")
    lines = "".join(f"{name}: {value}\r\n" for name, value in given)
    return f"{method} {target} HTTP/1.1\r\n{lines}".encode("latin-1")


def _host(origin: Origin) -> str:
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    return host if origin.port == (443 if origin.secure else 80) else f"{host}:{origin.port}"


class Discreet:
    """A transport that takes one provider's secrets out of what comes back, before anybody reads, logs or keeps it.

    Some vendors repeat the key they refuse.
    """

    def __init__(self, send: Transport, secrets: tuple[bytes, ...]):
        self._send = send
        self._secrets = secrets

    async def __call__(self, address: str, call: Call) -> Reply:
        reply = await self._send(address, call)
        for secret in self._secrets:
            if secret in reply.body:
                reply.body = reply.body.replace(secret, b"***")
        return reply
