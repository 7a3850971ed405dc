"""Numbers that stand for something told once: few bytes each, and what they stand for, row by row."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

Numbers = npt.NDArray[np.unsignedinteger[Any]]

_BYTE = 8  # bits


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


def told(values: pl.DataFrame, numbers: Numbers) -> list[pl.Series]:
    """The same of several columns. Yes and no are taken together, eight in a byte: it is the taking that costs."""
    flags = [one for one in values if one.dtype == pl.Boolean and not one.null_count() and one.n_unique() > 1]
    names = {one.name for one in flags}
    found = [taken(one, numbers) for one in values if one.name not in names]
    for start in range(0, len(flags), _BYTE):
        few = flags[start : start + _BYTE]
        told = np.packbits(np.column_stack([one.to_numpy() for one in few]), axis=1, bitorder="little")
        byte = pl.DataFrame({"byte": np.take(told[:, 0], numbers, mode="clip")})
        flag = [((pl.col("byte") & 1 << n) > 0).alias(one.name) for n, one in enumerate(few)]
        found += byte.select_seq(flag).get_columns()
    return found


def _taken(values: pl.Series, numbers: Numbers) -> pl.Series:
    return pl.Series(values.name, np.take(values.to_numpy(), numbers, mode="clip"))
