"""The signals on one input, added up: who scored what, what is over its threshold, and who looked and saw nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from functools import lru_cache
from itertools import repeat
from operator import itemgetter
from typing import Any

from msgspec import Struct, field

from gateway.domain import FULL, Answer, Modality, Reading, Signal
from gateway.policy.combine import Row, Way
from gateway.policy.outline import Outline
from gateway.policy.policy import Policy, Rule
from gateway.taxonomy import kin

LISTED = "label/listed"  # who scores this is a list of known things: what it says is a fact, and no opinion to average

Thing = tuple[str, int, str]  # label, score, provider; in a third of the time that a NamedTuple takes
Loud = tuple[str, Sequence[Signal], Sequence[int]]  # provider, its signals that have a score, and the scores
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


class Heard(Struct):
    """What was said of the input that stands at this place, the same under every policy.

    `loud` are the signals that have a score, `said` the scores of each provider that answered by category, parents at
    least as high as their children; `top` the highest of them. `hushed` are providers with a category and the score
    under which they report nothing of it. `naming` are the loud ones of those who name things, `silent` says whether
    somebody who was asked gave no answer.
    """

    index: int
    fact: InputFacts
    loud: list[Loud]
    naming: list[Loud]
    said: dict[str, dict[str, int]]
    top: dict[str, int]
    hushed: list[tuple[str, str, int]]
    silent: bool
    _rows: Tally | None = None
    _things: list[Thing] | None = None

    @property
    def rows(self) -> Tally:
        """The scores by category, of each provider. Put together when somebody asks."""
        if self._rows is None:
            self._rows = _rows(self.said, self.top)
        return self._rows

    @property
    def things(self) -> list[Thing]:
        """What providers that name things saw. Put together when somebody asks."""
        if self._things is None:
            self._things = [thing for loud in self.naming for thing in _things(*loud)]
        return self._things

    def saw_any(self, names: Set[str]) -> bool:
        """Whether they call something so."""
        return not all(names.isdisjoint([signal.label for signal in signals]) for _, signals, _ in self.naming)

    def row(self, slug: str) -> dict[str, int]:
        """The scores of one category."""
        return {provider: scores[slug] for provider, scores in self.said.items() if slug in scores}


def hear(facts: Sequence[InputFacts]) -> list[Heard]:
    """What was said of each of these inputs."""
    return [_heard(place if fact.place is None else fact.place, fact) for place, fact in enumerate(facts)]


def _heard(index: int, fact: InputFacts) -> Heard:
    loud: list[Loud] = []
    naming: list[Loud] = []
    said: dict[str, dict[str, int]] = {}
    hushed: list[tuple[str, str, int]] = []
    for answer in fact.answers:
        reading = answer.outcome
        if isinstance(reading, Reading):
            provider = reading.provider
            signals, scores = _scored(index, reading, hushed)
            loud.append((provider, signals, scores))
            if provider in fact.objects:
                naming.append(loud[-1])
            rolled = _rolled_up(tuple([signal.category for signal in signals]), scores)
            said[provider] = _top((said[provider], rolled)) if provider in said else rolled
    [top] = said.values() if len(said) == 1 else [_top(said.values())]
    return Heard(index, fact, loud, naming, said, top, hushed, silent=len(said) < len(fact.answers))


def _scored(index: int, reading: Reading, hushed: list[tuple[str, str, int]]) -> tuple[Sequence[Signal], Sequence[int]]:
    """Its signals with a score on this input, and the scores; what is hushed goes with the others."""
    signals = reading.signals
    scores: list[Any] = [signal.score for signal in signals]
    if reading.inputs == (index,) and None not in scores:  # nearly always
        return signals, scores
    here = [signal for signal in signals if signal.input == index]
    hushed += [
        (reading.provider, each.category, each.below) for each in here if each.score is None and each.below is not None
    ]
    loud = [(each, each.score) for each in here if each.score is not None]
    return [each for each, _ in loud], [score for _, score in loud]


def _rolled_up(categories: tuple[str, ...], scores: Sequence[int]) -> dict[str, int]:
    """The highest score of each category, its descendants' among them."""
    rolled = dict(zip(categories, scores, strict=True))
    for slug, taken in _shared(categories):
        rolled[slug] = max(taken(scores))
    return rolled


@lru_cache(1024)
def _shared(categories: tuple[str, ...]) -> tuple[tuple[str, Callable[[Sequence[int]], Iterable[int]]], ...]:
    """Of those that get a score from elsewhere than one place of their own: what takes those scores out."""
    places: dict[str, list[int]] = {}
    for place, category in enumerate(categories):
        for slug in kin(category):
            places.setdefault(slug, []).append(place)
    own = {slug: [place] for place, slug in enumerate(categories)}
    return tuple((slug, _taking(found)) for slug, found in places.items() if found != own.get(slug))


def _taking(places: list[int]) -> Callable[[Sequence[int]], Iterable[int]]:
    """What gives the items in these places; one at least."""
    first, *more = places
    return itemgetter(first, *more) if more else itemgetter(slice(first, first + 1))


def _top(said: Iterable[Mapping[str, int]]) -> dict[str, int]:
    top: dict[str, int] = {}
    for scores in said:
        for slug, score in scores.items():
            if slug not in top or score > top[slug]:
                top[slug] = score
    return top


def _rows(said: Mapping[str, Mapping[str, int]], slugs: Iterable[str]) -> Tally:
    """In the order of these slugs, which are all there are."""
    if len(said) == 1:
        [(provider, scores)] = said.items()
        return {slug: {provider: score} for slug, score in scores.items()}
    rows: Tally = {slug: {} for slug in slugs}
    for provider, scores in said.items():
        for slug, score in scores.items():
            rows[slug][provider] = score
    return rows


def _things(provider: str, signals: Sequence[Signal], scores: Sequence[int]) -> Iterable[Thing]:
    return zip([signal.label for signal in signals], scores, repeat(provider))


class Seen(Struct):
    """What that comes to under a policy.

    `outline` is what is known without the scores. `judged` has what is over its threshold: the highest score under the
    same threshold, and whose category it is. `undecided` are categories where too few answered to combine, and what
    they said might be over. `quiet`: looked, and reports nothing above its minimum, which is low enough for the
    threshold; `reports` has every such minimum.
    """

    heard: Heard
    outline: Outline
    judged: dict[str, tuple[int, str]] = field(default_factory=dict)
    undecided: list[str] = field(default_factory=list)
    quiet: dict[str, set[str]] = field(default_factory=dict)
    reports: dict[str, dict[str, int]] = field(default_factory=dict)

    def covered(self, slug: str) -> int:
        """How many providers looked at this category well enough to count."""
        quiet = self.quiet.get(slug, ())
        return len(quiet) + sum(
            slug in scores and provider not in quiet for provider, scores in self.heard.said.items()
        )


def low_enough(rule: Rule | None, below: int | None) -> bool:
    """Whether "nothing above `below`" answers the policy's question."""
    return below is not None and (rule is None or rule.lowest is None or below <= rule.lowest)


def tally(policy: Policy, heard: Heard) -> Seen:
    """Which of it counts."""
    outline = policy.outline(heard.fact.modality, tuple(heard.top))
    seen = Seen(heard, outline)
    if heard.hushed:
        _silent(policy, seen)
    if not policy.plain or outline.reached(heard.top):
        _judge(policy, seen)
    return seen


def _silent(policy: Policy, seen: Seen) -> None:
    for provider, category, below in seen.heard.hushed:
        line = policy.lines[category]
        enough = low_enough(line.rule, below)
        for slug in line.kin:
            if enough:
                seen.quiet.setdefault(slug, set()).add(provider)
            minimums = seen.reports.setdefault(slug, {})
            minimums[provider] = min(below, minimums.get(provider, FULL))


def _judge(policy: Policy, seen: Seen) -> None:
    """Hold every score against its threshold."""
    judged, lines = seen.judged, policy.lines
    rows: dict[str, dict[str, tuple[int, str]]] = {}
    for provider, signals, scores in seen.heard.loud:
        for category, score in zip([signal.category for signal in signals], scores, strict=True):
            line = lines[category]
            if score >= line.lowest:
                for slug in line.together:
                    if slug not in judged or score >= judged[slug][0]:
                        judged[slug] = (score, category)
            for slug in line.rowed:
                heard = rows.setdefault(slug, {})
                if provider not in heard or score > heard[provider][0]:
                    heard[provider] = (score, category)
    if rows:
        _combine(policy, seen, rows)


def _combine(policy: Policy, seen: Seen, rows: Mapping[str, dict[str, tuple[int, str]]]) -> None:
    """Judge those categories where it is not the most alarmed provider who counts."""
    absent = absentees(policy, seen.heard)
    for slug, heard in rows.items():
        line = policy.lines[slug]
        row = {provider: score for provider, (score, _) in heard.items()}
        row |= {provider: 0 for provider in seen.quiet.get(slug, ()) if provider not in row}
        score, highest = combined(line.way, row, seen.heard, silent(absent, seen.heard.fact, slug))
        if highest < line.lowest:
            continue
        if score is None:
            seen.undecided.append(slug)
        else:
            seen.judged[slug] = (score, max(heard.values())[1])


def combined(way: Way, row: Row, heard: Heard, missing: int) -> tuple[int | None, int]:
    """What the scores of one category come to, None where too few answered; and the most it can have come to.

    What a list of known things says is taken as it is. `row` holds one provider at least.
    """
    if way.name == "max":
        score = max(row.values())
        return score, score
    lists = {provider for provider, scores in heard.said.items() if LISTED in scores}
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


def absentees(policy: Policy, heard: Heard) -> Set[str]:
    """Those who were asked and failed, and those whom the policy expects and nobody heard of."""
    if not policy.expected and not heard.silent:
        return frozenset()
    return {*(answer.outcome.provider for answer in heard.fact.answers), *policy.expected} - heard.said.keys()


def can_see(sees: frozenset[str] | None, slug: str) -> bool:
    """A provider the route does not know might see anything."""
    if sees is None or slug in sees:
        return True
    return any(seen.startswith(f"{slug}/") for seen in sees)
