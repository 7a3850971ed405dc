"""Pictures cut out of a JSON body before it is parsed.

A picture of 5 MB makes a string of 6.7 MB, and the loop stands still for 20 ms while that is parsed and copied
(measured 2026-11). So a long string which is base64 and nothing else, or a data URI of it, is found by its quotes and
decoded in a thread, without holding up anybody, and the parser gets the rest, with a mark in its place. The mark is
drawn after the body has come, so nobody can have written it. Where anything is odd nothing is cut: the parser finds the
words for it.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Iterator
from typing import Annotated

import pybase64
from pydantic import AfterValidator, ValidationInfo

from gateway.intake import Decoded

LONG = 64 * 1024  # bytes of a string that make it worth cutting
_MOST_QUOTES = 4_000  # that are looked at: a body of nothing else must not hold up the loop either
_MOST_BACKSLASHES = 16  # in front of a quote
_URI = re.compile(rb"data:image/[a-z0-9.+-]{1,32};base64,")

Span = tuple[int, int]


class Cuts:
    """`rest` is the body with a mark for each picture; `find` is told a mark, or any other string, and gives what
    stood there."""

    def __init__(self, body: bytes, pictures: dict[Span, Decoded]):
        self._marked = {secrets.token_hex(16): picture for picture in pictures.values()}
        self._found: set[str] = set()
        self.rest = _joined(body, list(pictures), list(self._marked))

    def find(self, written: str) -> str:
        picture = self._marked.get(written)
        if picture is None:
            return written
        self._found.add(written)
        return picture

    @property
    def all_found(self) -> bool:
        return len(self._found) == len(self._marked)


async def cut(body: bytes) -> Cuts | None:
    """The body and its pictures apart; None where there is none, or one that is not what it seems."""
    spans = list(_long(body)) if len(body) > LONG else []
    if not spans:
        return None
    pictures = await asyncio.to_thread(_decoded, body, spans)
    return None if pictures is None else Cuts(body, pictures)


def _find(written: str, info: ValidationInfo) -> str:
    return info.context.find(written) if isinstance(info.context, Cuts) else written


Inline = Annotated[str, AfterValidator(_find)]  # a field that may hold a picture, for `Intake.inline`


def _long(body: bytes) -> Iterator[Span]:
    """From where to where the long strings are, without their quotes, as far as it is cheap to find them."""
    start, at = 0, -1  # of the string that `at` is in; 0: in none
    for _ in range(_MOST_QUOTES):
        at = body.find(b'"', at + 1)
        if at < 0 or (start and (backslashes := _backslashes(body, start, at)) == _MOST_BACKSLASHES):
            return
        if not start:
            start = at + 1
        elif backslashes % 2 == 0:
            if at - start >= LONG:
                yield start, at
            start = 0


def _backslashes(body: bytes, start: int, at: int) -> int:
    """How many there are just before, of those that are counted."""
    before = body[max(start, at - _MOST_BACKSLASHES) : at]
    return len(before) - len(before.rstrip(b"\\"))


def _decoded(body: bytes, spans: list[Span]) -> dict[Span, Decoded] | None:
    """In a thread. That every byte is base64 also says that the string is good JSON."""
    whole = memoryview(body)
    pictures = {}
    for start, end in spans:
        uri = _URI.match(body, start, end)
        try:
            data = pybase64.b64decode(whole[uri.end() if uri else start : end], validate=True)
        except ValueError:
            return None
        pictures[start, end] = Decoded(uri[0].decode() if uri else "", data)
    return pictures


def _joined(body: bytes, spans: list[Span], marks: list[str]) -> bytes:
    parts, at = [], 0
    for (start, end), mark in zip(spans, marks, strict=True):
        parts += [body[at:start], mark.encode()]
        at = end
    return b"".join([*parts, body[at:]])
