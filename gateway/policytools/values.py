"""What is known of one thing in a world: which values it may have, who votes, what a list holds.

Each says whether nothing is left for it to be, what it and another come to together, and whether it leaves no more
than another does. Scores are 0..10,000; bounds are inside.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, nextafter
from typing import TypeAlias

from gateway.policy.cel.shapes import Kind, Plain
from gateway.policy.cel.typed import Condition
from gateway.policy.cel.words import Predicate

Test: TypeAlias = tuple[Predicate, Plain, bool]  # a word said of the value, with what, and whether it is true


@dataclass(frozen=True, slots=True)
class Values:
    """The value is known, and one of these: from `low` to `high`, in `only` unless that is None, and not in `but`."""

    low: float = -inf
    high: float = inf
    only: frozenset[Plain] | None = None
    but: frozenset[Plain] = frozenset()
    tests: frozenset[Test] = frozenset()

    def may_be(self, value: Plain) -> bool:
        if self.only is not None and value not in self.only:
            return False
        if not isinstance(value, str) and not self.low <= value <= self.high:
            return False
        return value not in self.but and all(word.mean(value, part) is so for word, part, so in self.tests)

    @property
    def empty(self) -> bool:
        """Whether there is no such value."""
        if self.only is not None:
            return not any(map(self.may_be, self.only))
        return self.low > self.high or (self.low == self.high and self.low in self.but)

    def with_(self, other: Values) -> Values:
        only = self.only if other.only is None else other.only if self.only is None else self.only & other.only
        low, high = max(self.low, other.low), min(self.high, other.high)
        return Values(low, high, only, self.but | other.but, self.tests | other.tests)

    def within(self, other: Values) -> bool:
        """Whether each of these is one of the others."""
        if self.only is not None:
            return all(other.may_be(value) for value in self.only if self.may_be(value))
        if other.only is not None:
            return self.low == self.high and other.may_be(self.low)
        apart = all(not self.may_be(value) for value in other.but)
        return self.low >= other.low and self.high <= other.high and apart and other.tests <= self.tests


def above(kind: Kind, value: float) -> float:
    """The least value that is more than this one."""
    return nextafter(value, inf) if kind is Kind.DOUBLE else value + 1


def below(kind: Kind, value: float) -> float:
    """The greatest value that is less than this one."""
    return nextafter(value, -inf) if kind is Kind.DOUBLE else value - 1


Vote: TypeAlias = tuple[int, int]  # threshold, and how many at or above it


@dataclass(frozen=True, slots=True)
class Voted:
    """About one category: so many vote for it, and so many certainly do not."""

    yes: frozenset[Vote] = frozenset()
    no: frozenset[Vote] = frozenset()

    @property
    def empty(self) -> bool:
        return any(_as_much(said, denied) for said in self.yes for denied in self.no)

    def with_(self, other: Voted) -> Voted:
        return Voted(self.yes | other.yes, self.no | other.no)

    def within(self, other: Voted) -> bool:
        return all(any(_as_much(mine, said) for mine in self.yes) for said in other.yes) and all(
            any(_as_much(denied, mine) for mine in self.no) for denied in other.no
        )


def _as_much(one: Vote, other: Vote) -> bool:
    """Whether who votes the one votes the other too."""
    return one[0] >= other[0] and one[1] >= other[1]


@dataclass(frozen=True, slots=True)
class Held:
    """Of one list: it has an element for each of `yes`, and none for any of `no`."""

    yes: frozenset[Condition] = frozenset()
    no: frozenset[Condition] = frozenset()
