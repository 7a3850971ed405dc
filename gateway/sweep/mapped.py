"""Columns as they lie in memory: mapped, a page of them is read when it is first looked at.

One file: the length of its heading, the heading as JSON, then the columns one after the other. Polars reads an array of
numbers in place, where it would copy what it reads out of a file of Arrow's.
"""

from __future__ import annotations

from collections.abc import Iterable
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt
import polars as pl
from msgspec import Struct
from msgspec.json import Decoder, encode

from gateway.sweep.layout import Rows
from gateway.sweep.numbers import narrow, taken

_EVEN = 64  # a column begins at a multiple of so many bytes
_LENGTH = 8  # bytes that say how long the heading is

Array = npt.NDArray[Any]
Which = Rows | list[slice] | None


class _Place(Struct, frozen=True):
    """Where a column is, from the end of the heading on, and how many values it has.

    A missing value is the highest number there is where `top`, else it is said in bytes from `mask` on. Texts are
    numbers of `words`, and a missing one is the next where `top`. What is laid in fewer bytes than it has is cast.
    """

    dtype: str
    at: int
    many: int
    top: bool = False
    mask: int | None = None
    words: tuple[str, ...] | None = None
    cast: Literal["", "Boolean", "Int64"] = ""


_HEADING = Decoder(dict[str, _Place])


def write(columns: Iterable[pl.Series], file: Path) -> None:
    """Numbers, texts of a dictionary, yes and no. Lists are left out."""
    places: dict[str, _Place] = {}
    laid: list[Array] = []
    for column in columns:
        if column.dtype != pl.List:
            places[column.name] = _placed(column, laid)
    heading = encode(places)
    start = _even(_LENGTH + len(heading))
    with file.open("wb") as stream:
        stream.write((start - _LENGTH).to_bytes(_LENGTH, "little"))
        stream.write(heading.ljust(start - _LENGTH))
        for array in laid:
            stream.write(array.tobytes().ljust(_even(array.nbytes), b"\0"))


def _placed(column: pl.Series, laid: list[Array]) -> _Place:
    """Its place after those that are laid, where its numbers are laid too."""
    if column.dtype == pl.Categorical:
        return _words(column, laid)
    at, many, numbers = _end(laid), column.len(), column
    told: Literal["", "Boolean", "Int64"] = ""
    if column.dtype == pl.Boolean:
        told, numbers = "Boolean", column.cast(pl.UInt8)
    elif column.dtype == pl.Int64:
        told, numbers = "Int64", column.shrink_dtype()
    if not numbers.null_count():
        laid.append(numbers.to_numpy())
        return _Place(laid[-1].dtype.str, at, many, cast=told)
    highest = np.iinfo(numbers.head(0).to_numpy().dtype).max if numbers.dtype.is_unsigned_integer() else None
    if highest is not None and cast(int, numbers.max() or 0) < highest:
        laid.append(numbers.fill_null(highest).to_numpy())
        return _Place(laid[-1].dtype.str, at, many, top=True, cast=told)
    laid.append(numbers.fill_null(0).to_numpy())
    laid.append(numbers.is_null().to_numpy())
    return _Place(laid[-2].dtype.str, at, many, mask=at + _even(laid[-2].nbytes), cast=told)


def _words(column: pl.Series, laid: list[Array]) -> _Place:
    words = tuple(column.drop_nulls().unique().cast(pl.String))
    numbers = column.cast(pl.Enum(words)).to_physical().fill_null(len(words))
    at = _end(laid)
    laid.append(narrow(numbers.to_numpy(), len(words)))
    return _Place(laid[-1].dtype.str, at, column.len(), top=column.null_count() > 0, words=words)


def _end(laid: Iterable[Array]) -> int:
    return sum(_even(array.nbytes) for array in laid)


def _even(many: int) -> int:
    return -(-many // _EVEN) * _EVEN


class Mapped:
    """What `write` wrote."""

    def __init__(self, file: Path):
        with file.open("rb") as stream:
            self._bytes = np.frombuffer(mmap(stream.fileno(), 0, access=ACCESS_READ), dtype=np.uint8)
        self._start = _LENGTH + int.from_bytes(self._bytes[:_LENGTH].tobytes(), "little")
        self._places = _HEADING.decode(self._bytes[_LENGTH : self._start].tobytes())
        self._words: dict[str, pl.Series] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._places

    def has_words(self, name: str) -> bool:
        """Whether it is of texts, each of which is there once."""
        return name in self and self._places[name].words is not None

    def column(self, name: str, rows: Which = None) -> pl.Series:
        """All of it, or these rows, or these pieces one after the other."""
        place = self._places[name]
        array = self.array(name, rows)
        if place.words is not None:
            return taken(self._said(name), array)
        numbers = pl.Series(name, array)
        missing = None
        if place.top:
            missing = array == np.iinfo(array.dtype).max
        elif place.mask is not None:
            missing = self._array(place.mask, place, np.bool_, rows)
        if missing is not None and missing.any():
            numbers = numbers.set(pl.Series(missing), None)
        return numbers.cast(getattr(pl, place.cast)) if place.cast else numbers

    def made(self, made: pl.Expr, rows: Rows | None) -> pl.Series:
        """What is made of one column of texts, for each text once."""
        [name] = made.meta.root_names()
        return taken(self._said(name).to_frame().select(made).to_series(), self.array(name, rows))

    def array(self, name: str, rows: Which = None) -> Array:
        """Its numbers, as they lie there."""
        place = self._places[name]
        return self._array(place.at, place, place.dtype, rows)

    def _array(self, at: int, place: _Place, kind: npt.DTypeLike, rows: Which) -> Array:
        dtype = np.dtype(kind)
        array = self._bytes[self._start + at :][: place.many * dtype.itemsize].view(dtype)
        if isinstance(rows, list):
            return np.concatenate([array[:0], *(array[piece] for piece in rows)])
        return array if rows is None else np.take(array, rows)

    def _said(self, name: str) -> pl.Series:
        if name not in self._words:
            place = self._places[name]
            words = [*(place.words or ()), *([None] if place.top else [])]
            self._words[name] = pl.Series(name, words, dtype=pl.Categorical)
        return self._words[name]
