"""What is told once and found by number, many at a time, is what each of them would be alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sweep.kernel import _listed
from gateway.sweep.layout import id_of, ids_of
from gateway.sweep.numbers import looked_up

U64 = st.integers(0, 2**64 - 1)


@given(st.lists(st.tuples(st.integers(0, 2**48 - 1), U64), max_size=5))
def test_ids_of_many_are_the_ids_of_each(pairs):
    times, randoms = (np.array(column, dtype=np.uint64) for column in (zip(*pairs, strict=True) if pairs else ((), ())))
    assert ids_of(times, randoms).to_list() == [id_of(*pair) for pair in pairs]


@pytest.mark.parametrize("many", [0, 1, 100, 100_000])
@pytest.mark.parametrize(
    "values",
    [
        np.repeat(np.array([0, 1, 2], dtype=np.uint8), 50),
        np.repeat(np.array([2, 0, 255, 1], dtype=np.uint8), 50),  # they fall too
        np.array([7], dtype=np.uint8),
        np.arange(150, dtype=np.uint8),
        np.arange(150, dtype=np.uint64) << np.uint64(40),
        np.arange(150) % 2 == 0,
    ],
    ids=["rising", "falling", "one", "all different", "wide", "yes and no"],
)
def test_each_number_stands_for_its_value(values, many):
    numbers = np.random.default_rng(many).integers(0, len(values), many).astype(np.uint16)
    found = looked_up(values, numbers)
    assert found.dtype == values.dtype
    assert (found == values[numbers]).all()


@given(st.integers(0, 60), st.integers(0, 6), st.randoms(use_true_random=False))
def test_a_row_lists_what_is_true_in_it(names, rows, draw):
    told = [f"rule-{number % 40}" for number in range(names)]  # one rule may lead to two actions
    which = np.array([[draw.random() < 0.3 for _ in told] for _ in range(rows)], dtype=np.bool_).reshape(rows, names)
    expected = [sorted({name for name, true in zip(told, row, strict=True) if true}) for row in which]
    assert _listed(told, which).to_list() == expected
