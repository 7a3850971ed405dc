"""Rows that are alike: told once, and found again row by row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from gateway.domain import Action
from gateway.sweep import alike, mapped
from gateway.sweep.alike import Alike
from gateway.sweep.mapped import Mapped

ACTIONS = [0, 2, 0, 1, 2, 0]
BITS = [0, 5, 0, 2, 1, 0]
SURFACES = ["post", "shop", "post", None, "shop", "post"]


@pytest.fixture
def kept(tmp_path: Path) -> Alike:
    frame = pl.DataFrame(
        {
            "action": pl.Series(ACTIONS, dtype=pl.UInt8),
            "of": pl.Series([1, 1, 1, 1, 2, 1], dtype=pl.UInt8),
            "hits.0": pl.Series(BITS, dtype=pl.UInt64),
            "context.surface:string": pl.Series(SURFACES, dtype=pl.Categorical),
            "user.age:int": [1, 2, 3, 4, 5, 6],  # has many values: no part of a kind
        }
    )
    mapped.write(alike.laid(frame), tmp_path / "index")
    return Alike(Mapped(tmp_path / "index"))


@pytest.mark.parametrize("rows", [None, np.array([4, 1, 3])])
def test_columns_come_back_row_by_row(kept, rows):
    def here(values):
        return values if rows is None else [values[row] for row in rows]

    assert kept.column("action", rows).to_list() == here(ACTIONS)
    assert kept.column("context.surface:string", rows).cast(pl.String).to_list() == here(SURFACES)
    assert kept.numbers("action", rows).tolist() == here(ACTIONS)
    is_shop = pl.col("context.surface:string").cast(pl.String) == "shop"
    for made, told in (
        (is_shop, [s and s == "shop" for s in SURFACES]),
        (pl.lit(None), [None] * 6),
        (pl.lit(3), [3] * 6),
    ):
        assert kept.made({"made": made}, rows)[0].to_list() == here(told)


def test_as_many_kinds_are_told_whatever_is_asked(kept):
    assert kept.asked({}).height == kept.asked({"made": pl.lit(None)}).height == 4


def test_decisions_of_one_input_are_counted_by_action(kept):
    assert kept.actions(None) == {0: 3, 1: 1, 2: 1}  # the fifth has another input
    assert kept.actions(np.array([0, 1, 4])) == {0: 1, 1: 0, 2: 1}


def test_the_strictest_of_the_bits_that_are_set(kept):
    said = kept.strictest([(Action.BLOCK, 2), (Action.REVIEW, 0), (Action.REVIEW, 1)])
    assert kept.by_kind(said, None).tolist() == [0, 2, 0, 1, 1, 0]
    assert not kept.strictest([]).any()
