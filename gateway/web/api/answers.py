"""What our answers look like, for `/openapi.json` alone: `record.py` makes them, and tests hold them to this."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from gateway.domain import Action, Modality, Role, State

Status = Literal[
    "ok",
    "timeout",
    "throttled",
    "unavailable",
    "denied",
    "rejected",
    "drift",
    "open",
    "cached",
    "shadow",
    "late",
]
Share = float | None  # 0..1; null where nobody looked, never 0


class _Out(BaseModel):
    """Made when it is asked for first: a gateway that nobody asks to describe itself does without."""

    model_config = ConfigDict(defer_build=True)


class ReasonOut(_Out):
    """Why it is no plain allow, the weightiest first. `code` is for programs, `message` for the author."""

    code: str
    category: str | None
    action: Action
    score: Share
    threshold: Share
    rule: str
    input: int | None
    message: str


class CategoryOut(_Out):
    """One category over all inputs, and what each provider scored."""

    score: Share
    state: State
    action: Action
    providers: dict[str, float]


class LabelOut(_Out):
    """A thing that a provider named, in its own word."""

    name: str
    category: str
    confidence: float
    provider: str
    input: int


class InputOut(_Out):
    """One text or image of the submission, by its place in it."""

    index: int
    type: Modality
    action: Action


class ProviderOut(_Out):
    """What came of one question to one provider."""

    name: str
    input: int
    status: Status
    role: Role
    attempts: int | None
    latency_ms: float | None
    model: str | None
    error: str | None
    opinion: str = Field(default="", description="The vendor's own verdict, where it gives one.")
    fitted: list[Any] = Field(default=[], description="How the picture was made to fit this vendor's limits.")
    like: dict[str, Any] = Field(default={}, description="The nearly equal picture that this is the answer about.")


class CoverageOut(_Out):
    """Which categories the policy wants looked for, and for which of them nobody did."""

    required: list[str]
    missing: list[str]


class PolicyOut(_Out):
    """Which policy decided; `hash` is its identity."""

    name: str
    version: int
    hash: str
    resolved: str
    overlays: list[str]


class DecisionOut(_Out):
    """What was decided, and why."""

    id: str
    action: Action
    flagged: bool
    risk_level: Literal["low", "medium", "high"]
    max_category: str | None
    max_score: Share
    reasons: list[ReasonOut]
    categories: dict[str, CategoryOut]
    labels: list[LabelOut]
    inputs: list[InputOut]
    providers: list[ProviderOut]
    coverage: CoverageOut
    effects: list[str]
    policy: PolicyOut
    degraded: bool = Field(description="Somebody in ask gave no usable answer, or a required category is missing.")
    tier: int | None
    latency_ms: float


class EvidenceOut(DecisionOut):
    """A decision, what it rests on, and what came after it."""

    created_at: str
    request_id: str
    key: str
    route: str
    context: dict[str, Any]
    content: list[dict[str, Any]] = Field(description="Each input without its content: digests, format, frames.")
    signals: list[dict[str, Any]] = Field(description="What providers found, in our categories.")
    raw: list[dict[str, Any]] = Field(description="What providers answered, as it came over the wire.")
    late: list[dict[str, Any]] = Field(description="Answers that came after the decision.")
    revisions: list[dict[str, Any]] = Field(description="Later decisions on the same content, with their cause.")
    exempted: list[Any]
    shadow_rules: list[Any]
    shadow: list[dict[str, Any]] = Field(description="What policies said that did not decide.")
    timings: dict[str, float]
    explain: dict[str, Any] = Field(default={}, description="What led to it, where ?explain=1 asked.")
