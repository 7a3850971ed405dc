"""Signals and gaps → a decision. Pure: no clock, no I/O, so stored evidence decides the same again.

Every rule is evaluated and every reason kept; the strictest wins, so no order changes an action. A gap is a reason
like any other: nothing is allowed because nobody looked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache, reduce
from itertools import repeat
from operator import or_

from gateway.domain import Action, CategoryVerdict, Coverage, Decision, Reading, Reason, State, worst
from gateway.policy.judging import Judgement, Rank, by_rank
from gateway.policy.policy import UNSCORED, Policy
from gateway.policy.tally import Heard, InputFacts, combined, hear
from gateway.taxonomy import kin

_WORD = 64
_VERDICTS_KEPT = 2000  # of one provider: most scores are calm, and the same few hundred
_ALLOW, _SCORED = Action.ALLOW, State.SCORED  # Python 3.11 looks for them in a table each time, in Python

Verdicts = dict[str, CategoryVerdict]


def decide(policy: Policy, facts: Sequence[InputFacts], locale: str | None = None) -> Decision:
    """The decision on a submission. `facts` are its inputs in order; at least one."""
    return decided(policy, hear(facts), locale)


def decided(policy: Policy, heard: Sequence[Heard], locale: str | None = None) -> Decision:
    """The same, of what was heard of the inputs: several policies may be asked about that."""
    judged = [Judgement(policy, each, locale) for each in heard]
    verdicts = _verdicts(policy, judged)
    top = _highest(policy, judged, verdicts)
    if len(judged) > 1:
        return _together(policy, judged, verdicts, top)
    [one] = judged
    action = one.action
    covered = policy.covered[one.fact.modality]
    return Decision(
        action,
        _sorted(one.reasons) if one.reasons else (),
        verdicts,
        (action,),
        Coverage(covered.required, tuple(one.missing)) if one.missing else covered,
        top,
        None if top is None else verdicts[top].score,
        _once(one.effects) if one.effects else (),
        _once(one.exempted) if one.exempted else (),
        tuple(one.shadow),
        words(one.hits) if one.hits else (),
        words(one.unknown) if one.unknown else (),
    )


def action(policy: Policy, heard: Sequence[Heard]) -> Action:
    """The action alone."""
    return worst([Judgement(policy, each).action for each in heard])


def _together(policy: Policy, judged: Sequence[Judgement], verdicts: Verdicts, top: str | None) -> Decision:
    """What several inputs come to: the worst decides."""
    actions = [each.action for each in judged]
    required = (slug for each in judged for slug in policy.required[each.fact.modality])
    return Decision(
        action=worst(actions),
        reasons=_sorted([reason for each in judged for reason in each.reasons]),
        categories=verdicts,
        inputs=tuple(actions),
        coverage=Coverage(_once(required), _once(slug for each in judged for slug in each.missing)),
        max_category=top,
        max_score=None if top is None else verdicts[top].score,
        effects=_once(effect for each in judged for effect in each.effects),
        exempted=_once(lifted for each in judged for lifted in each.exempted),
        shadow=_once(rule for each in judged for rule in each.shadow),
        hits=words(reduce(or_, [each.hits for each in judged])),
        unknown=words(reduce(or_, [each.unknown for each in judged])),
    )


def words(mask: int) -> tuple[int, ...]:
    """Bits in words of 64, the lowest first; none where no bit is set."""
    found: list[int] = []
    while mask:
        found.append(mask & ((1 << _WORD) - 1))
        mask >>= _WORD
    return tuple(found)


def _once(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def _sorted(reasons: list[tuple[Rank, Reason]]) -> tuple[Reason, ...]:
    """Strictest first, then by priority, then the largest margin over its threshold, then the order of the file."""
    if len(reasons) > 1:
        reasons.sort(key=by_rank)
    return tuple([reason for _, reason in reasons])


_KNOWS_MORE = [State.NOT_COVERED, State.SKIPPED, State.ERRORED, State.SCORED]


def _verdicts(policy: Policy, judged: Sequence[Judgement]) -> Verdicts:
    """Categories the policy names, then whatever else was scored.

    Each is judged by what in it falls under its threshold, not by a child that has one of its own.
    """
    verdicts = _blind(policy, judged)
    if len(judged) == 1:
        _score(policy, judged[0], verdicts)
    else:
        _add_up(policy, judged, verdicts)
    return verdicts


def _highest(policy: Policy, judged: Sequence[Judgement], verdicts: Verdicts) -> str | None:
    """The most particular category with the highest score, where a parent repeats it; none that only describes."""
    if len(judged) == 1 and policy.plain:
        known, named = judged[0].seen.heard.top, judged[0].seen.outline.named
    else:
        told = {slug: verdicts[slug].score for each in judged for slug in each.seen.heard.top}
        known = {slug: score for slug, score in told.items() if score is not None}
        named = policy.named(known)
    return max(named, key=known.__getitem__, default=None)


class _Alone(dict[int, CategoryVerdict]):
    """What is said of a category that this provider alone scored, by the score: made once."""

    def __init__(self, provider: str, action: Action):
        self._provider = provider
        self._action = action

    def __missing__(self, score: int) -> CategoryVerdict:
        verdict = CategoryVerdict(score, _SCORED, self._action, {self._provider: score})
        if len(self) < _VERDICTS_KEPT:
            self[score] = verdict
        return verdict


_alone = lru_cache(64)(_Alone)


def _score(policy: Policy, each: Judgement, verdicts: Verdicts) -> None:
    """What was scored on one input."""
    heard, over = each.seen.heard, each.over
    if policy.plain and len(heard.said) == 1:
        [(provider, scores)] = heard.said.items()
        alone = _alone(provider, _ALLOW)
        for slug, score in scores.items():
            verdicts[slug] = alone[score]
        for slug, action in over.items():
            verdicts[slug] = _alone(provider, action)[scores[slug]]
        return
    rows = heard.rows
    known: Iterable[int | None] = heard.top.values()
    if not policy.plain:
        known = [combined(policy.lines[slug].way, row, heard, 0)[0] for slug, row in rows.items()]
    actions = [over.get(slug, _ALLOW) for slug in rows] if over else repeat(_ALLOW)
    verdicts.update(zip(rows, map(CategoryVerdict, known, repeat(_SCORED), actions, rows.values())))  # noqa: B905


def _add_up(policy: Policy, judged: Sequence[Judgement], verdicts: Verdicts) -> None:
    for each in judged:
        here: Verdicts = {}
        _score(policy, each, here)
        for slug, verdict in here.items():
            before = verdicts.get(slug)
            verdicts[slug] = _worse(before, verdict) if before is not None and before.providers else verdict


def _worse(one: CategoryVerdict, other: CategoryVerdict) -> CategoryVerdict:
    """The same category on two inputs: the worst input decides."""
    rows = {name: max(score, one.providers.get(name, score)) for name, score in other.providers.items()}
    known = [score for score in (one.score, other.score) if score is not None]
    action = worst([one.action, other.action])
    return CategoryVerdict(max(known, default=None), State.SCORED, action, {**one.providers, **rows})


def _blind(policy: Policy, judged: Sequence[Judgement]) -> Verdicts:
    """Why a category has no score, the reason somebody can act on first."""
    verdicts: Verdicts = {}
    for each in judged:
        here = _before(policy, each.seen.heard)
        if verdicts:
            for slug, verdict in here.items():
                if slug not in verdicts or _KNOWS_MORE.index(verdict.state) > _KNOWS_MORE.index(verdicts[slug].state):
                    verdicts[slug] = verdict
        else:
            verdicts = dict(here)
        for slug in each.seen.quiet:  # looked at, and nothing reported above the provider's minimum
            if slug in verdicts:
                verdicts[slug] = UNSCORED[State.SCORED]
    return verdicts


def _before(policy: Policy, heard: Heard) -> Mapping[str, CategoryVerdict]:
    """What is said of the listed categories before any score."""
    fact = heard.fact
    if not heard.silent and fact.sees.keys() <= heard.said.keys():
        return policy.unseen[fact.modality]
    return _unscored(policy.listed[fact.modality], *_who_did_not(fact))


def _who_did_not(fact: InputFacts) -> tuple[tuple[frozenset[str], ...], tuple[frozenset[str], ...]]:
    """What those of the route see who were not asked, and those who failed."""
    outcomes = {answer.outcome.provider: answer.outcome for answer in fact.answers}
    skipped, failed = [], []
    for provider, sees in fact.sees.items():
        outcome = outcomes.get(provider)
        if outcome is None:
            skipped.append(sees)
        elif not isinstance(outcome, Reading):
            failed.append(sees)
    return tuple(skipped), tuple(failed)


@lru_cache(1024)
def _unscored(
    listed: tuple[str, ...], skipped: tuple[frozenset[str], ...], failed: tuple[frozenset[str], ...]
) -> Mapping[str, CategoryVerdict]:
    """What is said of the listed categories before any score. What is not seen by anybody asked, nobody can see."""
    verdicts = dict.fromkeys(listed, UNSCORED[State.NOT_COVERED])
    for state, who in ((State.SKIPPED, skipped), (State.ERRORED, failed)):
        able = {slug for sees in who for seen in sees for slug in kin(seen)}
        verdicts.update({slug: UNSCORED[state] for slug in listed if slug in able})
    return verdicts
