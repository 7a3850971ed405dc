"""`GET /v1/providers`: how each provider stands, what it costs, and what it can see."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
from aiohttp import web

from gateway.canaries.book import Mark
from gateway.dispatch.question import Provider
from gateway.domain import Modality
from gateway.drills import Drill
from gateway.record import moment
from gateway.web.api.standings import ProvidersOut
from gateway.web.auth import Role
from gateway.web.endpoint import Endpoint, Visit


async def providers(visit: Visit) -> web.Response:
    now = asyncio.get_running_loop().time()
    service = visit.desk.service
    marks = await service.canaries.marks()
    told = [
        _told(provider, now, marks.get(name), service.drills.of(name)) for name, provider in service.providers.items()
    ]
    return web.Response(body=orjson.dumps({"providers": told}), content_type="application/json")


def _told(provider: Provider, now: float, mark: Mark | None, drill: Drill | None) -> dict[str, Any]:
    settings, health = provider.adapter.settings, provider.health
    accepted = [modality for modality in Modality if provider.accepts(modality)]
    attempts = health.outcomes.total()
    return {
        "name": provider.name,
        "adapter": settings.adapter,
        "tier": provider.adapter.tier,
        "breaker": {modality.value: _circuit(provider, modality, now) for modality in accepted},
        "parked_for_s": round(max(0.0, health.parked_until - now), 3),
        "latency": {modality.value: _latency(provider, modality) for modality in accepted},
        "attempts": attempts,
        "errors": {status: count for status, count in sorted(health.outcomes.items()) if status != "ok"},
        "error_rate": round(1 - health.outcomes["ok"] / attempts, 4) if attempts else None,
        "calls": health.calls,
        "spend": round(provider.spend, 6),
        "price_per_1k": settings.price_per_1k,
        "drill": None if drill is None else drill.as_dict(),
        "canary": None if mark is None else {"status": mark.status, "detail": mark.detail, "at": moment(mark.at)},
        "sees": {modality.value: sorted(provider.sees[modality]) for modality in accepted},
    }


def _circuit(provider: Provider, modality: Modality, now: float) -> dict[str, Any]:
    circuit = provider.health.breakers[modality].circuit(now)
    wait = None if circuit.next_probe_in is None else round(circuit.next_probe_in, 3)
    return {"state": circuit.state.value, "reason": circuit.reason, "next_probe_in_s": wait}


def _latency(provider: Provider, modality: Modality) -> dict[str, float | None]:
    """Of usable answers, in milliseconds; null while there are too few."""
    pace = provider.health.paces[modality]
    quantiles = {"p50_ms": pace.quantile(0.5), "p95_ms": pace.quantile(0.95)}
    return {name: None if took is None else round(took * 1000, 2) for name, took in quantiles.items()}


PROVIDER_ROUTES = [
    Endpoint(
        "GET",
        "/v1/providers",
        providers,
        "Each provider's breaker, latency, errors, spend, and what it can see. Of this process, since its start.",
        roles=frozenset({Role.SUBMIT, Role.REVIEW}),
        reply=ProvidersOut,
        answers={200: "All enabled providers"},
    )
]
