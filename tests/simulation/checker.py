"""What must hold of every decision, worked out again from its evidence by code that shares nothing with ours."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.record import Record
from tests.simulation.vendors import SLUGS

STRICTNESS = {"allow": 0, "review": 1, "block": 2}


@dataclass(frozen=True)
class Rules:
    """A policy in plain numbers: slug → (review, block) in 0..10,000, and what must be looked at by how many."""

    thresholds: dict[str, tuple[int, int]]
    coverage: dict[str, int]


@dataclass(frozen=True)
class Asked:
    """What a submission was entitled to: `need` and `deadline` of the leg of each of its inputs."""

    need: list[int]
    deadline: list[float]


_DEGRADING = {"coverage_missing", "coverage_no_answer", "coverage_too_few"}


class Violation(AssertionError):
    """An invariant does not hold."""


def check(record: Record, rules: Rules, asked: Asked, took: float) -> None:
    """I1 never silent allow; I5 in time; I6 degraded where it was. Raises Violation."""
    if took > max(asked.deadline) * 1.001 + 1e-6:
        raise Violation(f"I5: it took {took:.3f} s, the deadline is {max(asked.deadline)} s")
    least = "allow"
    for index, need in enumerate(asked.need):
        for action in _demanded(record, rules, index, need):
            least = max(least, action, key=STRICTNESS.__getitem__)
    got = record.decision.action.value
    if STRICTNESS[got] < STRICTNESS[least]:
        raise Violation(f"I1: decided {got}, and the evidence demands {least}")
    if got != least:
        raise Violation(f"decided {got} where the evidence demands no more than {least}")
    lost = any(answer.role == "ask" and answer.failure for answer in record.answers)
    gaps = {code for index, need in enumerate(asked.need) for code in _gaps(record, rules, index, need)}
    if record.degraded is not (lost or not gaps.isdisjoint(_DEGRADING)):
        raise Violation(f"I6: degraded is {record.degraded}, lost {lost}, gaps {gaps}")


def check_nothing_is_forgotten(record: Record, again: Record) -> None:
    """Who had an answer about an input has one in the second look, the same or a newer. Raises Violation."""
    said, now = ({(a.outcome.provider, a.input) for a in each.answers if a.reading} for each in (record, again))
    shadows = {(a.outcome.provider, a.input) for a in record.answers if a.role == "shadow"}
    if lost := said - shadows - now:
        raise Violation(f"the second look has forgotten {lost}")


def _demanded(record: Record, rules: Rules, index: int, need: int) -> list[str]:
    actions = ["review" for _ in _gaps(record, rules, index, need)]
    for slug, score in _heard(record, index):
        review, block = rules.thresholds.get(slug, (10_001, 10_001))
        actions.append("block" if score >= block else "review" if score >= review else "allow")
    return actions


def _gaps(record: Record, rules: Rules, index: int, need: int) -> list[str]:
    answers = [answer for answer in record.answers if answer.input == index and answer.reading]
    gaps = ["coverage_need"] if len({answer.outcome.provider for answer in answers}) < need else []
    for slug, wanted in rules.coverage.items():
        seen = {
            answer.outcome.provider
            for answer in answers
            for signal in answer.reading.signals
            if signal.input == index and signal.category == slug and signal.score is not None
        }
        if len(seen) < wanted:
            gaps.append("coverage_missing")
    return gaps


def _heard(record: Record, index: int) -> list[tuple[str, int]]:
    return [
        (signal.category, signal.score)
        for answer in record.answers
        if answer.reading and answer.role != "shadow"
        for signal in answer.reading.signals
        if signal.input == index and signal.score is not None and signal.category in SLUGS
    ]
