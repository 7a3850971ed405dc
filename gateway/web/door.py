"""The door: while there is no room, a submission is refused on its connection, before anything is made for it.

Under a flood refusals are most of the work, and one in the frame, behind a parser, two tasks and a log line, costs four
times what it costs here (measured 2026-11). So a submission that is written plainly, with a key that is known, on a
connection with nothing else under way, is answered with bytes that were made ready at the start, and its body is thrown
away as it comes in. Where there is room it gets its place here: what comes in the same moment would all be let in
otherwise, to be refused in the frame.

All else goes on to the frame, which says the same by the same words: what has no key that is known, is sent in chunks
or behind another request, asks before it sends its body, or is written in any unusual way. Rates are not counted for
what is refused here.
"""

from __future__ import annotations

import re
import time
from typing import Any

from aiohttp import web

from gateway.web.admission import Place
from gateway.web.auth import ANONYMOUS, KEY_HEADERS, presented
from gateway.web.doorkeeper import DOORKEEPER, Doorkeeper
from gateway.web.stamps import request_id

_LENGTH, _ID = b"\r\ncontent-length:", b"\r\nx-request-id:"
_HOST, _EXPECT = b"\r\nhost:", b"\r\nexpect:"
_KEYS = {name: f"\r\n{name.lower()}:".encode() for name in KEY_HEADERS}
_HOW, _KEEP = b"\r\nconnection:", b"\r\nconnection: keep-alive\r\n"
_MOST = 10**9  # bytes of a body that are thrown away
_NUMBER = re.compile(r"[0-9]{1,18}")
_ENDS_ELSEWHERE = (b"\r\ntransfer-encoding", b"\r\nupgrade")
_FIELDS = re.compile(rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*\r\n)+")


class Door(web.RequestHandler):
    """A connection. Of the request that came last, `_due` are the bytes still to come; None for good once that cannot
    be known. They are thrown away where it is `_refused`. `_place` is what it got here, until the frame has it."""

    __slots__ = ("_due", "_keeper", "_place", "_refused")

    def __init__(self, keeper: Doorkeeper, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._keeper = keeper
        self._due: int | None = 0
        self._refused = False
        self._place: Place | None = None

    def data_received(self, data: bytes) -> None:
        """Some bytes of the caller's; none where aiohttp looks again at what it has."""
        if data and self._due == 0:
            self._refused = self._begins(data)
            if self._refused:
                return
        elif self._due:
            if self._refused:
                self._throw_away(data)
                return
            self._due = self._due - len(data) if len(data) <= self._due else None
        super().data_received(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        if place := self.left():
            place.leave()
        super().connection_lost(exc)

    def left(self) -> Place | None:
        """What the request got here goes on with it."""
        place, self._place = self._place, None
        return place

    def _begins(self, data: bytes) -> bool:
        """A request. Whether it is refused here; a submission that is not has its place."""
        begun, keeper = time.perf_counter(), self._keeper
        head = _head(data)
        self._due = _to_come(data, head)
        address = keeper.address(data)
        if address is None:
            return False
        caller = ANONYMOUS if address.signed else keeper.keyring.whose(_key(data, head))
        if caller is None:
            return False
        code = keeper.admission.lacking(batch=caller.batch)
        if not code:
            self._place = self._place or keeper.admission.enter(batch=caller.batch)
            return False
        line, due = self.transport, self._due
        if line is None or due is None or due > _MOST or not (self._idle and _plain(data, head)):
            return False
        refusal, name = address.refusals[code], request_id(_field(data, head, _ID))
        line.write(refusal.told(name, time.perf_counter() - begun))
        keeper.refused(refusal, time.perf_counter() - begun)
        return True

    def _throw_away(self, data: bytes) -> None:
        """Of the body of what was refused. Behind it the next request may begin."""
        here, self._due = self._due or 0, max(0, (self._due or 0) - len(data))
        if len(data) > here:
            self.data_received(data[here:])

    @property
    def _idle(self) -> bool:
        """Nothing is under way here, nor held back, nor is this the end."""
        waiting = self._waiter is not None and not self._waiter.done()
        ending = self._close or self._force_close
        return (waiting or not self._request_count) and not (ending or self._upgraded or self.writing_paused)


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
