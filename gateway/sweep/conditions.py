"""A rule's tree → a Polars expression over the columns of one part, and the columns that have to be made for it.

Votes, coverage and what is asked of labels and hashes become columns of their own, so the one printer of expressions
(compile/polars.py) prints all the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from hashlib import blake2b
from operator import or_

import polars as pl

from gateway.policy.cel.shapes import TEXTS, Kind, Shape
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
    outer_parts,
    walk,
)
from gateway.policy.cel.words import PREDICATES
from gateway.policy.compile.columns import Columns, column
from gateway.policy.compile.polars import expression
from gateway.sweep.layout import KINDS, OF_KIND
from gateway.sweep.met import KIND_OF
from gateway.sweep.signals import NotInColumns, Signals, how_many, k_of
from gateway.sweep.where import Made, Where, among, where_true

_ALIKE = ("==", "!=")
_EQUAL, _AT_LEAST = PREDICATES["=="], PREDICATES[">="]
_FEW = 8  # texts of a list that are compared one by one
_UNKNOWN = pl.lit(None, dtype=pl.Boolean)


@dataclass(frozen=True)
class Asked:
    """A condition in columns. `made` are columns to make first, `found` those to make of what was found on inputs.

    Their names say what is in them: two of the same name are the same, whichever policy asks. It is true nowhere but in
    the rows of `where`.
    """

    outcome: pl.Expr
    made: dict[str, Made]
    found: dict[str, Some]
    where: Where | None


class Conditions:
    """The conditions of one policy over one part. `kept` are the fields of context that the part has, by column."""

    def __init__(self, signals: Signals, kept: Sequence[str], fields: Sequence[str]):
        self._signals = signals
        self._kept = frozenset(kept)
        self._fields = frozenset(fields)

    def asked(self, root: Condition, *, certain: bool = False) -> Asked:
        """`certain`: only whether it is true is asked; unknown may be false. Raises NotInColumns."""
        writer = _Writer(self._signals, self._kept, self._fields, certain)
        tree = writer.condition(root)
        where = where_true(tree, writer.made, writer.found)
        return Asked(expression(tree, Columns()), writer.made, writer.found, where)


@dataclass
class _Writer:
    signals: Signals
    kept: frozenset[str]
    fields: frozenset[str]
    certain: bool
    made: dict[str, Made] = field(default_factory=dict)
    found: dict[str, Some] = field(default_factory=dict)

    def condition(self, node: Condition) -> Condition:
        match node:
            case Always():
                return node
            case And() | Or():
                return replace(node, parts=tuple(self.condition(part) for part in node.parts))
            case One():
                exact = replace(self, certain=False)
                return replace(node, parts=tuple(exact.condition(part) for part in node.parts))
            case Not():
                return replace(node, part=replace(self, certain=False).condition(node.part))
            case Holds():
                return self._holds(node)
            case Truth():
                return Truth(self._field(node.term))
            case Present():
                score = self._score(node.category)
                return replace(node, category=score.category)
            case Votes():
                return self._votes(node)
            case Some():
                return self._some(node)

    def _holds(self, node: Holds) -> Condition:
        """A text that is only compared with what was written stays in its dictionary: texts are slow to make."""
        match node.terms:
            case (Score(category=slug), Constant(value=int(bound))) if self.certain and node.word is _AT_LEAST:
                over = (self.signals.score(slug) >= bound).fill_null(False)
                return Truth(self._made("over", slug, Kind.BOOL, over, self.signals.reached(slug, bound)))
            case (Field(shape=Kind.TEXT) as field, Constant(value=value)) if node.word.name in _ALIKE:
                return self._is(field, [node.word.polars(self._plain(field), value)])
            case (Field(shape=Kind.TEXT) as field, Constants(values=values)) if node.word.name == "in":
                if len(values) <= _FEW:
                    return self._is(field, [_EQUAL.polars(self._plain(field), value) for value in values])
        return replace(node, terms=tuple(self._term(term) for term in node.terms))

    def _is(self, field: Field, outcomes: Sequence[pl.Expr]) -> Condition:
        """Made once for each text there is, where it can be (opened.py)."""
        either = reduce(or_, outcomes) if outcomes else pl.lit(False)
        return Truth(self._made(f"is.{field.root}", field.name, Kind.BOOL, either))

    def _plain(self, field: Field) -> pl.Expr:
        name = column(field)
        value = self._value(name, field.shape, as_text=False)
        return value if field.default is None or name not in self.fields else value.fill_null(field.default)

    def _term(self, term: Term) -> Term:
        match term:
            case Score():
                return self._score(term.category)
            case Coverage():
                voices = self.signals.voices(term.category)
                return self._made("coverage", term.category, Kind.INT, how_many(each.is_not_null() for each in voices))
            case Field():
                return self._field(term)
            case Constant() | Constants() | Part():
                return term

    def _score(self, category: str) -> Score:
        made = self.signals.score(category)
        score = Score(f"{category}#{digest(made)}")
        self.made[column(score)] = Made(made)
        return score

    def _made(self, root: str, name: str, shape: Shape, made: pl.Expr, where: Where | None = None) -> Field:
        field = Field(root, f"{name}#{digest(made)}", shape)
        self.made[column(field)] = Made(made, where)
        return field

    def _field(self, term: Field) -> Field:
        """A field of a part that was exported before any policy named it is unknown, whatever its default."""
        name = column(term)
        here = self._made(term.root, term.name, term.shape, self._value(name, term.shape))
        return replace(here, default=term.default if name in self.fields else None)

    def _value(self, name: str, shape: Shape, *, as_text: bool = True) -> pl.Expr:
        kind = "list" if shape == TEXTS else OF_KIND[Kind(shape)]  # type: ignore[arg-type]
        own, whole = f"{name}:{kind}", f"{name}:int"
        there = [pl.col(own)] if own in self.kept else []
        if shape is Kind.DOUBLE and whole in self.kept:
            exact = pl.col(whole).is_between(-(2**53), 2**53)
            there.append(pl.when(exact).then(pl.col(whole).cast(pl.Float64)))
        found = pl.coalesce(there) if len(there) > 1 else there[0] if there else pl.lit(None, dtype=KINDS[kind])
        return found.cast(pl.String) if kind == "string" and as_text else found

    def _votes(self, node: Votes) -> Condition:
        certain = [voice >= node.threshold for voice in self.signals.voices(node.category)]
        if self.certain:
            reached = k_of(certain, node.least)
            where = among([self.signals.high(node.category, node.threshold)])
            return Truth(self._made("votes", node.category, Kind.BOOL, reached, where))
        possible = [*certain, *self.signals.silent(node.category), *self.signals.unsure(node.category)]
        outcome = k_of(certain, node.least) | (k_of(possible, node.least) & _UNKNOWN)
        return Truth(self._made("votes", node.category, Kind.BOOL, outcome))

    def _some(self, node: Some) -> Condition:
        if node.over.root not in KIND_OF:
            return Some(self._field(node.over), self.condition(node.body), node.once)
        if outer_parts(node.body) or any(isinstance(each, Some) for each in walk(node.body)):
            raise NotInColumns(f"what is asked of {node.over.root} beside something else")
        here = Field("found", repr(node), Kind.BOOL)
        self.found[column(here)] = node
        return Truth(here)


def digest(made: pl.Expr) -> str:
    """The same for two that are the same in every row."""
    return blake2b(made.meta.serialize(), digest_size=8).hexdigest()
