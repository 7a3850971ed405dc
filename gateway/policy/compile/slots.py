"""The request vector: which facts some rules need, each in its place.

Votes need no loop there: at least k providers score t or higher exactly if the k-th highest score is t or higher. So a
vector holds the k-th highest with the silent ones at the bottom (certainly so many) and with them on top (possibly).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from gateway.domain import FULL
from gateway.policy.cel.typed import Condition, Constant, Coverage, Field, Holds, Score, Votes, terms, walk
from gateway.policy.compile.binding import bind, binder
from gateway.policy.compile.facts import MISSING, Facts, fitting


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


def vector(order: Sequence[Slot]) -> Callable[[Facts], list[Any]]:
    """What fetches the slots' values out of some facts, all at once."""
    names: dict[str, Any] = {"kth": kth_highest}
    values = [_fetch(slot, number, names) for number, slot in enumerate(order)]
    lines = ["def vector(facts):", f"    return [{', '.join(values)}]", "return vector"]
    made: Callable[[Facts], list[Any]] = bind(binder(names, lines), names)
    return made


def _fetch(slot: Slot, number: int, names: dict[str, Any]) -> str:
    """The expression for one slot. `names` gets what it names."""
    key = f"k{number}"
    match slot:
        case Score(category):
            names[key] = category
            return f"facts.scores.get({key}, {MISSING})"
        case Coverage(category):
            names[key] = category
            return f"len(facts.voices.get({key}, ()))"
        case Highest():
            names[key] = slot
            return f"kth({key}, facts)"
        case Field(root="labels" | "hashes"):
            return f"facts.{slot.root}"
        case Field(root, name, shape, default):
            names.update({key: name, f"f{number}": fitting(shape), f"d{number}": default})
            fitted = f"f{number}(facts.{root}.get({key}))"
            return fitted if default is None else f"(d{number} if (given := {fitted}) is None else given)"


def kth_highest(slot: Highest, facts: Facts) -> int:
    """What stands in this slot."""
    place = slot.place
    if slot.if_all and facts.silent:
        place -= facts.silent.get(slot.category, 0)
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
