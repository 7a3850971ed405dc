"""A policy and what stands beside it: shadows that are only heard, and a canary that decides for some.

All of them get the same facts. A newcomer that breaks harms no request: the version in force decides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, TypeVar

import structlog
from msgspec.structs import replace

from gateway.domain import Action, Answer, Aside, Decision, Reason, worst
from gateway.policy.bounds import holes, settled, suspects
from gateway.policy.canary import Canary
from gateway.policy.decide import action, decided
from gateway.policy.judging import ESCALATE, UNKNOWN
from gateway.policy.policy import Policy
from gateway.policy.tally import Heard, InputFacts, hear

log = structlog.get_logger("modgate.policies")

T = TypeVar("T")

SHADOW, CANARY, IN_FORCE = "shadow", "canary", "in_force"

_MOST_BUGS = 1000  # told of in the log; metrics count them all
_BUGS: set[tuple[str, type[Exception]]] = set()


@dataclass(frozen=True)
class Standing:
    """The version in force of a policy, and those beside it."""

    policy: Policy
    shadows: tuple[Policy, ...] = ()
    canary: Canary | None = None

    @cached_property
    def alone(self) -> bool:
        """Whether nothing ever stood beside it: most requests ask no more than that."""
        return not self.shadows and self.canary is None

    def company(self, in_force: Policy, context: Mapping[str, Any], tenant: str, subject: str) -> Company:
        """Who is asked beside it about one submission; `in_force` is the policy as it is for that one."""
        canary = None if self.canary is None or self.canary.halted else self.canary
        return Company(
            in_force,
            tuple(shadow.under(context, tenant) for shadow in self.shadows),
            canary,
            None if canary is None else canary.policy.under(context, tenant),
            canary is not None and canary.takes(subject),
        )


@dataclass(frozen=True)
class Company:
    """Made when a submission comes in, and kept to its end. `first`: this one is decided by the canary, `new`."""

    in_force: Policy
    shadows: tuple[Policy, ...]
    canary: Canary | None
    new: Policy | None
    first: bool

    def decide(self, facts: Sequence[InputFacts], locale: str | None) -> tuple[Policy, Decision, tuple[Aside, ...]]:
        """Whose decision it is, the decision, and what the others say."""
        heard = hear(facts)
        policy, decision, other = self._sides(decided(self.in_force, heard, locale), heard, locale)
        shadows = [_aside(shadow, SHADOW, _try(partial(action, heard=heard), shadow, None)) for shadow in self.shadows]
        return policy, decision, (*other, *shadows)

    def _sides(
        self, old: Decision, heard: Sequence[Heard], locale: str | None
    ) -> tuple[Policy, Decision, tuple[Aside, ...]]:
        """Both sides of a canary, each with the hard rules of the other; where there is none, the version in force."""
        new = self.new
        if new is None:
            return self.in_force, old, ()
        other = _try(partial(decided, heard=heard, locale=locale), new, None)
        if other is None:
            return self.in_force, old, (_aside(new, CANARY, None),)
        there, here = _with_hard_rules(other, self.in_force, old), _with_hard_rules(old, new, other)
        if self.first:
            return new, there, (_aside(self.in_force, IN_FORCE, here.action),)
        return self.in_force, here, (_aside(new, CANARY, there.action),)

    def count(self, decided: Action, asides: Sequence[Aside]) -> None:
        """Tell the canary how this decision came out."""
        for aside in asides:
            if self.canary is None or aside.role == SHADOW:
                continue
            if aside.action is None:
                self.canary.halt("it broke: the log has the error")
            elif aside.role == CANARY:
                self.canary.count(aside.action, decided)
            else:
                self.canary.count(decided, aside.action)

    # what dispatch asks: a canary has a say in which vendors are asked, a shadow takes what there is

    def settled(self, fact: InputFacts, remaining: Mapping[str, frozenset[str]]) -> bool:
        return self.new is None or _try(lambda new: settled(new, fact, remaining), self.new, True)

    def holes(self, fact: InputFacts) -> frozenset[str]:
        return frozenset() if self.new is None else _try(lambda new: holes(new, fact), self.new, frozenset())

    def suspects(self, answer: Answer) -> bool:
        """Whether a named person has to see this, as either of them has it."""
        if suspects(self.in_force, answer):
            return True
        return self.new is not None and _try(lambda new: suspects(new, answer), self.new, False)


def _aside(policy: Policy, role: str, action: Action | None) -> Aside:
    return Aside(policy.name, policy.version, policy.hash, role, action)


def _try(ask: Callable[[Policy], T], policy: Policy, otherwise: T) -> T:
    """What a newcomer says. It is on trial: whatever it raises is told, and hurts nobody who asked."""
    try:
        return ask(policy)
    except Exception as error:
        bug = (policy.hash, type(error))
        if bug not in _BUGS and len(_BUGS) < _MOST_BUGS:  # each once: it may be the same with every request
            _BUGS.add(bug)
            log.exception("policy_broke", policy=policy.name, version=policy.version, hash=policy.hash)
        return otherwise


def _with_hard_rules(decision: Decision, other: Policy, said: Decision) -> Decision:
    """The decision, and what the hard rules of another version add to it: no rollout lifts those."""
    hard = {clause.name: clause for clause in other.clauses if clause.hard}
    known = {(reason.rule, reason.input, reason.action) for reason in decision.reasons}
    told = [reason for reason in said.reasons if reason.rule in hard]
    more = [reason for reason in told if (reason.rule, reason.input, reason.action) not in known]
    if not more:
        return decision
    true = [hard[reason.rule] for reason in more if reason.code != UNKNOWN]
    effects = [effect for clause in true for effect in clause.effects]
    if any(other.lines[slug].escalates for clause in true for slug, _, _ in clause.compared):
        effects.append(ESCALATE)
    return replace(
        decision,
        action=worst([decision.action, *(reason.action for reason in more)]),
        reasons=tuple(sorted([*more, *decision.reasons], key=lambda reason: -reason.action.strictness)),
        inputs=tuple(_stricter(place, action, more) for place, action in enumerate(decision.inputs)),
        effects=tuple(dict.fromkeys([*decision.effects, *effects])),
    )


def _stricter(place: int, action: Action, more: Sequence[Reason]) -> Action:
    return worst([action, *(reason.action for reason in more if reason.input == place)])
