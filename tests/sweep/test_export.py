"""From the database to files and figures: nothing twice, nothing lost, and a run that broke off goes on."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from pathlib import Path

import polars as pl
import pytest
from msgspec.structs import replace
from sqlalchemy import delete

from gateway.ledger import DatabaseLedger
from gateway.record import Record
from gateway.store.database import Database
from gateway.store.tables import decisions
from gateway.sweep import export as exporting
from gateway.sweep.export import Export
from gateway.sweep.figures import figures, wilson
from gateway.sweep.judge import fields_of
from gateway.sweep.layout import id_of
from gateway.sweep.manifest import Manifest, Store
from gateway.sweep.opened import Opened
from gateway.sweep.question import Plan, Question
from gateway.sweep.rows import ALWAYS
from gateway.sweep.runs import Run
from gateway.sweep.workers import Workers
from tests.sweep.chance import EVERYTHING, Chance
from tests.sweep.test_agreement import again

SEED = 7  # some of its decisions cannot be made in columns


class World:
    """A database with decisions of one policy, and a folder to export them to."""

    def __init__(self, folder: Path, database: Database):
        self.database = database
        self.store = Store(folder / "sweep")
        self.chance = Chance(SEED, folder)
        self.old, self.new = self.chance.pair()
        self.sees = self.chance.sees()
        self.records: list[Record] = []

    async def decide(self, many: int) -> None:
        for number in range(len(self.records), len(self.records) + many):
            await self.keep(self.chance.record(number, self.old, self.sees))

    async def keep(self, record: Record) -> None:
        self.records.append(record)
        await DatabaseLedger(self.database).record(record)

    async def export(self) -> Manifest:
        fields = ALWAYS | fields_of(self.old) | fields_of(self.new)
        with self.store.locked():
            return await Export(self.database.reader, self.store, EVERYTHING, fields).run(self.sees, lambda *_: None)

    async def run(self, manifest: Manifest) -> tuple[Run, dict]:
        plan = Plan(manifest, Question(self.new, self.old))
        with Workers(0) as workers:
            run = Run(self.store, plan, self.database.reader, workers, lambda _: None)
            return run, figures(await run.outcomes(), 1)

    def expected(self) -> dict[str, tuple[str, str]]:
        """The flips, by id."""
        names = ("allow", "review", "block")
        told = {r.id: (r.action.value, names[again(r, self.new, self.sees)[0]]) for r in self.records}
        return {id: pair for id, pair in told.items() if pair[0] != pair[1]}

    def ids(self, manifest: Manifest) -> list[str]:
        """All inputs that are exported, by their decision."""
        found = pl.concat([Opened(self.store, part).ids() for part in manifest.parts])
        return sorted(id_of(*numbers) for numbers in found.rows())

    def inputs(self) -> list[str]:
        return sorted(record.id for record in self.records for _ in record.content)


@asynccontextmanager
async def world(folder: Path):
    database = await Database.open(folder)
    try:
        yield World(folder, database)
    finally:
        await database.close()


async def test_every_decision_is_exported_once_however_often(tmp_path, monkeypatch):
    monkeypatch.setattr(exporting, "_PAGE", 7)
    monkeypatch.setattr(exporting, "_LATE", time.time() - 1_790_000_010)  # all but the first ten may be followed
    async with world(tmp_path) as here:
        await here.decide(30)
        first = await here.export()
        assert here.ids(first) == here.inputs()
        assert here.ids(await here.export()) == here.inputs()
        await here.decide(5)
        early = replace(here.records[20], id=f"mod_{1_790_000_020_500:012x}{1:016x}")
        await here.keep(early)  # made before others that are exported
        late = await here.export()
        assert here.ids(late) == here.inputs()


async def test_a_crash_between_two_files_loses_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(exporting, "_FLUSH", 10)
    monkeypatch.setattr(exporting, "_PAGE", 5)
    async with world(tmp_path) as here:
        await here.decide(35)
        saves = 0
        save = Store.save

        def breaks(store: Store, manifest: Manifest) -> None:
            nonlocal saves
            saves += 1
            if saves == 3:
                raise OSError("no room")
            save(store, manifest)

        monkeypatch.setattr(Store, "save", breaks)
        with pytest.raises(OSError, match="no room"):
            await here.export()
        assert here.ids(here.store.load()) < here.inputs()
        monkeypatch.setattr(Store, "save", save)
        whole = await here.export()
        assert here.ids(whole) == here.inputs()
        known = {here.store.file(part) for part in whole.parts}
        assert set(here.store.folder.glob("days/*/*/*[0-9].parquet")) == known


async def test_the_flips_are_those_of_decide_and_a_second_run_does_nothing_again(tmp_path):
    async with world(tmp_path) as here:
        await here.decide(60)
        manifest = await here.export()
        run, told = await here.run(manifest)
        flips = pl.concat([pl.read_parquet(file) for file in run.folder.glob("*.flips.parquet")])
        found = {row["id"]: (row["old"], row["new"]) for row in flips.to_dicts()}
        assert found == here.expected()
        assert told["decisions"] == 60
        assert sum(told["flips"].values()) == len(found)
        written = {file: file.stat().st_mtime_ns for file in run.folder.iterdir()}
        _, same = await here.run(manifest)
        assert same == told
        assert {file: file.stat().st_mtime_ns for file in run.folder.iterdir()} == written


async def test_what_is_gone_from_the_database_is_told_and_not_judged(tmp_path):
    async with world(tmp_path) as here:
        await here.decide(60)
        manifest = await here.export()
        async with here.database.reader.begin() as connection:
            await connection.change(delete(decisions))
        _, told = await here.run(manifest)
        assert told["gone"] > 0
        assert told["decisions"] + told["gone"] == 60
        assert told["one_by_one"] == 0


@pytest.mark.parametrize(
    ("hits", "of", "low", "high"), [(0, 0, 0, 1), (0, 10, 0, 0.277533), (5, 10, 0.236593, 0.763407)]
)
def test_wilsons_interval(hits, of, low, high):
    assert wilson(hits, of) == pytest.approx((low, high), abs=1e-4)
