"""The web application: every request is framed once, with an id, a clock, a key check and errors in the right shape."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any

import structlog
from aiohttp import HttpVersion11, web
from aiohttp.hdrs import EXPECT
from sqlalchemy import Row, select
from sqlalchemy.exc import SQLAlchemyError

from gateway.config import Config
from gateway.errors import BadContent, Internal, NotAllowed, NotFound, RequestError
from gateway.service import open_service
from gateway.store.tables import api_keys
from gateway.web.admission import Admission
from gateway.web.allowance import Allowances
from gateway.web.api.describe import describe_routes
from gateway.web.api.drills import DRILL_ROUTES
from gateway.web.api.evidence import EVIDENCE_ROUTES
from gateway.web.api.media import MEDIA_ROUTES
from gateway.web.api.moderate import MODERATE_ROUTES
from gateway.web.api.policies import POLICY_ROUTES
from gateway.web.api.providers import PROVIDER_ROUTES
from gateway.web.api.status import STATUS_ROUTES
from gateway.web.auth import ANONYMOUS, Caller, Keyring, Role, digest
from gateway.web.brake import Brake, feel
from gateway.web.dialects import DIALECT_ROUTES, learn
from gateway.web.door import Door
from gateway.web.doorkeeper import DOORKEEPER, Doorkeeper
from gateway.web.endpoint import DESK, Desk, Endpoint, Visit
from gateway.web.metrics import Metrics
from gateway.web.problems import as_problem
from gateway.web.room import SHARE, Room, Share
from gateway.web.signature import admit_signed
from gateway.web.stamps import request_id, stamp

log = structlog.get_logger("modgate.web")

_FOR_THE_BODY = 3 / 4  # of limits.wait it may take to come in, turn and all: the rest is for its pictures
KEYS_EVERY = 2.0  # seconds until a key made or revoked on the command line counts

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
ENDPOINTS = web.AppKey("endpoints", dict[Handler, Endpoint])


def endpoints() -> list[Endpoint]:
    """Every route there is."""
    asked = [*MODERATE_ROUTES, *DIALECT_ROUTES, *EVIDENCE_ROUTES, *MEDIA_ROUTES]
    routes = [*asked, *PROVIDER_ROUTES, *POLICY_ROUTES, *DRILL_ROUTES, *STATUS_ROUTES]
    return [*routes, *describe_routes(routes)]


def make_app(config: Config) -> web.Application:
    """The application; it opens its service when it starts and closes it when it stops."""
    app = web.Application(middlewares=[_frame], client_max_size=config.limits.body_bytes)
    app[ENDPOINTS] = {}
    for endpoint in endpoints():
        handler = _handler(endpoint)
        app[ENDPOINTS][handler] = endpoint
        app.router.add_route(endpoint.method, endpoint.path, handler, expect_handler=_leave_to_the_frame)
    app.cleanup_ctx.append(_desk(config))
    return app


def _handler(endpoint: Endpoint) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        """What the router finds; the frame looks up the endpoint by it and hands that a Visit instead."""
        raise web.HTTPNotFound

    return handle


async def _leave_to_the_frame(request: web.Request) -> None:
    """Nobody is told to go on with a body before it is known that there is room for it."""


def _desk(config: Config) -> Callable[[web.Application], AsyncIterator[None]]:
    async def opened(app: web.Application) -> AsyncIterator[None]:
        admission = Admission(config.limits.concurrency)
        metrics = Metrics(admission)
        async with open_service(config, metrics) as service:
            keyring = Keyring(_fixed_keys(config), _clear_keys(config))
            allowances = Allowances(service.purse.today, service.rates.take)
            spoken, room = learn(service.taxonomy), Room(config.limits.held)
            app[DESK] = desk = Desk(service, keyring, metrics, spoken, admission, allowances, room)
            app[DOORKEEPER] = keeper = Doorkeeper(keyring, admission, metrics, endpoints())
            await _renew_keys(desk)
            await service.spends.sync()
            always: list[Coroutine[Any, Any, None]] = [
                _follow_keys(desk),
                _follow_policies(desk),
                feel(Brake(admission), metrics.lagged),
                metrics.gathered.keep_handing_over(),
                keeper.keep_telling(),
                service.payer.run(lambda: admission.fullness),
            ]
            if service.hints:
                always.append(service.hints.listen(service.providers))
            if config.canaries.enabled:
                always.append(service.canaries.patrol(config.canaries.every))
            tasks = [asyncio.create_task(work) for work in always]
            for task in tasks:
                task.add_done_callback(_tell_its_end)
            yield
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await _sync_spends(desk)

    return opened


def _tell_its_end(task: asyncio.Task[None]) -> None:
    """What goes on beside the requests must not end unheard: until the next start nobody does it."""
    if not task.cancelled() and (error := task.exception()):
        log.error("task_ended", task=repr(task.get_coro()), exc_info=error)


@web.middleware
async def _frame(request: web.Request, handler: Handler) -> web.StreamResponse:
    started = time.perf_counter()
    if isinstance(request.protocol, Door):
        request.protocol.arrived()
    endpoint = request.app[ENDPOINTS].get(handler)
    desk = request.app[DESK]
    wait = desk.service.config.limits.wait
    request[SHARE] = share = Share(desk.room, started + wait * _FOR_THE_BODY)
    name = request_id(request.headers.get("X-Request-Id", ""))
    visit = Visit(request, desk, ANONYMOUS, name, started + wait, share)
    try:
        response = await _answered(visit, endpoint, handler)
    finally:
        share.give_back()
    took = (time.perf_counter() - started) * 1000
    route = endpoint.path if endpoint else "unknown"
    stamp(response, visit.id, took, visit.timings)
    desk.metrics.request(route, response.status, took / 1000)
    log.info(
        "request",
        id=visit.id,
        method=request.method,
        route=route,
        status=response.status,
        ms=round(took, 2),
        key=visit.caller.name,
        **visit.note,
    )
    return response


async def _answered(visit: Visit, endpoint: Endpoint | None, handler: Handler) -> web.StreamResponse:
    try:
        if endpoint is None:
            return await handler(visit.request)
        if endpoint.roles and not endpoint.signed:
            visit.caller = visit.desk.keyring.admit(visit.request, endpoint.roles)
        if endpoint.admitted:
            return await _admitted(visit, endpoint)
        if EXPECT in visit.request.headers:
            await _go_on(visit.request)
        return await endpoint.handle(visit)
    except RequestError as error:
        refused = error.with_traceback(None)  # whose frames hold it: the collector would have to find that
    except web.HTTPException as error:
        refused = _plain_http(error, visit)
    except Exception:  # the web is one of the places that catch broadly
        log.exception("request_failed", id=visit.id)
        refused = Internal("internal_error", "Something went wrong on our side.", hint="Our log knows it by its id.")
    visit.note["code"] = refused.code
    if refused.http in (429, 503):
        visit.desk.metrics.refused(refused.code)
    response = (endpoint.problem if endpoint else as_problem)(refused, visit.id)
    if EXPECT in visit.request.headers or visit.request.content.exception():
        response.force_close()  # where the next request begins is not to be known
    return response


async def _go_on(request: web.Request) -> None:
    """Answer `Expect: 100-continue`, by which callers ask before they send a large body."""
    if request.headers[EXPECT].lower() != "100-continue":
        raise web.HTTPExpectationFailed
    if request.version >= HttpVersion11:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # the answer itself has not begun


async def _admitted(visit: Visit, endpoint: Endpoint) -> web.StreamResponse:
    """Count it, or refuse it before a byte of its body is read."""
    desk, batch = visit.desk, visit.caller.batch
    if not endpoint.signed:
        await desk.allowances.take(visit.caller)
    desk.admission.enter(batch=batch)
    try:
        if EXPECT in visit.request.headers:
            await _go_on(visit.request)
        if endpoint.signed:  # what was signed is the body too, so only here, where there is room for it
            visit.caller = await admit_signed(visit.request, desk.keyring, endpoint.roles, endpoint.signed)
            await desk.allowances.take(visit.caller)
            if visit.caller.batch:
                desk.admission.turn_into_batch()
                batch = True
        return await endpoint.handle(visit)
    finally:
        desk.admission.leave(batch=batch)


def _plain_http(error: web.HTTPException, visit: Visit) -> RequestError:
    """aiohttp's own 404, 405 and the like, as ours."""
    if error.status == 404:
        return NotFound("unknown_address", "There is nothing at this address.", hint="See /docs.")
    if error.status == 405:
        detail = f"{visit.request.method} is not for this address."
        return NotAllowed("method_not_allowed", detail, allow=error.headers.get("Allow", ""))
    return BadContent("bad_request", f"{error.reason}.", hint="Let your HTTP client write the request.")


def _fixed_keys(config: Config) -> dict[str, Caller] | None:
    if config.auth is None:
        return None
    callers = {}
    for entry in config.auth.keys:
        known = (
            entry.hash.get_secret_value() if entry.hash else digest(entry.key.get_secret_value()) if entry.key else ""
        )
        roles = frozenset(Role(role) for role in entry.roles)
        batch = entry.priority == "batch"
        callers[known] = Caller(entry.name, entry.tenant, roles, entry.rate_limit, entry.daily_spend, batch)
    return callers


def _clear_keys(config: Config) -> dict[str, str]:
    keys = config.auth.keys if config.auth else ()
    return {entry.name: entry.key.get_secret_value() for entry in keys if entry.key}


async def _renew_keys(desk: Desk) -> None:
    query = select(api_keys).where(api_keys.c.revoked_at.is_(None))
    async with desk.service.database.reader.connect() as connection:
        rows = (await connection.execute(query)).all()
    desk.keyring.renew({row.hash: _made_key(row) for row in rows})


def _made_key(row: Row[Any]) -> Caller:
    roles = frozenset(Role(role) for role in row.roles.split(","))
    return Caller(row.name, row.tenant, roles, row.rate_limit, row.daily_spend, row.priority == "batch")


async def _follow_keys(desk: Desk) -> None:
    while desk.keyring.asks:
        await asyncio.sleep(KEYS_EVERY)
        try:
            await _renew_keys(desk)
        except SQLAlchemyError as error:  # the last known keys stay good
            log.error("keys_unread", problem=str(error)[:200])
        await _sync_spends(desk)


async def _sync_spends(desk: Desk) -> None:
    try:
        await desk.service.spends.sync()
    except SQLAlchemyError as error:  # what was not written now is written the next time
        log.error("spends_unwritten", problem=str(error)[:200])


async def _follow_policies(desk: Desk) -> None:
    await desk.service.policies.watch(desk.metrics.policy_changed, desk.service.history.taken)
