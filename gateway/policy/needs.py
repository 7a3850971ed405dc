"""What of a request's signals the rules of a policy ask for, so that nothing else is put together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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


def needs(conditions: Sequence[Condition], way: Callable[[str], Way]) -> Needs:
    """What these conditions ask for, with scores combined this way."""
    asked, bounds = slots(conditions), lowest(conditions)
    scored = dict.fromkeys(slot.category for slot in asked if isinstance(slot, Score | Coverage | Highest))
    voiced = {slot.category for slot in asked if isinstance(slot, Coverage | Highest)}
    counted = {slot.category for slot in asked if isinstance(slot, Highest)}
    return Needs(
        tuple(Asked(slug, bounds.get(slug, FULL), way(slug), slug in voiced, slug in counted) for slug in scored),
        frozenset(slot.root for slot in asked if isinstance(slot, Field)),
        bool(counted),
    )
