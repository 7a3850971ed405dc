"""One file of the export: written from rows, joined to a smaller one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from gateway.sweep import alike, highest, mapped, scores
from gateway.sweep import found as things
from gateway.sweep.layout import GROUPED, ID, LABEL, Voice, id_of, is_alike
from gateway.sweep.manifest import CACHE, INDEX, Group, Part, Store
from gateway.sweep.numbers import narrow
from gateway.sweep.opened import Opened

_ROWS_A_GROUP = 1_000_000  # all of a part: columns are read whole, and are then in one piece
_FOUND_A_GROUP = 50_000  # few of them are asked for, and lie together


def write(
    store: Store, name: str, tenant: str, frame: pl.DataFrame, found: pl.DataFrame, fields: Iterable[str]
) -> Part:
    """The files of one part, each whole before it has its name. `name` is days/<day>/<tenant>/part-<n>."""
    ids, facts = frame.select(ID), frame.drop(ID)
    part = _described(name, tenant, ids, facts, fields, unsure=_unsure(found))
    own = scores.laid(facts.select(name for name in facts.columns if not is_alike(name)), part.scores, part.quiet)
    ordered = found.sort("kind", "name", "confidence", "row")
    store.file(part).parent.mkdir(parents=True, exist_ok=True)
    _safely(store.file(part), lambda file: _parquet(own, file, _ROWS_A_GROUP))
    index = [*alike.laid(facts), *_told_short(ids, part.first), *highest.laid(own, part)]
    _safely(store.file(part, INDEX), lambda file: mapped.write(index, file))
    _safely(store.file(part, ".found.parquet"), lambda file: _parquet(ordered, file, _FOUND_A_GROUP))
    return part


def joined(store: Store, part: Part, frame: pl.DataFrame, found: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """What is in a part, and after it these rows."""
    before = Opened(store, part).columns([*ID, *part.columns])
    known = pl.read_parquet(store.file(part, ".found.parquet"))
    shifted = found.with_columns(pl.col("row") + pl.lit(part.rows, dtype=pl.UInt32))
    return pl.concat([before, frame], how="diagonal"), pl.concat([known, shifted])


def make_cache(store: Store, part: Part) -> None:
    """The columns as they lie in memory. Costs about twice the room of the files themselves."""
    if not store.file(part, CACHE).is_file():
        names = [name for name in (*part.columns, *scores.tops(part)) if not is_alike(name)]
        columns = Opened(store, part).columns(names).get_columns()
        found = things.laid(pl.read_parquet(store.file(part, ".found.parquet")))
        _safely(store.file(part, CACHE), lambda file: mapped.write([*columns, *found], file))


def _told_short(ids: pl.DataFrame, first: int) -> tuple[pl.Series, pl.Series]:
    times, random = (ids[name] for name in ID)
    since = times.to_numpy() - np.uint64(first)
    return pl.Series(ID[0], narrow(since, int(since.max(initial=0)))), random


def _described(
    name: str, tenant: str, ids: pl.DataFrame, frame: pl.DataFrame, fields: Iterable[str], *, unsure: bool
) -> Part:
    columns = tuple(frame.columns)
    several = frame.filter(pl.col("of") > 1)
    first, last = ids.select(pl.col("id.time").min(), pl.col("id.time").max().alias("last")).row(0)
    return Part(
        name=name,
        day=name.split("/")[1],
        tenant=tenant,
        rows=frame.height,
        decisions=frame.height - several.height + several.filter(pl.col("input") == 0).height,
        first=first,
        last=last,
        several=several.height,
        unsure=unsure,
        words=sum(column.startswith("hits.") for column in columns),
        scores=_voices(columns, "s."),
        quiet=_voices(columns, "q."),
        providers=tuple(column[2:] for column in columns if column.startswith("p.")),
        fields=tuple(sorted(fields)),
        columns=columns,
        groups=_groups(frame),
    )


def _unsure(found: pl.DataFrame) -> bool:
    return bool(((found["kind"] == LABEL) & found["confidence"].is_null()).any())


def _voices(columns: Iterable[str], start: str) -> tuple[Voice, ...]:
    """A category holds no dot; a provider's name may."""
    split = (column.removeprefix(start).rsplit(".", 1) for column in columns if column.startswith(start))
    return tuple(Voice(provider, category) for provider, category in split)


def _groups(frame: pl.DataFrame) -> tuple[Group, ...]:
    there = {name: key for name, key in GROUPED.items() if key in frame.columns}
    keys = [pl.col(key).cast(pl.String).alias(name) for name, key in there.items()]
    counted = frame.select(keys).group_by(list(there)).len("rows").sort(list(there), nulls_last=True)
    return tuple(Group(**{"surface": None, "country": None, **row}) for row in counted.to_dicts())


def _parquet(frame: pl.DataFrame, file: Path, rows: int) -> None:
    """Not pressed harder: that takes its time, and small numbers come out no smaller."""
    frame.write_parquet(file, compression="zstd", compression_level=1, row_group_size=rows)


def _safely(file: Path, made: Callable[[Path], Any]) -> None:
    """Made beside, on disk, then renamed."""
    beside = file.with_name(f".{file.name}.new")
    made(beside)
    with beside.open("rb") as stream:
        os.fsync(stream.fileno())
    beside.rename(file)


def ids_since(store: Store, part: Part, created_at: int) -> set[str]:
    """The decisions in it whose ids were made then or later."""
    kept = Opened(store, part).ids().filter(pl.col("id.time") >= created_at)
    return {id_of(*numbers) for numbers in kept.rows()}
