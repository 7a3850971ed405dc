"""Labels and lists that meet a condition, and the rows they are in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from gateway.policy.cel.typed import Always, And, Condition, Field, Holds, Not, One, Or, Part, Some, Term
from gateway.policy.cel.vocabulary import HASHES, LABELS
from gateway.policy.compile.columns import Columns
from gateway.policy.compile.polars import expression
from gateway.sweep.layout import HASH, LABEL, Rows

KIND_OF = {LABELS: LABEL, HASHES: HASH}  # by what a rule calls them
Things = Callable[[str, pl.Expr], pl.LazyFrame]


@dataclass(frozen=True)
class Found:
    """The rows in which something meets a condition, and those in which it is unknown whether something does."""

    true: Rows
    unknown: Rows


def met(node: Some, things: Things, *, unsure: bool) -> Found:
    """Where it is met. `things` gives what was found that may meet one.

    `unsure`: some of them may lack a part, so that it is unknown whether they do.
    """
    body = node.body
    asked = (
        pl.lit(body.value, dtype=pl.Boolean) if isinstance(body, Always) else expression(_on_columns(body), Columns())
    )
    found = things(KIND_OF[node.over.root], asked)
    if node.once:
        return _once(found.select("row", asked.alias("met")))
    true = _rows(found.filter(asked))
    return Found(true, _rows(found.filter(asked.is_null())) if unsure or isinstance(body, Always) else true[:0])


def _rows(things: pl.LazyFrame) -> Rows:
    return things.select("row").collect()["row"].to_numpy().astype(np.intp)


def _once(met: pl.LazyFrame) -> Found:
    counted = met.group_by("row").agg(pl.col("met").sum().alias("many"), pl.col("met").is_null().any().alias("unknown"))
    known = counted.filter(~pl.col("unknown"))
    return Found(_rows(known.filter(pl.col("many") == 1)), _rows(counted.filter("unknown")))


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
