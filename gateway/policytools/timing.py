"""How long a policy takes: to decide, to be read and compiled. Of this thread's CPU time, not of the wall clock."""

from __future__ import annotations

from statistics import median, quantiles
from time import thread_time_ns
from typing import Any

from msgspec.structs import replace

from gateway.domain import FULL, Answer, Modality, Reading, Role, Signal
from gateway.policy.decide import decide
from gateway.policy.making import load_policy
from gateway.policy.messages import Messages
from gateway.policy.policy import Policy
from gateway.policy.tally import InputFacts
from gateway.policytools.given import asked

_PROVIDERS = 4
_LABELS = ("person", "sky", "knife")
_INPUTS = 16  # different ones, taken in turn: one is alarming in everything, the others are calm
_CALM = FULL // 100


def measure(policy: Policy, messages: Messages, decisions: int = 4000, compilations: int = 7) -> dict[str, Any]:
    """Microseconds for a decision, milliseconds to compile, and what the policy consists of.

    An input has an answer of four providers for every category the policy asks about, and three labels. Most are calm,
    as most of what comes is; one in sixteen has everything against it, and makes the 99th percentile.
    """
    inputs = [_input(policy, FULL if turn == 0 else turn * _CALM // _INPUTS) for turn in range(_INPUTS)]
    for fact in inputs:  # once beforehand: what a policy works out when first asked is worked out once
        _decided(policy, fact)
    took = [_decided(policy, inputs[turn % _INPUTS]) for turn in range(decisions)]
    compiled = [_compiled(policy, messages) for _ in range(compilations)]
    return {
        "policy": policy.name,
        "rules": len(policy.clauses),
        "categories": len(policy.said.thresholds),
        "overlays": len(policy.said.overlays),
        "decisions": decisions,
        "decision_us": {"p50": round(median(took) / 1000, 1), "p99": round(quantiles(took, n=100)[98] / 1000, 1)},
        "compile_ms": round(median(compiled) / 1e6, 2),
    }


def _decided(policy: Policy, fact: InputFacts) -> int:
    begun = thread_time_ns()
    decide(policy.under(fact.context, "default"), [fact])
    return thread_time_ns() - begun


def _compiled(policy: Policy, messages: Messages) -> int:
    begun = thread_time_ns()
    load_policy(policy.file, policy.taxonomy, messages)
    return thread_time_ns() - begun


def _input(policy: Policy, score: int) -> InputFacts:
    names = [f"provider-{number}" for number in range(_PROVIDERS)]
    answers = tuple(Answer(0, Role.ASK, _reading(policy, name, score)) for name in names)
    fact = InputFacts(modality=Modality.IMAGE, answers=answers, sees={}, need=1, place=0)
    return replace(fact, context={"surface": "post"}, objects=tuple(names[:1]))


def _reading(policy: Policy, name: str, score: int) -> Reading:
    signals = [Signal(slug, score, name, slug, 0) for slug in asked(policy, Modality.IMAGE)]
    signals += [Signal(f"label/{label}", score, name, label, 0) for label in _LABELS]
    return Reading(name, (0,), tuple(signals), None, None, (), 1, 0.0)
