"""A checked expression: what every back end is made from. Small on purpose: what can be said otherwise is not in it.

`all` is not-exists-not, `>` of votes is the next `>=`, a list written out is an `or`, text is the same word for all.
A condition is true, false or unknown; a term is a value or missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from gateway.policy.cel.shapes import Declared, Kind, Many, Plain, Shape
from gateway.policy.cel.vocabulary import Path
from gateway.policy.cel.words import Predicate

# ---- terms


@dataclass(frozen=True, slots=True)
class Constant:
    """A value that was written. A score is already 0..10,000."""

    value: Plain
    kind: Kind


@dataclass(frozen=True, slots=True)
class Constants:
    """A list that was written, or one of the policy's: at least one value, all of this kind, none twice."""

    values: tuple[Plain, ...]
    kind: Kind


@dataclass(frozen=True, slots=True)
class Score:
    """The combined score of a category; missing where too few answered."""

    category: str


@dataclass(frozen=True, slots=True)
class Coverage:
    """How many providers answered about a category; never missing."""

    category: str


@dataclass(frozen=True, slots=True)
class Field:
    """`context.name`, `user.name`, `ocr.name`, and with an empty name `labels` and `hashes`."""

    root: str
    name: str
    shape: Shape = field(compare=False, repr=False)
    default: Plain | None = None

    @property
    def path(self) -> Path:
        return (self.root, self.name)


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the list's element that is looked at, or with an empty name the element itself."""

    name: str
    kind: Kind


Term: TypeAlias = Constant | Constants | Score | Coverage | Field | Part

# ---- conditions


@dataclass(frozen=True, slots=True)
class Always:
    """True or false whatever comes; None is unknown, which only back ends need."""

    value: bool | None


@dataclass(frozen=True, slots=True)
class And:
    """All of at least two parts."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Any of at least two parts."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite; of unknown it is unknown."""

    part: Condition


@dataclass(frozen=True, slots=True)
class One:
    """Exactly one of the parts; unknown as soon as one of them is, as CEL has it."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Holds:
    """A word of the table said of terms. Unknown where one of them is missing."""

    word: Predicate
    terms: tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class Truth:
    """A field that is itself true or false."""

    term: Field


@dataclass(frozen=True, slots=True)
class Present:
    """Whether the category has a combined score; never unknown."""

    category: str


@dataclass(frozen=True, slots=True)
class Votes:
    """Whether at least `least` (1 or more) providers score the category `threshold` or higher.

    Unknown while those who have not answered could still make it so.
    """

    category: str
    threshold: int
    least: int


@dataclass(frozen=True, slots=True)
class Some:
    """Whether the condition holds for some element of the list, or with `once` for exactly one.

    Unknown where the list is missing. `once` is unknown as soon as one element is.
    """

    over: Field
    body: Condition
    once: bool = False

    @property
    def elements(self) -> Kind | Mapping[str, Declared]:
        """The kind of the elements, or the parts they are records of."""
        assert isinstance(self.over.shape, Many)  # noqa: S101 - the checker made it
        of = self.over.shape.of
        return of if isinstance(of, Kind) else of.parts


Condition: TypeAlias = Always | And | Or | Not | One | Holds | Truth | Present | Votes | Some


@dataclass(frozen=True, slots=True)
class TypedTree:
    """A checked expression. `learnt` says of which shape it takes the fields that nobody declared."""

    text: str
    root: Condition
    learnt: Mapping[Path, Declared]


# ---- making them, with what is certain anyway left out


def all_of(parts: Iterable[Condition]) -> Condition:
    """And, flattened."""
    return _joined(And, parts, neutral=True)


def any_of(parts: Iterable[Condition]) -> Condition:
    """Or, flattened."""
    return _joined(Or, parts, neutral=False)


def _joined(join: type[And] | type[Or], parts: Iterable[Condition], *, neutral: bool) -> Condition:
    flat: dict[Condition, None] = {}
    for part in parts:
        if part == Always(not neutral):
            return part
        if part != Always(neutral):
            flat.update(dict.fromkeys(part.parts if isinstance(part, join) else (part,)))
    kept = tuple(flat)
    return join(kept) if len(kept) > 1 else kept[0] if kept else Always(neutral)


def opposite(part: Condition) -> Condition:
    """Not, with two of them gone."""
    if isinstance(part, Always):
        return Always(None if part.value is None else not part.value)
    return part.part if isinstance(part, Not) else Not(part)


def one_of(parts: Iterable[Condition]) -> Condition:
    """One, counted out where it can be."""
    kept = tuple(parts)
    if all(isinstance(part, Always) for part in kept):
        return Always(sum(part == Always(True) for part in kept) == 1)
    return One(kept)


def some(over: Field, body: Condition, macro: Literal["exists", "all", "exists_one"]) -> Condition:
    """A macro over a list that comes with the request."""
    if macro == "all":
        return opposite(Some(over, opposite(body)))
    return Some(over, body, once=macro == "exists_one")


# ---- looking through them


def inside(node: Condition) -> tuple[Condition, ...]:
    """The conditions a condition is made of."""
    match node:
        case And() | Or() | One():
            return node.parts
        case Not():
            return (node.part,)
        case Some():
            return (node.body,)
    return ()


def walk(node: Condition) -> Iterator[Condition]:
    """The condition and all it is made of, as they are written."""
    left = [node]
    while left:
        here = left.pop()
        yield here
        left += reversed(inside(here))


def terms(node: Condition) -> tuple[Term, ...]:
    """The terms a condition itself speaks of."""
    if isinstance(node, Holds):
        return node.terms
    if isinstance(node, Truth):
        return (node.term,)
    if isinstance(node, Present):
        return (Score(node.category),)
    return (node.over,) if isinstance(node, Some) else ()


def of_element(node: Condition) -> bool:
    """Whether it speaks of the element of the list around it."""
    if isinstance(node, Holds):
        return any(isinstance(term, Part) for term in node.terms)
    return not isinstance(node, Some) and any(of_element(part) for part in inside(node))


def outer_parts(body: Condition) -> tuple[Condition, ...]:
    """The largest conditions in the body of a macro that say nothing of its element."""
    if isinstance(body, Always):
        return ()
    if not of_element(body):
        return (body,)
    return tuple(dict.fromkeys(outer for part in inside(body) for outer in outer_parts(part)))


def never_unknown(node: Condition) -> bool:
    """Whether it is true or false of every element: it asks only what every record has."""
    if isinstance(node, Holds):
        return all(isinstance(term, Part | Constant | Constants) and term.kind is not Kind.SCORE for term in node.terms)
    return isinstance(node, And | Or | Not | One | Always | Present) and all(
        never_unknown(part) for part in inside(node)
    )
