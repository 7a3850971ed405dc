"""The kinds of value an expression can speak of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

Plain: TypeAlias = bool | int | float | str


class Kind(StrEnum):
    """One value. A score is an integer 0..10,000 which people write as 0..1; unsaid is what nobody declared."""

    BOOL = "bool"
    INT = "int"
    DOUBLE = "double"
    TEXT = "string"
    SCORE = "score"
    UNSAID = "unsaid"


@dataclass(frozen=True, slots=True)
class Declared:
    """What is known of a field beforehand: its shape, the only values it has (None: any), and its value if missing."""

    shape: Shape
    values: frozenset[str] | None = None
    default: Plain | None = None


@dataclass(frozen=True)
class Record:
    """What a list of ours holds, like a label. Outside it is a tuple of its parts in this order."""

    name: str
    parts: Mapping[str, Declared]


@dataclass(frozen=True, slots=True)
class Many:
    """A list of one kind."""

    of: Kind | Record


Shape: TypeAlias = Kind | Many

TEXTS = Many(Kind.TEXT)
DECLARABLE: Mapping[str, Shape] = {
    **{str(kind): kind for kind in (Kind.BOOL, Kind.INT, Kind.DOUBLE, Kind.TEXT)},
    "list": TEXTS,
}

_TOLD = {
    Kind.BOOL: "true or false",
    Kind.INT: "a whole number",
    Kind.DOUBLE: "a number",
    Kind.TEXT: "a text",
    Kind.SCORE: "a score",
    Kind.UNSAID: "of no known kind",
}


def told(shape: Shape) -> str:
    """How messages call it."""
    if isinstance(shape, Kind):
        return _TOLD[shape]
    return f"a list of {shape.of.name}s" if isinstance(shape.of, Record) else "a list of texts"
