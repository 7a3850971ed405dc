"""`/healthz`, `/readyz`, `/metrics`: for those who run it."""

from __future__ import annotations

import time
from typing import Any

import orjson
from aiohttp import web
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from gateway.policy.book import PolicyBook
from gateway.web.api.standings import AliveOut, ReadyOut
from gateway.web.endpoint import Endpoint, Visit


async def healthz(visit: Visit) -> web.Response:
    return web.json_response({"status": "ok"})


async def readyz(visit: Visit) -> web.Response:
    """Ready when models are warm, the database answers and nobody asked us to stop. All else is only told."""
    database = await _database_answers(visit)
    policies = visit.desk.service.policies
    marked = {name: mark for name, mark in (await visit.desk.service.canaries.marks()).items() if mark.status != "ok"}
    checks = {
        "models": {"ok": True, "providers": sorted(visit.desk.service.providers)},
        "database": {"ok": database},
        "policies": _policies(policies),
        "canaries": {"ok": not marked, "marked": {name: mark.status for name, mark in marked.items()}},
        "debt": _debt(visit),
        "redis": _redis(visit),
        "draining": visit.desk.draining,
    }
    ready = database and not visit.desk.draining
    body = {"status": "ready" if ready else "not ready", "checks": checks}
    return web.Response(status=200 if ready else 503, body=orjson.dumps(body), content_type="application/json")


def _policies(policies: PolicyBook) -> dict[str, Any]:
    """A file that was not taken up, or a canary that ended by itself, is for somebody to look at."""
    return {
        "ok": not policies.problems and not policies.halts,
        "loaded": policies.names,
        "problems": policies.problems,
        "halted": policies.halts,
    }


def _debt(visit: Visit) -> dict[str, Any]:
    tally = visit.desk.service.debts.tally
    age = None if tally.oldest is None else round(max(0.0, time.time() - tally.oldest), 1)
    return {"ok": not tally.count, "owed": tally.count, "oldest_s": age}


def _redis(visit: Visit) -> dict[str, Any]:
    """Gone is no reason not to be ready: each process goes on for itself."""
    line, hints = visit.desk.service.line, visit.desk.service.hints
    if line is None or hints is None:
        return {"ok": True, "used": False}
    return {"ok": line.well, "used": True, "hears_others": hints.listening, **({"error": line.why} if line.why else {})}


async def metrics(visit: Visit) -> web.Response:
    return web.Response(
        body=visit.desk.metrics.exposition(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
    )


async def _database_answers(visit: Visit) -> bool:
    try:
        async with visit.desk.service.database.reader.connect() as connection:
            await connection.execute(text("SELECT 1 FROM decisions LIMIT 1"))
    except SQLAlchemyError:
        return False
    return True


STATUS_ROUTES = [
    Endpoint("GET", "/healthz", healthz, "Alive", reply=AliveOut, answers={200: "The process lives"}),
    Endpoint("HEAD", "/healthz", healthz, "Alive, without a body", answers={200: "The process lives"}),
    Endpoint(
        "GET",
        "/readyz",
        readyz,
        "Ready",
        reply=ReadyOut,
        replied=(200, 503),
        answers={200: "Ready", 503: "Not ready, with the reason"},
    ),
    Endpoint("HEAD", "/readyz", readyz, "Ready, without a body", answers={200: "Ready", 503: "Not ready"}),
    Endpoint("GET", "/metrics", metrics, "Prometheus metrics", answers={200: "Text exposition format"}),
]
