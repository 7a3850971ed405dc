"""The control address: what goes wrong can be changed, and what was asked be read, while the simulator runs.

GET    /_simulator           the vendors, where they answer, and the address that a provider is given
GET    /_simulator/faults    the faults that stand, and how often each has hit
PUT    /_simulator/faults    {"faults": […], "seed": 7} instead of them, JSON or YAML; time windows begin anew
DELETE /_simulator/faults    none
GET    /_simulator/calls     counts and the last calls; ?vendor=openai&last=20
DELETE /_simulator/calls     counted from 0
PUT    /_simulator/images    {"images": {"<sha256>": {"violence": 0.9}}} instead of those known
PUT    /_simulator/reaches   {"reaches": {"https://modgate.example": "http://127.0.0.1:8080"}} instead of those reached
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import orjson
from aiohttp import web
from pydantic import BaseModel

from adapters.simulator.faults import Faults
from adapters.simulator.journal import Journal
from adapters.simulator.reaching import Reach
from adapters.simulator.script import FaultList, ImageList, ReachList, Script, known
from adapters.simulator.truth import Bad
from gateway.errors import ConfigError
from gateway.yamlfile import loads

ROOT = "/_simulator"

M = TypeVar("M", bound=BaseModel)


class Control:
    """Holds what can be changed: the faults that stand, and the journal. `clock` is in seconds, monotonic."""

    def __init__(self, script: Script, clock: Callable[[], float]):
        self._script = script
        self._clock = clock
        self.journal = Journal()
        self.faults = Faults(script.faults, script.seed, clock())
        self.reach = Reach(script.reaches)

    def routes(self) -> list[web.RouteDef]:
        """For the server's table."""
        return [
            web.get(ROOT, self._index),
            web.get(f"{ROOT}/faults", self._standing),
            web.put(f"{ROOT}/faults", self._replace),
            web.delete(f"{ROOT}/faults", self._none),
            web.get(f"{ROOT}/calls", self._calls),
            web.delete(f"{ROOT}/calls", self._forget),
            web.put(f"{ROOT}/images", self._teach),
            web.put(f"{ROOT}/reaches", self._extend),
        ]

    async def _index(self, request: web.Request) -> web.Response:
        vendors = {
            name: {"mount": f"/{name}", "at_root": vendor.at_root, "routes": sorted(vendor.routes)}
            for name, vendor in self._script.vendors.items()
        }
        return _json({"vendors": vendors, "control": [f"{route.method} {route.path}" for route in self.routes()]})

    async def _standing(self, request: web.Request) -> web.Response:
        return _json({"seed": self.faults.seed, "faults": [fault.as_dict() for fault in self.faults.standing]})

    async def _replace(self, request: web.Request) -> web.Response:
        asked = await self._asked(request, FaultList)
        seed = self.faults.seed if asked.seed is None else asked.seed
        self.faults = Faults(asked.faults, seed, self._clock())
        return await self._standing(request)

    async def _none(self, request: web.Request) -> web.Response:
        self.faults = Faults((), self.faults.seed, self._clock())
        return await self._standing(request)

    async def _calls(self, request: web.Request) -> web.Response:
        vendor, last = request.query.get("vendor"), request.query.get("last", "50")
        if vendor is not None and vendor not in self._script.vendors:
            raise _wrong(f"there is no vendor '{vendor[:100]}' here")
        if not last.isdecimal():
            raise _wrong("last is how many calls are shown, as 20")
        return _json(self.journal.as_dict(self._script.vendors, int(last), vendor))

    async def _forget(self, request: web.Request) -> web.Response:
        self.journal.clear()
        return _json(self.journal.as_dict(self._script.vendors, 0))

    async def _teach(self, request: web.Request) -> web.Response:
        asked = await self._asked(request, ImageList)
        try:
            self._script.oracle.teach(asked.images)
        except Bad as mistake:
            raise _wrong(str(mistake)) from None
        return _json({"images": asked.images})

    async def _extend(self, request: web.Request) -> web.Response:
        self.reach.places = (await self._asked(request, ReachList)).reaches
        return _json({"reaches": self.reach.places})

    async def _asked(self, request: web.Request, model: type[M]) -> M:
        try:
            text = (await request.read()).decode()
            return loads(text, file="request", env=None).parse(model, context=known(self._script.vendors))
        except UnicodeDecodeError:
            raise _wrong("the body is UTF-8, JSON or YAML") from None
        except ConfigError as problem:
            raise _wrong(str(problem)) from None


def _wrong(detail: str) -> web.HTTPBadRequest:
    return web.HTTPBadRequest(text=orjson.dumps({"error": detail}).decode(), content_type="application/json")


def _json(document: Any) -> web.Response:
    return web.json_response(body=orjson.dumps(document, option=orjson.OPT_INDENT_2))
