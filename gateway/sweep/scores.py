"""Scores as they lie in a file: of each category the highest, and how far below it each provider stays.

What all but a few rows ask for, the highest, is read as it is. The distances are small, and lie as two bytes apart, for
the upper one is nearly always nought: together they take a tenth less room than the scores themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

import polars as pl

from gateway.sweep.layout import Voice
from gateway.sweep.manifest import Part

_BYTE = 256


def laid(frame: pl.DataFrame, scores: Sequence[Voice], quiet: Sequence[Voice]) -> pl.DataFrame:
    """The frame as it is written: without the scores, with the highest of each category and what is below."""
    tops = [*_widest(scores, "score", "t", pl.max_horizontal), *_widest(quiet, "quiet", "u", pl.min_horizontal)]
    whole = frame.with_columns(tops)
    apart = [expr for voice in scores for expr in _apart(voice)]
    return whole.select(*(name for name in whole.columns if not name.startswith("s.")), *apart)


def taken(part: Part, names: Collection[str]) -> Iterator[pl.Expr]:
    """These columns out of what is written."""
    below = {voice.score: voice for voice in part.scores}
    for name in names:
        if name not in below:
            yield pl.col(name)
            continue
        voice = below[name]
        distance = pl.col(_high(voice)).cast(pl.UInt16) * _BYTE + pl.col(_low(voice))
        yield (pl.col(f"t.{voice.category}") - distance).alias(name)


def tops(part: Part) -> list[str]:
    """The names of the highest scores, and of the lowest numbers under which somebody reports nothing."""
    return [*(f"t.{slug}" for slug in slugs(part.scores)), *(f"u.{slug}" for slug in slugs(part.quiet))]


def slugs(voices: Iterable[Voice]) -> list[str]:
    """The categories they speak of."""
    return list(dict.fromkeys(voice.category for voice in voices))


def _widest(voices: Sequence[Voice], which: str, start: str, of: Callable[..., pl.Expr]) -> Iterator[pl.Expr]:
    for slug in slugs(voices):
        yield of([getattr(voice, which) for voice in voices if voice.category == slug]).alias(f"{start}.{slug}")


def _apart(voice: Voice) -> tuple[pl.Expr, pl.Expr]:
    distance = pl.col(f"t.{voice.category}") - pl.col(voice.score)
    low, high = distance % _BYTE, distance // _BYTE
    return low.cast(pl.UInt8).alias(_low(voice)), high.cast(pl.UInt8).alias(_high(voice))


def _low(voice: Voice) -> str:
    return f"low.{voice.provider}.{voice.category}"


def _high(voice: Voice) -> str:
    return f"high.{voice.provider}.{voice.category}"
