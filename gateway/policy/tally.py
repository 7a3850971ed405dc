"""The signals on one input, added up: who scored what, what is over its threshold, and who looked and saw nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from typing import Any

from msgspec import Struct, field

from gateway.domain import FULL, Answer, Modality, Reading
from gateway.policy.combine import Row, Way
from gateway.policy.policy import Policy, Rule

LISTED = "label/listed"  # who scores this is a list of known things: what it says is a fact, and no opinion to average

Tally = dict[str, dict[str, int]]  # category → provider → score, parents at least as high as their children


class InputFacts(Struct, frozen=True):
    """All that is known of one input.

    `sees` says for each provider of the route what it can score here; `need` how many must have answered; `unseen`
    how many frames no provider was shown; `place` where it stands in the submission, if not where it stands in a list.
    `context` is what the caller says of the whole submission; `objects` are providers whose labels name things.
    """

    modality: Modality
    answers: tuple[Answer, ...]
    sees: Mapping[str, frozenset[str]]
    need: int
    unseen: int = 0
    place: int | None = None
    context: Mapping[str, Any] = field(default_factory=dict)
    objects: tuple[str, ...] = ()


@dataclass(slots=True)
class Seen:
    """What the signals on one input come to.

    `answered` are the providers that gave a reading. `judged` has what is over its threshold: the highest score under
    the same threshold, and whose category it is. `undecided` are categories where too few answered to combine, and what
    they said might be over. `quiet`: looked, and reports nothing above its minimum, which is low enough for the
    threshold; `reports` has every such minimum.
    """

    answered: set[str]
    scores: Tally
    judged: dict[str, tuple[int, str]]
    undecided: list[str]
    quiet: dict[str, set[str]]
    reports: dict[str, dict[str, int]]

    def covered(self, slug: str) -> int:
        """How many providers looked at this category well enough to count."""
        scored, quiet = self.scores.get(slug), self.quiet.get(slug)
        if quiet is None:
            return len(scored) if scored else 0
        return len(scored.keys() | quiet) if scored else len(quiet)


def low_enough(rule: Rule | None, below: int | None) -> bool:
    """Whether "nothing above `below`" answers the policy's question."""
    return below is not None and (rule is None or rule.lowest is None or below <= rule.lowest)


def tally(policy: Policy, index: int, fact: InputFacts) -> Seen:
    """Add up what was said of the input that stands at this place."""
    scores: Tally = {}
    judged: dict[str, tuple[int, str]] = {}
    rows: dict[str, dict[str, tuple[int, str]]] = {}
    seen = Seen(set(), scores, judged, [], {}, {})
    lines = policy.lines
    for answer in fact.answers:
        reading = answer.outcome
        if not isinstance(reading, Reading):
            continue
        provider = reading.provider
        seen.answered.add(provider)
        for signal in reading.signals:
            if signal.input != index:
                continue
            score, category = signal.score, signal.category
            line = lines[category]
            if score is None:
                _silent(seen, line.kin, line.rule, provider, signal.below)
                continue
            for slug in line.kin:
                row = scores.get(slug)
                if row is None:
                    scores[slug] = {provider: score}
                elif score > row.get(provider, -1):
                    row[provider] = score
            if score >= line.lowest:
                for slug in line.together:
                    if slug not in judged or score >= judged[slug][0]:
                        judged[slug] = (score, category)
            for slug in line.rowed:
                heard = rows.setdefault(slug, {})
                if provider not in heard or score > heard[provider][0]:
                    heard[provider] = (score, category)
    if rows:
        _combine(policy, fact, seen, rows)
    return seen


def _silent(seen: Seen, slugs: tuple[str, ...], rule: Rule | None, provider: str, below: int | None) -> None:
    if below is None:
        return
    enough = low_enough(rule, below)
    for slug in slugs:
        if enough:
            seen.quiet.setdefault(slug, set()).add(provider)
        minimums = seen.reports.setdefault(slug, {})
        minimums[provider] = min(below, minimums.get(provider, FULL))


def _combine(policy: Policy, fact: InputFacts, seen: Seen, rows: Mapping[str, dict[str, tuple[int, str]]]) -> None:
    """Judge those categories where it is not the most alarmed provider who counts."""
    absent = absentees(policy, fact, seen)
    for slug, heard in rows.items():
        line = policy.lines[slug]
        row = {provider: score for provider, (score, _) in heard.items()}
        row |= {provider: 0 for provider in seen.quiet.get(slug, ()) if provider not in row}
        score, highest = combined(policy.way(slug), row, seen, silent(absent, fact, slug))
        if highest < line.lowest:
            continue
        if score is None:
            seen.undecided.append(slug)
        else:
            seen.judged[slug] = (score, max(heard.values())[1])


def combined(way: Way, row: Row, seen: Seen, missing: int) -> tuple[int | None, int]:
    """What the scores of one category come to, None where too few answered; and the most it can have come to.

    What a list of known things says is taken as it is. `row` holds one provider at least.
    """
    if way.name == "max":
        score = max(row.values())
        return score, score
    lists = seen.scores.get(LISTED, {})
    opinions = {provider: score for provider, score in row.items() if provider not in lists}
    fact = max((score for provider, score in row.items() if provider in lists), default=0)
    if not opinions:
        return fact, fact
    if len(opinions) >= way.least:
        score = max(fact, way.combined(opinions))
        return score, score
    absent = max(missing, way.least - len(opinions))
    place = way.least - absent  # of those that answered, if all that are absent were as sure as can be
    highest = sorted(opinions.values())[-place] if place > 0 else FULL
    return (fact, fact) if fact == FULL else (None, max(fact, highest))


def silent(absent: Iterable[str], fact: InputFacts, slug: str) -> int:
    """How many of the absent could have scored this category here."""
    return sum(can_see(fact.sees.get(provider), slug) for provider in absent)


def absentees(policy: Policy, fact: InputFacts, seen: Seen) -> Set[str]:
    """Those who were asked and failed, and those whom the policy expects and nobody heard of."""
    answered = seen.answered
    if not policy.expected and len(answered) == len(fact.answers):
        return frozenset()
    return {*(answer.outcome.provider for answer in fact.answers), *policy.expected} - answered


def can_see(sees: frozenset[str] | None, slug: str) -> bool:
    """A provider the route does not know might see anything."""
    if sees is None or slug in sees:
        return True
    return any(seen.startswith(f"{slug}/") for seen in sees)
