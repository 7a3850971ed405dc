"""What Prometheus sees. Every label has a bounded set of values: names from our own files, never a caller's words."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from gateway.dispatch.breaker import Circuit, State
from gateway.domain import Action, Answer, Aside, Modality, Reading
from gateway.record import Record, Revision
from gateway.web.admission import Admission
from gateway.web.gathered import Gathered
from gateway.witness import Witness

log = structlog.get_logger("modgate.metrics")

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_LAGS = (0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
_ALARMS_KEPT = 1000  # distinct new labels remembered; a vendor that invents more is logged no further


_STATES = {State.CLOSED: 0, State.HALF_OPEN: 1, State.OPEN: 2}


class Metrics(Witness):
    """One per process. The web counts requests itself."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self.registry = into = CollectorRegistry()
        self._requests = Counter("modgate_requests", "Answers sent", ["route", "status"], registry=into)
        self._seconds = Histogram(
            "modgate_request_seconds", "From the first byte to the answer", buckets=_SECONDS, registry=into
        )
        self._in_flight = Gauge(
            "modgate_in_flight", "Submissions being moderated", multiprocess_mode="livesum", registry=into
        )
        self._refused = Counter(
            "modgate_refused", "Answered 429 or 503, by the code of the problem", ["reason"], registry=into
        )
        self._lag = Histogram("modgate_loop_lag_seconds", "How late the event loop runs", buckets=_LAGS, registry=into)
        self._cap = Gauge(
            "modgate_admission_cap",
            "Submissions that may be under way now",
            multiprocess_mode="livesum",
            registry=into,
        )
        self._reloads = Counter("modgate_policy_reloads", "Changed policy files", ["result"], registry=into)
        self._refusals = Counter(
            "modgate_policy_refused", "Changed policy files that were not taken up", ["reason"], registry=into
        )
        self._asides = Counter(
            "modgate_policy_asides",
            "What versions said that did not decide, against the decision: same, milder, stricter, broken",
            ["policy", "role", "outcome"],
            registry=into,
        )
        self._halts = Counter("modgate_policy_halts", "Canaries that ended by themselves", ["policy"], registry=into)
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
        self._saved = Counter("modgate_spend_saved", "Not spent, for cascades did not need it", registry=into)
        self._late = Counter(
            "modgate_late_answers", "Answers after the decision", ["provider", "role", "status"], registry=into
        )
        self._revised = Counter("modgate_revisions", "Decisions made anew later", ["cause"], registry=into)
        self._debt = Gauge("modgate_debt", "Second looks owed", multiprocess_mode="livemax", registry=into)
        self._debt_age = Gauge(
            "modgate_debt_oldest_seconds", "Since when the oldest is owed", multiprocess_mode="livemax", registry=into
        )
        self._debt_paid = Counter("modgate_debt_paid", "Second looks had", ["outcome"], registry=into)
        self._debt_lost = Counter("modgate_debt_lost", "Second looks given up", ["reason"], registry=into)
        self._circuits = Gauge(
            "modgate_circuit",
            "Breakers: 0 closed, 1 half open, 2 open",
            ["provider", "operation"],
            multiprocess_mode="max",
            registry=into,
        )
        self._canaries = Gauge(
            "modgate_canary",
            "Questions with a known answer: 0 as it has to be, 1 not",
            ["provider", "probe"],
            multiprocess_mode="mostrecent",
            registry=into,
        )
        self._drills = Gauge(
            "modgate_drill_active",
            "Providers that fail on purpose",
            ["provider", "scenario"],
            multiprocess_mode="livesum",
            registry=into,
        )
        self._redis_lost = Gauge(
            "modgate_redis_lost", "Processes that share nothing now", multiprocess_mode="livesum", registry=into
        )
        self._redis_missed = Counter("modgate_redis_missed", "Done without Redis", ["purpose", "reason"], registry=into)
        self.gathered = Gathered()
        self._mapped: set[str] = set()
        self._alarmed: set[tuple[str, str]] = set()

    def decided(self, record: Record) -> None:
        """Count one decision and everything that led to it."""
        counts, policy = self.gathered.counts, record.policy.name
        counts[self._decisions, policy, record.decision.action, "true" if record.degraded else "false"] += 1
        for code in {reason.code for reason in record.decision.reasons}:
            counts[self._reasons, policy, code] += 1
        for answer in record.answers:
            self._notice_answer(answer)
        for aside in record.asides:
            counts[self._asides, aside.policy, aside.role, _against(record.action, aside)] += 1
        if record.saved:
            counts[self._saved,] += record.saved

    def _notice_answer(self, answer: Answer) -> None:
        counts, outcome = self.gathered.counts, answer.outcome
        provider = outcome.provider
        counts[self._answers, provider, outcome.status, answer.role] += 1
        self.gathered.seconds[self._vendors, provider].append(outcome.latency_ms / 1000)
        if outcome.attempts > 1:
            counts[self._retries, provider] += outcome.attempts - 1
        if isinstance(outcome, Reading) and not self._mapped.issuperset(
            [signal.category for signal in outcome.signals]
        ):
            self._notice_labels(outcome)

    def _notice_labels(self, reading: Reading) -> None:
        """Count the labels that no table knows. `_mapped` are our own categories: as many as the taxonomy has."""
        for signal in reading.signals:
            root = signal.category.partition("/")[0]
            if root == "unmapped":
                self.gathered.counts[self._unmapped, reading.provider] += 1
                self._alarm(reading.provider, signal.label)
            elif root != "label":  # those are things seen, of which there is no end
                self._mapped.add(signal.category)

    def refused(self, code: str) -> None:
        """Count one request for which there was no room."""
        self.gathered.counts[self._refused, code] += 1

    def lagged(self, lag: float) -> None:
        """The loop was late by so many seconds."""
        self._lag.observe(lag)
        self._take_stock()

    def _take_stock(self) -> None:
        self._cap.set(self._admission.cap)
        self._in_flight.set(self._admission.in_flight)

    def request(self, route: str, status: int, seconds: float) -> None:
        """Count one answer."""
        self.gathered.counts[self._requests, route, str(status)] += 1
        self.gathered.seconds[self._seconds,].append(seconds)

    def came_late(self, record: Record, late: Sequence[Answer], revision: Revision | None) -> None:
        for answer in late:
            self._late.labels(answer.outcome.provider, answer.role, answer.outcome.status).inc()
        if revision is not None:
            self._revised.labels(revision.cause).inc()
            log.error("decision_revised", decision=record.id, was=record.action, action=revision.decision.action)

    def circuit_changed(self, provider: str, operation: Modality, circuit: Circuit) -> None:
        self._circuits.labels(provider, operation).set(_STATES[circuit.state])
        tell = log.info if circuit.state is State.CLOSED else log.error
        tell("circuit", provider=provider, operation=operation, state=circuit.state, reason=circuit.reason)

    def probed(self, provider: str, probe: str, well: bool) -> None:
        self._canaries.labels(provider, probe).set(0 if well else 1)

    def owing(self, count: int, oldest: float | None) -> None:
        self._debt.set(count)
        self._debt_age.set(0.0 if oldest is None else max(0.0, time.time() - oldest))

    def paid(self, record: Record, was: Action, now: Action) -> None:
        outcome = "confirmed" if now is was else "tightened" if now.strictness > was.strictness else "relaxed"
        self._debt_paid.labels(outcome).inc()
        self._revised.labels("debt").inc()
        if now is not was:
            log.error("decision_revised", decision=record.id, was=was, action=now, cause="debt")

    def debt_lost(self, reason: str, many: int = 1) -> None:
        self._debt_lost.labels(reason).inc(many)

    def drilled(self, provider: str, scenario: str, on: bool) -> None:
        self._drills.labels(provider, scenario).set(1 if on else 0)

    def redis_changed(self, well: bool, why: str) -> None:
        self._redis_lost.set(0 if well else 1)
        if well:
            log.info("redis_there")
        else:
            log.error("redis_lost", error=why, hint="each process now limits and remembers for itself")

    def redis_missed(self, purpose: str, why: str) -> None:
        self._redis_missed.labels(purpose, why).inc()

    def policy_changed(self, why: str) -> None:
        """A policy file changed; `why` it was not taken up is empty where it was."""
        self._reloads.labels("failed" if why else "ok").inc()
        if why:
            self._refusals.labels(why).inc()

    def canary_halted(self, policy: str) -> None:
        self._halts.labels(policy).inc()

    def decoder_lost(self, cause: str) -> None:
        self._lost.labels(cause).inc()

    def _alarm(self, provider: str, label: str) -> None:
        """Once for each new label: somebody has to put it into the vendor's table."""
        if (provider, label) not in self._alarmed and len(self._alarmed) < _ALARMS_KEPT:
            self._alarmed.add((provider, label))
            log.error("unmapped_label", provider=provider, label=label, hint="add it to config/vendors")

    def exposition(self) -> bytes:
        """The text format, over all workers of this machine where there are several."""
        self.gathered.hand_over()
        self._take_stock()
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            return generate_latest(self.registry)
        together = CollectorRegistry()
        MultiProcessCollector(together)  # type: ignore[no-untyped-call]
        return generate_latest(together)


def _against(decided: Action, aside: Aside) -> str:
    """How another version's word compares with the decision."""
    if aside.action is None:
        return "broken"
    if aside.action is decided:
        return "same"
    return "stricter" if aside.action.strictness > decided.strictness else "milder"
