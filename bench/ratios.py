"""What came of the rounds: ratios taken within a round, their middle and their span, and medians of plain figures."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

Rounds = Sequence[Mapping[str, Mapping[str, float]]]  # of each round, by target, by figure
DIRECT = "direct"  # the vendor itself


@dataclass(frozen=True, slots=True)
class Span:
    """Of all rounds."""

    median: float
    least: float
    most: float


def spanned(values: Iterable[float]) -> Span | None:
    """None where there is no value."""
    each = sorted(values)
    return Span(statistics.median(each), each[0], each[-1]) if each else None


def figure(rounds: Rounds, name: str, target: str) -> Span | None:
    """One figure of one target, over the rounds that have it."""
    return spanned(value for (value,) in _told(rounds, name, target))


def added(rounds: Rounds, name: str, target: str) -> Span | None:
    """What the target adds to the vendor asked directly."""
    return spanned(value - direct for value, direct in _told(rounds, name, target, DIRECT))


def ratio(rounds: Rounds, name: str, over: str, under: str) -> Span | None:
    """One target's figure over another's."""
    return spanned(one / other for one, other in _told(rounds, name, over, under))


def added_ratio(rounds: Rounds, name: str, over: str, under: str) -> Span | None:
    """The same of what both add. Rounds in which the other adds nothing say nothing."""
    told = _told(rounds, name, over, under, DIRECT)
    return spanned((one - direct) / (other - direct) for one, other, direct in told if other > direct)


def _told(rounds: Rounds, name: str, *targets: str) -> Iterator[tuple[float, ...]]:
    """The figure of each of the targets, for the rounds in which all have it."""
    for one in rounds:
        if all(name in one.get(target, {}) for target in targets):
            yield tuple(one[target][name] for target in targets)
