"""Labels in the cache: a rule that asks for names looks at what is called so, and at nothing where nothing was seen."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from gateway.policy.cel.shapes import Kind
from gateway.policy.cel.typed import Constant, Holds, Part
from gateway.policy.cel.words import PREDICATES
from gateway.sweep import found, mapped
from gateway.sweep.found import Things
from gateway.sweep.layout import FOUND, HASH, LABEL
from gateway.sweep.mapped import Mapped

SEEN = [
    (HASH, "known", 10_000, "lists", 4),
    (LABEL, "gun", 4000, "north", 3),
    (LABEL, "gun", 9000, "north", 1),
    (LABEL, "gunpowder", 8000, "south", 2),
    (LABEL, "sky", 9900, "north", 0),
]


def things(folder: Path, seen: list[tuple]) -> Things:
    file = folder / "cache"
    mapped.write(found.laid(pl.DataFrame(seen, FOUND, orient="row")), file)
    return Things(folder / "nowhere", Mapped(file))


def called(word: str, text: str) -> Holds:
    return Holds(PREDICATES[word], (Part("name", Kind.TEXT), Constant(text, Kind.TEXT)))


@pytest.mark.parametrize(
    "kind, word, text, rows",
    [
        (LABEL, "startsWith", "gun", [1, 2]),
        (LABEL, "==", "gun", [1]),
        (LABEL, "!=", "gun", [0, 2]),
        (LABEL, "==", "known", []),
        (HASH, "==", "known", [4]),
    ],
)
def test_rows_with_something_that_is_called_so_and_sure_enough(tmp_path, kind, word, text, rows):
    told = things(tmp_path, SEEN).sure_of(kind, called(word, text), 8000)
    assert sorted(told.tolist()) == rows


def test_names_that_cannot_meet_it_are_left_out(tmp_path):
    frame = things(tmp_path, SEEN).like(LABEL, called("startsWith", "gun")).collect()
    assert sorted(frame.select("name", "row").rows()) == [("gun", 1), ("gun", 3), ("gunpowder", 2)]


@pytest.mark.parametrize("word", ["startsWith", "=="])
def test_where_nothing_was_seen_nothing_is_found(tmp_path, word):
    nothing = things(tmp_path, [])
    assert nothing.sure_of(LABEL, called(word, "gun"), 0).tolist() == []
    assert nothing.like(LABEL, called(word, "gun")).collect().height == 0
