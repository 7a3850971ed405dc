"""Why a decision is as it is: what contributed, by which values, what was missing, and what was nearly enough.

Computed when somebody asks; a decision alone keeps the reasons. For operators: it names rules, scores and vendors.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from msgspec import structs

from gateway.domain import FULL, Decision, Reading, Reason
from gateway.policy.cel.shapes import Many, Record
from gateway.policy.cel.typed import And, Condition, Coverage, Field, Not, Or, Score, Some, Votes, terms
from gateway.policy.cel.vocabulary import HASHES, LABELS
from gateway.policy.cel.wording import share, worded
from gateway.policy.compile.facts import Facts
from gateway.policy.compile.python import Program
from gateway.policy.decide import decided
from gateway.policy.evidence import facts_of
from gateway.policy.judging import UNKNOWN, Judgement
from gateway.policy.policy import Clause, Policy
from gateway.policy.tally import InputFacts, hear

MOST_NEAREST = 5


def explain(policy: Policy, facts: Sequence[InputFacts], locale: str | None = None) -> dict[str, Any]:
    """The whole of it, as JSON. `policy` is the one under the overlays that counted."""
    return _Explanation(policy, facts, locale).whole()


class _Explanation:
    def __init__(self, policy: Policy, facts: Sequence[InputFacts], locale: str | None):
        self._policy = policy
        self._inputs = facts
        heard = hear(facts)
        self._decision: Decision = decided(policy, heard, locale)
        self._clauses = {clause.name: clause for clause in policy.clauses}
        self._judged = {each.index: Judgement(policy, each) for each in heard}
        self._asked: dict[int, Facts] = {place: facts_of(policy, each.seen) for place, each in self._judged.items()}

    def whole(self) -> dict[str, Any]:
        decision, policy = self._decision, self._policy
        first = decision.reasons[0] if decision.reasons else None
        return {
            "action": decision.action.value,
            "reason": first.code if first else None,
            "message": first.message if first else None,
            "policy": {
                "name": policy.name,
                "version": policy.version,
                "hash": policy.hash,
                "resolved": policy.resolved,
                "overlays": policy.overlays,
            },
            "contributions": [self._contribution(reason) for reason in decision.reasons],
            "exempted": [self._exempted(entry) for entry in decision.exempted],
            "unknown": list(dict.fromkeys([*decision.coverage.missing, *self._unknown()])),
            "providers": self._providers(),
            "nearest": self._nearest(),
            "effects": decision.effects,
            "shadow": [{"rule": f"rules.{name}"} for name in decision.shadow],
        }

    def _contribution(self, reason: Reason) -> dict[str, Any]:
        clause = self._clauses.get(reason.rule)
        unknown = reason.code == UNKNOWN or (reason.score is None and clause is None)
        told: dict[str, Any] = {
            "rule": reason.rule,
            "reason": reason.code,
            "value": "unknown" if unknown else True,
            "action": reason.action.value,
            "input": reason.input,
        }
        if reason.rule in self._policy.places:
            told["at"] = self._at(reason.rule)
        if clause is not None:
            told["because"] = list(self._because(clause, reason.input or 0, unknown=unknown))
        elif reason.category and reason.threshold is not None:
            row = self._judged[reason.input or 0].seen.heard.rows.get(reason.category, {})
            values = [{"provider": name, "score": score / FULL} for name, score in row.items()]
            expression = f'scores["{reason.category}"] >= {share(reason.threshold)}'
            told["because"] = [{"expr": expression, "values": values}]
        return told

    def _at(self, name: str) -> str:
        line, column = self._policy.places[name]
        return f"{self._policy.file.name}:{line}:{column}"

    def _exempted(self, entry: str) -> dict[str, Any]:
        name, _, lifted = entry.partition(": ")
        [because] = [exemption.because for exemption in self._policy.exemptions if exemption.id == name]
        return {"exemption": name, "lifted": lifted, "because": because, "at": self._at(f"exempt.{name}")}

    # rules

    def _because(self, clause: Clause, place: int, *, unknown: bool) -> Iterator[dict[str, Any]]:
        """The comparisons that make it true, or those that nobody can answer, with what was compared."""
        facts = self._asked[place]
        for part in parts(clause.tree.root):
            true, missing = Program([part]).ask(facts)
            if missing if unknown else true:
                yield {"expr": worded(part), "values": list(values(part, facts))}

    def _unknown(self) -> Iterator[str]:
        for clause in self._policy.clauses:
            if any(each.unknown >> clause.bit & 1 for each in self._judged.values()):
                yield clause.name

    # what was there

    def _providers(self) -> dict[str, Any]:
        answered: dict[str, None] = {}
        missing: dict[str, str] = {}
        for fact in self._inputs:
            for answer in fact.answers:
                if isinstance(answer.outcome, Reading):
                    answered[answer.outcome.provider] = None
                else:
                    missing[answer.outcome.provider] = answer.outcome.status
        unheard = {name: "not asked" for name in self._policy.expected if name not in answered}
        return {"answered": list(answered), "missing": {**unheard, **missing}}

    def _nearest(self) -> list[dict[str, Any]]:
        """Thresholds and comparisons of rules that were not reached, the nearest first."""
        found = [
            (needs - has, {"rule": name, "needs": needs / FULL, "has": has / FULL, "input": place})
            for place in self._judged
            for name, needs, has in self._misses(place)
            if 0 < has < needs
        ]
        return [told for _, told in sorted(found, key=lambda miss: miss[0])[:MOST_NEAREST]]

    def _misses(self, place: int) -> Iterator[tuple[str, int, int]]:
        """What could have held, as name, number needed and the score there is."""
        scores = self._judged[place].seen.heard.top
        for slug, rule in self._policy.rules.items():
            for name, bound in ((f"thresholds.{slug}.review", rule.review), (f"thresholds.{slug}.block", rule.block)):
                if bound is not None and slug in scores:
                    yield name, bound, scores[slug]
        for clause in self._policy.clauses:
            for slug, bound, least in clause.compared if not clause.disabled else ():
                if not least and slug in self._asked[place].scores:
                    yield clause.name, bound, self._asked[place].scores[slug]


def parts(node: Condition) -> Iterator[Condition]:
    """The comparisons a condition is joined from."""
    if isinstance(node, And | Or):
        for part in node.parts:
            yield from parts(part)
    else:
        yield node


def values(node: Condition, facts: Facts) -> Iterator[dict[str, Any]]:
    """What a comparison compared. Of a list, the elements that meet it; scores as 0..1, null where missing."""
    inner = node.part if isinstance(node, Not) else node
    if isinstance(inner, Votes):
        yield {"category": inner.category, "scores": [score / FULL for score in facts.voices.get(inner.category, ())]}
    elif isinstance(inner, Some) and inner.over.root in (LABELS, HASHES):
        yield from _elements(inner, facts)
    else:
        for term in terms(inner):
            if isinstance(term, Score):
                score = facts.scores.get(term.category)
                yield {"category": term.category, "score": None if score is None else score / FULL}
            elif isinstance(term, Coverage):
                yield {"category": term.category, "answered": len(facts.voices.get(term.category, ()))}
            elif isinstance(term, Field):
                given = getattr(facts, term.root).get(term.name, term.default)
                yield {"field": f"{term.root}.{term.name}", "value": given}


def _elements(node: Some, facts: Facts) -> Iterator[dict[str, Any]]:
    assert isinstance(node.over.shape, Many)  # noqa: S101 - the checker made it
    assert isinstance(node.over.shape.of, Record)  # noqa: S101
    names = list(node.over.shape.of.parts)
    program = Program([replace(node, once=False)])
    for element in getattr(facts, node.over.root) or ():
        alone = structs.replace(facts, **{node.over.root: (element,)})
        true, _ = program.ask(alone)
        if true:
            shown = dict(zip(names, element, strict=True))
            if "confidence" in shown:
                shown["confidence"] = None if shown["confidence"] < 0 else shown["confidence"] / FULL
            yield shown
