"""`GET /v1/decisions/{id}`: what was decided, and everything it rests on; with `?explain=1` why."""

from __future__ import annotations

import orjson
from aiohttp import web

from gateway.record import evidence
from gateway.web.api.answers import EvidenceOut
from gateway.web.auth import Role
from gateway.web.endpoint import Endpoint, Visit


async def decision(visit: Visit) -> web.Response:
    case = await visit.desk.service.ledger.find(visit.request.match_info["id"], visit.caller.tenant)
    body = evidence(case)
    if visit.request.query.get("explain", "0") not in ("", "0"):
        service = visit.desk.service
        policy = await service.history.policy_of(case.record, service.policies)
        body["explain"] = service.moderator.explain(case.record, policy)
    return web.Response(body=orjson.dumps(body), content_type="application/json")


EVIDENCE_ROUTES = [
    Endpoint(
        "GET",
        "/v1/decisions/{id}",
        decision,
        "The evidence of one decision: vendors' raw answers, signals, policy, timings; with ?explain=1 what led to it.",
        roles=frozenset({Role.SUBMIT, Role.REVIEW}),
        reply=EvidenceOut,
        query={"explain": "1: also what led to it"},
        answers={
            200: "The evidence",
            404: "No such decision of this tenant, or no policy to explain it by",
        },
    )
]
