"""`GET /v1/media/{token}`: a picture for a vendor that takes addresses only, while it is asked about it."""

from __future__ import annotations

from aiohttp import web

from gateway.errors import NotFound
from gateway.web.endpoint import Endpoint, Visit

_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


async def media(visit: Visit) -> web.Response:
    """Forged, expired, over, never there: all the same answer."""
    outbox = visit.desk.service.outbox
    found = await outbox.read(visit.request.match_info["token"]) if outbox else None
    if found is None:
        raise NotFound("unknown_address", "There is nothing at this address.", hint="See /docs.")
    data, media_type = found
    return web.Response(body=data, content_type=media_type, headers=_HEADERS)


MEDIA_ROUTES = [
    Endpoint(
        method,
        "/v1/media/{token}",
        media,
        f"{about} lent to a vendor while it is asked: the address is signed, and soon over.",
        answers={200: "The picture", 404: "Nothing, for whatever reason"},
    )
    for method, about in (("GET", "A picture"), ("HEAD", "What is said of a picture"))
]
