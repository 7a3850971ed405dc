"""Errors as RFC 9457 `application/problem+json`, with a stable `code` and a hint. No stack trace ever leaves."""

from __future__ import annotations

import math

import orjson
from aiohttp import web
from pydantic import BaseModel

from gateway.errors import NotAllowed, RequestError

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


class ProblemOut(BaseModel):
    """RFC 9457. `code` is stable; `hint` says what would be right; `at` where."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    hint: str | None = None
    at: str | None = None
    request_id: str


def as_problem(error: RequestError, request_id: str) -> web.Response:
    """The response for an error, with `hint` and `at` where they are known."""
    body = {
        "type": f"urn:modgate:problem:{error.code}",
        "title": _TITLES[error.http],
        "status": error.http,
        "code": error.code,
        "detail": error.detail,
        **{key: value for key, value in (("hint", error.hint), ("at", error.at)) if value},
        "request_id": request_id,
    }
    return web.Response(
        status=error.http,
        body=orjson.dumps(body),
        content_type="application/problem+json",
        headers=headers_for(error),
    )


def headers_for(error: RequestError) -> dict[str, str]:
    """Retry-After, in whole seconds, where there is something to wait for; Allow where another method would do;
    WWW-Authenticate where a key would do, as RFC 9110 asks of every 401."""
    if error.http == 401:
        return {"WWW-Authenticate": 'Bearer realm="modgate"'}
    if isinstance(error, NotAllowed):
        return {"Allow": error.allow}
    if error.http in (429, 503):
        return {"Retry-After": str(max(1, math.ceil(error.retry_after or 1)))}
    return {}
