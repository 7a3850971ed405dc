"""The cases of a test file, tried: what was expected, what came of it, and what of the policy they have shown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.domain import Decision
from gateway.policy.decide import decide
from gateway.policy.judging import MISSING, UNKNOWN
from gateway.policy.policy import Policy
from gateway.policytools.branches import Shown
from gateway.policytools.casefile import Case, CaseFile, Expect, mistakes
from gateway.policytools.given import facts_given
from gateway.yamlfile import Document, load, together


@dataclass(frozen=True)
class Outcome:
    """One case. `wrong` says in words what is not as expected; nothing where all is."""

    case: Case
    decision: Decision
    got: dict[str, Any]
    wrong: tuple[str, ...]
    line: int

    @property
    def ok(self) -> bool:
        return not self.wrong


@dataclass(frozen=True)
class Trial:
    """All cases of one file. `short` says which minimum of `coverage:` was not reached."""

    file: Path
    outcomes: tuple[Outcome, ...]
    shown: Shown
    short: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return not self.short and all(outcome.ok for outcome in self.outcomes)


def read_cases(tests: Path) -> tuple[Document, CaseFile]:
    """A test file, not yet held against its policy. Raises Problem."""
    document = load(tests, env=None)
    return document, document.parse(CaseFile)


def try_cases(policy: Policy, tests: Path) -> Trial:
    """Try every case. Raises Problem where the test file cannot be read, or names what the policy does not have."""
    document, said = read_cases(tests)
    wrong = list(mistakes(document, said, policy))
    if wrong:
        raise together(wrong)
    shown = Shown(policy)
    outcomes = tuple(
        _tried(policy, case, shown, document.at(("cases", place))[0]) for place, case in enumerate(said.cases)
    )
    return Trial(tests, outcomes, shown, tuple(_short(said, shown)))


def _tried(policy: Policy, case: Case, shown: Shown, line: int) -> Outcome:
    given = case.given
    variant = policy.under(given.context, given.tenant)
    fact = facts_given(variant, given)
    shown.note(variant, fact)
    decision = decide(variant, [fact], given.locale)
    got = _got(variant, decision)
    return Outcome(case, decision, got, tuple(_wrong(case.expect, got)), line)


def _got(policy: Policy, decision: Decision) -> dict[str, Any]:
    """What a case can speak of."""
    first = decision.reasons[0] if decision.reasons else None
    hits = _bits(decision.hits)
    unsure = [clause.id for clause in policy.clauses if _bits(decision.unknown) >> clause.bit & 1]
    blind = [reason.category for reason in decision.reasons if reason.code == MISSING and reason.category]
    return {
        "action": decision.action.value,
        "reason": first.code if first else None,
        "rules": [clause.id for clause in policy.clauses if hits >> clause.bit & 1],
        "unknown": list(dict.fromkeys([*blind, *unsure])),
        "effects": list(decision.effects),
        "message": first.message if first else None,
        "reasons": [reason.rule for reason in decision.reasons if reason.code != UNKNOWN],
    }


def _bits(words: tuple[int, ...]) -> int:
    return sum(word << 64 * place for place, word in enumerate(words))


def _wrong(expect: Expect, got: dict[str, Any]) -> Iterator[str]:
    if got["action"] != expect.action.value:
        yield f"expected {expect.action.value}, got {got['action']}"
    if expect.reason is not None and (got["reason"] or "").casefold() != expect.reason.casefold():
        yield f"expected the reason {expect.reason}, got {got['reason'] or 'none'}"
    true = {*got["rules"], *got["reasons"]}
    for name in expect.rules or ():
        if name not in true:
            yield f"expected the rule {name} to be true"
    if expect.rules == () and got["rules"]:
        yield f"expected no rule to be true, got {', '.join(got['rules'])}"
    yield from (f"expected the rule {name} not to be true" for name in expect.not_rules if name in true)
    yield from (f"expected {name} to be unknown" for name in expect.unknown if name not in got["unknown"])
    yield from (f"expected the effect {name}" for name in expect.effects if name not in got["effects"])
    if expect.message is not None and got["message"] != expect.message:
        yield f"expected the message {expect.message!r}, got {got['message']!r}"


def _short(said: CaseFile, shown: Shown) -> Iterator[str]:
    least = said.coverage
    for name, share, wanted in (
        ("rules", shown.rules, least.min_rules),
        ("branches", shown.share, least.min_branches),
        ("thresholds", shown.thresholds, least.min_thresholds),
    ):
        if share < wanted:
            yield f"{name}: {share:.0%} shown, {wanted:.0%} asked for"


def untested(policy: Policy, trial: Trial) -> list[str]:
    """The rules that no case has true."""
    return [clause.id for clause in policy.clauses if clause.id not in trial.shown.true]
