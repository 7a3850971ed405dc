"""The scores of several providers → one, by category: max, quorum(k), median, mean or calibrated.

What goes in are integers 0..10,000 of those that answered, and so is what comes out, rounded half to even once.
`max` and `quorum` never fall when a score rises or another answers; the others may.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from gateway.domain import FULL
from gateway.policy.schema import DEFAULT, Calibrated, Combiner, Platt, quorum
from gateway.taxonomy import kin

Row: TypeAlias = Mapping[str, int]  # provider → score; at least one

_NEARLY = 0.5  # of a step: the logit of 0 and of 1 is that of half a step inside


@dataclass(frozen=True, slots=True)
class Way:
    """One way of combining. `least` answers are needed; `rising` if a further or higher one never lowers it."""

    name: str
    combined: Callable[[Row], int]
    least: int = 1
    rising: bool = True


def way(said: Combiner) -> Way:
    """The way a policy file names."""
    if isinstance(said, Calibrated):
        return Way("calibrated", lambda row: _calibrated(row, said.calibrated), rising=False)
    k = quorum(said)
    if k is not None:
        return Way(said, lambda row: _highest(row, k), least=k)
    return _PLAIN[said]


def ways(said: Mapping[str, Combiner]) -> Callable[[str], Way]:
    """Category → the way of its nearest relative that is named, else the default."""
    made = {slug: way(how) for slug, how in said.items()}
    default = made.get(DEFAULT, MAX)
    return lambda slug: next((made[each] for each in kin(slug) if each in made), default)


def _max(row: Row) -> int:
    return max(row.values())


def _highest(row: Row, k: int) -> int:
    return sorted(row.values())[-k]


def _median(row: Row) -> int:
    scores = sorted(row.values())
    half, odd = divmod(len(scores), 2)
    return scores[half] if odd else divided(scores[half - 1] + scores[half], 2)


def _mean(row: Row) -> int:
    return divided(sum(row.values()), len(row))


def divided(total: int, by: int) -> int:
    """Rounded half to even, without a float."""
    whole, rest = divmod(total, by)
    return whole + (2 * rest > by or (2 * rest == by and whole % 2))


def _calibrated(row: Row, numbers: Mapping[str, Platt]) -> int:
    """A provider without numbers is taken at its word: the higher of it and what the others come to."""
    alone = [score for provider, score in row.items() if provider not in numbers]
    weighed = [(numbers[provider], score) for provider, score in sorted(row.items()) if provider in numbers]
    if weighed:
        total = sum(by.weight for by, _ in weighed)
        odds = sum(by.weight * (by.slope * _logit(score) + by.intercept) for by, score in weighed) / total
        alone.append(round(FULL * _sigmoid(odds)))
    return max(alone)


def _logit(score: int) -> float:
    inside = min(max(score, _NEARLY), FULL - _NEARLY)
    return math.log(inside / (FULL - inside))


def _sigmoid(odds: float) -> float:
    return 1 / (1 + math.exp(-odds)) if odds > -700 else 0.0


MAX = Way("max", _max)
_PLAIN = {"max": MAX, "median": Way("median", _median, rising=False), "mean": Way("mean", _mean, rising=False)}
