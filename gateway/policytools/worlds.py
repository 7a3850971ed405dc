"""What a condition comes to, told without any request: the worlds in which it is certainly true.

A condition is laid out into alternatives, its *worlds*; each knows some things: a score is from 5,000 on, a country is
one of two, three providers vote. A world in which something could have no value at all is none. One condition implies
another where each of its worlds lies within one of the other's.

All of it is sound: what is said to be so is so, of every request. It is not complete: a condition of more than 64
worlds is not judged, a score of a category is not compared with that of its parent, a vote not with a score, and two
things that are compared with each other are only the same where they are written the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from itertools import product
from math import inf
from typing import Any, TypeAlias

from gateway.domain import FULL
from gateway.policy.cel.shapes import Kind
from gateway.policy.cel.typed import (
    Always,
    And,
    Condition,
    Constant,
    Constants,
    Coverage,
    Field,
    Holds,
    Not,
    One,
    Or,
    Part,
    Present,
    Score,
    Some,
    Term,
    Truth,
    Votes,
)
from gateway.policy.cel.words import PREDICATES, Form
from gateway.policytools.values import Held, Values, Voted, above, below

MOST = 64

Known: TypeAlias = Values | Voted | Held
World: TypeAlias = Mapping[Any, Known]  # thing → what is known of it
Worlds: TypeAlias = tuple[World, ...]

_NOWHERE: Worlds = ()
_ANYWHERE: Worlds = ({},)
_TRUE = Values(only=frozenset({True}))
_FALSE = Values(only=frozenset({False}))
_NUMBERS = (Kind.SCORE, Kind.INT, Kind.DOUBLE)


class TooMany(Exception):
    """More worlds than are looked at."""


def never(condition: Condition) -> bool:
    """Whether it is certainly true of no request."""
    found = worlds(condition)
    return found is not None and not found


def implies(one: Condition, other: Condition) -> bool:
    """Whether, wherever the one is certainly true, the other certainly is."""
    here, there = worlds(one), worlds(other)
    return here is not None and there is not None and all(any(inside(a, b) for b in there) for a in here)


@lru_cache(4096)
def worlds(condition: Condition) -> Worlds | None:
    """The worlds in which it is true; none where it never is. None where they are too many."""
    try:
        return _where(condition, holds=True)
    except TooMany:
        return None


def inside(one: World, other: World) -> bool:
    """Whether all that is known in the other is known in the one."""
    for thing, known in other.items():
        mine = one.get(thing)
        if mine is None or not _within(mine, known):
            return False
    return True


# ---- laying out


def _where(node: Condition, *, holds: bool) -> Worlds:
    """The worlds in which it is certainly true, or certainly false."""
    match node:
        case Always():
            return _ANYWHERE if node.value is holds else _NOWHERE
        case Not():
            return _where(node.part, holds=not holds)
        case And() | Or():
            parts = [_where(part, holds=holds) for part in node.parts]
            return _all(parts) if isinstance(node, And) is holds else _any(parts)
        case Holds():
            return _said(node, holds=holds)
        case Truth():
            return _one(node.term, _TRUE if holds else _FALSE)
        case Present():
            return _one(("present", node.category), _TRUE if holds else _FALSE)
        case Votes():
            vote = frozenset({(node.threshold, node.least)})
            return _one(("votes", node.category), Voted(yes=vote) if holds else Voted(no=vote))
        case Some(once=False):
            body = frozenset({node.body})
            return _one(("in", node.over), Held(yes=body) if holds else Held(no=body))
        case Some() | One():
            return _one(node, _TRUE if holds else _FALSE)


def _any(parts: Iterable[Worlds]) -> Worlds:
    found = tuple(world for part in parts for world in part)
    if len(found) > MOST:
        raise TooMany
    return found


def _all(parts: Iterable[Worlds]) -> Worlds:
    found: Worlds = _ANYWHERE
    for part in parts:
        if len(found) * len(part) > MOST:
            raise TooMany
        met = (_together(one, other) for one, other in product(found, part))
        found = tuple(world for world in met if world is not None)
    return found


def _one(thing: Any, known: Known) -> Worlds:
    return _NOWHERE if _empty(known) else ({thing: known},)


def _together(one: World, other: World) -> World | None:
    """What both say; None where they contradict each other."""
    found = dict(one)
    for thing, known in other.items():
        mine = found.get(thing)
        met = known if mine is None else _with(mine, known)
        if _empty(met):
            return None
        found[thing] = met
    return found


# ---- comparisons


def _said(node: Holds, *, holds: bool) -> Worlds:
    word = node.word
    if not holds and word.opposite:
        word, holds = PREDICATES[word.opposite], True
    match node.terms:
        case (term, other) if term == other:
            return _known(term, Values()) if (word.name in ("==", "<=", ">=")) is holds else _NOWHERE
        case (term, Constants(values)):
            listed = frozenset(values)
            return _known(term, Values(only=listed) if holds else Values(but=listed))
        case (term, Constant(value, kind)) if word.form is Form.METHOD:
            return _known(term, Values(tests=frozenset({(word, value, holds)})))
        case (term, Constant(value, kind)) if word.name in ("==", "!="):
            same = frozenset({value})
            return _known(term, Values(only=same) if word.name == "==" else Values(but=same))
        case (term, Constant(value, kind)) if kind in _NUMBERS and not isinstance(value, str):
            return _known(term, _bounded(word.name, kind, value))
    return _one((word.name, node.terms), _TRUE if holds else _FALSE)


def _bounded(name: str, kind: Kind, value: float) -> Values:
    match name:
        case ">=":
            return Values(low=value)
        case ">":
            return Values(low=above(kind, value))
        case "<=":
            return Values(high=value)
    return Values(high=below(kind, value))


def _known(term: Term, values: Values) -> Worlds:
    """A value is known to be one of these. Whose score is known, that has one."""
    values = values.with_(_possible(term))
    if values.empty:
        return _NOWHERE
    present: dict[Any, Known] = {("present", term.category): _TRUE} if isinstance(term, Score) else {}
    return ({term: values, **present},)


def _possible(term: Term) -> Values:
    match term:
        case Score() | Part(kind=Kind.SCORE) | Field(shape=Kind.SCORE):
            return Values(0, FULL)
        case Coverage():
            return Values(0, inf)
    return Values()


# ---- what is known of a thing, by its kind


def _empty(known: Known) -> bool:
    if not isinstance(known, Held):
        return known.empty
    return any(never(body) for body in known.yes) or any(implies(has, not_) for has in known.yes for not_ in known.no)


def _with(one: Known, other: Known) -> Known:
    match one, other:
        case Values(), Values():
            return one.with_(other)
        case Voted(), Voted():
            return one.with_(other)
        case Held(), Held():
            return Held(one.yes | other.yes, one.no | other.no)
    raise AssertionError((one, other))


def _within(one: Known, other: Known) -> bool:
    match one, other:
        case Values(), Values():
            return one.within(other)
        case Voted(), Voted():
            return one.within(other)
        case Held(), Held():
            return all(any(implies(mine, has) for mine in one.yes) for has in other.yes) and all(
                any(implies(Not(mine), Not(none)) for mine in one.no) for none in other.no
            )
    raise AssertionError((one, other))
