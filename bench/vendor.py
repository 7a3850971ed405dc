"""Vendors that cost nearly nothing: each POST gets the canned answer of its kind. `python -m bench.vendor PORT`.

`GET /calls` says how many there were, `GET /wait/50` makes each later answer take 50 ms; `told` asks either.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from functools import partial
from typing import cast
from urllib.request import urlopen

import orjson
import uvloop

LABELS = [
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/intent",
    "self-harm/instructions",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
]

SEEN_IN_IMAGES = {"self-harm", "self-harm/intent", "self-harm/instructions", "sexual", "violence", "violence/graphic"}


def _moderation(looked: dict[str, list[str]]) -> bytes:
    """`looked` are the kinds of input by label."""
    result = {
        "flagged": False,
        "categories": dict.fromkeys(LABELS, False),
        "category_scores": {label: 0.0012345678 + place / 1000 for place, label in enumerate(LABELS)},
        "category_applied_input_types": looked,
    }
    head = {"id": "modr-0d9740456c391e43c445bf0f010940c7", "model": "omni-moderation-latest"}
    return orjson.dumps({**head, "results": [result]})


OF_TEXT = _moderation({label: ["text"] for label in LABELS})
OF_IMAGE = _moderation({label: ["image"] if label in SEEN_IN_IMAGES else [] for label in LABELS})
SEVERITIES = orjson.dumps(
    {
        "blocklistsMatch": [],
        "categoriesAnalysis": [
            {"category": name, "severity": 0} for name in ("Hate", "SelfHarm", "Sexual", "Violence")
        ],
    }
)
SEEN = orjson.dumps(
    {
        "ModerationLabels": [
            {"Confidence": 93.42, "Name": "Alcohol", "ParentName": "", "TaxonomyLevel": 1},
            {"Confidence": 93.42, "Name": "Alcoholic Beverages", "ParentName": "Alcohol", "TaxonomyLevel": 2},
        ],
        "ModerationModelVersion": "7.0",
        "ContentTypes": [],
    }
)
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
_TEXT, _IMAGE, _SEVERITIES, _SEEN = (_HEAD % (len(body), body) for body in (OF_TEXT, OF_IMAGE, SEVERITIES, SEEN))


@dataclass(slots=True)
class Books:
    """What all connections share: calls so far, and seconds until each answer."""

    calls: int = 0
    wait: float = 0.0


class Vendor(asyncio.Protocol):
    """Just enough HTTP/1.1: a request is whole once Content-Length bytes follow its head."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self._held = bytearray()
        self._transport: asyncio.WriteTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)

    def data_received(self, data: bytes) -> None:
        self._held += data
        while (end := self._held.find(b"\r\n\r\n")) >= 0:
            head = bytes(self._held[:end]).lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self._held) < end + 4 + length:
                return
            with_image = self._held.find(b'"image_url"', end, end + 4 + length) >= 0
            del self._held[: end + 4 + length]
            self._answer(head, with_image)

    def _answer(self, head: bytes, with_image: bool) -> None:
        if head.startswith(b"get "):
            self._transport.write(_told(self._books, head.split(b" ", 2)[1]))
            return
        self._books.calls += 1
        if self._books.wait:
            asyncio.get_running_loop().call_later(self._books.wait, self._transport.write, _reply(head, with_image))
        else:
            self._transport.write(_reply(head, with_image))


def _told(books: Books, path: bytes) -> bytes:
    if path.startswith(b"/wait/"):
        books.wait = int(path[6:]) / 1000
    body = b"%d" % books.calls
    return _HEAD % (len(body), body)


def _reply(head: bytes, with_image: bool) -> bytes:
    if head.startswith(b"post / "):
        return _SEEN
    if head.startswith(b"post /contentsafety/"):
        return _SEVERITIES
    return _IMAGE if with_image else _TEXT


def told(port: int, path: str) -> int:
    """Ask the vendor on this port, from outside: how many calls it has had."""
    with urlopen(f"http://127.0.0.1:{port}{path}") as answer:
        return int(answer.read())


async def main(port: int) -> None:
    books = Books()
    server = await asyncio.get_running_loop().create_server(partial(Vendor, books), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
