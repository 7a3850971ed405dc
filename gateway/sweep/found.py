"""Labels and lists in the cache: by name, so that a rule about few names looks at these alone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from gateway.sweep.layout import FOUND
from gateway.sweep.mapped import Mapped

_KEPT = ("confidence", "provider", "row")


def laid(found: pl.DataFrame) -> Iterator[pl.Series]:
    """Columns of the cache, out of what was found in the order of parts.py."""
    for name in _KEPT:
        column = found[name].cast(pl.Categorical) if FOUND[name] == pl.String else found[name]
        yield column.alias(f"found.{name}")
    names = found.group_by("kind", "name", maintain_order=True).len("many")
    for name in ("kind", "name"):
        yield names[name].cast(pl.Categorical).alias(f"names.{name}")
    yield names["many"].cum_sum().cast(pl.UInt32).alias("names.end")


def taken(mapped: Mapped, kind: str, what: pl.Expr) -> pl.LazyFrame:
    """What was found of this kind and may meet a condition: left out are names that for certain do not."""
    columns = {name: mapped.column(f"names.{name}") for name in ("kind", "name", "end")}
    nothing = (pl.lit(None, dtype=FOUND[name]).alias(name) for name in ("confidence", "provider"))
    names = pl.DataFrame(columns).with_columns(pl.col("name").cast(pl.String), *nothing)
    starts = names["end"].shift(1, fill_value=0).alias("start")
    names = names.with_columns(starts).filter(pl.col("kind") == kind, what.fill_null(True))
    pieces = [slice(*each) for each in names.select("start", "end").rows()]
    asked = {"row", *what.meta.root_names()}
    found = [mapped.column(f"found.{name}", pieces).alias(name) for name in _KEPT if name in asked]
    if "name" in asked:
        which = np.repeat(np.arange(names.height, dtype=np.uint32), names["end"] - names["start"])
        found.append(names["name"].gather(pl.Series(which)))
    return pl.LazyFrame(found)
