"""What Prometheus sees. Every label has a bounded set of values: names from our own files, never a caller's words."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from gateway.dispatch.breaker import Circuit, State
from gateway.domain import Answer, Modality
from gateway.record import Record, Revision
from gateway.witness import Witness

log = structlog.get_logger("modgate.metrics")

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_ALARMS_KEPT = 1000  # distinct new labels remembered; a vendor that invents more is logged no further


_STATES = {State.CLOSED: 0, State.HALF_OPEN: 1, State.OPEN: 2}


class Metrics(Witness):
    """One per process. The web counts requests itself."""

    def __init__(self) -> None:
        self.registry = into = CollectorRegistry()
        self._requests = Counter("modgate_requests", "Answers sent", ["route", "status"], registry=into)
        self._seconds = Histogram(
            "modgate_request_seconds", "From the first byte to the answer", buckets=_SECONDS, registry=into
        )
        self.in_flight = Gauge(
            "modgate_in_flight", "Submissions being moderated", multiprocess_mode="livesum", registry=into
        )
        self.refused = Counter("modgate_refused", "Requests refused unread", ["reason"], registry=into)
        self.policy_reloads = Counter("modgate_policy_reloads", "Changed policy files", ["result"], registry=into)
        self._decisions = Counter("modgate_decisions", "Decisions", ["policy", "action", "degraded"], registry=into)
        self._reasons = Counter("modgate_reasons", "Reasons given", ["policy", "code"], registry=into)
        self._answers = Counter(
            "modgate_provider_answers", "What came of asking", ["provider", "status", "role"], registry=into
        )
        self._vendors = Histogram(
            "modgate_provider_seconds", "How long it took", ["provider"], buckets=_SECONDS, registry=into
        )
        self._retries = Counter("modgate_provider_retries", "Attempts after the first", ["provider"], registry=into)
        self._unmapped = Counter("modgate_unmapped_labels", "Labels no table knows", ["provider"], registry=into)
        self._lost = Counter("modgate_decoders_lost", "Image decoders killed", ["cause"], registry=into)
        self._late = Counter(
            "modgate_late_answers", "Answers after the decision", ["provider", "role", "status"], registry=into
        )
        self._revised = Counter("modgate_revisions", "Decisions made stricter later", ["cause"], registry=into)
        self._circuits = Gauge(
            "modgate_circuit",
            "Breakers: 0 closed, 1 half open, 2 open",
            ["provider", "operation"],
            multiprocess_mode="max",
            registry=into,
        )
        self._children: dict[tuple[Any, ...], Any] = {}
        self._alarmed: set[tuple[str, str]] = set()

    def decided(self, record: Record) -> None:
        """Count one decision and everything that led to it."""
        policy = record.policy.name
        self._of(self._decisions, policy, record.action, "true" if record.degraded else "false").inc()
        for code in {reason.code for reason in record.decision.reasons}:
            self._of(self._reasons, policy, code).inc()
        for answer in record.answers:
            self._notice_answer(answer)

    def _notice_answer(self, answer: Answer) -> None:
        outcome = answer.outcome
        provider = outcome.provider
        self._of(self._answers, provider, outcome.status, answer.role.value).inc()
        self._of(self._vendors, provider).observe(outcome.latency_ms / 1000)
        if outcome.attempts > 1:
            self._of(self._retries, provider).inc(outcome.attempts - 1)
        for signal in answer.reading.signals if answer.reading else ():
            if signal.category.startswith("unmapped/"):
                self._of(self._unmapped, provider).inc()
                self._alarm(provider, signal.label)

    def request(self, route: str, status: int, seconds: float) -> None:
        """Count one answer."""
        self._of(self._requests, route, str(status)).inc()
        self._seconds.observe(seconds)

    def _of(self, metric: Any, *labels: str) -> Any:
        """The child for these labels, found once: looking it up costs more than counting."""
        key = (id(metric), *labels)
        child = self._children.get(key)
        if child is None:
            child = self._children[key] = metric.labels(*labels)
        return child

    def came_late(self, record: Record, late: Sequence[Answer], revision: Revision | None) -> None:
        for answer in late:
            self._of(self._late, answer.outcome.provider, answer.role, answer.outcome.status).inc()
        if revision is not None:
            self._of(self._revised, revision.cause).inc()
            log.error("decision_revised", decision=record.id, was=record.action, action=revision.decision.action)

    def circuit_changed(self, provider: str, operation: Modality, circuit: Circuit) -> None:
        self._of(self._circuits, provider, operation).set(_STATES[circuit.state])
        tell = log.info if circuit.state is State.CLOSED else log.error
        tell("circuit", provider=provider, operation=operation, state=circuit.state, reason=circuit.reason)

    def decoder_lost(self, cause: str) -> None:
        self._lost.labels(cause).inc()

    def _alarm(self, provider: str, label: str) -> None:
        """Once for each new label: somebody has to put it into the vendor's table."""
        if (provider, label) not in self._alarmed and len(self._alarmed) < _ALARMS_KEPT:
            self._alarmed.add((provider, label))
            log.error("unmapped_label", provider=provider, label=label, hint="add it to config/vendors")

    def exposition(self) -> bytes:
        """The text format, over all workers of this machine where there are several."""
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            return generate_latest(self.registry)
        together = CollectorRegistry()
        MultiProcessCollector(together)  # type: ignore[no-untyped-call]
        return generate_latest(together)
