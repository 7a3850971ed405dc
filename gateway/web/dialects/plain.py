"""Errors as `{"error": {"code", "message"}}` with the status they have anyway: how several vendors write them."""

from __future__ import annotations

import orjson
from aiohttp import web

from gateway.errors import RequestError
from gateway.web.problems import headers_for


def as_plain_error(error: RequestError, request_id: str) -> web.Response:
    """Codes are our own, but for the one that these vendors document."""
    code = "rate_limit_exceeded" if error.http == 429 else error.code
    body = {"error": {"code": code, "message": f"{error.detail} {error.hint}".strip(), "request_id": request_id}}
    return web.Response(
        status=error.http, body=orjson.dumps(body), content_type="application/json", headers=headers_for(error)
    )
