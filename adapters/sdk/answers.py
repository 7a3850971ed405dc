"""An answer as a vendor's own client got it, held to what our own transport asks of one."""

from __future__ import annotations

from collections.abc import AsyncIterable, Mapping, Sized

from adapters.sdk.failures import TRUNCATED
from gateway.adapter import Reply
from gateway.errors import VendorDrift
from gateway.wire import ANSWER_CAP


async def gathered(status: int, headers: Mapping[str, str], chunks: AsyncIterable[bytes]) -> bytes:
    """The body as it comes over the wire, read no further than the cap. Raises VendorDrift; never unpacks anything."""
    _plain(status, headers)
    held = bytearray()
    async for chunk in chunks:
        held += chunk
        _short(status, held)
    return bytes(held)


def reply(status: int, headers: Mapping[str, str], body: bytes, seconds: float) -> Reply:
    """The answer for our reader; `headers` are found in any letter case, `seconds` is how long it took.

    Raises VendorDrift for one that is too long or compressed, VendorUnavailable for one that is shorter than it said.
    """
    _plain(status, headers)
    _short(status, body)
    if len(body) < int(headers.get("Content-Length", 0)):
        raise TRUNCATED()
    return Reply(status, headers, body, seconds * 1000)


def _plain(status: int, headers: Mapping[str, str]) -> None:
    if headers.get("Content-Encoding", "identity").lower() != "identity":
        raise VendorDrift("the answer is compressed though we asked for it plain", http=status)


def _short(status: int, body: Sized) -> None:
    if len(body) > ANSWER_CAP:
        raise VendorDrift(f"the answer is over {ANSWER_CAP} bytes", http=status)
