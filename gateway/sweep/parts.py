"""One file of the export: written from rows, joined to a smaller one, read by columns."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from gateway.sweep.layout import FOUND, ID, Voice
from gateway.sweep.manifest import Group, Part, Store

_ROWS_A_GROUP = 250_000

# What a group is told apart by, and the columns of it
GROUPED = {
    "policy": "policy",
    "modality": "modality",
    "route": "route",
    "surface": "context.surface:string",
    "country": "context.country:string",
}


def write(store: Store, name: str, frame: pl.DataFrame, found: pl.DataFrame, fields: Iterable[str]) -> Part:
    """The files of one part, each whole before it has its name. `name` is days/<day>/<tenant>/part-<n>."""
    day, tenant = name.split("/")[1:3]
    part = _described(name, day, tenant, frame, fields)
    store.file(part).parent.mkdir(parents=True, exist_ok=True)
    _safely(store.file(part), lambda file: _zstd(frame, file))
    ordered = found.sort("kind", "name", "confidence", "row")
    _safely(store.file(part, ".found.parquet"), lambda file: _zstd(ordered, file))
    _make_top(store, part)
    return part


def joined(store: Store, part: Part, frame: pl.DataFrame, found: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """What is in a part, and after it these rows."""
    before = pl.read_parquet(store.file(part))
    things = pl.read_parquet(store.file(part, ".found.parquet"))
    shifted = found.with_columns(pl.col("row") + pl.lit(part.rows, dtype=pl.UInt32))
    return pl.concat([before, frame], how="diagonal"), pl.concat([things, shifted])


def read(store: Store, part: Part, names: Collection[str]) -> pl.DataFrame:
    """These columns, of any of its files; those it does not have are left out."""
    own = [name for name in part.columns if name in names]
    top = [name for name in top_columns(part) if name in names]
    arrow = store.file(part, ".arrow")
    if arrow.is_file() and not set(ID) & set(own):
        return pl.scan_ipc(arrow).select([*own, *top]).collect()
    frames = [pl.read_parquet(store.file(part), columns=own)] if own else []
    if top:
        if not store.file(part, ".top.parquet").is_file():
            _make_top(store, part)
        frames.append(pl.read_parquet(store.file(part, ".top.parquet"), columns=top))
    return pl.concat(frames, how="horizontal") if frames else pl.DataFrame(height=part.rows)


def found(store: Store, part: Part, kind: str) -> pl.LazyFrame:
    """What was found, of one kind."""
    return pl.scan_parquet(store.file(part, ".found.parquet")).filter(pl.col("kind") == kind)


def top_columns(part: Part) -> list[str]:
    """The columns of the cache of highest scores and lowest numbers."""
    return [*(f"t.{slug}" for slug in _slugs(part.scores)), *(f"u.{slug}" for slug in _slugs(part.quiet))]


def make_arrow(store: Store, part: Part) -> None:
    """The cache that is mapped into memory. Costs two to three times the room of the file itself."""
    if not store.file(part, ".arrow").is_file():
        frame = read(store, part, {*part.columns, *top_columns(part)} - set(ID))
        _safely(store.file(part, ".arrow"), lambda file: frame.write_ipc(file, compression="uncompressed"))


def _slugs(voices: Sequence[Voice]) -> list[str]:
    return list(dict.fromkeys(voice.category for voice in voices))


def _make_top(store: Store, part: Part) -> None:
    made = [pl.max_horizontal(names).alias(f"t.{slug}") for slug, names in _columns(part.scores, "score")]
    made += [pl.min_horizontal(names).alias(f"u.{slug}") for slug, names in _columns(part.quiet, "quiet")]
    frame = pl.scan_parquet(store.file(part)).select(made).collect() if made else pl.DataFrame(height=part.rows)
    _safely(store.file(part, ".top.parquet"), lambda file: _zstd(frame, file))


def _columns(voices: Sequence[Voice], which: str) -> list[tuple[str, list[str]]]:
    return [(slug, [getattr(v, which) for v in voices if v.category == slug]) for slug in _slugs(voices)]


def _described(name: str, day: str, tenant: str, frame: pl.DataFrame, fields: Iterable[str]) -> Part:
    columns = tuple(frame.columns)
    several = frame.filter(pl.col("of") > 1)
    first, last = frame.select(pl.col("created_at").min(), pl.col("created_at").max().alias("last")).row(0)
    return Part(
        name=name,
        day=day,
        tenant=tenant,
        rows=frame.height,
        decisions=frame.height - several.height + several.filter(pl.col("input") == 0).height,
        first=first,
        last=last,
        several=several.height,
        words=sum(column.startswith("hits.") for column in columns),
        scores=_voices(columns, "s."),
        quiet=_voices(columns, "q."),
        providers=tuple(column[2:] for column in columns if column.startswith("p.")),
        fields=tuple(sorted(fields)),
        columns=columns,
        groups=_groups(frame),
    )


def _voices(columns: Iterable[str], start: str) -> tuple[Voice, ...]:
    """A category holds no dot; a provider's name may."""
    split = (column.removeprefix(start).rsplit(".", 1) for column in columns if column.startswith(start))
    return tuple(Voice(provider, category) for provider, category in split)


def _groups(frame: pl.DataFrame) -> tuple[Group, ...]:
    there = {name: key for name, key in GROUPED.items() if key in frame.columns}
    keys = [pl.col(key).cast(pl.String).alias(name) for name, key in there.items()]
    counted = frame.select(keys).group_by(list(there)).len("rows").sort(list(there), nulls_last=True)
    return tuple(Group(**{"surface": None, "country": None, **row}) for row in counted.to_dicts())


def _zstd(frame: pl.DataFrame, file: Path) -> None:
    frame.write_parquet(file, compression="zstd", row_group_size=_ROWS_A_GROUP)


def _safely(file: Path, made: Callable[[Path], Any]) -> None:
    """Made beside, on disk, then renamed."""
    beside = file.with_name(f".{file.name}.new")
    made(beside)
    with beside.open("rb") as stream:
        os.fsync(stream.fileno())
    beside.rename(file)


def nothing_found() -> pl.DataFrame:
    """No label, no list."""
    return pl.DataFrame(schema=FOUND)


def ids_after(store: Store, part: Part, created_at: int) -> set[tuple[int, int]]:
    """The decisions in it that were created then or later."""
    kept = pl.scan_parquet(store.file(part)).filter(pl.col("created_at") >= created_at).select(ID).collect()
    return set(kept.rows())
