"""How long a policy takes: to decide, to be read and compiled. Of this thread's CPU time, not of the wall clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median, quantiles
from time import thread_time_ns
from typing import Any

from gateway.domain import Answer, Finding, Look, Modality, Reading, Role, Signal
from gateway.policy.decide import action, decided
from gateway.policy.making import load_policy
from gateway.policy.messages import Messages
from gateway.policy.policy import Policy
from gateway.policy.tally import InputFacts, hear
from gateway.policytools.given import asked

_PROVIDERS = tuple(f"provider-{number}" for number in range(4))
_THINGS = ("person", "sky", "knife")
_INPUTS = 16  # different ones, taken in turn: one is alarming in everything, the others are calm
_CALM = 0.01
_IMAGE = {Modality.IMAGE: 0}

Translate = Callable[[Look, str, Mapping[Modality, int]], tuple[Signal, ...]]
Looks = Sequence[tuple[str, Look]]  # what each provider said


def measure(
    policy: Policy, messages: Messages, translate: Translate, decisions: int = 4000, compilations: int = 7
) -> dict[str, Any]:
    """Microseconds for a decision, milliseconds to compile, and what the policy consists of.

    `translate` is that of a table which has a label for each category the policy asks about, called as that.

    An input has an answer of one or four providers for every category the policy asks about, and three labels. Most are
    calm, as most of what comes is; one in sixteen has everything against it, and makes the 99th percentile.
    """
    compiled = [_compiled(policy, messages) for _ in range(compilations)]
    return {
        "policy": policy.name,
        "rules": len(policy.clauses),
        "categories": len(policy.said.thresholds),
        "overlays": len(policy.said.overlays),
        "decisions": decisions,
        **_steps(policy, translate, _PROVIDERS, decisions),
        "one_provider": _steps(policy, translate, _PROVIDERS[:1], decisions),
        "compile_ms": round(median(compiled) / 1e6, 2),
    }


def _steps(
    policy: Policy, translate: Translate, providers: Sequence[str], decisions: int
) -> dict[str, dict[str, float]]:
    """What each step takes: findings into our words, the decision on them, and what a shadow adds to it."""
    inputs = [_said(policy, providers, 1.0 if turn == 0 else turn * _CALM / _INPUTS) for turn in range(_INPUTS)]
    for looks in inputs:  # once beforehand: what a policy works out when first asked is worked out once
        _timed(policy, translate, looks)
    took = [_timed(policy, translate, inputs[turn % _INPUTS]) for turn in range(decisions)]
    names = ("translation_us", "decision_us", "shadow_us")
    return {name: _told(step) for name, step in zip(names, zip(*took, strict=True), strict=True)}


def _timed(policy: Policy, translate: Translate, looks: Looks) -> tuple[int, int, int]:
    begun = thread_time_ns()
    signals = [translate(look, name, _IMAGE) for name, look in looks]
    translated = thread_time_ns()
    readings = [
        Reading(name, (0,), said, None, None, (), 1, 0.0) for (name, _), said in zip(looks, signals, strict=True)
    ]
    fact = InputFacts(
        modality=Modality.IMAGE,
        answers=tuple([Answer(0, Role.ASK, reading) for reading in readings]),
        sees={},
        need=1,
        place=0,
        context={"surface": "post"},
        objects=_PROVIDERS[:1],
    )
    ready = thread_time_ns()
    here = policy.under(fact.context, "default")
    heard = hear([fact])
    decided(here, heard)
    done = thread_time_ns()
    action(here, heard)
    return translated - begun, done - ready, thread_time_ns() - done


def _told(took: Sequence[int]) -> dict[str, float]:
    return {"p50": round(median(took) / 1000, 1), "p99": round(quantiles(took, n=100)[98] / 1000, 1)}


def _compiled(policy: Policy, messages: Messages) -> int:
    begun = thread_time_ns()
    load_policy(policy.file, policy.taxonomy, messages)
    return thread_time_ns() - begun


def _said(policy: Policy, providers: Sequence[str], value: float) -> Looks:
    labels = asked(policy, Modality.IMAGE)
    findings = [Finding(label, value) for label in labels] + [Finding(thing, value, open=True) for thing in _THINGS]
    return [(name, Look(tuple(findings))) for name in providers]
