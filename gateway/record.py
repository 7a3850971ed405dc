"""A finished moderation: as it is kept, and as it is told.

It is kept as these structs in JSON, which costs a request almost nothing; shares and shapes for people are made when
somebody asks. The content itself is not in it, only digests.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct, to_builtins
from msgspec.json import Decoder, Encoder

from gateway.domain import (
    FULL,
    Action,
    Answer,
    Aside,
    CategoryVerdict,
    Decision,
    Failure,
    Input,
    Modality,
    Reading,
    Reason,
    Role,
    Text,
)


class Timings(Struct, frozen=True):
    """Milliseconds: the vendors, the policy, and all of it up to the decision."""

    vendors: float
    policy: float
    total: float


class PolicyName(Struct, frozen=True):
    """Which policy decided. The hash is its identity, the version a counter for people.

    `overlays` are those it was decided under, and `resolved` the hash of the policy with them on it.
    """

    name: str
    version: int
    hash: str
    resolved: str = ""
    overlays: tuple[str, ...] = ()


class InputDigest(Struct, frozen=True):
    """One input without its content: SHA-256 (hex) of the bytes as they came and of each view as vendors got it."""

    type: Modality
    sha256: str
    format: str | None = None
    frames: int = 1
    unseen: int = 0
    views: tuple[str, ...] = ()
    url: str | None = None


class Unheard(Struct, frozen=True):
    """A question whose answer was not waited for: of a shadow, or of one whom others were faster than."""

    input: int
    provider: str
    role: Role


class Record(Struct, frozen=True):
    """One submission with everything that was found and decided. `objects` are providers whose labels name things.

    `key` is the name of the key that sent it, `anonymous` where none was asked, empty where no caller was. `saved` is
    what those would have cost whom a cascade did not need, in the currency of `price_per_1k`. `asides` are what those
    policies said that did not decide.
    """

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
    unheard: tuple[Unheard, ...] = ()
    key: str = ""
    saved: float = 0.0
    asides: tuple[Aside, ...] = ()

    @property
    def action(self) -> Action:
        return self.decision.action


class Revision(Struct, frozen=True):
    """A later decision on the same content. `cause` is late_answer or debt; `created_at` seconds since 1970."""

    created_at: float
    cause: str
    decision: Decision


class Case(Struct, frozen=True):
    """A decision with all that came after it."""

    record: Record
    late: tuple[Answer, ...] = ()
    revisions: tuple[Revision, ...] = ()

    @property
    def answers(self) -> tuple[Answer, ...]:
        """All that was said, the newest last."""
        return (*self.record.answers, *self.late)

    @property
    def action(self) -> Action:
        """What holds now."""
        return self.revisions[-1].decision.action if self.revisions else self.record.action


to_json = Encoder().encode  # of a record, or of a part of it, as it is kept

_RECORD = Decoder(Record)


def from_json(kept: bytes) -> Record:
    """A record that `to_json` wrote."""
    return _RECORD.decode(kept)


def digest(part: Input) -> InputDigest:
    """What is kept of an input: enough to recognise it, not to show it."""
    if isinstance(part, Text):
        return InputDigest(Modality.TEXT, part.digest)
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
        "providers": [*map(_provider, record.answers), *map(_unheard, record.unheard)],
        "coverage": {"required": decision.coverage.required, "missing": decision.coverage.missing},
        "effects": decision.effects,
        "policy": _policy(record.policy),
        "degraded": record.degraded,
        "tier": record.tier,
        "latency_ms": round(record.timings.total, 2),
    }


def evidence(case: Case) -> dict[str, Any]:
    """The body of `GET /v1/decisions/{id}`: the answer, what it rests on, and what came after it."""
    record = case.record
    return {
        **answer(record),
        "created_at": moment(record.created_at),
        "request_id": record.request_id,
        "key": record.key,
        "route": record.route,
        "context": record.context,
        "content": to_builtins(record.content),
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
        "raw": [_raw(outcome) for outcome in _outcomes((*record.answers, *case.late))],
        "late": [_late(answer) for answer in case.late],
        "revisions": [_revision(revision) for revision in case.revisions],
        "exempted": record.decision.exempted,
        "shadow_rules": record.decision.shadow,
        "shadow": [_aside(aside) for aside in record.asides],
        "timings": {"vendors_ms": round(record.timings.vendors, 2), "policy_ms": round(record.timings.policy, 3)},
    }


def share(score: int | None) -> float | None:
    """0..10,000 as 0..1."""
    return None if score is None else score / FULL


def _policy(policy: PolicyName) -> dict[str, Any]:
    return {
        "name": policy.name,
        "version": policy.version,
        "hash": policy.hash,
        "resolved": policy.resolved or policy.hash,
        "overlays": policy.overlays,
    }


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
        **({"fitted": to_builtins(outcome.fitted)} if outcome.fitted else {}),
    }
    if isinstance(outcome, Failure):
        return {**told, "model": None, "error": outcome.detail}
    opinion = {"opinion": outcome.opinion.verdict} if outcome.opinion else {}
    like = {"like": to_builtins(outcome.like)} if outcome.like else {}
    return {**told, "model": outcome.model, "error": None, **opinion, **like}


def _unheard(question: Unheard) -> dict[str, Any]:
    status = "shadow" if question.role is Role.SHADOW else "late"
    told = {"name": question.provider, "input": question.input, "status": status, "role": question.role.value}
    return {**told, "attempts": None, "latency_ms": None, "model": None, "error": None}


def _late(answer: Answer) -> dict[str, Any]:
    """An answer that came after the decision: as any other, its own status beside the word for its lateness."""
    reading = answer.reading
    scores = {signal.category: share(signal.score) for signal in reading.signals} if reading else {}
    status = "shadow" if answer.role is Role.SHADOW else "late"
    return {**_provider(answer), "status": status, "outcome": answer.outcome.status, "scores": scores}


def _aside(aside: Aside) -> dict[str, Any]:
    return {
        "policy": aside.policy,
        "version": aside.version,
        "hash": aside.hash,
        "role": aside.role,
        "action": None if aside.action is None else aside.action.value,
    }


def _revision(revision: Revision) -> dict[str, Any]:
    return {
        "created_at": moment(revision.created_at),
        "cause": revision.cause,
        "action": revision.decision.action.value,
        "reasons": [_reason(reason) for reason in revision.decision.reasons],
    }


def moment(seconds: float) -> str:
    """A time as it is told outside: ISO 8601, UTC, milliseconds."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


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
