"""One port that answers as every vendor: at the path the vendor has, and below a mount named after it.

`/openai/v1/moderations` is OpenAI's wherever the vendors share a path; `/v1/moderations` at the root is OpenAI's too.
An address in a request is looked up in the script, and never fetched; but those are which the script says are reached.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from time import monotonic

from aiohttp import web

from adapters.simulator.answer import Answer
from adapters.simulator.control import ROOT, Control
from adapters.simulator.faults import Fault, Plan
from adapters.simulator.limit import Limit
from adapters.simulator.script import Script
from adapters.simulator.spoiling import INSTEAD, renamed, with_value, without
from adapters.simulator.wire import Heard, Vendor

MOST_BYTES = 64 * 1024 * 1024  # of a request; the largest any vendor documents is 32 MB
LONG_WORK = 32 * 1024  # bytes: a body with a picture in it is answered in a thread
HANG = 3600.0  # seconds
NAME = "modgate-simulator"  # what stands under Server, so that nobody takes it for the real one


class Simulator:
    """Hears, finds the vendor, lets it answer, lets faults have their way, and sends."""

    def __init__(self, script: Script):
        self._script = script
        self._vendors = script.vendors
        self._limits: dict[tuple[str, str], Limit] = {}
        self.control = Control(script, monotonic)

    def app(self) -> web.Application:
        app = web.Application(client_max_size=MOST_BYTES)
        app.add_routes(self.control.routes())
        app.router.add_route("*", "/{path:.*}", self._handle)
        return app

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        started = monotonic()
        vendor, heard = await self._hear(request)
        if vendor is None:
            where = ", ".join(f"/{name}" for name in self._vendors)
            return web.json_response({"error": f"no vendor answers here; {ROOT} lists them: {where}"}, status=404)
        answer = await self._respond(vendor, heard)
        plan = self.control.faults.plan(vendor.name, heard.seen, monotonic())
        if plan.shift or plan.clock:
            heard = replace(heard, shift=plan.shift, now=heard.now + timedelta(seconds=plan.clock), seen=[])
            answer = await self._respond(vendor, heard)
        answer = _spoiled(vendor, heard, answer, plan)
        try:
            await asyncio.sleep(plan.delay + (HANG if plan.first("hang") else 0.0))
            return await _send(request, answer, plan, heard)
        finally:
            self.control.journal.note(vendor.name, heard, answer, plan, monotonic() - started)

    async def _hear(self, request: web.Request) -> tuple[Vendor | None, Heard]:
        heard = await _heard(request)
        first, _, rest = request.path.lstrip("/").partition("/")
        if first in self._vendors:
            vendor: Vendor | None = self._vendors[first]
            heard = replace(heard, path=f"/{rest}")
        else:
            at_root = (vendor for vendor in self._vendors.values() if vendor.at_root)
            vendor = next((vendor for vendor in at_root if vendor.methods(heard.path)), None)
        if vendor is None:
            return None, heard
        self.control.journal.calls[vendor.name] += 1
        heard = replace(heard, fetched=await self.control.reach.pictures(heard.body))
        return vendor, replace(heard, number=self.control.journal.calls[vendor.name], spare=self._spare(vendor, heard))

    def _spare(self, vendor: Vendor, heard: Heard) -> int | None:
        """How many requests are left in the limit that this one counts towards."""
        name, rate = vendor.allowance(heard)
        if rate is None:
            return None
        return self._limits.setdefault((vendor.name, name), Limit(rate)).take(monotonic())

    async def _respond(self, vendor: Vendor, heard: Heard) -> Answer:
        if heard.method not in vendor.methods(heard.path):
            return vendor.refuse("not_found", heard)
        if not heard.whole:
            return vendor.refuse("too_large", heard)
        if heard.spare is not None and heard.spare < 0:
            return vendor.refuse("throttled", heard)
        if len(heard.body) < LONG_WORK:
            return vendor.respond(heard)
        return await asyncio.to_thread(vendor.respond, heard)


async def _heard(request: web.Request) -> Heard:
    try:
        body, whole = await request.read(), True
    except web.HTTPRequestEntityTooLarge:
        body, whole = b"", False
    return Heard(
        method=request.method,
        path=request.path,
        written=request.raw_path.partition("?")[0],
        query=request.query,
        headers=request.headers,
        body=body,
        now=datetime.now(UTC),
        whole=whole,
    )


def _spoiled(vendor: Vendor, heard: Heard, answer: Answer, plan: Plan) -> Answer:
    """The answer after the faults that change what is said."""
    if not plan.faults:
        return answer
    error, status = plan.first("error"), plan.first("status")
    if error or status:
        answer = vendor.refuse(error or vendor.kind_of(status), heard)
        answer.status = status or answer.status
    answer.document = deepcopy(answer.document)
    for fault in plan.faults:
        answer = _changed(answer, fault, heard)
    instead = plan.first("instead")
    return INSTEAD[instead](answer) if instead else answer


def _changed(answer: Answer, fault: Fault, heard: Heard) -> Answer:
    for pointer in fault.remove:
        without(answer.document, pointer)
    for pointer, value in fault.put.items():
        with_value(answer.document, pointer, deepcopy(value))
    answer.document = renamed(answer.document, fault.rename)
    if fault.retry_after is not None:
        answer.headers |= _retry_after(fault, heard.now)
    answer.headers |= fault.headers
    return answer


def _retry_after(fault: Fault, now: datetime) -> dict[str, str | None]:
    wait = fault.retry_after
    if not isinstance(wait, int | float):
        return {"Retry-After": None}
    if fault.retry_after_as == "date":
        return {"Retry-After": format_datetime(now + timedelta(seconds=wait), usegmt=True)}
    if fault.retry_after_as == "milliseconds":
        return {"retry-after-ms": f"{wait * 1000:.0f}"}
    return {"Retry-After": f"{wait:.15g}"}


async def _send(request: web.Request, answer: Answer, plan: Plan, heard: Heard) -> web.StreamResponse:
    body, reset, truncate, drip = answer.body, plan.first("reset"), plan.first("truncate"), plan.first("drip")
    if reset == "before_answer":
        return _cut(request, web.Response(), hard=True)
    headers = {name: value for name, value in answer.headers.items() if value is not None}
    headers |= {"Server": NAME, "Date": format_datetime(heard.now, usegmt=True)}
    if answer.content_type:
        headers["Content-Type"] = answer.content_type
    response = web.StreamResponse(status=answer.status, headers=headers)
    response.content_length = len(body)
    await response.prepare(request)
    share = 0.5 if reset else 1.0 if truncate is None else truncate
    sent = body[: int(len(body) * share)]
    for start in range(0, len(sent), 1 if drip else len(sent) or 1):
        await response.write(sent[start : start + (1 if drip else len(sent))])
        await asyncio.sleep(drip or 0.0)
    if reset or truncate is not None:
        return _cut(request, response, hard=bool(reset))
    await response.write_eof()
    return response


def _cut(request: web.Request, response: web.StreamResponse, *, hard: bool) -> web.StreamResponse:
    """End the connection: hard is a reset, and what was not yet read is lost with it."""
    transport = request.transport
    if transport is not None:
        raw = transport.get_extra_info("socket")
        if hard:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()
        else:
            transport.close()
    return response


@asynccontextmanager
async def running(script: Script, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[tuple[Simulator, str]]:
    """The simulator on this port, 0 for a free one, and its address. Raises OSError where it cannot listen."""
    simulator = Simulator(script)
    runner = web.AppRunner(simulator.app(), access_log=None, shutdown_timeout=0.5, handler_cancellation=True)
    try:
        await runner.setup()
        await web.TCPSite(runner, host, port).start()
        shown = f"[{host}]" if ":" in host else host
        yield simulator, f"http://{shown}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
        await simulator.control.reach.close()
