"""Columns decide as `decide` does: policies and records at random, and what both say of each."""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace

from gateway.policy.cel.shapes import Kind
from gateway.policy.compile.facts import fit
from gateway.policy.decide import decide
from gateway.record import Record
from gateway.replay import facts_of
from gateway.sweep import highest, parts
from gateway.sweep.layout import ACTIONS, numbers_of
from gateway.sweep.manifest import Manifest, Part, Store
from gateway.sweep.question import Plan, Question, by_hash
from gateway.sweep.sweeping import Swept, swept
from tests.sweep.chance import Chance, exported

Told = tuple[int, frozenset[str]]


def again(record: Record, policy, sees) -> Told:
    decision = decide(policy.under(record.context, record.tenant), facts_of(record, sees))
    return ACTIONS.index(decision.action), frozenset(reason.rule for reason in decision.reasons)


def compared(found: Swept, told: dict[tuple[int, int], tuple[Told, Told]]) -> int:
    """How many were decided in columns. Fails where one was decided otherwise."""
    slow = set(found.slow)
    flips = {(row["id.time"], row["id.random"]): row for row in found.flips.to_dicts()}
    expected = {id: pair for id, pair in told.items() if id not in slow and pair[0][0] != pair[1][0]}
    assert flips.keys() == expected.keys()
    for id, (old, new) in expected.items():
        row = flips[id]
        assert (row["old"], row["new"]) == (old[0], new[0])
        assert set(row["gained"]) >= new[1] - old[1], (row, old, new)
        assert set(row["lost"]) >= old[1] - new[1], (row, old, new)
    pairs = Counter((old[0], new[0]) for id, (old, new) in told.items() if id not in slow)
    assert found.counts == pairs
    return len(told) - len(slow)


def asked(store: Store, plan: Plan, part: Part) -> Swept:
    """As another process does it."""
    return swept(store, part, pickle.loads(pickle.dumps(plan.asked(part))))


def agree(store: Store, manifest: Manifest, part: Part, records: Sequence[Record], old, new) -> int:
    """Columns say what decide says, whatever they are asked. How many were decided in columns, where least were."""

    def told(record: Record):
        before = (
            ACTIONS.index(record.decision.action),
            frozenset(reason.rule for reason in record.decision.reasons),
        )
        return before, again(record, new, manifest.sees)

    both = {numbers_of(record.id): told(record) for record in records}
    turned = {id: (new, old) for id, (old, new) in both.items()}
    least = len(records)
    for _ in ("from Parquet", "from the cache"):
        for question, expected in (
            (Question(new, old), both),  # only what changed
            (Question(new, None, by_hash([old])), both),
            (Question(new), both),  # against the stored action
            (Question(old, new), turned),  # both asked in full
        ):
            least = min(least, compared(asked(store, Plan(manifest, question), part), expected))
        parts.make_cache(store, part)
    return least


@pytest.mark.parametrize("seed", range(10))
def test_columns_agree_with_decide(seed, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(highest, "_FEW", (1000, 3, 0)[seed % 3])  # all scores are told by row, some, or next to none
    chance = Chance(seed, tmp_path)
    old, new = chance.pair()
    manifest, store = Manifest(sees=chance.sees()), Store(tmp_path / "sweep")
    records = [chance.record(number, old, manifest.sees) for number in range(50)]
    agree(store, manifest, exported(store, manifest, records, [old, new]), records, old, new)


@pytest.mark.parametrize("silent", [False, True], ids=["they say where", "nobody says where"])
def test_flips_tell_where(tmp_path: Path, silent):
    chance = Chance(3, tmp_path)
    old, new = chance.pair()
    manifest, store = Manifest(sees=chance.sees()), Store(tmp_path / "sweep")
    records = [chance.record(number, old, manifest.sees) for number in range(50)]
    if silent:
        records = [replace(record, context={}) for record in records]
    part = exported(store, manifest, records, [old, new])
    rows = asked(store, Plan(manifest, Question(new)), part).flips.select("id.time", "id.random", "surface").rows()
    where = {numbers_of(record.id): fit(Kind.TEXT, record.context.get("surface")) for record in records}
    assert len(rows) == 31
    assert [surface for *_, surface in rows] == [where[time, random] for time, random, _ in rows]
