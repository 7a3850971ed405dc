"""One HTTP/1.1 connection to a vendor: a request goes out, one answer comes back, nothing else is done.

aiohttp's client does all this and costs five times as much, most of what a request costs us (measured 2026-11, see
docs/performance.md). The parsing is llhttp's, by way of httptools.
"""

from __future__ import annotations

import asyncio
import select
from typing import cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from gateway.errors import VendorDrift, VendorError, VendorUnavailable
from gateway.wire import ANSWER_CAP

FRAMING_CAP = 64 * 1024  # bytes that are no body in a row: the head, what stands around a chunk, the trailers

_NO_ANSWER = "reset: it closed the connection without an answer"


class Answer:
    """Status, headers by lower-case name (of a repeated one the last; no trailers), and the whole body."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: dict[str, str]) -> None:
        self.status = status
        self.headers = headers
        self.body = b""


class Connection(asyncio.Protocol):
    """Ask with `exchange`, one request at a time. It is in `alive` from its beginning to its end."""

    def __init__(self, alive: set[Connection]):
        self._alive = alive
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._parser = HttpResponseParser(self)  # for every answer: after one that is whole it begins anew
        self._waiter: asyncio.Future[Answer] | None = None
        self._chunks: list[bytes] = []
        self._size = 0
        self._unread = select.poll()
        self._open = False
        self._ended = False
        self.idle_since = 0.0

    @property
    def reusable(self) -> bool:
        """Whether a further request may be sent."""
        return self._open

    @property
    def quiet(self) -> bool:
        """Whether nothing has come that the loop did not read yet: the vendor's end of it, or what nobody asked for."""
        return not self._unread.poll(0)

    async def exchange(self, request: bytes) -> Answer:
        """Send a request and wait for its answer. Raises VendorError; cancelling it closes the connection."""
        if not self._open:  # new, and already lost
            raise VendorUnavailable(_NO_ANSWER)
        self._start()
        self._waiter = self._loop.create_future()
        self._transport.write(request)
        try:
            return await self._waiter
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """At once, whatever is under way."""
        self._open = False
        self._transport.abort()

    def _start(self) -> None:
        self._answer: Answer | None = None
        self._headers: dict[str, str] = {}
        self._framing = 0

    def _finish(self, answer: Answer) -> None:
        """The answer is whole. What comes beyond it, or before the vendor read all of ours, ends the connection."""
        answer.body = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        if not self._parser.should_keep_alive() or self._transport.get_write_buffer_size():
            self.close()
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(answer)

    def _fail(self, error: VendorError) -> None:
        self.close()
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_exception(error)

    # asyncio calls these

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._unread.register(transport.get_extra_info("socket"), select.POLLIN)
        self._open = True
        self._alive.add(self)

    def data_received(self, data: bytes) -> None:
        if self._waiter is None:  # nobody asked
            self.close()
            return
        self._framing += len(data)
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade):
            self._fail(VendorUnavailable("protocol: the answer is not HTTP"))
            return
        if self._framing > FRAMING_CAP:
            self._fail(VendorUnavailable("protocol: the head of the answer, or of a part of it, does not end"))

    def eof_received(self) -> None:
        """The vendor's own end. A TLS connection that others cut has none (RFC 9112 §9.8); only uvloop tells."""
        self._open = False
        self._ended = True

    def connection_lost(self, exc: Exception | None) -> None:
        self._open = False
        self._alive.discard(self)
        if self._waiter is None:
            return
        if self._answer is None:
            self._fail(VendorUnavailable(_NO_ANSWER))
        elif self._ended and not _announced(self._answer):
            self._finish(self._answer)
        else:
            self._fail(VendorUnavailable("truncated: the answer broke off"))

    # the parser calls these

    def on_message_begin(self) -> None:
        if self._answer is not None:  # a second answer to one question
            self.close()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.rstrip().decode("latin-1")

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if self._answer is None and not 100 <= status < 200:  # after 100 Continue and the like the answer is to come
            self._answer = Answer(status, self._headers)
            self._chunks = []
            self._size = 0
        self._headers = {}
        self._framing = 0

    def on_body(self, chunk: bytes) -> None:
        self._framing = 0
        self._size += len(chunk)
        if self._size > ANSWER_CAP:
            self._fail(VendorDrift(f"the answer is over {ANSWER_CAP} bytes", http=self._parser.get_status_code()))
        else:
            self._chunks.append(chunk)

    def on_message_complete(self) -> None:
        if self._answer is not None and self._waiter is not None:
            self._finish(self._answer)


def _announced(answer: Answer) -> bool:
    """Whether the answer said how long it is; else the end of the connection is its end (RFC 9112 §6.3)."""
    return not answer.headers.keys().isdisjoint(("content-length", "transfer-encoding"))
