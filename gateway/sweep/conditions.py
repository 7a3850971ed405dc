"""A rule's tree → a Polars expression over the columns of one part, and the columns that have to be made for it.

Votes, coverage and what is asked of labels and hashes become columns of their own, so the one printer of expressions
(compile/polars.py) prints all the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b

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
    any_of,
    outer_parts,
    walk,
)
from gateway.policy.cel.vocabulary import HASHES, LABELS
from gateway.policy.cel.words import PREDICATES
from gateway.policy.compile.columns import Columns, column
from gateway.policy.compile.polars import expression
from gateway.sweep.layout import ALL, HASH, KINDS, LABEL, OF_KIND
from gateway.sweep.signals import NotInColumns, Signals, how_many, k_of

_WHICH = {LABELS: LABEL, HASHES: HASH}
_ALIKE = ("==", "!=")
_EQUAL = PREDICATES["=="]
_FEW = 8  # texts of a list that are compared one by one
_UNKNOWN = pl.lit(None, dtype=pl.Boolean)


@dataclass(frozen=True)
class Asked:
    """A condition in columns. `made` are columns to make first, `found` those to make of what was found on inputs.

    Their names say what is in them: two of the same name are the same, whichever policy asks.
    """

    outcome: pl.Expr
    made: dict[str, pl.Expr]
    found: dict[str, Some]


class Conditions:
    """The conditions of one policy over one part. `kept` are the fields of context that the part has, by column."""

    def __init__(self, signals: Signals, kept: Sequence[str], fields: Sequence[str]):
        self._signals = signals
        self._kept = frozenset(kept)
        self._fields = frozenset(fields)

    def asked(self, root: Condition) -> Asked:
        """Raises NotInColumns."""
        writer = _Writer(self._signals, self._kept, self._fields)
        tree = writer.condition(root)
        return Asked(expression(tree, Columns()), writer.made, writer.found)


@dataclass
class _Writer:
    signals: Signals
    kept: frozenset[str]
    fields: frozenset[str]
    made: dict[str, pl.Expr] = field(default_factory=dict)
    found: dict[str, Some] = field(default_factory=dict)

    def condition(self, node: Condition) -> Condition:
        match node:
            case Always():
                return node
            case And() | Or() | One():
                return replace(node, parts=tuple(self.condition(part) for part in node.parts))
            case Not():
                return replace(node, part=self.condition(node.part))
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
            case (Field(shape=Kind.TEXT) as field, Constant()) if node.word.name in _ALIKE:
                return replace(node, terms=(self._field(field, as_text=False), node.terms[1]))
            case (Field(shape=Kind.TEXT) as field, Constants(values=values)) if node.word.name == "in":
                if len(values) <= _FEW:
                    each = (Constant(value, Kind.TEXT) for value in values)
                    return any_of(self._holds(Holds(_EQUAL, (field, value))) for value in each)
        return replace(node, terms=tuple(self._term(term) for term in node.terms))

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
        score = Score(f"{category}#{_digest(made)}")
        self.made[column(score)] = made
        return score

    def _made(self, root: str, name: str, shape: Shape, made: pl.Expr) -> Field:
        field = Field(root, f"{name}#{_digest(made)}", shape)
        self.made[column(field)] = made
        return field

    def _field(self, term: Field, *, as_text: bool = True) -> Field:
        """A field of a part that was exported before any policy named it is unknown, whatever its default."""
        name = column(term)
        here = self._made(term.root, term.name, term.shape, self._value(name, term.shape, as_text))
        return replace(here, default=term.default if name in self.fields else None)

    def _value(self, name: str, shape: Shape, as_text: bool) -> pl.Expr:
        kind = "list" if shape == TEXTS else OF_KIND[Kind(shape)]  # type: ignore[arg-type]
        own, whole = f"{name}:{kind}", f"{name}:int"
        there = [pl.col(own)] if own in self.kept else []
        if shape is Kind.DOUBLE and whole in self.kept:
            exact = pl.col(whole).is_between(-(2**53), 2**53)
            there.append(pl.when(exact).then(pl.col(whole).cast(pl.Float64)))
        found = pl.coalesce(there) if there else pl.lit(None, dtype=KINDS[kind])
        return found.cast(pl.String) if kind == "string" and as_text else found

    def _votes(self, node: Votes) -> Condition:
        certain = [voice >= node.threshold for voice in self.signals.voices(node.category)]
        possible = [*certain, *self.signals.silent(node.category), *self.signals.unsure(node.category)]
        outcome = k_of(certain, node.least) | (k_of(possible, node.least) & _UNKNOWN)
        return Truth(self._made("votes", node.category, Kind.BOOL, outcome))

    def _some(self, node: Some) -> Condition:
        if node.over.root not in _WHICH:
            return Some(self._field(node.over), self.condition(node.body), node.once)
        if outer_parts(node.body) or any(isinstance(each, Some) for each in walk(node.body)):
            raise NotInColumns(f"what is asked of {node.over.root} beside something else")
        here = Field("found", repr(node), Kind.BOOL)
        self.found[column(here)] = node
        return Truth(here)


def _digest(made: pl.Expr) -> str:
    return blake2b(made.meta.serialize(), digest_size=8).hexdigest()


def outcomes(node: Some, things: pl.LazyFrame, states: pl.Series, *, unsure: bool) -> pl.Series:
    """Of each row, whether some label or list meets the condition. `states` says who looked (layout.py).

    `unsure`: some of them may lack a part, so that it is unknown whether they do.
    """
    body = node.body
    met = pl.lit(body.value, dtype=pl.Boolean) if isinstance(body, Always) else expression(_on_columns(body), Columns())
    if node.once:
        return _once(things.select("row", met.alias("met")), states)
    outcome = pl.select(pl.when(states == ALL).then(pl.lit(False))).to_series()
    if unsure or isinstance(body, Always):
        outcome = _with(outcome, things.filter(met.is_null()).select("row").collect()["row"], None)
    return _with(outcome, things.filter(met).select("row").collect()["row"], True)


def _with(outcome: pl.Series, rows: pl.Series, value: bool | None) -> pl.Series:
    return outcome.scatter(rows.unique(), value) if rows.len() else outcome


def _once(met: pl.LazyFrame, states: pl.Series) -> pl.Series:
    true, unknown = pl.col("met").sum() == 1, pl.col("met").is_null().any()
    counted = met.group_by("row").agg(pl.when(~unknown).then(true).alias("once")).collect()
    outcome = pl.select(pl.lit(False).repeat_by(states.len()).explode()).to_series() if states.len() else states
    for value in (True, None):
        chosen = counted.filter(pl.col("once").is_null() if value is None else pl.col("once"))["row"]
        outcome = _with(outcome, chosen, value)
    return pl.select(pl.when(states == ALL).then(outcome)).to_series()


def _on_columns(node: Condition) -> Condition:
    """The body of a macro, said of the columns of what was found."""
    match node:
        case And() | Or() | One():
            return replace(node, parts=tuple(map(_on_columns, node.parts)))
        case Not():
            return replace(node, part=_on_columns(node.part))
        case Holds():
            return replace(node, terms=tuple(_column(term) for term in node.terms))
    return node


def _column(term: Term) -> Term:
    """A hash hit has one part, the list it is on, which stands where a label has its name."""
    if not isinstance(term, Part):
        return term
    return Field({"list": "name"}.get(term.name, term.name), "", term.kind)
