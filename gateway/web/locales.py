"""Which language the caller's user reads."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from aiohttp import web

_TAG = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")


def locale_of(context: Mapping[str, Any], request: web.Request) -> str | None:
    """`context.locale`, else the most wanted of Accept-Language (RFC 9110 §12.5.4), else None."""
    said = context.get("locale")
    if isinstance(said, str) and _TAG.fullmatch(said.replace("_", "-")):
        return said.replace("_", "-")
    header = request.headers.get("Accept-Language")
    return _most_wanted(header) if header else None


def _most_wanted(header: str) -> str | None:
    wanted: list[tuple[float, str]] = []
    for entry in header[:500].split(","):
        tag, _, weight = (piece.strip() for piece in entry.partition(";"))
        if _TAG.fullmatch(tag):
            wanted.append((_weight(weight), tag))
    best, language = max(wanted, key=lambda pair: pair[0], default=(0.0, ""))
    return language if best > 0 else None


def _weight(written: str) -> float:
    try:
        return float(written.removeprefix("q=")) if written else 1.0
    except ValueError:
        return 0.0
