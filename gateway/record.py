"""A finished moderation: as it is kept, and as it is told.

It is kept as these dataclasses in JSON (orjson writes them, pydantic reads them back), which costs a request almost
nothing; shares and shapes for people are made when somebody asks. The content itself is not in it, only digests.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

import orjson
from pydantic import TypeAdapter

from gateway.domain import (
    FULL,
    Action,
    Answer,
    CategoryVerdict,
    Decision,
    Failure,
    Input,
    Modality,
    Reading,
    Reason,
    Text,
)


@dataclass(frozen=True)
class Timings:
    """Milliseconds: the vendors, the policy, and all of it up to the decision."""

    vendors: float
    policy: float
    total: float


@dataclass(frozen=True)
class PolicyName:
    """Which policy decided. The hash is its identity, the version a counter for people."""

    name: str
    version: int
    hash: str


@dataclass(frozen=True)
class InputDigest:
    """One input without its content: SHA-256 (hex) of the bytes as they came and of each view as vendors got it."""

    type: Modality
    sha256: str
    format: str | None = None
    frames: int = 1
    unseen: int = 0
    views: tuple[str, ...] = ()
    url: str | None = None


@dataclass(frozen=True)
class Record:
    """One submission with everything that was found and decided. `objects` are providers whose labels name things."""

    id: str
    created_at: float
    tenant: str
    request_id: str
    route: str
    policy: PolicyName
    context: Mapping[str, Any]
    content: tuple[InputDigest, ...]
    answers: tuple[Answer, ...]
    decision: Decision
    degraded: bool
    tier: int | None
    timings: Timings
    objects: tuple[str, ...] = ()

    @property
    def action(self) -> Action:
        return self.decision.action


_STORED = TypeAdapter(Record)


def to_json(record: Record) -> bytes:
    """The record as it is kept."""
    return orjson.dumps(record, option=orjson.OPT_NON_STR_KEYS)


def from_json(kept: bytes) -> Record:
    """A record that `to_json` wrote."""
    return _STORED.validate_json(kept)


def digest(part: Input) -> InputDigest:
    """What is kept of an input: enough to recognise it, not to show it."""
    if isinstance(part, Text):
        return InputDigest(Modality.TEXT, sha256(part.text.encode("utf-8", "surrogatepass")).hexdigest())
    bare = urlsplit(part.url)._replace(query="", fragment="").geturl() if part.url else None
    views = tuple(sha256(view.data).hexdigest() for view in part.views)
    return InputDigest(Modality.IMAGE, part.digest, part.source_type, part.frames, part.unseen, views, bare)


def answer(record: Record) -> dict[str, Any]:
    """The body of `POST /v1/moderate`. Scores are 0..1 here, null where nobody looked."""
    decision = record.decision
    return {
        "id": record.id,
        "action": decision.action.value,
        "flagged": decision.action is not Action.ALLOW,
        "risk_level": decision.action.risk,
        "max_category": decision.max_category,
        "max_score": share(decision.max_score),
        "reasons": [_reason(reason) for reason in decision.reasons],
        "categories": {slug: _category(verdict) for slug, verdict in decision.categories.items()},
        "labels": _labels(record),
        "inputs": [
            {"index": index, "type": part.type.value, "action": action.value}
            for index, (part, action) in enumerate(zip(record.content, decision.inputs, strict=True))
        ],
        "providers": [_provider(answer) for answer in record.answers],
        "coverage": {"required": decision.coverage.required, "missing": decision.coverage.missing},
        "policy": {"name": record.policy.name, "version": record.policy.version, "hash": record.policy.hash},
        "degraded": record.degraded,
        "tier": record.tier,
        "latency_ms": round(record.timings.total, 2),
    }


def evidence(record: Record) -> dict[str, Any]:
    """The body of `GET /v1/decisions/{id}`: the answer, and what it rests on."""
    return {
        **answer(record),
        "created_at": datetime.fromtimestamp(record.created_at, UTC).isoformat(timespec="milliseconds"),
        "request_id": record.request_id,
        "route": record.route,
        "context": record.context,
        "content": record.content,
        "signals": [
            {
                "category": signal.category,
                "score": share(signal.score),
                "provider": signal.provider,
                "label": signal.label,
                "input": signal.input,
            }
            for reading in _readings(record.answers)
            for signal in reading.signals
        ],
        "raw": [_raw(outcome) for outcome in _outcomes(record.answers)],
        "timings": {"vendors_ms": round(record.timings.vendors, 2), "policy_ms": round(record.timings.policy, 3)},
    }


def share(score: int | None) -> float | None:
    """0..10,000 as 0..1."""
    return None if score is None else score / FULL


def _reason(reason: Reason) -> dict[str, Any]:
    return {
        "code": reason.code,
        "category": reason.category,
        "action": reason.action.value,
        "score": share(reason.score),
        "threshold": share(reason.threshold),
        "rule": reason.rule,
        "input": reason.input,
        "message": reason.message,
    }


def _category(verdict: CategoryVerdict) -> dict[str, Any]:
    return {
        "score": share(verdict.score),
        "state": verdict.state.value,
        "action": verdict.action.value,
        "providers": {name: score / FULL for name, score in verdict.providers.items()},
    }


def _provider(answer: Answer) -> dict[str, Any]:
    outcome = answer.outcome
    told: dict[str, Any] = {
        "name": outcome.provider,
        "input": answer.input,
        "status": outcome.status,
        "role": answer.role.value,
        "attempts": outcome.attempts,
        "latency_ms": round(outcome.latency_ms, 2),
    }
    if isinstance(outcome, Failure):
        return {**told, "model": None, "error": outcome.detail}
    opinion = {"opinion": outcome.opinion.verdict} if outcome.opinion else {}
    return {**told, "model": outcome.model, "error": None, **opinion}


def _labels(record: Record) -> list[dict[str, Any]]:
    return [
        {
            "name": signal.label,
            "category": signal.category,
            "confidence": share(signal.score),
            "provider": signal.provider,
            "input": signal.input,
        }
        for reading in _readings(record.answers)
        if reading.provider in record.objects
        for signal in reading.signals
        if signal.score is not None
    ]


def _outcomes(answers: tuple[Answer, ...]) -> list[Reading | Failure]:
    """What came of each question, once: an answer may bear on two inputs, or on one and be a failure for the other."""
    outcomes = sorted((answer.outcome for answer in answers), key=lambda outcome: isinstance(outcome, Reading))
    return list({(outcome.provider, outcome.inputs): outcome for outcome in outcomes}.values())


def _readings(answers: tuple[Answer, ...]) -> list[Reading]:
    return [outcome for outcome in _outcomes(answers) if isinstance(outcome, Reading)]


def _raw(outcome: Reading | Failure) -> Mapping[str, Any]:
    """What came over the wire; of a failure the start of it."""
    said = (
        [{"status": outcome.http, "body": outcome.raw}]
        if isinstance(outcome, Failure)
        else [{"status": exchange.status, "body": exchange.body} for exchange in outcome.exchanges]
    )
    return {"provider": outcome.provider, "inputs": outcome.inputs, "answers": said}
