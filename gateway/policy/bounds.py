"""What answers that are still to come could change. Dispatch asks this, for it knows no policies."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from gateway.domain import FULL, Action, Answer, Failure, Modality, Reading, Role, Signal
from gateway.policy.judging import ESCALATE, MISSING, Judgement
from gateway.policy.policy import Policy
from gateway.policy.tally import LISTED, InputFacts, hear


def settled(policy: Policy, fact: InputFacts, remaining: Mapping[str, frozenset[str]]) -> bool:
    """Whether the action on this input is the same, whatever the remaining providers (name → what it sees) answer.

    Interval evaluation. The mildest is that all look and find nothing; the strictest, that all are as sure as can be of
    everything, or that none answers, or all fail. Where a higher score could make a policy milder, it is never settled
    while anybody remains. What a named person has to see is settled: it is shown to no further vendor.
    """
    judged = _judged(policy, fact)
    if ESCALATE in judged.effects:
        return True
    if not policy.monotone:
        return not remaining
    now = judged.action
    if policy.asks and now is not Action.BLOCK and _may_name(policy, fact, remaining):
        return False
    extremes = [_looking(remaining, None, fact), _looking(remaining, FULL, fact)]
    extremes += [_failing(remaining, fact)] if policy.asks else []
    return all(_judged(policy, _with(fact, answers)).action is now for answers in extremes)


def holes(policy: Policy, fact: InputFacts) -> frozenset[str]:
    """The categories that had to be looked at and were not, or not by enough; none of what a person has to see."""
    judged = _judged(policy, fact)
    if ESCALATE in judged.effects:
        return frozenset()
    return frozenset(reason.category for _, reason in judged.reasons if reason.code == MISSING and reason.category)


def suspects(policy: Policy, answer: Answer) -> bool:
    """Whether this answer alone makes it a case for a named person."""
    escalating, reading = policy.escalating, answer.reading
    grave = [signal for signal in reading.signals if signal.category in escalating] if reading else ()
    return any(
        signal.input == answer.input
        and signal.score is not None
        and signal.score >= policy.lines[signal.category].lowest
        for signal in grave
    )


def _judged(policy: Policy, fact: InputFacts) -> Judgement:
    [heard] = hear([fact])
    return Judgement(policy, heard)


def _may_name(policy: Policy, fact: InputFacts, remaining: Mapping[str, frozenset[str]]) -> bool:
    """Whether one of them may name a thing, or a list, that some rule asks for."""
    things = policy.needs.labels and fact.modality is Modality.IMAGE and any(name in fact.objects for name in remaining)
    return things or (policy.needs.hashes and any(LISTED in sees for sees in remaining.values()))


def _with(fact: InputFacts, answers: list[Answer]) -> InputFacts:
    return replace(fact, answers=(*fact.answers, *answers))


def _looking(remaining: Mapping[str, frozenset[str]], score: int | None, fact: InputFacts) -> list[Answer]:
    place = fact.place or 0
    return [Answer(place, Role.ASK, _reading(name, sees, score, place)) for name, sees in remaining.items()]


def _failing(remaining: Mapping[str, frozenset[str]], fact: InputFacts) -> list[Answer]:
    place = fact.place or 0
    return [Answer(place, Role.ASK, Failure(name, (place,), "timeout", "", 1, 0.0)) for name in remaining]


def _reading(provider: str, sees: frozenset[str], score: int | None, place: int) -> Reading:
    signals = tuple(Signal(slug, score, provider, "", place, below=0) for slug in sees)
    return Reading(provider, (place,), signals, None, None, (), 1, 0.0)
