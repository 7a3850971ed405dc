"""Who asks files: the same comes of it in processes as in threads, and none outlives who started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

from gateway.errors import ConfigError
from gateway.sweep.question import Plan, Question
from gateway.sweep.runs import Run
from gateway.sweep.workers import MUCH, Workers
from tests.sweep.test_export import world


async def outcome(here, manifest, rows: int) -> tuple[list, pl.DataFrame]:
    plan = Plan(manifest, Question(here.new, here.old))
    with Workers(rows) as asking:
        run = Run(here.store, plan, here.database.reader, asking, lambda _: None)
        told = await run.outcomes()
    flips = pl.concat([pl.read_parquet(file) for file in sorted(run.folder.glob("*.flips.parquet"))])
    for file in run.folder.glob("*"):
        file.unlink()
    return told, flips


async def test_processes_find_what_threads_find(tmp_path):
    async with world(tmp_path) as here:
        await here.decide(40)
        manifest = await here.export()
        told, flips = await outcome(here, manifest, MUCH)
        again, same = await outcome(here, manifest, 0)
    assert sum(one.slow for one in told) > 0  # some of them go to and fro
    assert flips.height > 0
    assert (told, flips.to_dicts()) == (again, same.to_dicts())


async def test_there_are_processes_where_there_is_much_to_ask(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    with Workers(MUCH) as asking:
        assert asking.many == 3
        assert await asking.do(os.getpid) != os.getpid()
        assert await asking.do(os.getenv, "POLARS_MAX_THREADS") == "1"
    with Workers(MUCH - 1) as asking:
        assert await asking.do(os.getpid) == os.getpid()


async def test_what_the_work_raises_is_raised():
    with Workers(MUCH) as asking, pytest.raises(FileNotFoundError):
        await asking.do(os.listdir, "/nowhere")


async def test_a_process_that_is_killed_is_told_of():
    with Workers(MUCH) as asking, pytest.raises(ConfigError, match="ended from outside") as told:
        await asking.do(os._exit, 9)
    assert "asking again goes on" in str(told.value)


async def test_an_interrupt_is_for_who_started_them():
    with Workers(MUCH) as asking:
        os.kill(await asking.do(os.getpid), signal.SIGINT)
        assert await asking.do(len, "still there") == 11


STARTS = """
import asyncio, os, time
from gateway.sweep.workers import MUCH, Workers
with Workers(10**9) as asking:
    print(asyncio.run(asking.do(os.getpid)), flush=True)
    asyncio.run(asking.do(time.sleep, 600))
"""


def test_they_end_with_who_started_them():
    with subprocess.Popen(
        [sys.executable, "-c", STARTS], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as starter:
        assert starter.stdout is not None
        pid = int(starter.stdout.readline())
        starter.kill()
    until = time.monotonic() + 30
    while Path(f"/proc/{pid}").exists() and time.monotonic() < until:
        time.sleep(0.05)
    assert not Path(f"/proc/{pid}").exists()
