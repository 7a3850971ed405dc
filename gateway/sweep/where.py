"""Where a condition may be true: rows that can be told without looking at all of them."""

from __future__ import annotations

from collections.abc import Mapping
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


@dataclass(frozen=True, slots=True)
class Met:
    """The rows with a label, or a list, that meets the condition."""

    node: Some


@dataclass(frozen=True, slots=True)
class Either:
    """All rows of each."""

    parts: tuple[Where, ...]


@dataclass(frozen=True, slots=True)
class Both:
    """Rows that are in each. Whoever looks may look at more: at those of the one that has fewest."""

    parts: tuple[Where, ...]


Where: TypeAlias = High | Met | Either | Both


@dataclass(frozen=True)
class Made:
    """A column that is made of others. It is true in no row but those of `where`, and with `exact` in all of these."""

    expr: pl.Expr
    where: Where | None = None
    exact: bool = False


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
            each = [where_true(part, made, found) for part in node.parts]
            known = [one for one in each if one is not None]
            return Both(tuple(known)) if len(known) > 1 else known[0] if known else None
    return None


def is_exact(node: Condition, made: Mapping[str, Made], found: Mapping[str, Some]) -> bool:
    """Whether it is true in all of the rows where it may be."""
    match node:
        case Or():
            return all(is_exact(part, made, found) for part in node.parts)
        case Truth(term=term):
            name = column(term)
            return not found[name].once if name in found else name in made and made[name].exact
    return False
