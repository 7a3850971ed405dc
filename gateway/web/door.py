"""The door: while there is no room, a submission is refused on its connection, before anything is made for it.

Under a flood refusals are most of the work, and one in the frame, behind a parser, two tasks and a log line, costs four
times what it costs here (measured 2026-11). So a submission that is written plainly, with a key that is known, on a
connection with nothing else under way, is answered with bytes that were made ready at the start, and its body is thrown
away as it comes in. Those let in are counted until the frame has them: what comes in the same moment would all get in
otherwise, to be refused there. As long as there is room for everybody, that is all that is done here.

All else goes on to the frame, which says the same by the same words: what has no key that is known, is sent in chunks
or behind another request, asks before it sends its body, or is written in any unusual way. Rates are not counted for
what is refused here.
"""

from __future__ import annotations

import re
import time
from typing import Any

from aiohttp import web

from gateway.errors import BadContent
from gateway.web.auth import ANONYMOUS, KEY_HEADERS, presented
from gateway.web.doorkeeper import DOORKEEPER, Doorkeeper
from gateway.web.problems import as_problem
from gateway.web.stamps import request_id, stamp

_LENGTH, _ID = b"\r\ncontent-length:", b"\r\nx-request-id:"
_HOST, _EXPECT = b"\r\nhost:", b"\r\nexpect:"
_KEYS = {name: f"\r\n{name.lower()}:".encode() for name in KEY_HEADERS}
_HOW, _KEEP = b"\r\nconnection:", b"\r\nconnection: keep-alive\r\n"
_MOST = 10**9  # bytes of a body that are thrown away
_NUMBER = re.compile(r"[0-9]{1,18}")
_ENDS_ELSEWHERE = (b"\r\ntransfer-encoding", b"\r\nupgrade")
_FIELDS = re.compile(rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*\r\n)+")


class Door(web.RequestHandler):
    """A connection. `_unread` bytes are still to come of the body of what was refused. It is `_midway` while a head has
    not come in as a whole, and `_counted` while the frame has still to look at a request."""

    __slots__ = ("_counted", "_keeper", "_midway", "_unread")

    def __init__(self, keeper: Doorkeeper, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._keeper = keeper
        self._unread = 0
        self._midway = False
        self._counted = False

    def data_received(self, data: bytes) -> None:
        """Some bytes of the caller's; none where aiohttp looks again at what it has."""
        if self._unread:
            data, self._unread = data[self._unread :], max(0, self._unread - len(data))
            if not data:
                return
        idle = self._idle
        if idle and not self._midway and self._keeper.presses and self._refuses(data):
            return
        super().data_received(data)
        if idle and self._messages:
            self._midway, self._counted = False, True
            self._keeper.coming += 1
        elif idle and data:
            self._midway = True

    def connection_lost(self, exc: BaseException | None) -> None:
        self.arrived()
        super().connection_lost(exc)

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """What is no HTTP never comes to the frame: aiohttp calls this, and would itself tell it in plain text."""
        if status != 400:
            return super().handle_error(request, status, exc, message)
        name = request_id("")
        why = (message or "").strip().split("\n")[0].rstrip(".:")[:200]
        hint = "Let an HTTP client write the request. No line of its head may be over 8 KB."
        response = as_problem(BadContent("malformed_http", f"This is no HTTP: {why}.", hint=hint), name)
        stamp(response, name, 0.0, {})
        response.force_close()
        self._keeper.malformed(name, exc)
        return response

    def arrived(self) -> None:
        """The frame has it."""
        if self._counted:
            self._counted = False
            self._keeper.coming -= 1

    @property
    def _idle(self) -> bool:
        """Nothing is under way here, nor held back, nor is this the end."""
        waiter = self._waiter
        waiting = not self._request_count if waiter is None else not waiter.done()
        return waiting and not (self._close or self._force_close or self._upgraded or self.writing_paused)

    def _refuses(self, data: bytes) -> bool:
        """Whether the request that begins here is refused here."""
        begun, keeper = time.perf_counter(), self._keeper
        address = keeper.address(data)
        if address is None or self.transport is None:
            return False
        head = _head(data)
        caller = ANONYMOUS if address.signed else keeper.keyring.whose(_key(data, head))
        code = "" if caller is None else keeper.lacking(caller)
        unread = _to_come(data, head)
        if not code or unread is None or unread > _MOST or not _plain(data, head):
            return False
        refusal, name = address.refusals[code], request_id(_field(data, head, _ID))
        self._unread = unread
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        self.transport.write(refusal.told(name, time.perf_counter() - begun))
        keeper.refused(refusal, time.perf_counter() - begun)
        return True


def _head(data: bytes) -> bytes:
    """The request line and the fields, in lower case, each with its end of line; empty where they are not all here."""
    end = data.find(b"\r\n\r\n")
    return data[: end + 2].lower() if end >= 0 else b""


def _to_come(data: bytes, head: bytes) -> int | None:
    """How many bytes of the request that begins here are not here; None where that is not to be known, or there are
    more than its own."""
    lengths = head.count(_LENGTH)
    if not head or lengths > 1 or head.count(b"\n") != head.count(b"\r\n") or any(map(head.count, _ENDS_ELSEWHERE)):
        return None
    length = _field(data, head, _LENGTH) if lengths else "0"
    if not _NUMBER.fullmatch(length):
        return None
    left = len(head) + 2 + int(length) - len(data)
    return left if left >= 0 else None


def _key(data: bytes, head: bytes) -> str:
    return presented({name: _field(data, head, there) for name, there in _KEYS.items() if there in head})


def _field(data: bytes, head: bytes, name: bytes) -> str:
    """What stands in that field, read as aiohttp does; empty where there is none."""
    at = head.find(name)
    if at < 0:
        return ""
    at += len(name)
    return data[at : head.find(b"\r\n", at)].strip(b" \t").decode("utf-8", "surrogateescape")


def _plain(data: bytes, head: bytes) -> bool:
    """HTTP/1.1 without anything that changes how it is answered, and written as it should be."""
    line = head.find(b"\r\n")
    return (
        data[:line].endswith(b" HTTP/1.1")
        and data.count(b" ", 0, line) == 2
        and head.count(_HOW) == head.count(_KEEP)
        and head.count(_HOST) == 1
        and _EXPECT not in head
        and _FIELDS.fullmatch(data, line + 2, len(head)) is not None
    )


class Runner(web.AppRunner):
    """aiohttp's own, with the door at each connection."""

    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        return _Server(self.app[DOORKEEPER], server, self._kwargs)


class _Server(web.Server):
    def __init__(self, keeper: Doorkeeper, behind: web.Server, settings: dict[str, Any]):
        super().__init__(behind.request_handler, request_factory=behind.request_factory, **settings)
        self._keeper = keeper

    def __call__(self) -> Door:
        return Door(self._keeper, self, loop=self._loop, **self._kwargs)
