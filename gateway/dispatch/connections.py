"""Connections to vendors: kept open between requests, opened over IPv6 and IPv4 side by side, TLS where it is https."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import deque
from functools import cached_property
from typing import NamedTuple

import aiohappyeyeballs

from gateway.dispatch.connection import Connection
from gateway.errors import VendorUnavailable

IDLE = 15.0  # seconds a connection is kept unused: less than the vendors' own patience, which begins at 60
_HEAD_START = 0.25  # seconds one address family has before the other is tried beside it (RFC 8305 §8)


class Origin(NamedTuple):
    """Where a connection leads to."""

    host: str
    port: int
    secure: bool


class Connections:
    """A stack of idle connections for each origin. How many are open at once is the providers' `max_concurrency`."""

    def __init__(self, tls: ssl.SSLContext | None = None):
        self._given = tls
        self._idle: dict[Origin, deque[Connection]] = {}
        self._all: set[Connection] = set()

    async def take(self, origin: Origin) -> Connection:
        """An idle connection, else a new one. Raises VendorUnavailable."""
        idle = self._idle.get(origin)
        fresh = asyncio.get_running_loop().time() - IDLE
        while idle:
            connection = idle.pop()
            if connection.reusable and connection.idle_since > fresh and connection.quiet:
                return connection
            connection.close()
        return await self._opened(origin)

    def give_back(self, origin: Origin, connection: Connection) -> None:
        """After an exchange. The idle ones that nobody took for long are closed on this occasion."""
        if not connection.reusable:
            return
        now = asyncio.get_running_loop().time()
        connection.idle_since = now
        idle = self._idle.setdefault(origin, deque())
        idle.append(connection)
        while now - idle[0].idle_since > IDLE:
            idle.popleft().close()

    def close(self) -> None:
        """All of them, at once."""
        for connection in list(self._all):
            connection.close()

    async def _opened(self, origin: Origin) -> Connection:
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM)
        except (socket.gaierror, UnicodeError) as error:
            raise VendorUnavailable("dns: its name does not resolve") from error
        try:
            connected = await aiohappyeyeballs.start_connection(found, happy_eyeballs_delay=_HEAD_START, interleave=1)
        except (OSError, RuntimeError) as error:  # uvloop raises the second of a socket that is gone
            raise VendorUnavailable("refused: no connection") from error
        try:
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            _, connection = await loop.create_connection(
                lambda: Connection(self._all),
                sock=connected,
                ssl=self._tls if origin.secure else None,
                server_hostname=origin.host if origin.secure else None,
            )
        except BaseException as error:
            connected.close()
            if isinstance(error, ssl.SSLCertVerificationError):
                raise VendorUnavailable("tls: its certificate is not valid", again=False) from error
            if isinstance(error, ssl.SSLError):
                raise VendorUnavailable("tls: no secure connection", again=False) from error
            if isinstance(error, OSError):
                raise VendorUnavailable("reset: the connection broke") from error
            raise
        return connection

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        """What was given, else what trusts whom the system trusts; made when first needed, for that takes 10 ms."""
        if self._given is not None:
            return self._given
        context = ssl.create_default_context()
        context.set_alpn_protocols(["http/1.1"])
        return context
