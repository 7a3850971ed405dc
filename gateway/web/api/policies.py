"""`GET /v1/policies`: which versions are in force, which beside them, which came before; with a hash what one said."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
from aiohttp import web
from sqlalchemy import Row
from sqlalchemy.exc import SQLAlchemyError

from gateway.errors import NotFound, Overloaded
from gateway.policy.standing import CANARY, IN_FORCE
from gateway.policy.version import Version
from gateway.record import moment
from gateway.web.api.standings import PoliciesOut, PolicySourceOut
from gateway.web.auth import Role
from gateway.web.endpoint import Endpoint, Visit

_MOST = 200  # activations told, the newest


async def policies(visit: Visit) -> web.Response:
    book, versions = visit.desk.service.policies, visit.desk.service.history.versions
    try:
        rows = await versions.newest(_MOST)
    except SQLAlchemyError as error:
        raise _unreadable() from error
    halts = book.halts
    body = {
        "default": book.default,
        "policies": [_loaded(version, halts) for version in book.versions],
        "problems": book.problems,
        "history": [_came(row) for row in rows],
    }
    return web.Response(body=orjson.dumps(body), content_type="application/json")


async def policy(visit: Visit) -> web.Response:
    try:
        rows = await visit.desk.service.history.versions.of(visit.request.match_info["hash"])
    except SQLAlchemyError as error:
        raise _unreadable() from error
    if not rows:
        hint = "A hash is as decisions have it, sha256: and 64 hex digits; GET /v1/policies lists them."
        raise NotFound("unknown_version", "No policy with this hash ever came into force here.", hint=hint)
    return web.Response(body=orjson.dumps(_kept(rows)), content_type="application/json")


def _loaded(version: Version, halts: dict[str, str]) -> dict[str, Any]:
    policy, role = version.policy, version.role
    halted = halts.get(policy.file.name, "") if role == CANARY else ""
    return {
        "name": policy.name,
        "version": policy.version,
        "hash": policy.hash,
        "role": role,
        "file": policy.file.name,
        "tests": version.tests,
        "percent": 100.0 if role == IN_FORCE else policy.rollout.canary_percent if role == CANARY else 0.0,
        "halted": halted or None,
    }


def _came(row: Row[Any]) -> dict[str, Any]:
    return {
        "name": row.name,
        "version": row.version,
        "hash": row.hash,
        "role": row.role,
        "file": row.file,
        "activated_at": moment(row.activated_at),
        "by": row.activated_by,
        "tests": row.tests,
    }


def _kept(rows: Sequence[Row[Any]]) -> dict[str, Any]:
    newest = rows[0]
    return {
        "name": newest.name,
        "version": newest.version,
        "hash": newest.hash,
        "source": newest.source,
        "lists": orjson.loads(newest.lists),
        "activations": [_came(row) for row in rows],
    }


def _unreadable() -> Overloaded:
    detail = "The history of policies cannot be read at this moment."
    return Overloaded("evidence_unavailable", detail, hint="Ask again in a moment.", retry_after=2)


POLICY_ROUTES = [
    Endpoint(
        "GET",
        "/v1/policies",
        policies,
        "The policies in force with their shadows and canaries, and what came into force when.",
        roles=frozenset({Role.SUBMIT, Role.REVIEW}),
        reply=PoliciesOut,
        answers={
            200: "All versions that are loaded, and the last 200 activations",
            503: "The database does not answer",
        },
    ),
    Endpoint(
        "GET",
        "/v1/policies/{hash}",
        policy,
        "One version of a policy as it was, with its lists: a decision names it by its hash.",
        roles=frozenset({Role.REVIEW}),
        reply=PolicySourceOut,
        answers={200: "Its source", 404: "No such version came into force here", 503: "The database does not answer"},
    ),
]
