"""The request vector: which facts some rules need, each in its place.

Votes need no loop there: at least k providers score t or higher exactly if the k-th highest score is t or higher. So a
vector holds the k-th highest with the silent ones at the bottom (certainly so many) and with them on top (possibly).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, TypeAlias

from gateway.domain import FULL
from gateway.policy.cel.shapes import Plain, Shape
from gateway.policy.cel.typed import Condition, Constant, Coverage, Field, Holds, Score, Votes, terms, walk
from gateway.policy.compile.facts import MISSING, Facts, fit


@dataclass(frozen=True, slots=True)
class Highest:
    """The `place`-th highest score of a category, from 1; with `if_all` as if the silent had given the highest."""

    category: str
    place: int
    if_all: bool


Slot: TypeAlias = Score | Coverage | Field | Highest


def slots(conditions: Iterable[Condition]) -> tuple[Slot, ...]:
    """All that these conditions ask of a request, each once."""
    return tuple(dict.fromkeys(slot for condition in conditions for node in walk(condition) for slot in _of(node)))


def _of(node: Condition) -> Iterator[Slot]:
    if isinstance(node, Votes):
        yield from highest(node)
    yield from (term for term in terms(node) if isinstance(term, Score | Coverage | Field))


def highest(node: Votes) -> tuple[Highest, Highest]:
    """What is certain and what is possible."""
    return Highest(node.category, node.least, False), Highest(node.category, node.least, True)


def reader(slot: Slot) -> Callable[[Facts], Any]:
    """What fetches the slot's value out of some facts."""
    match slot:
        case Score(category):
            return lambda facts: facts.scores.get(category, MISSING)
        case Coverage(category):
            return lambda facts: len(facts.voices.get(category, ()))
        case Highest():
            return lambda facts: _highest(slot, facts)
        case Field(root="labels" | "hashes"):
            return attrgetter(slot.root)
        case Field(root, name, shape, default):
            given = attrgetter(root)
            return lambda facts: _fitted(shape, given(facts).get(name), default)


def _fitted(shape: Shape, given: Any, default: Plain | None) -> Any:
    found = None if given is None else fit(shape, given)
    return default if found is None else found


def _highest(slot: Highest, facts: Facts) -> int:
    place = slot.place - (facts.silent.get(slot.category, 0) if slot.if_all else 0)
    if place <= 0:
        return FULL
    voices = facts.voices.get(slot.category, ())
    return sorted(voices)[-place] if place <= len(voices) else MISSING


def lowest(conditions: Iterable[Condition]) -> dict[str, int]:
    """The lowest number each category is compared with. 0 where it is compared with another score."""
    found: dict[str, int] = {}
    for condition in conditions:
        for node in walk(condition):
            for category, bound in _bounds(node):
                found[category] = min(bound, found.get(category, FULL))
    return found


def _bounds(node: Condition) -> Iterator[tuple[str, int]]:
    if isinstance(node, Votes):
        yield node.category, node.threshold
    if isinstance(node, Holds):
        written = [term.value for term in node.terms if isinstance(term, Constant)]
        bound = written[0] if written else 0
        yield from ((term.category, int(bound)) for term in node.terms if isinstance(term, Score))
