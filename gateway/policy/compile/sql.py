"""A rule → SQL text over stored columns: true, false, or NULL for unknown. SQL's own logic of NULL is that of rules."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum

from gateway.policy.cel.shapes import Plain
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
    never_unknown,
)
from gateway.policy.compile.columns import Columns, column


class Dialect(StrEnum):
    """Whose SQL."""

    DUCKDB = "duckdb"
    SQLITE = "sqlite"


def expression(node: Condition, columns: Columns, dialect: Dialect) -> str:
    """The condition as an SQL expression."""
    return _PRINTERS[dialect](columns).condition(node)


def select(rules: Mapping[str, Condition], columns: Columns, dialect: Dialect, table: str) -> str:
    """A query with one column for each rule, in the table's order of rows."""
    asked = ",\n  ".join(f"{expression(rule, columns, dialect)} AS {name(said)}" for said, rule in rules.items())
    return f"SELECT\n  {asked}\nFROM {name(table)}"


def name(written: str) -> str:
    """A column or table, quoted."""
    return '"' + written.replace('"', '""') + '"'


def literal(value: Plain) -> str:
    """A value as both dialects write it. A double keeps its exponent: without one DuckDB reads a decimal."""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, int):
        return f"{value:d}"
    written = repr(value)
    return written if "e" in written else f"{written}e0"


class _Printer(ABC):
    """What the dialects have in common. Every condition is in brackets."""

    def __init__(self, columns: Columns):
        self._columns = columns

    def condition(self, node: Condition) -> str:
        match node:
            case Always():
                return "NULL" if node.value is None else literal(node.value)
            case And() | Or():
                word = " AND " if isinstance(node, And) else " OR "
                return f"({word.join(self.condition(part) for part in node.parts)})"
            case Not():
                return f"(NOT {self.condition(node.part)})"
            case One():
                return self._one([self.condition(part) for part in node.parts])
            case Holds():
                return self._holds(node)
            case Truth():
                return self._term(node.term)
            case Present():
                return f"({name(column(Score(node.category)))} IS NOT NULL)"
            case Votes():
                return self._votes(node)
            case Some():
                return self._some(node)

    def _holds(self, node: Holds) -> str:
        return f"({self._template(node).format(*(self._term(term) for term in node.terms))})"

    @abstractmethod
    def _template(self, node: Holds) -> str:
        """How this database writes a predicate, with a place for each term."""

    @abstractmethod
    def _some(self, node: Some) -> str:
        """Whether some element of a list meets a condition."""

    @abstractmethod
    def _part(self, part: Part) -> str:
        """A part of the element at hand."""

    def _term(self, term: Term) -> str:
        match term:
            case Constant():
                return literal(term.value)
            case Constants():
                return f"({', '.join(literal(value) for value in term.values)})"
            case Score():
                return name(column(term))
            case Coverage():
                return self._count([f"({name(voice)} IS NOT NULL)" for voice in self._columns.voices(term.category)])
            case Field():
                found = name(column(term))
                return found if term.default is None else f"COALESCE({found}, {literal(term.default)})"
            case Part():
                return self._part(term)

    def _count(self, outcomes: Sequence[str]) -> str:
        """How many are true; NULL counts as false."""
        counted = (f"CASE WHEN {each} THEN 1 ELSE 0 END" for each in outcomes)
        return f"({' + '.join(counted) or '0'})"

    def _votes(self, node: Votes) -> str:
        voices = [name(voice) for voice in self._columns.voices(node.category)]
        certain = self._count([f"{voice} >= {node.threshold:d}" for voice in voices])
        silent = self._count([f"{voice} IS NULL" for voice in voices])
        return f"({certain} >= {node.least:d} OR ({certain} + {silent} >= {node.least:d} AND NULL))"

    def _one(self, parts: Sequence[str]) -> str:
        unknown = self._count([f"{part} IS NULL" for part in parts])
        return f"(CASE WHEN {unknown} = 0 THEN {self._count(parts)} = 1 END)"


class _DuckDB(_Printer):
    """Lists are lists of structs; conditions on their elements are lambdas."""

    def _template(self, node: Holds) -> str:
        return node.word.sql

    def _part(self, part: Part) -> str:
        return f"e.{name(part.name)}" if part.name else "e"

    def _some(self, node: Some) -> str:
        items, body = name(column(node.over)), self.condition(node.body)
        true = f"len(list_filter({items}, lambda e: {body}))"
        if never_unknown(node.body):
            return f"({true} {'= 1' if node.once else '> 0'})"
        unknown = f"len(list_filter({items}, lambda e: {body} IS NULL))"
        if node.once:
            return f"(CASE WHEN {unknown} = 0 THEN {true} = 1 END)"
        return f"({true} > 0 OR ({unknown} > 0 AND NULL))"


class _SQLite(_Printer):
    """Lists are JSON; conditions on their elements are subqueries."""

    def _template(self, node: Holds) -> str:
        return node.word.sqlite or node.word.sql

    def _part(self, part: Part) -> str:
        return f"json_extract(e.value, '$.{part.name}')" if part.name else "e.value"

    def _some(self, node: Some) -> str:
        items, body = name(column(node.over)), self.condition(node.body)
        # an aggregate that speaks of columns outside alone would be one of the query outside, hence e.key
        true = f"count(CASE WHEN {body} THEN e.key END)"
        known = f"count(CASE WHEN {body} IS NOT NULL THEN e.key END) = count(*)"
        if node.once:
            outcome = f"CASE WHEN {known} THEN {true} = 1 END"
        else:
            outcome = f"CASE WHEN {true} > 0 THEN TRUE WHEN {known} THEN FALSE END"
        found = f"SELECT {outcome} FROM json_each({items}) AS e"  # noqa: S608
        return f"(CASE WHEN {items} IS NOT NULL THEN ({found}) END)"


_PRINTERS: Mapping[Dialect, Callable[[Columns], _Printer]] = {Dialect.DUCKDB: _DuckDB, Dialect.SQLITE: _SQLite}
