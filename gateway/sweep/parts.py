"""One file of the export: written from rows, joined to a smaller one, read by columns."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from gateway.sweep.layout import ID, LABEL, Voice, id_of
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


def write(
    store: Store, name: str, tenant: str, frame: pl.DataFrame, found: pl.DataFrame, fields: Iterable[str]
) -> Part:
    """The files of one part, each whole before it has its name. `name` is days/<day>/<tenant>/part-<n>."""
    ids, facts = frame.select(ID), frame.drop(ID)
    part = _described(name, tenant, ids, facts, fields, unsure=_unsure(found))
    store.file(part).parent.mkdir(parents=True, exist_ok=True)
    _safely(store.file(part), lambda file: _zstd(facts, file))
    _safely(store.file(part, ".ids.arrow"), lambda file: ids.write_ipc(file, compression="uncompressed"))
    ordered = found.sort("kind", "name", "confidence", "row")
    _safely(store.file(part, ".found.parquet"), lambda file: _zstd(ordered, file))
    _make_top(store, part)
    return part


def joined(store: Store, part: Part, frame: pl.DataFrame, found: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """What is in a part, and after it these rows."""
    before = pl.concat([_ids(store, part).collect(), pl.read_parquet(store.file(part))], how="horizontal")
    things = pl.read_parquet(store.file(part, ".found.parquet"))
    shifted = found.with_columns(pl.col("row") + pl.lit(part.rows, dtype=pl.UInt32))
    return pl.concat([before, frame], how="diagonal"), pl.concat([things, shifted])


def read(store: Store, part: Part, names: Collection[str]) -> pl.DataFrame:
    """These columns, of any of its files; those it does not have are left out."""
    own = [name for name in part.columns if name in names]
    top = [name for name in top_columns(part) if name in names]
    frames = [_ids(store, part).select(name for name in ID if name in names).collect()] if set(ID) & set(names) else []
    arrow = store.file(part, ".arrow")
    if arrow.is_file():
        frames.append(pl.scan_ipc(arrow).select([*own, *top]).collect())
        return pl.concat(frames, how="horizontal")
    frames += [pl.read_parquet(store.file(part), columns=own)] if own else []
    if top:
        if not store.file(part, ".top.parquet").is_file():
            _make_top(store, part)
        frames.append(pl.read_parquet(store.file(part, ".top.parquet"), columns=top))
    return pl.concat(frames, how="horizontal") if frames else pl.DataFrame(height=part.rows)


def ids_of(store: Store, part: Part, rows: pl.Series) -> pl.DataFrame:
    """The ids of these rows."""
    return _ids(store, part).collect()[rows]


def _ids(store: Store, part: Part) -> pl.LazyFrame:
    return pl.scan_ipc(store.file(part, ".ids.arrow"))


def found(store: Store, part: Part, kind: str) -> pl.LazyFrame:
    """What was found, of one kind."""
    return pl.scan_parquet(store.file(part, ".found.parquet")).filter(pl.col("kind") == kind)


def top_columns(part: Part) -> list[str]:
    """The columns of the cache of highest scores and lowest numbers."""
    return [*(f"t.{slug}" for slug in _slugs(part.scores)), *(f"u.{slug}" for slug in _slugs(part.quiet))]


def make_arrow(store: Store, part: Part) -> None:
    """The cache that is mapped into memory. Costs two to three times the room of the file itself."""
    if not store.file(part, ".arrow").is_file():
        frame = read(store, part, {*part.columns, *top_columns(part)})
        _safely(store.file(part, ".arrow"), lambda file: frame.write_ipc(file, compression="uncompressed"))


def _slugs(voices: Sequence[Voice]) -> list[str]:
    return list(dict.fromkeys(voice.category for voice in voices))


def _make_top(store: Store, part: Part) -> None:
    made = [pl.max_horizontal(names).alias(f"t.{slug}") for slug, names in _columns(part.scores, "score")]
    made += [pl.min_horizontal(names).alias(f"u.{slug}") for slug, names in _columns(part.quiet, "quiet")]
    frame = pl.scan_parquet(store.file(part)).select(made).collect() if made else pl.DataFrame(height=part.rows)
    _safely(store.file(part, ".top.parquet"), lambda file: _lz4(frame, file))


def _columns(voices: Sequence[Voice], which: str) -> list[tuple[str, list[str]]]:
    return [(slug, [getattr(v, which) for v in voices if v.category == slug]) for slug in _slugs(voices)]


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


def _zstd(frame: pl.DataFrame, file: Path) -> None:
    frame.write_parquet(file, compression="zstd", row_group_size=_ROWS_A_GROUP)


def _lz4(frame: pl.DataFrame, file: Path) -> None:
    """Of a cache: a fifth larger, and read in half the time."""
    frame.write_parquet(file, compression="lz4", row_group_size=_ROWS_A_GROUP)


def _safely(file: Path, made: Callable[[Path], Any]) -> None:
    """Made beside, on disk, then renamed."""
    beside = file.with_name(f".{file.name}.new")
    made(beside)
    with beside.open("rb") as stream:
        os.fsync(stream.fileno())
    beside.rename(file)


def ids_since(store: Store, part: Part, created_at: int) -> set[str]:
    """The decisions in it whose ids were made then or later."""
    kept = _ids(store, part).filter(pl.col("id.time") >= created_at).collect()
    return {id_of(*numbers) for numbers in kept.rows()}
