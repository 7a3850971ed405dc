"""Vendors that cost nearly nothing: each POST gets the canned answer of its kind. `python -m bench.vendor PORT`."""

from __future__ import annotations

import asyncio
import sys
from typing import cast

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

ANSWER = orjson.dumps(
    {
        "id": "modr-0d9740456c391e43c445bf0f010940c7",
        "model": "omni-moderation-latest",
        "results": [
            {
                "flagged": False,
                "categories": dict.fromkeys(LABELS, False),
                "category_scores": {label: 0.0012345678 + place / 1000 for place, label in enumerate(LABELS)},
                "category_applied_input_types": {label: ["text"] for label in LABELS},
            }
        ],
    }
)
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
_MODERATION, _SEVERITIES, _SEEN = (_HEAD % (len(body), body) for body in (ANSWER, SEVERITIES, SEEN))


class Vendor(asyncio.Protocol):
    """Just enough HTTP/1.1: a request is whole once Content-Length bytes follow its head."""

    def __init__(self) -> None:
        self._held = b""
        self._transport: asyncio.WriteTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)

    def data_received(self, data: bytes) -> None:
        self._held += data
        while (end := self._held.find(b"\r\n\r\n")) >= 0:
            head = self._held[:end].lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self._held) < end + 4 + length:
                return
            self._held = self._held[end + 4 + length :]
            self._transport.write(_reply(head))


def _reply(head: bytes) -> bytes:
    if head.startswith(b"post / "):
        return _SEEN
    return _SEVERITIES if head.startswith(b"post /contentsafety/") else _MODERATION


async def main(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Vendor, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
