"""One call to a vendor and what came back, before anybody reads meaning into it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Protocol

import orjson
from msgspec import Struct, field

from gateway.errors import VendorDrift
from gateway.frozen import kept

ANSWER_CAP = 1024 * 1024  # bytes of body; the longest documented answer of any vendor is some 30 kB


class Call(Struct, frozen=True, dict=True):
    """One request to a vendor. `path` is appended to the provider's base address; `query` to that, encoded.

    The body is `json`, sent compact, or `data` with the Content-Type that `headers` name. `about` is the adapter's own
    note of what it asked, for reading the answer; it is not sent.
    """

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    json: Any = None
    data: bytes | None = None
    query: Mapping[str, str] | None = None
    about: str = ""

    @kept
    def body(self) -> bytes | None:
        """The bytes that are sent."""
        return orjson.dumps(self.json) if self.json is not None else self.data


class Reply:
    """What came back: status, headers (found in any letter case) and at most the transport's cap of body.

    `about` is the note on the call that this answers.
    """

    about: str = ""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes, latency_ms: float = 0.0):
        self.status = status
        self.headers = headers
        self.body = body
        self.latency_ms = latency_ms

    @kept
    def json(self) -> Any:
        """The body as JSON; VendorDrift when it is not (NaN and Infinity are not)."""
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError as error:
            raise VendorDrift(f"the answer is not JSON: {error}", http=self.status, raw=self.body[:2048]) from None

    @property
    def text(self) -> str:
        """The body for the evidence; what is not UTF-8 is marked."""
        return self.body.decode("utf-8", "replace")

    def __getitem__(self, key: str) -> Any:
        return self.json[key]


class Transport(Protocol):
    """Sends a call to a vendor's base address, once. Raises VendorError; the caller of `look` keeps the time."""

    async def __call__(self, address: str, call: Call, /) -> Reply: ...


class Client(Transport, Protocol):
    """A transport of one provider's own, through its vendor's client, which signs in by itself."""

    async def open(self) -> None:
        """Before the first call. Raises ConfigError where the client cannot be made."""

    async def close(self) -> None:
        """After the last call."""


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds the vendor asks us to wait (RFC 9110 §10.2.3: a number or a date), None if it says nothing we can read.

    A date is measured against the reply's own Date where there is one, so a wrong clock here does not matter.
    """
    written = headers.get("Retry-After")
    if written is None:
        return None
    try:
        return max(0.0, float(written)) if float(written) < float("inf") else None
    except ValueError:
        pass
    try:
        now = parsedate_to_datetime(headers["Date"]) if "Date" in headers else datetime.now(UTC)
        return max(0.0, (parsedate_to_datetime(written) - now).total_seconds())
    except (ValueError, TypeError):
        return None
