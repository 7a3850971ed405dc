"""How long a policy takes: to decide, to be read and compiled.

Of this thread's CPU time, not of the wall clock; what it costs to ask for that is taken off.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median, quantiles
from time import thread_time_ns
from typing import Any

from gateway.domain import Action, Look, Modality, Signal
from gateway.policy.decide import action, decided
from gateway.policy.making import load_policy
from gateway.policy.messages import Messages
from gateway.policy.policy import Policy
from gateway.policy.tally import hear
from gateway.policytools.drawn import INPUTS, Looks, context, fact, inputs

_IMAGE = {Modality.IMAGE: 0}
_TENANT = "default"
_MANY = 4  # providers, beside one alone

Translate = Callable[[Look, str, Mapping[Modality, int]], tuple[Signal, ...]]


def measure(
    policy: Policy, messages: Messages, translate: Translate, decisions: int = 4000, compilations: int = 7
) -> dict[str, Any]:
    """Microseconds for a decision, milliseconds to compile, and what the policy consists of.

    `translate` is that of a table which has a label for each category the policy asks about, called as that.

    An input has an answer of one or four providers for every category the policy asks about, and three labels. Most are
    calm, as most of what comes is; one in sixteen has everything against it, and makes the 99th percentile. `allowed`
    is the share that the policy allows.
    """
    compiled = [_compiled(policy, messages) for _ in range(compilations)]
    return {
        "policy": policy.name,
        "rules": len(policy.clauses),
        "categories": len(policy.said.thresholds),
        "overlays": len(policy.said.overlays),
        "decisions": decisions,
        "allowed": _allowed(policy, translate),
        **_steps(policy, translate, _MANY, decisions),
        "one_provider": _steps(policy, translate, 1, decisions),
        "compile_ms": round(median(compiled) / 1e6, 2),
    }


def _allowed(policy: Policy, translate: Translate) -> float:
    given = context(policy)
    here = policy.under(given, _TENANT)
    facts = [fact(looks, _signals(translate, looks), given) for looks in inputs(policy, _MANY)]
    return sum(action(here, hear([each])) is Action.ALLOW for each in facts) / INPUTS


def _signals(translate: Translate, looks: Looks) -> list[tuple[Signal, ...]]:
    return [translate(look, name, _IMAGE) for name, look in looks]


def _steps(policy: Policy, translate: Translate, many: int, decisions: int) -> dict[str, dict[str, float]]:
    """What each step takes: findings into our words, the decision on them, and what a shadow adds to it."""
    said, given = inputs(policy, many), context(policy)
    for looks in said:  # once beforehand: what a policy works out when first asked is worked out once
        _timed(policy, translate, looks, given)
    took = [_timed(policy, translate, said[turn % INPUTS], given) for turn in range(decisions)]
    names, clock = ("translation_us", "decision_us", "shadow_us"), _clock()
    return {
        name: _told([each - clock for each in step]) for name, step in zip(names, zip(*took, strict=True), strict=True)
    }


def _clock() -> int:
    """Nanoseconds between two looks at the clock with nothing between them."""
    return min(-thread_time_ns() + thread_time_ns() for _ in range(1000))


def _timed(policy: Policy, translate: Translate, looks: Looks, given: dict[str, Any]) -> tuple[int, int, int]:
    begun = thread_time_ns()
    signals = _signals(translate, looks)
    translated = thread_time_ns()
    known = [fact(looks, signals, given)]
    ready = thread_time_ns()
    here = policy.under(given, _TENANT)
    heard = hear(known)
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
