"""What of a request's signals the rules of a policy ask for, so that nothing else is put together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from gateway.domain import FULL
from gateway.policy.cel.typed import (
    And,
    Condition,
    Constant,
    Constants,
    Coverage,
    Field,
    Holds,
    Or,
    Part,
    Score,
    Some,
    walk,
)
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

    `roots` are the fields: labels, hashes, ocr, context, user. `names` are those of the labels that they ask for, None
    where any may do: of labels none of which is called so, no rule holds.
    """

    categories: tuple[Asked, ...]
    roots: frozenset[str]
    counted: bool
    names: frozenset[str] | None

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
        _names(condition),
    )


def joined(several: Sequence[Needs]) -> Needs:
    """What they ask for together."""
    asked: dict[str, Asked] = {}
    roots: set[str] = set()
    for each in several:
        roots |= each.roots
        for one in each.categories:
            known = asked.setdefault(one.slug, one)
            if known is not one:
                asked[one.slug] = _of_both(known, one)
    names = _any_of(each.names for each in several)
    return Needs(tuple(asked.values()), frozenset(roots), any(one.counted for one in asked.values()), names)


def _of_both(one: Asked, other: Asked) -> Asked:
    bound, voices, counted = min(one.lowest, other.lowest), one.voices or other.voices, one.counted or other.counted
    if (bound, voices, counted) == (one.lowest, one.voices, one.counted):
        return one
    return Asked(one.slug, bound, one.way, voices, counted)


def _names(condition: Condition) -> frozenset[str] | None:
    asked = [node for node in walk(condition) if isinstance(node, Some) and node.over.root == LABELS]
    return _any_of(_named(node.body) for node in asked)


def _named(body: Condition) -> frozenset[str] | None:
    """One of these names a label has if this is not false of it; None where it may have any."""
    match body:
        case And():
            return next((names for part in body.parts if (names := _named(part)) is not None), None)
        case Or():
            return _any_of(_named(part) for part in body.parts)
        case Holds(word, (Part("name"), Constant(str(name)))) if word.name == "==":
            return frozenset({name})
        case Holds(word, (Part("name"), Constants(names))) if word.name == "in":
            return frozenset(map(str, names))
    return None


def _any_of(several: Iterable[frozenset[str] | None]) -> frozenset[str] | None:
    """One of all these names; None where some may be any."""
    names: frozenset[str] = frozenset()
    for each in several:
        if each is None:
            return None
        names |= each
    return names
