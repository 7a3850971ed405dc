"""What a sweep comes to in numbers: flips, by rule and surface, what reviewers have to do more, and how sure it is."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gateway.sweep.layout import ACTIONS
from gateway.sweep.runs import Outcome

_SURE = 1.96  # standard deviations: 95 %
_SAMPLES = 10  # ids told of each flip


def figures(outcomes: Sequence[Outcome], share: float) -> dict[str, Any]:
    """Counts are of the decisions that were looked at, `share` of all there are."""
    counts = _summed(one.counts for one in outcomes)
    many = counts.total()
    flips = {name: number for name, number in sorted(counts.items()) if _is_flip(name)}
    told: dict[str, Any] = {
        "decisions": many,
        "flips": flips,
        "per_rule": dict(_summed(one.rules for one in outcomes).most_common()),
        "per_surface": _by_surface(outcomes),
        "matrix": {str(old): {str(new): counts[f"{old}->{new}"] for new in ACTIONS} for old in ACTIONS},
        "review_load": _load(outcomes, share),
        "samples": _samples(outcomes),
        "one_by_one": sum(one.slow for one in outcomes),
        "gone": sum(one.gone for one in outcomes),
        "sampled": share if share < 1 else None,
    }
    if share < 1:
        told["intervals"] = {name: wilson(number, many) for name, number in flips.items()}
    return told


def wilson(hits: int, of: int) -> tuple[float, float]:
    """Wilson's interval of a share, 95 %. https://doi.org/10.1080/01621459.1927.10502953"""
    if not of:
        return 0.0, 1.0
    p, z = hits / of, _SURE
    middle, width = p + z * z / (2 * of), z * math.sqrt(p * (1 - p) / of + z * z / (4 * of * of))
    return tuple(round(max(0.0, min(1.0, (middle + sign * width) / (1 + z * z / of))), 6) for sign in (-1, 1))  # type: ignore[return-value]


def _is_flip(name: str) -> bool:
    old, _, new = name.partition("->")
    return old != new


def _summed(counted: Iterable[Mapping[str, int]]) -> Counter[str]:
    whole: Counter[str] = Counter()
    for each in counted:
        whole.update(each)
    return whole


def _by_surface(outcomes: Sequence[Outcome]) -> dict[str, dict[str, int]]:
    """Those without a surface under the empty name."""
    names = sorted({name for one in outcomes for name in one.surfaces})
    return {name: dict(_summed(one.surfaces.get(name, {}) for one in outcomes)) for name in names}


def _load(outcomes: Sequence[Outcome], share: float) -> dict[str, Any]:
    """Reviews a day before and after, over the days on which there was a decision; a sample is counted up."""
    days: dict[str, list[float]] = {}
    for one in outcomes:
        before, after = (
            sum(many for name, many in one.counts.items() if name.split("->")[side] == "review") for side in (0, 1)
        )
        day = days.setdefault(one.day, [0.0, 0.0])
        day[0], day[1] = day[0] + before / share, day[1] + after / share
    old, new = (sum(day[side] for day in days.values()) / (len(days) or 1) for side in (0, 1))
    return {
        "days": len(days),
        "before_per_day": round(old, 2),
        "after_per_day": round(new, 2),
        "extra_per_day": round(new - old, 2),
        "by_day": {day: {"before": round(a, 2), "after": round(b, 2)} for day, (a, b) in sorted(days.items())},
    }


def _samples(outcomes: Sequence[Outcome]) -> dict[str, list[str]]:
    """The newest of each flip."""
    names = sorted({name for one in outcomes for name in one.samples})
    return {name: [id for one in reversed(outcomes) for id in one.samples.get(name, [])][:_SAMPLES] for name in names}
