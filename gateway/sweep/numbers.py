"""Numbers that stand for something told once: few bytes each, and what they stand for, row by row."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

Numbers = npt.NDArray[np.unsignedinteger[Any]]


def narrow(numbers: npt.NDArray[np.integer[Any]], most: int) -> Numbers:
    """In as few bytes as they need."""
    kinds = (np.uint8, np.uint16, np.uint32, np.uint64)
    return numbers.astype(next(kind for kind in kinds if most <= np.iinfo(kind).max))


def taken(values: pl.Series, numbers: Numbers) -> pl.Series:
    """What each number stands for. NumPy takes in a third of the time that Polars does, where nothing is missing."""
    if values.n_unique() == 1:
        return values.head(1).new_from_index(0, len(numbers))
    if not values.dtype.is_integer() and values.dtype != pl.Boolean:
        return values.gather(pl.Series(numbers))
    if values.null_count():
        known = pl.Series(np.take(values.is_not_null().to_numpy(), numbers, mode="clip"))
        found = _taken(values.fill_null(values.drop_nulls()[0]), numbers)
        return pl.select(pl.when(known).then(found)).to_series().alias(values.name)
    return _taken(values, numbers)


def _taken(values: pl.Series, numbers: Numbers) -> pl.Series:
    return pl.Series(values.name, np.take(values.to_numpy(), numbers, mode="clip"))
