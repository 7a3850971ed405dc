"""A rule → a Polars expression over stored columns: true, false, or null for unknown.

Polars looks at the elements of a list without seeing the other columns of its row. So a condition in a macro that is
not about the element is taken out: the macro is asked as if it were true, false and unknown, and the row chooses.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import reduce
from operator import add, and_, or_
from typing import Any

import polars as pl

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
    all_of,
    any_of,
    of_element,
    opposite,
    outer_parts,
)
from gateway.policy.compile.columns import Columns, column

_UNKNOWN = pl.lit(None, dtype=pl.Boolean)


def expression(node: Condition, columns: Columns) -> pl.Expr:
    """The condition, row by row. A rule that is always the same is one literal: use it with `with_columns`."""
    return _Printer(columns).condition(node)


class _Printer:
    def __init__(self, columns: Columns):
        self._columns = columns

    def condition(self, node: Condition) -> pl.Expr:
        match node:
            case Always():
                return _UNKNOWN if node.value is None else pl.lit(node.value)
            case And() | Or():
                return reduce(and_ if isinstance(node, And) else or_, map(self.condition, node.parts))
            case Not():
                return ~self.condition(node.part)
            case One():
                return self._one(node)
            case Holds():
                return self._holds(node)
            case Truth():
                return self._term(node.term)  # type: ignore[no-any-return]
            case Present():
                return pl.col(column(Score(node.category))).is_not_null()
            case Votes():
                return self._votes(node)
            case Some():
                return self._some(node)

    def _holds(self, node: Holds) -> pl.Expr:
        made: pl.Expr = node.word.polars(*(self._term(term) for term in node.terms))
        return made

    def _term(self, term: Term) -> Any:
        """An expression, or the plain value of what was written."""
        match term:
            case Constant():
                return term.value
            case Constants():
                return pl.lit(pl.Series(term.values, dtype=_TYPES[term.kind])).implode()
            case Score():
                return pl.col(column(term))
            case Coverage():
                return self._count([pl.col(name).is_not_null() for name in self._columns.voices(term.category)])
            case Field():
                found = pl.col(column(term))
                return found if term.default is None else found.fill_null(term.default)
            case Part():
                return pl.element().struct.field(term.name) if term.name else pl.element()

    def _count(self, outcomes: Sequence[pl.Expr]) -> pl.Expr:
        """How many are true; null counts as false."""
        return reduce(add, (each.fill_null(False).cast(pl.Int32) for each in outcomes), pl.lit(0, dtype=pl.Int32))

    def _votes(self, node: Votes) -> pl.Expr:
        voices = [pl.col(name) for name in self._columns.voices(node.category)]
        certain = self._count([voice >= node.threshold for voice in voices])
        possible = certain + self._count([voice.is_null() for voice in voices])
        return (certain >= node.least) | ((possible >= node.least) & _UNKNOWN)

    def _one(self, node: One) -> pl.Expr:
        parts = [self.condition(part) for part in node.parts]
        known = self._count([part.is_null() for part in parts]) == 0
        return pl.when(known).then(self._count(parts) == 1)

    # lists

    def _some(self, node: Some) -> pl.Expr:
        outer = next(iter(outer_parts(node.body)), None)
        if outer is None:
            return self._elements(node)
        choice = self.condition(outer)
        true, false, unknown = (self._some(replace(node, body=_where(node.body, outer, value))) for value in _OUTCOMES)
        return pl.when(choice).then(true).when(~choice).then(false).otherwise(unknown)

    def _elements(self, node: Some) -> pl.Expr:
        items = pl.col(column(node.over)).list
        if isinstance(node.body, Always):
            return _of_length(items.len(), node.body.value, once=node.once)
        body = self.condition(node.body)
        if not node.once:
            return items.agg(body.any(ignore_nulls=False))
        return items.agg(pl.when(body.is_null().any()).then(None).otherwise(body.sum() == 1))


_OUTCOMES = (True, False, None)
_TYPES = {Kind.TEXT: pl.String, Kind.INT: pl.Int64, Kind.DOUBLE: pl.Float64, Kind.SCORE: pl.UInt16}


def _of_length(length: pl.Expr, body: bool | None, *, once: bool) -> pl.Expr:
    """A macro whose body is the same for every element. Null where the list is."""
    if body is None:
        return pl.when(length > 0).then(_UNKNOWN).otherwise(length < 0)
    if not body:
        return length < 0
    return length == 1 if once else length > 0


def _where(node: Condition, part: Condition, value: bool | None) -> Condition:
    """The condition as it is where this part of it has this outcome."""
    if node == part:
        return Always(value)
    if not of_element(node):
        return node
    match node:
        case And():
            return all_of(_each(node.parts, part, value))
        case Or():
            return any_of(_each(node.parts, part, value))
        case One():
            return One(tuple(_each(node.parts, part, value)))
        case Not():
            return opposite(_where(node.part, part, value))
    return node


def _each(parts: Sequence[Condition], part: Condition, value: bool | None) -> Iterator[Condition]:
    return (_where(each, part, value) for each in parts)
