"""Signals and gaps → a decision. Pure: no clock, no I/O, so stored evidence decides the same again.

Every rule is evaluated and every reason kept; the strictest wins, so no order changes an action. A gap is a reason
like any other: nothing is allowed because nobody looked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from gateway.domain import (
    Action,
    Answer,
    CategoryVerdict,
    Coverage,
    Decision,
    Modality,
    Reason,
    State,
    worst,
)
from gateway.policy.messages import keys_for
from gateway.policy.policy import Policy, Rule
from gateway.taxonomy import Kind, lineage

Tally = dict[str, dict[str, int]]  # category → provider → score, parents at least as high as their children


@dataclass(frozen=True, slots=True)
class InputFacts:
    """All that is known of one input.

    `sees` says for each provider of the route what it can score here; `need` how many must have answered; `unseen`
    how many frames no provider was shown.
    """

    modality: Modality
    answers: tuple[Answer, ...]
    sees: Mapping[str, frozenset[str]]
    need: int
    unseen: int = 0


@dataclass(frozen=True, slots=True)
class _Found:
    """What the signals on one input come to."""

    scores: Tally
    by_rule: dict[str, tuple[int, str]]  # rule's category → highest score under it, and the category that has it
    covered: dict[str, set[str]]  # category → providers that looked well enough to count


def decide(policy: Policy, facts: Sequence[InputFacts], locale: str | None = None) -> Decision:
    """The decision on a submission. `facts` are its inputs in order; at least one."""
    reasons: list[Reason] = []
    actions: list[Action] = []
    missing: dict[str, None] = {}
    found = [_find(policy, index, fact) for index, fact in enumerate(facts)]
    for index, (fact, seen) in enumerate(zip(facts, found, strict=True)):
        here = [*_over_thresholds(policy, seen, index), *_gaps(fact, index), *_uncovered(policy, fact, seen, index)]
        missing.update((reason.category, None) for reason in here if reason.code == MISSING and reason.category)
        actions.append(worst([Action.ALLOW, *(reason.action for reason in here)]))
        reasons += here
    scores = _together(found)
    top = _highest(policy, scores)
    return Decision(
        action=worst(actions),
        reasons=tuple(_worded(policy, reason, facts, locale) for reason in sorted(reasons, key=_rank(policy))),
        categories=_verdicts(policy, facts, scores, found),
        inputs=tuple(actions),
        coverage=Coverage(
            required=tuple(dict.fromkeys(slug for fact in facts for slug in policy.coverage[fact.modality])),
            missing=tuple(missing),
        ),
        max_category=top,
        max_score=max(scores[top].values()) if top else None,
    )


MISSING = "coverage_missing"


def _find(policy: Policy, index: int, fact: InputFacts) -> _Found:
    found = _Found({}, {}, {})
    for answer in fact.answers:
        for signal in answer.reading.signals if answer.reading else ():
            if signal.input != index:
                continue
            rule = policy.rule_for(signal.category)
            kin = (signal.category, *lineage(signal.category))
            if signal.score is not None:
                for slug in kin:
                    row = found.scores.setdefault(slug, {})
                    row[signal.provider] = max(signal.score, row.get(signal.provider, 0))
                if rule and signal.score >= found.by_rule.get(rule.category, (-1, ""))[0]:
                    found.by_rule[rule.category] = (signal.score, signal.category)
            if signal.score is not None or _low_enough(rule, signal.below):
                for slug in kin:
                    found.covered.setdefault(slug, set()).add(signal.provider)
    return found


def _low_enough(rule: Rule | None, below: int | None) -> bool:
    """Whether "nothing above `below`" answers the policy's question."""
    return below is not None and (rule is None or rule.lowest is None or below <= rule.lowest)


def _over_thresholds(policy: Policy, seen: _Found, index: int) -> Iterator[Reason]:
    for slug, (score, category) in seen.by_rule.items():
        rule = policy.rules[slug]
        action = rule.judge(score)
        if action is not Action.ALLOW:
            name = f"thresholds.{slug}.{action.value}"
            yield Reason(rule.code, action, name, "", category, score, rule.bound(action), index)


def _gaps(fact: InputFacts, index: int) -> Iterator[Reason]:
    answered = len({answer.outcome.provider for answer in fact.answers if answer.reading})
    if answered < fact.need:
        code = "coverage_too_few" if answered else "coverage_no_answer"
        yield Reason(code, Action.REVIEW, "coverage.need", "", input=index)
        for status in sorted(
            {answer.failure.http for answer in fact.answers if answer.failure and answer.failure.http}
        ):
            if status != 200:
                yield Reason(f"api_error_{status}", Action.REVIEW, "coverage.need", "", input=index)
    if fact.unseen:
        yield Reason("coverage_unseen_frames", Action.REVIEW, "coverage.frames", "", input=index)


def _uncovered(policy: Policy, fact: InputFacts, seen: _Found, index: int) -> Iterator[Reason]:
    for slug, rule in policy.coverage[fact.modality].items():
        if len(seen.covered.get(slug, ())) < rule.min_providers:
            yield Reason(MISSING, rule.on_missing, f"coverage.{slug}", "", slug, input=index)


def _together(found: Sequence[_Found]) -> Tally:
    """Scores over all inputs: the worst input decides."""
    if len(found) == 1:
        return found[0].scores
    merged: Tally = {}
    for seen in found:
        for slug, row in seen.scores.items():
            into = merged.setdefault(slug, {})
            for provider, score in row.items():
                into[provider] = max(score, into.get(provider, 0))
    return merged


def _highest(policy: Policy, scores: Tally) -> str | None:
    """The category with the highest score, the most particular one where a parent merely repeats its child."""
    taxonomy = policy.taxonomy
    candidates = [slug for slug in scores if taxonomy.category(slug).kind is not Kind.CONTEXT]
    return max(candidates, key=lambda slug: (max(scores[slug].values()), slug.count("/")), default=None)


def _verdicts(
    policy: Policy, facts: Sequence[InputFacts], scores: Tally, found: Sequence[_Found]
) -> dict[str, CategoryVerdict]:
    listed = dict.fromkeys(slug for fact in facts for slug in policy.listed[fact.modality])
    return {slug: _verdict(policy, slug, facts, scores, found) for slug in (*listed, *(scores.keys() - listed.keys()))}


def _verdict(
    policy: Policy, slug: str, facts: Sequence[InputFacts], scores: Tally, found: Sequence[_Found]
) -> CategoryVerdict:
    row = scores.get(slug)
    if row is None:
        return CategoryVerdict(None, _state(slug, facts, found), Action.ALLOW, {})
    rule = policy.rule_for(slug)
    judged = max(seen.by_rule.get(slug, (-1, ""))[0] for seen in found) if slug in policy.rules else max(row.values())
    action = rule.judge(judged) if rule and judged >= 0 else Action.ALLOW
    return CategoryVerdict(max(row.values()), State.SCORED, action, row)


def _state(slug: str, facts: Sequence[InputFacts], found: Sequence[_Found]) -> State:
    """Why a category has no score: the reason somebody can act on comes first."""
    if any(slug in seen.covered for seen in found):
        return State.SCORED  # somebody looked and reports nothing above its minimum
    states = {_state_here(slug, fact) for fact in facts}
    return next((state for state in (State.ERRORED, State.SKIPPED) if state in states), State.NOT_COVERED)


def _state_here(slug: str, fact: InputFacts) -> State:
    able = {provider for provider, sees in fact.sees.items() if slug in sees}
    asked = {answer.outcome.provider: answer for answer in fact.answers}
    if any(asked[provider].failure for provider in able & asked.keys()):
        return State.ERRORED
    return State.SKIPPED if able - asked.keys() else State.NOT_COVERED


def _rank(policy: Policy):  # type: ignore[no-untyped-def]
    """Strictest first, then the largest margin over its threshold, then the order of the file."""

    def key(reason: Reason) -> tuple[int, int, int, int]:
        margin = reason.score - reason.threshold if reason.score is not None and reason.threshold is not None else 0
        rule = policy.rule_for(reason.category) if reason.category else None
        return (-reason.action.strictness, -margin, rule.order if rule else -1, reason.input or 0)

    return key


def _worded(policy: Policy, reason: Reason, facts: Sequence[InputFacts], locale: str | None) -> Reason:
    modality = facts[reason.input].modality if reason.input is not None else None
    rule = policy.rule_for(reason.category) if reason.category and reason.score is not None else None
    gap = reason.score is None
    keys = keys_for(
        "coverage" if gap else reason.code,
        None if gap else reason.category,
        reason.action,
        rule.message if rule else "",
    )
    message = policy.messages.say(keys, locale, modality)
    return Reason(
        reason.code,
        reason.action,
        reason.rule,
        message,
        reason.category,
        reason.score,
        reason.threshold,
        reason.input,
    )
