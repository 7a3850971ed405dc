"""What the answers to those who run it look like, for `/openapi.json` alone; tests hold the real ones to this."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from gateway.dispatch.breaker import State
from gateway.dispatch.rehearsal import Scenario
from gateway.domain import Modality


class CircuitOut(BaseModel):
    """One breaker; `next_probe_in_s` is null unless it is open."""

    state: State
    reason: str
    next_probe_in_s: float | None


class LatencyOut(BaseModel):
    """Of usable answers; null while there are too few."""

    p50_ms: float | None
    p95_ms: float | None


class CanaryOut(BaseModel):
    """What came of asking the provider what it has to know, and when."""

    status: str
    detail: str
    at: str


class DrillOut(BaseModel):
    """A failure on purpose. In shadow, what is sent to its `routes` is what it concerns."""

    id: str
    provider: str
    scenario: Scenario
    mode: Literal["shadow", "live"]
    share: float
    ends_in_s: float
    calls: int
    spoiled: int
    routes: dict[str, str]


class StandingOut(BaseModel):
    """One provider. What is told by modality has an entry for each that it takes."""

    name: str
    adapter: str
    tier: int
    breaker: dict[Modality, CircuitOut]
    parked_for_s: float
    latency: dict[Modality, LatencyOut]
    attempts: int
    errors: dict[str, int]
    error_rate: float | None
    calls: int
    spend: float
    price_per_1k: float
    drill: DrillOut | None
    canary: CanaryOut | None
    sees: dict[Modality, list[str]]


class ProvidersOut(BaseModel):
    """All enabled providers, as this process has known them since its start."""

    providers: list[StandingOut]


class LoadedOut(BaseModel):
    """One version of a policy that is loaded; `halted` says why its canary was ended."""

    name: str
    version: int
    hash: str
    role: Literal["in_force", "canary", "shadow"]
    file: str
    tests: str
    percent: float
    halted: str | None


class ActivationOut(BaseModel):
    """When which version came into force, and by whom."""

    name: str
    version: int
    hash: str
    role: str
    file: str
    activated_at: str
    by: str
    tests: str


class PoliciesOut(BaseModel):
    """What decides now, which files could not be taken up and why, and what came before."""

    default: str
    policies: list[LoadedOut]
    problems: dict[str, str]
    history: list[ActivationOut]


class PolicySourceOut(BaseModel):
    """One version of a policy as it was, with the lists that it has in files."""

    name: str
    version: int
    hash: str
    source: str
    lists: dict[str, str] = Field(description="The text of each, by its path.")
    activations: list[ActivationOut]


class AliveOut(BaseModel):
    """The process lives."""

    status: Literal["ok"]


class ReadyOut(BaseModel):
    """Whether it may be sent traffic, and each thing that was looked at."""

    status: Literal["ready", "not ready"]
    checks: dict[str, Any] = Field(description="By what was looked at: `ok`, and what there is to say of it.")
