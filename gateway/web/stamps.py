"""What stands on every answer: the request's id, and where the time went."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping

from aiohttp import web

_HARMLESS = re.compile(r"[A-Za-z0-9._-]{1,64}")


def request_id(given: str) -> str:
    """The caller's, if it is harmless to log and to send back; else a new one."""
    return given if _HARMLESS.fullmatch(given) else f"req_{random.getrandbits(96):024x}"  # a name, not a secret


def stamp(response: web.StreamResponse, request_id: str, total: float, timings: Mapping[str, float]) -> None:
    """Put both on an answer; milliseconds."""
    response.headers["X-Request-Id"] = request_id
    response.headers["Server-Timing"] = server_timing(total, timings)


def server_timing(total: float, timings: Mapping[str, float]) -> str:
    """Milliseconds."""
    vendors, policy = timings.get("vendors", 0.0), timings.get("policy", 0.0)
    return f"total;dur={total:.2f}, vendors;dur={vendors:.2f}, policy;dur={policy:.2f}"
