"""The highest scores of a part, told by row: all that reach a bound, or that they are too many to be told."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import Mock

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sweep import highest, mapped
from gateway.sweep.highest import Highest
from gateway.sweep.layout import Voice
from gateway.sweep.mapped import Mapped

SCORES = st.lists(st.none() | st.integers(0, 9) | st.integers(0, 10_000), min_size=1, max_size=60)


def kept(scores: list[int | None], few: int, folder: Path) -> Highest:
    part = Mock(scores=(Voice("acme", "hate"), Voice("beta", "hate")))
    frame = pl.DataFrame({"t.hate": pl.Series(scores, dtype=pl.UInt16)})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(highest, "_FEW", few)
        mapped.write(highest.laid(frame, part), folder / "index")
    return Highest(Mapped(folder / "index"), part)


@given(SCORES, st.integers(0, 60), st.integers(0, 10_001))
def test_all_rows_that_reach_it_are_told_or_none(tmp_path_factory, scores, few, bound):
    told = kept(scores, few, tmp_path_factory.mktemp("part")).at_least("hate", bound)
    reach = [row for row, score in enumerate(scores) if (score or 0) >= bound]
    if bound == 0 or len(reach) > max(few, len(scores) // 40):
        assert told is None
    else:
        assert told is not None
        assert sorted(told.tolist()) == reach


def test_where_few_have_any_all_bounds_are_told(tmp_path: Path):
    told = kept([0, 7, None, 10_000, 7], 3, tmp_path)
    assert told.at_least("hate", 0) is None  # that is all who were scored
    assert sorted(told.at_least("hate", 1)) == [1, 3, 4]
    assert sorted(told.at_least("hate", 8)) == [3]
    assert told.at_least("hate", 10_001).size == 0


def test_of_equal_scores_all_are_told_or_none(tmp_path: Path):
    told = kept([5, 5, 5, 9], 2, tmp_path)
    assert told.at_least("hate", 5) is None
    assert told.at_least("hate", 6).tolist() == [3]
