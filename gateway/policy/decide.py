"""Signals and gaps → a decision. Pure: no clock, no I/O, so stored evidence decides the same again.

Every rule is evaluated and every reason kept; the strictest wins, so no order changes an action. A gap is a reason
like any other: nothing is allowed because nobody looked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

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
from gateway.frozen import frozen
from gateway.policy.messages import keys_for
from gateway.policy.policy import Policy, Rule
from gateway.taxonomy import kin

Tally = dict[str, dict[str, int]]  # category → provider → score, parents at least as high as their children
Judged = dict[str, tuple[int, str]]  # category → highest score in it under the same threshold, and whose it is


@frozen
class InputFacts:
    """All that is known of one input.

    `sees` says for each provider of the route what it can score here; `need` how many must have answered; `unseen`
    how many frames no provider was shown; `place` where it stands in the submission, if not where it stands in a list.
    """

    modality: Modality
    answers: tuple[Answer, ...]
    sees: Mapping[str, frozenset[str]]
    need: int
    unseen: int = 0
    place: int | None = None


@dataclass(slots=True)
class _Found:
    """What the signals on one input come to. `quiet`: looked, and reports nothing above its minimum."""

    scores: Tally
    judged: Judged
    quiet: dict[str, set[str]]  # category → providers

    def covered(self, slug: str) -> int:
        """How many providers looked at this category well enough to count."""
        return len(self.scores.get(slug, {}).keys() | self.quiet.get(slug, set()))


def decide(policy: Policy, facts: Sequence[InputFacts], locale: str | None = None) -> Decision:
    """The decision on a submission. `facts` are its inputs in order; at least one."""
    reasons: list[Reason] = []
    actions: list[Action] = []
    missing: dict[str, None] = {}
    places = [position if fact.place is None else fact.place for position, fact in enumerate(facts)]
    found = [_find(policy, index, fact) for index, fact in zip(places, facts, strict=True)]
    for index, fact, seen in zip(places, facts, found, strict=True):
        here = [*_over_thresholds(policy, seen, index), *_gaps(fact, index), *_uncovered(policy, fact, seen, index)]
        missing.update((reason.category, None) for reason in here if reason.code == MISSING and reason.category)
        actions.append(worst([Action.ALLOW, *(reason.action for reason in here)]))
        reasons += here
    verdicts = _verdicts(policy, facts, found)
    top, score = _highest(policy, verdicts)
    kinds = dict(zip(places, [fact.modality for fact in facts], strict=True)) if reasons else {}
    return Decision(
        action=worst(actions),
        reasons=tuple([_worded(policy, reason, kinds, locale) for reason in _sorted(policy, reasons)]),
        categories=verdicts,
        inputs=tuple(actions),
        coverage=Coverage(
            required=tuple(dict.fromkeys([slug for fact in facts for slug in policy.required[fact.modality]])),
            missing=tuple(missing),
        ),
        max_category=top,
        max_score=score,
    )


MISSING = "coverage_missing"


def _find(policy: Policy, index: int, fact: InputFacts) -> _Found:
    scores: Tally = {}
    judged: Judged = {}
    quiet: dict[str, set[str]] = {}
    lines = policy.lines
    for reading in [answer.reading for answer in fact.answers if answer.reading]:
        provider = reading.provider
        for signal in reading.signals:
            if signal.input != index:
                continue
            line, score = lines[signal.category], signal.score
            if score is None:
                if low_enough(line.rule, signal.below):
                    for slug in line.kin:
                        quiet.setdefault(slug, set()).add(provider)
                continue
            for slug in line.kin:
                row = scores.get(slug)
                if row is None:
                    scores[slug] = {provider: score}
                elif score > row.get(provider, -1):
                    row[provider] = score
            for slug in line.together:
                if score >= judged.get(slug, _NOT_JUDGED)[0]:
                    judged[slug] = (score, signal.category)
    return _Found(scores, judged, quiet)


_NOT_JUDGED = (-1, "")


def low_enough(rule: Rule | None, below: int | None) -> bool:
    """Whether "nothing above `below`" answers the policy's question."""
    return below is not None and (rule is None or rule.lowest is None or below <= rule.lowest)


def _over_thresholds(policy: Policy, seen: _Found, index: int) -> Iterator[Reason]:
    for slug, (score, category) in seen.judged.items():
        rule = policy.rules.get(slug)
        if rule is None or rule.lowest is None or score < rule.lowest:
            continue
        action = rule.judge(score)
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
        if seen.covered(slug) < rule.min_providers:
            yield Reason(MISSING, Action(rule.on_missing), f"coverage.{slug}", "", slug, input=index)


def _together(found: Sequence[_Found]) -> tuple[Tally, Judged]:
    """Scores over all inputs: the worst input decides."""
    if len(found) == 1:
        return found[0].scores, found[0].judged
    scores: Tally = {}
    judged: Judged = {}
    for seen in found:
        for slug, row in seen.scores.items():
            into = scores.setdefault(slug, {})
            for provider, score in row.items():
                into[provider] = max(score, into.get(provider, 0))
        for slug, highest in seen.judged.items():
            judged[slug] = max(highest, judged.get(slug, highest))
    return scores, judged


def _verdicts(policy: Policy, facts: Sequence[InputFacts], found: Sequence[_Found]) -> dict[str, CategoryVerdict]:
    """Categories the policy names, then whatever else was scored.

    Each is judged by what in it falls under its threshold, not by a child that has one of its own.
    """
    scores, judged = _together(found)
    verdicts: dict[str, CategoryVerdict] = {}
    for fact in facts:
        verdicts.update(dict.fromkeys(policy.listed[fact.modality], _UNSCORED[State.NOT_COVERED]))
    for slug, state in _blind(facts, found).items():
        if slug in verdicts:
            verdicts[slug] = _UNSCORED[state]
    lines, allow, scored = policy.lines, Action.ALLOW, State.SCORED
    for slug, row in scores.items():
        rule, height = lines[slug].rule, judged.get(slug, _NOT_JUDGED)[0]
        action = rule.judge(height) if rule and rule.lowest is not None and height >= rule.lowest else allow
        verdicts[slug] = CategoryVerdict(max(row.values()), scored, action, row)
    return verdicts


def _highest(policy: Policy, verdicts: Mapping[str, CategoryVerdict]) -> tuple[str | None, int | None]:
    """The category with the highest score, the most particular one where a parent merely repeats its child."""
    highest, best = -1, (-1, "")
    for slug, verdict in verdicts.items():
        score = verdict.score
        if score is None or score < highest or policy.lines[slug].context:
            continue
        rank = (slug.count("/"), slug)
        if score > highest or rank > best:
            highest, best = score, rank
    return (best[1], highest) if best[1] else (None, None)


_UNSCORED = {state: CategoryVerdict(None, state, Action.ALLOW, {}) for state in State}


def _blind(facts: Sequence[InputFacts], found: Sequence[_Found]) -> dict[str, State]:
    """Why a category has no score, the reason somebody can act on first. What is not here, nobody asked can see."""
    states: dict[str, State] = {}
    for fact in facts:
        asked = {answer.outcome.provider: answer for answer in fact.answers}
        for provider, sees in fact.sees.items():
            answer = asked.get(provider)
            if answer and answer.reading:
                continue
            able = [slug for seen in sees for slug in kin(seen)]
            if answer is None:
                states = {**dict.fromkeys(able, State.SKIPPED), **states}
            else:
                states.update(dict.fromkeys(able, State.ERRORED))
    for quiet in (seen.quiet for seen in found):  # looked at, and nothing reported above the provider's minimum
        states.update(dict.fromkeys(quiet, State.SCORED))
    return states


def _sorted(policy: Policy, reasons: list[Reason]) -> list[Reason]:
    """Strictest first, then the largest margin over its threshold, then the order of the file."""

    def rank(reason: Reason) -> tuple[int, int, int, int]:
        margin = reason.score - reason.threshold if reason.score is not None and reason.threshold is not None else 0
        rule = policy.lines[reason.category].rule if reason.category else None
        return (-reason.action.strictness, -margin, rule.order if rule else -1, reason.input or 0)

    return sorted(reasons, key=rank)


def _worded(policy: Policy, reason: Reason, kinds: Mapping[int, Modality], locale: str | None) -> Reason:
    """The reason with words for the user. A gap is told as a check to come, not as a fault of the content."""
    modality = kinds[reason.input] if reason.input is not None else None
    if reason.score is None:
        keys: tuple[str, ...] = (reason.code, "coverage")
    else:
        rule = policy.lines[reason.category].rule if reason.category else None
        keys = keys_for(reason.code, reason.category, reason.action, rule.message if rule else "")
    return replace(reason, message=policy.messages.say(keys, locale, modality))
