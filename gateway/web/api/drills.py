"""`/v1/drills/{provider}`: a vendor that fails on purpose, where the gateway allows it. It ends by itself."""

from __future__ import annotations

from typing import Annotated, Literal

import orjson
from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from gateway.dispatch.rehearsal import Scenario
from gateway.drills import LONGEST, Drill
from gateway.units import Duration
from gateway.web.api.standings import DrillOut
from gateway.web.auth import Role
from gateway.web.bodies import read_json
from gateway.web.endpoint import Endpoint, Visit


class DrillIn(BaseModel):
    """What goes wrong, for how many of the calls, how long, and whose: the drill's own, or everybody's."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)
    scenario: Scenario
    share: float = Field(default=1.0, ge=0, le=1)
    lasts: Annotated[Duration, Field(le=LONGEST)] = Field(default=30.0, alias="for", examples=["30s"])
    mode: Literal["shadow", "live"] = "shadow"


async def begin(visit: Visit) -> web.Response:
    asked = await read_json(visit.request, DrillIn)
    name = visit.request.match_info["provider"]
    drills = visit.desk.service.drills
    return _told(drills.set(name, asked.scenario, asked.mode == "live", asked.share, asked.lasts))


async def end(visit: Visit) -> web.Response:
    return _told(visit.desk.service.drills.end(visit.request.match_info["provider"]))


def _told(drill: Drill) -> web.Response:
    return web.Response(body=orjson.dumps(drill.as_dict()), content_type="application/json")


DRILL_ROUTES = [
    Endpoint(
        "PUT",
        "/v1/drills/{provider}",
        begin,
        "Make a provider fail on purpose, or change for how many calls and how long. Of this process.",
        roles=frozenset({Role.ADMIN}),
        body=DrillIn,
        example={"scenario": "vendor-outage", "share": 1.0, "for": "30s", "mode": "shadow"},
        reply=DrillOut,
        answers={
            200: "The drill; in shadow, what is sent to its `routes` is what it concerns",
            400: "Malformed, or a provider that can have none",
            403: "Not an admin, or server.drills is off",
            404: "No such provider",
            409: "Another drill of this provider is on",
        },
    ),
    Endpoint(
        "DELETE",
        "/v1/drills/{provider}",
        end,
        "End a drill at once.",
        roles=frozenset({Role.ADMIN}),
        reply=DrillOut,
        answers={200: "The drill as it stood", 404: "None is on"},
    ),
]
