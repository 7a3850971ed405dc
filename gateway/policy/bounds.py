"""What answers that are still to come could change. Dispatch asks this, for it knows no policies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from gateway.domain import FULL, Action, Answer, Reading, Role, Signal
from gateway.policy.decide import MISSING, InputFacts, decide
from gateway.policy.policy import Policy


def settled(policy: Policy, fact: InputFacts, remaining: Mapping[str, frozenset[str]]) -> bool:
    """Whether the action on this input is the same, whatever the remaining providers (name → what it sees) answer.

    Interval evaluation. The mildest is that all look and find nothing; the strictest, that all are as sure as can be of
    everything, or that none answers.
    """
    now = decide(policy, [fact]).action
    return all(_supposing(policy, fact, remaining, score) is now for score in (None, FULL))


def holes(policy: Policy, fact: InputFacts) -> frozenset[str]:
    """The categories that had to be looked at and were not, or not by enough."""
    reasons = decide(policy, [fact]).reasons
    return frozenset(reason.category for reason in reasons if reason.code == MISSING and reason.category)


def _supposing(policy: Policy, fact: InputFacts, remaining: Mapping[str, frozenset[str]], score: int | None) -> Action:
    place = fact.place or 0
    supposed = [Answer(place, Role.ASK, _reading(name, sees, score, place)) for name, sees in remaining.items()]
    return decide(policy, [replace(fact, answers=(*fact.answers, *supposed))]).action


def _reading(provider: str, sees: frozenset[str], score: int | None, place: int) -> Reading:
    signals = tuple(Signal(slug, score, provider, "", place, below=0) for slug in sees)
    return Reading(provider, (place,), signals, None, None, (), 1, 0.0)
