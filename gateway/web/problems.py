"""Errors as RFC 9457 `application/problem+json`, with a stable `code` and a hint. No stack trace ever leaves."""

from __future__ import annotations

import math
from typing import Any

import orjson
from aiohttp import web

from gateway.errors import RequestError

_TITLES = {
    400: "Bad request",
    401: "No valid key",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    409: "Conflict",
    413: "Too large",
    415: "Not an image",
    422: "Image unreadable",
    429: "Too many requests",
    500: "Internal error",
    503: "Overloaded",
}


def as_problem(error: RequestError, request_id: str) -> web.Response:
    """The response for an error of the caller's, or an overload of ours."""
    extra: dict[str, Any] = {key: value for key, value in (("hint", error.hint), ("at", error.at)) if value}
    return problem(error.http, error.code, error.detail, request_id, extra, retry_headers(error))


def problem(
    status: int,
    code: str,
    detail: str,
    request_id: str,
    extra: dict[str, Any] | None = None,
    headers: dict[str, str] | None = None,
) -> web.Response:
    body = {
        "type": f"urn:modgate:problem:{code}",
        "title": _TITLES.get(status, "Error"),
        "status": status,
        "code": code,
        "detail": detail,
        **(extra or {}),
        "request_id": request_id,
    }
    return web.Response(
        status=status, body=orjson.dumps(body), content_type="application/problem+json", headers=headers
    )


def retry_headers(error: RequestError) -> dict[str, str]:
    """Retry-After, in whole seconds, where there is something to wait for."""
    if error.http not in (429, 503):
        return {}
    return {"Retry-After": str(max(1, math.ceil(error.retry_after or 1)))}
