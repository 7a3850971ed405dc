"""What of a request's signals the rules of a policy ask for, so that nothing else is put together."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from gateway.domain import FULL
from gateway.policy.cel.typed import Condition, Coverage, Field, Score
from gateway.policy.cel.vocabulary import HASHES, LABELS
from gateway.policy.combine import Way
from gateway.policy.compile.slots import Highest, lowest, slots


@dataclass(frozen=True, slots=True)
class Asked:
    """A category that rules ask for: the lowest number it is compared with, and how its scores combine.

    `voices`: they ask who said what of it too; `counted`: and how many who could have did not.
    """

    slug: str
    lowest: int
    way: Way
    voices: bool
    counted: bool


@dataclass(frozen=True, slots=True)
class Needs:
    """`categories` are in the order in which they are asked for, `counted` says whether some of them are counted.

    `roots` are the fields: labels, hashes, ocr, context, user.
    """

    categories: tuple[Asked, ...]
    roots: frozenset[str]
    counted: bool

    @property
    def labels(self) -> bool:
        """Whether they ask what was seen."""
        return LABELS in self.roots

    @property
    def hashes(self) -> bool:
        """Whether they ask for lists of known content."""
        return HASHES in self.roots


def needs(condition: Condition, way: Callable[[str], Way]) -> Needs:
    """What this condition asks for, with scores combined this way."""
    asked, bounds = slots([condition]), lowest([condition])
    scored = dict.fromkeys(slot.category for slot in asked if isinstance(slot, Score | Coverage | Highest))
    voiced = {slot.category for slot in asked if isinstance(slot, Coverage | Highest)}
    counted = {slot.category for slot in asked if isinstance(slot, Highest)}
    return Needs(
        tuple(Asked(slug, bounds.get(slug, FULL), way(slug), slug in voiced, slug in counted) for slug in scored),
        frozenset(slot.root for slot in asked if isinstance(slot, Field)),
        bool(counted),
    )


def joined(several: Iterable[Needs]) -> Needs:
    """What they ask for together."""
    asked: dict[str, Asked] = {}
    roots: set[str] = set()
    for each in several:
        roots |= each.roots
        for one in each.categories:
            known = asked.setdefault(one.slug, one)
            if known is not one:
                asked[one.slug] = _of_both(known, one)
    return Needs(tuple(asked.values()), frozenset(roots), any(one.counted for one in asked.values()))


def _of_both(one: Asked, other: Asked) -> Asked:
    bound, voices, counted = min(one.lowest, other.lowest), one.voices or other.voices, one.counted or other.counted
    if (bound, voices, counted) == (one.lowest, one.voices, one.counted):
        return one
    return Asked(one.slug, bound, one.way, voices, counted)
