"""`modgate sweep` killed half-way: what was done stays, and the next one does the rest."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl
from msgspec.structs import replace

from gateway.ledger import DatabaseLedger
from gateway.store.database import Database
from gateway.sweep.layout import id_of
from gateway.sweep.manifest import Store
from tests.sweep.chance import Chance
from tests.sweep.test_commands import CONFIG, POLICY, ask

DAYS = 6
A_DAY = 86_400


async def decide(folder: Path) -> None:
    """Ten decisions on each day, so that each day is a file of its own."""
    chance = Chance(1, folder)
    policy, _ = chance.pair()
    database = await Database.open(folder / "var")
    try:
        for number in range(DAYS * 10):
            record = chance.record(number, policy, chance.sees())
            moment = int(record.created_at) + number // 10 * A_DAY
            id = id_of(moment * 1000, number)
            await DatabaseLedger(database).record(replace(record, id=id, created_at=moment))
    finally:
        await database.close()


@contextmanager
def never_read(file: Path) -> Iterator[None]:
    """Whoever opens it waits for somebody who writes, and nobody does."""
    kept = file.read_bytes()
    file.unlink()
    os.mkfifo(file)
    try:
        yield
    finally:
        file.unlink()
        file.write_bytes(kept)


def flips(folder: Path) -> list[dict[str, object]]:
    return pl.concat([pl.read_parquet(file) for file in sorted(folder.glob("*.flips.parquet"))]).to_dicts()


def test_a_killed_sweep_goes_on_where_it_was(tmp_path):
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies/now.yaml").write_text(POLICY.format(name="now", hate=0.5))
    (tmp_path / "next.yaml").write_text(POLICY.format(name="next", hate=0.2))
    (tmp_path / "gateway.yaml").write_text(CONFIG)
    asyncio.run(decide(tmp_path))
    words = ("sweep", "--policy", str(tmp_path / "next.yaml"), "--json")

    undisturbed = json.loads(ask(tmp_path, *words).stdout)
    folder = Path(undisturbed["flips_in"])
    whole = flips(folder)
    assert len(whole) > DAYS
    shutil.rmtree(folder)

    store = Store(tmp_path / "var/sweep")
    _, _, third, fourth, *_ = sorted(store.load().parts, key=lambda part: part.day)
    with never_read(store.file(third, ".index")), never_read(store.file(fourth, ".index")):
        command = [sys.executable, "-m", "gateway.cli", *words, "--config", str(tmp_path / "gateway.yaml")]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
            until = time.monotonic() + 120
            while len([*folder.glob("*.json")]) < 2 and running.poll() is None and time.monotonic() < until:
                time.sleep(0.01)
            running.kill()
    assert running.returncode == -signal.SIGKILL  # it was not done
    done = {file: file.stat().st_mtime_ns for file in folder.glob("[!.]*")}
    assert len([*folder.glob("*.json")]) == 2

    assert json.loads(ask(tmp_path, *words).stdout) == undisturbed
    assert flips(folder) == whole
    assert len([*folder.glob("*.json")]) == DAYS
    assert {file: file.stat().st_mtime_ns for file in done} == done
