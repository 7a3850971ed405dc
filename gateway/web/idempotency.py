"""`Idempotency-Key`: around the work of a request, so that sending it twice does it once."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog
from aiohttp import web

from gateway.errors import BadContent, Overloaded
from gateway.web.endpoint import Visit

log = structlog.get_logger("modgate.web")

HEADER = "Idempotency-Key"
REPLAYED = {"Idempotency-Replayed": "true"}


async def once(visit: Visit, fingerprint: Callable[[], str], work: Callable[[], Awaitable[bytes]]) -> web.Response:
    """The JSON that `work` answers, or under a key that was used before the first answer, byte for byte.

    `fingerprint` tells two requests apart; it is asked for only where there is a key. Raises BadContent for a key that
    is none, and Conflict. A request that fails leaves no trace: it may be sent again.
    """
    key = visit.request.headers.get(HEADER)
    if key is None:
        return web.Response(body=await work(), content_type="application/json")
    if not re.fullmatch(r"[\x21-\x7e]{1,255}", key):
        raise BadContent(
            "invalid_idempotency_key",
            f"The {HEADER} is not 1 to 255 visible ASCII characters.",
            hint="A UUID is a good one.",
            at=HEADER,
        )
    replays, tenant = visit.desk.service.replays, visit.caller.tenant
    before = await replays.claim(tenant, key, await asyncio.to_thread(fingerprint))
    if before is not None:
        return web.Response(body=before, content_type="application/json", headers=REPLAYED)
    try:
        answer = await work()
    except BaseException:
        with suppress(Overloaded):  # then it counts as lost after a while
            await replays.release(tenant, key)
        raise
    await _keep(visit, key, answer)
    return web.Response(body=answer, content_type="application/json")


async def _keep(visit: Visit, key: str, answer: bytes) -> None:
    """Tried twice: until the key counts as abandoned, whoever sends it again hears that it is under way."""
    for last in (False, True):
        try:
            await visit.desk.service.replays.keep(visit.caller.tenant, key, answer)
        except Overloaded:  # what was decided is on disk; only its replay is lost
            if last:
                log.error("answer_not_kept", id=visit.id)
        else:
            return
