"""A rule's tree → a Polars expression over the columns of one part, and the columns that have to be made for it.

Votes, coverage and what is asked of labels and hashes become columns of their own, so the one printer of expressions
(compile/polars.py) prints all the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from hashlib import blake2b
from operator import or_

import numpy as np
import numpy.typing as npt
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
from gateway.policy.cel.vocabulary import HASHES, LABELS
from gateway.policy.cel.words import PREDICATES
from gateway.policy.compile.columns import Columns, column
from gateway.policy.compile.polars import expression
from gateway.sweep.layout import ALL, HASH, KINDS, LABEL, OF_KIND, Rows
from gateway.sweep.signals import NotInColumns, Signals, how_many, k_of

_WHICH = {LABELS: LABEL, HASHES: HASH}
_ALIKE = ("==", "!=")
_EQUAL = PREDICATES["=="]
Things = Callable[[str, pl.Expr], pl.LazyFrame]
_YES, _MAYBE = 1, 2
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


@dataclass(frozen=True)
class Among:
    """These rows of so many; None for all."""

    rows: Rows | None
    of: int


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
        return Asked(expression(tree, Columns()), writer.made, writer.found)


@dataclass
class _Writer:
    signals: Signals
    kept: frozenset[str]
    fields: frozenset[str]
    certain: bool
    made: dict[str, pl.Expr] = field(default_factory=dict)
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
        score = Score(f"{category}#{_digest(made)}")
        self.made[column(score)] = made
        return score

    def _made(self, root: str, name: str, shape: Shape, made: pl.Expr) -> Field:
        field = Field(root, f"{name}#{_digest(made)}", shape)
        self.made[column(field)] = made
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
        found = pl.coalesce(there) if there else pl.lit(None, dtype=KINDS[kind])
        return found.cast(pl.String) if kind == "string" and as_text else found

    def _votes(self, node: Votes) -> Condition:
        certain = [voice >= node.threshold for voice in self.signals.voices(node.category)]
        if self.certain:
            return Truth(self._made("votes", node.category, Kind.BOOL, k_of(certain, node.least)))
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


def outcomes(node: Some, things: Things, states: pl.Series, among: Among, *, unsure: bool) -> pl.Series:
    """Of each row, whether some label or list meets the condition. `states` says who looked (layout.py), `things`
    gives what was found that may meet one.

    `unsure`: some of them may lack a part, so that it is unknown whether they do.
    """
    body = node.body
    met = pl.lit(body.value, dtype=pl.Boolean) if isinstance(body, Always) else expression(_on_columns(body), Columns())
    found = things(_WHICH[node.over.root], met)
    if node.once:
        true, unknown = _once(found.select("row", met.alias("met")))
    else:
        true = _rows(found.filter(met))
        unknown = _rows(found.filter(met.is_null())) if unsure or isinstance(body, Always) else true[:0]
    told = np.zeros(among.of, dtype=np.uint8)
    told[unknown], told[true] = _MAYBE, _YES
    return _outcome(told if among.rows is None else told[among.rows], states == ALL, node.once, bool(unknown.size))


def _rows(things: pl.LazyFrame) -> Rows:
    return things.select("row").collect()["row"].to_numpy()


def _once(met: pl.LazyFrame) -> tuple[Rows, Rows]:
    """Rows of which one meets it, and those of which it is unknown how many do."""
    counted = met.group_by("row").agg(pl.col("met").sum().alias("many"), pl.col("met").is_null().any().alias("unknown"))
    known = counted.filter(~pl.col("unknown"))
    return _rows(known.filter(pl.col("many") == 1)), _rows(counted.filter("unknown"))


def _outcome(found: npt.NDArray[np.uint8], looked: pl.Series, once: bool, maybe: bool) -> pl.Series:
    """Where not all looked, one more may be there: that spoils "only one", and what was seen is there all the same."""
    if not maybe and looked.all():
        return pl.Series(found.view(np.bool_))
    seen = pl.Series(found)
    true = (seen == _YES) & looked if once else seen == _YES
    return pl.select(pl.when(true).then(True).when((seen == 0) & looked).then(False)).to_series()


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
