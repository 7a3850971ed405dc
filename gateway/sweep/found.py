"""Labels and lists: in their file, and in the cache by name, so that a rule about few names looks at these alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import polars as pl

from gateway.policy.cel.typed import Always, And, Condition, Field, Holds, Not, One, Or, Part, Term
from gateway.policy.compile.columns import Columns
from gateway.policy.compile.polars import expression
from gateway.sweep.layout import FOUND, Rows
from gateway.sweep.mapped import Mapped

_KEPT = ("confidence", "provider", "row")

_Names = tuple[tuple[str, str], ...]  # kind and name, in the order in which they lie


def laid(found: pl.DataFrame) -> Iterator[pl.Series]:
    """Columns of the cache, out of what was found in the order of parts.py."""
    for name in _KEPT:
        column = found[name].cast(pl.Categorical) if FOUND[name] == pl.String else found[name]
        yield column.alias(f"found.{name}")
    names = found.group_by("kind", "name", maintain_order=True).len("many")
    for name in ("kind", "name"):
        yield names[name].cast(pl.Categorical).alias(f"names.{name}")
    yield names["many"].cum_sum().cast(pl.UInt32).alias("names.end")


class Things:
    """What was found on the inputs of one part. `file` has it all, and so has the cache, where there is one."""

    def __init__(self, file: Path, mapped: Mapped | None):
        self._file = file
        self._mapped = mapped

    def like(self, kind: str, body: Condition) -> pl.LazyFrame:
        """What was found of this kind and may meet the body of a macro: left out are names that for certain do not."""
        if self._mapped is None:
            return pl.scan_parquet(self._file).filter(pl.col("kind") == kind)
        which = _called(self._names, kind, body)
        pieces = [self._piece(number) for number in which]
        wanted = {"row", *asked(body).meta.root_names()}
        found = [self._mapped.column(f"found.{name}", pieces).alias(name) for name in _KEPT if name in wanted]
        if "name" in wanted:
            names = pl.Series("name", [self._names[number][1] for number in which], dtype=pl.String)
            many = [piece.stop - piece.start for piece in pieces]
            found.append(names.gather(pl.Series(np.repeat(np.arange(len(which)), many))))
        return pl.LazyFrame(found)

    def sure_of(self, kind: str, body: Condition, least: int) -> Rows | None:
        """The rows in which something with such a name has at least that confidence; None without a cache. For parts in
        which all have one: of each name they rise."""
        if self._mapped is None:
            return None
        rows, confidence = self._mapped.array("found.row"), self._mapped.array("found.confidence")
        found = [rows[:0]]
        for piece in map(self._piece, _called(self._names, kind, body)):
            below = np.searchsorted(confidence[piece], confidence.dtype.type(least))
            found.append(rows[piece][below:])
        return np.concatenate(found).astype(np.intp)

    def _piece(self, number: int) -> slice:
        """Where those of a name lie."""
        return slice(self._ends[number - 1] if number else 0, self._ends[number])

    @cached_property
    def _ends(self) -> list[int]:
        ends: list[int] = self._told("end").to_list()
        return ends

    @cached_property
    def _names(self) -> _Names:
        return tuple(zip(self._told("kind").cast(pl.String), self._told("name").cast(pl.String), strict=True))

    def _told(self, what: str) -> pl.Series:
        assert self._mapped is not None  # noqa: S101 - who asks has looked
        return self._mapped.column(f"names.{what}")


def asked(body: Condition) -> pl.Expr:
    """The body of a macro, said of the columns of what was found."""
    if isinstance(body, Always):
        return pl.lit(body.value, dtype=pl.Boolean)
    return expression(_on_columns(body), Columns())


@lru_cache(32)  # most parts have the same names
def _called(names: _Names, kind: str, body: Condition) -> tuple[int, ...]:
    """Which of the names may meet it, whatever else is known of what is called so."""
    frame = pl.DataFrame(names, {"kind": pl.String, "name": pl.String}, orient="row").with_columns(
        pl.lit(None, FOUND[name]).alias(name) for name in ("confidence", "provider")
    )
    numbered = frame.with_row_index("number").filter(pl.col("kind") == kind, asked(body).fill_null(True))
    return tuple(numbered["number"])


def _on_columns(node: Condition) -> Condition:
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
