"""Where a condition may be true: rows that can be told without looking at all of them.

`exact` places are all of what they say; of others only some rows may be meant, and whoever is told has to look.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import polars as pl

from gateway.policy.cel.typed import And, Condition, Or, Some, Truth
from gateway.policy.compile.columns import column


@dataclass(frozen=True, slots=True)
class High:
    """The rows in which somebody scores this category alone so high."""

    category: str
    least: int

    @property
    def exact(self) -> bool:
        return True


@dataclass(frozen=True, slots=True)
class Met:
    """The rows with a label, or a list, that meets the condition: for "only one" it has to be known that all looked."""

    node: Some

    @property
    def exact(self) -> bool:
        return not self.node.once


@dataclass(frozen=True, slots=True)
class Either:
    """All rows of each."""

    parts: tuple[Where, ...]

    @property
    def exact(self) -> bool:
        return all(part.exact for part in self.parts)


@dataclass(frozen=True, slots=True)
class Among:
    """Some rows, all of which are in each of these. It is enough to look at those of the one that has fewest."""

    parts: tuple[Where, ...]

    @property
    def exact(self) -> bool:
        return False


Where: TypeAlias = High | Met | Either | Among


@dataclass(frozen=True)
class Made:
    """A column that is made of others. It is true nowhere but in these rows, and where that is exact in all of them."""

    expr: pl.Expr
    where: Where | None = None


def where_true(node: Condition, made: Mapping[str, Made], found: Mapping[str, Some]) -> Where | None:
    """Rows outside of which a condition that conditions.py wrote is not true; None where nothing is known of that."""
    match node:
        case Truth(term=term):
            name = column(term)
            if name in found:
                return Met(found[name])
            return made[name].where if name in made else None
        case Or():
            each = [where_true(part, made, found) for part in node.parts]
            known = [one for one in each if one is not None]
            return Either(tuple(known)) if len(known) == len(each) else None
        case And():
            return among([where_true(part, made, found) for part in node.parts])
    return None


def among(places: Iterable[Where | None]) -> Where | None:
    """Some of the rows that are in each of those that are known; None where none is."""
    known = tuple(where for where in places if where is not None)
    return Among(known) if known else None
