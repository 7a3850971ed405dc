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
class Needs:
    """`categories` are with the lowest number each is compared with, and how its scores combine, in the same order.

    `counted` are those whose silent providers count, `roots` the fields: labels, hashes, ocr, context, user.
    """

    categories: tuple[tuple[str, int], ...]
    ways: tuple[Way, ...]
    counted: frozenset[str]
    roots: frozenset[str]

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
    return Needs(
        tuple((slug, bounds.get(slug, FULL)) for slug in scored),
        tuple(map(way, scored)),
        frozenset(slot.category for slot in asked if isinstance(slot, Highest)),
        frozenset(slot.root for slot in asked if isinstance(slot, Field)),
    )
