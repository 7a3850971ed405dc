"""How decisions lie on disk to be swept: files by day and tenant, one row an input, one column a fact.

part-<n>.parquet          zstd
  input                     which input of its decision
  p.<provider>              0: it answered; 1: it failed; null: it was not heard of
  t.<category>              the highest score that anybody gave this category alone, unsigned 16 bits, 0..10,000
  low. high.<provider>.<category>   how far below that this provider's score is, as two bytes; null: it gave none
  q.<provider>.<category>   the lowest number under which it says that it reports nothing
  u.<category>              the lowest number of anybody
  context.<name>:<kind>     what the caller said, by the kind of value it is; user and ocr likewise
part-<n>.index            read by mapping it into memory (mapped.py); uncompressed, for few rows are looked up in it
  kind.<column>             what has few values: once for each kind of row there is (alike.py)
  kind.rows, kind           how many rows there are of it, and of which kind each row is
  id.time, id.random        the decisions' ids: milliseconds since the first of the part, and 64 random bits
  rows. scores.<category>   the rows with the highest scores, and these, falling (highest.py)
  floors                    how high a score has to be to be among them, by category
its columns that have few values
  of                        how many inputs its decision has
  modality route policy     dictionaries; `policy` is the hash of the resolved policy that decided
  action                    what was decided of this input: 0 allow, 1 review, 2 block
  hits.<n> unknown.<n>      words of 64 bits: which reasons there were, and which of them because something was missing.
                            What a bit means is in the manifest, as rule and action
  gap                       1: fewer answered than had to; 2: frames that nobody saw; 3: both
  labels hashes             0: nobody looked; 1: all who were asked answered; 2: not all did. What was found: see below
  context.surface, country  as texts
part-<n>.found.parquet    labels and lists, sorted: kind, name, confidence, provider, row
part-<n>.mapped           a cache of the first file and the last, mapped likewise

Whoever reads asks for columns by name, wherever they are: s.<provider>.<category> is a provider's own score, and
id.time and id.random are the id, unsigned 64 bits.

Slugs of an open vocabulary (`unmapped/…`) share one column a root, `unmapped/*`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from gateway.domain import Action
from gateway.policy.cel.shapes import Kind
from gateway.policy.tally import LISTED
from gateway.taxonomy import Taxonomy

ACTIONS = (Action.ALLOW, Action.REVIEW, Action.BLOCK)  # by the number they have in columns
SHORT, UNSEEN = 1, 2  # in `gap`
NOBODY, ALL, SOME = 0, 1, 2  # in `labels` and `hashes`
WORD = 64

Rows = npt.NDArray[np.intp]  # places of rows in a part

ID = ("id.time", "id.random")
LABEL, HASH = "label", "hash"  # kinds of what was found
FOUND: dict[str, Any] = {
    "kind": pl.String,
    "name": pl.String,
    "confidence": pl.UInt16,
    "provider": pl.String,
    "row": pl.UInt32,
}

KINDS: dict[str, Any] = {
    "string": pl.Categorical,
    "bool": pl.Boolean,
    "int": pl.Int64,
    "double": pl.Float64,
    "list": pl.List(pl.String),
}
OF_KIND = {Kind.TEXT: "string", Kind.BOOL: "bool", Kind.INT: "int", Kind.DOUBLE: "double"}

PLAIN: dict[str, Any] = {
    "id.time": pl.UInt64,
    "id.random": pl.UInt64,
    "input": pl.UInt8,
    "of": pl.UInt8,
    "modality": pl.Categorical,
    "route": pl.Categorical,
    "policy": pl.Categorical,
    "action": pl.UInt8,
    "gap": pl.UInt8,
    "labels": pl.UInt8,
    "hashes": pl.UInt8,
}


# What a group is told apart by, and the columns of it
GROUPED = {
    "policy": "policy",
    "modality": "modality",
    "route": "route",
    "surface": "context.surface:string",
    "country": "context.country:string",
}
_ALIKE = {*GROUPED.values(), "of", "action", "gap", "labels", "hashes"}


@dataclass(frozen=True, slots=True)
class Voice:
    """One column of a provider's words about a category."""

    provider: str
    category: str

    @property
    def score(self) -> str:
        return f"s.{self.provider}.{self.category}"

    @property
    def quiet(self) -> str:
        return f"q.{self.provider}.{self.category}"


def kept_as(slug: str, taxonomy: Taxonomy) -> str:
    """The category in whose column a signal stands: its own, or with an open slug that of its root."""
    return slug if slug in taxonomy.categories or slug == LISTED else f"{slug.split('/', 1)[0]}/*"


def is_alike(column: str) -> bool:
    """Whether it has few values, so that rows are alike in it."""
    return column in _ALIKE or column.startswith(("hits.", "unknown."))


def kind_of(column: str) -> Any:
    """The type of any column of the main file."""
    if column in PLAIN:
        return PLAIN[column]
    start, _, rest = column.partition(".")
    if start in ("hits", "unknown"):
        return pl.UInt64
    if start in ("s", "q"):
        return pl.UInt16
    return pl.UInt8 if start == "p" else KINDS[rest.rpartition(":")[2]]


def masks(bits: Iterable[int]) -> dict[int, int]:
    """These bits by the number of their word."""
    found: dict[int, int] = {}
    for bit in bits:
        found[bit // WORD] = found.get(bit // WORD, 0) | 1 << bit % WORD
    return found


def id_of(time: int, random: int) -> str:
    """The id as everybody else writes it."""
    return f"mod_{time:012x}{random:016x}"


def ids_of(times: npt.NDArray[np.uint64], randoms: npt.NDArray[np.uint64]) -> pl.Series:
    """The same of many, in a quarter of the time."""
    digits = np.stack([times, randoms], axis=1).astype(">u8").tobytes().hex()
    ids = [f"mod_{digits[start + 4 : start + 32]}" for start in range(0, len(digits), 32)]
    return pl.Series("id", ids, dtype=pl.String)


def numbers_of(id: str) -> tuple[int, int]:
    """Raises ValueError for what is no id of a decision."""
    if len(id) != 32 or not id.startswith("mod_"):
        raise ValueError(f"{id} is no id of a decision")
    return int(id[4:16], 16), int(id[16:], 16)
