"""Labels and lists that meet a condition, and the rows they are in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from gateway.policy.cel.typed import Always, And, Condition, Constant, Holds, Part, Some, all_of, terms, walk
from gateway.policy.cel.vocabulary import HASHES, LABELS
from gateway.policy.cel.words import PREDICATES
from gateway.sweep.found import Things, asked
from gateway.sweep.layout import HASH, LABEL, Rows

KIND_OF = {LABELS: LABEL, HASHES: HASH}  # by what a rule calls them
_AT_LEAST = PREDICATES[">="]


@dataclass(frozen=True)
class Found:
    """The rows in which something meets a condition, and those in which it is unknown whether something does."""

    true: Rows
    unknown: Rows


def met(node: Some, things: Things, *, unsure: bool) -> Found:
    """Where it is met. `unsure`: some may lack a part, so that it is unknown whether they meet it."""
    kind, body = KIND_OF[node.over.root], node.body
    apart = None if node.once or unsure else _apart(body)
    if apart is not None:
        names, least = apart
        rows = things.sure_of(kind, names, least)
        if rows is not None:
            return Found(rows, rows[:0])
    found, outcome = things.like(kind, body), asked(body)
    if node.once:
        return _once(found.select("row", outcome.alias("met")))
    true = _rows(found.filter(outcome))
    return Found(true, _rows(found.filter(outcome.is_null())) if unsure or isinstance(body, Always) else true[:0])


def _apart(body: Condition) -> tuple[Condition, int] | None:
    """A condition on the name, and how sure it has to be at least; None where it is not of that kind."""
    least, rest = 0, []
    for part in body.parts if isinstance(body, And) else (body,):
        match part:
            case Holds(word=word, terms=(Part(name="confidence"), Constant(value=int(bound)))) if word is _AT_LEAST:
                least = max(least, bound)
            case _:
                rest.append(part)
    parts = {term.name for part in rest for node in walk(part) for term in terms(node) if isinstance(term, Part)}
    always = any(isinstance(node, Always) for part in rest for node in walk(part))
    return (all_of(rest), least) if parts <= {"name", "list"} and not always else None


def _rows(things: pl.LazyFrame) -> Rows:
    return things.select("row").collect()["row"].to_numpy().astype(np.intp)


def _once(met: pl.LazyFrame) -> Found:
    counted = met.group_by("row").agg(pl.col("met").sum().alias("many"), pl.col("met").is_null().any().alias("unknown"))
    known = counted.filter(~pl.col("unknown"))
    return Found(_rows(known.filter(pl.col("many") == 1)), _rows(counted.filter("unknown")))
