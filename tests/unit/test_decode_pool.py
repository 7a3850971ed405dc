"""The pool outlives whatever its work does: loops, crashes, hunger, and a caller who leaves.

All work here is built in: a worker that imported this file would import pytest with it.
"""

import asyncio
import os
import resource
import signal
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.errors import Overloaded, TooLarge, Unreadable
from gateway.media.inspect import check_size
from gateway.media.pool import DecodePool
from tests.waiting import until

PATIENCE = 30.0  # seconds for work that ends by itself, on a busy machine too


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@asynccontextmanager
async def decoders(**options):
    losses = []
    pool = DecodePool(on_loss=losses.append, **{"workers": 1, "timeout": PATIENCE, **options})
    await pool.warm()
    try:
        yield pool, losses
    finally:
        await pool.close()


@pytest.mark.parametrize(
    ("work", "argument", "cause"),
    [
        (eval, "any(iter(int, 1))", "timeout"),  # for ever, in C
        (eval, "[None for _ in iter(bool, True)]", "timeout"),  # for ever, in Python
        (signal.raise_signal, signal.SIGSEGV, "crash"),
        (os._exit, 0, "timeout"),  # an orderly end of the worker, and no answer
        (bytearray, 2 << 30, "memory"),
    ],
)
async def test_work_that_goes_wrong_is_unreadable_and_the_pool_goes_on(work, argument, cause):
    async with decoders() as (pool, losses):
        began = time.monotonic()
        with pytest.raises(Unreadable) as caught:
            await pool.run(work, argument, timeout=0.5 if cause == "timeout" else PATIENCE)
        assert caught.value.code == "image_undecodable"
        assert time.monotonic() - began < PATIENCE
        assert await pool.run(abs, -7) == 7
        assert losses == [cause]


@pytest.mark.parametrize(
    "written", ["1 / 0", "[][1]", "open('/nowhere')", "__import__('sys').exit(3)", "eval('(' * 9999)"]
)
async def test_errors_of_decoders_are_unreadable_and_cost_no_worker(written):
    async with decoders() as (pool, losses):
        before = await pool.run(os.getpid)
        with pytest.raises(Unreadable):
            await pool.run(eval, written)
        assert await pool.run(os.getpid) == before
        assert not losses


async def test_a_refusal_arrives_as_it_was_raised():
    async with decoders() as (pool, _):
        with pytest.raises(TooLarge) as caught:
            await pool.run(check_size, 20_000, 1)
    assert caught.value.code == "image_too_many_pixels"
    assert "20000 x 1" in caught.value.detail
    assert "16384" in caught.value.hint


async def test_a_worker_killed_while_idle_is_replaced():
    async with decoders(workers=2) as (pool, losses):
        for _ in range(2):
            os.kill(await pool.run(os.getpid), signal.SIGKILL)
            await asyncio.sleep(0.3)  # long enough, mostly, for the pool to notice, and to give itself up
            assert await pool.run(abs, -7) == 7
        assert not losses


async def test_a_crash_beside_hurts_no_other_task():
    async with decoders(workers=2) as (pool, losses):
        jobs = [(time.sleep, 0.05) if turn % 2 else (signal.raise_signal, signal.SIGSEGV) for turn in range(8)]
        work = [pool.run(*job, timeout=60) for job in jobs]
        said = await asyncio.gather(*work, return_exceptions=True)
        assert said[1::2] == [None] * 4
        assert all(isinstance(one, Unreadable) for one in said[::2])
        assert losses == ["crash"] * 4


async def test_who_leaves_takes_the_work_along(tmp_path):
    async with decoders() as (pool, _):
        pid = await pool.run(os.getpid)
        task = asyncio.create_task(pool.run(eval, f"open('{tmp_path}/begun', 'w') and __import__('time').sleep(60)"))
        await until((tmp_path / "begun").exists)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: not alive(pid))
        assert await pool.run(abs, -7) == 7


async def test_too_many_waiting_are_turned_away_and_those_who_leave_make_room():
    async with decoders(waiting=2) as (pool, _):
        long, *waiting = [asyncio.create_task(pool.run(time.sleep, 60, timeout=60)) for _ in range(3)]
        await asyncio.sleep(0.02)
        with pytest.raises(Overloaded) as caught:
            await pool.run(abs, -7)
        assert caught.value.retry_after
        waiting[0].cancel()
        await asyncio.sleep(0)
        room = asyncio.create_task(pool.run(abs, -7))
        await asyncio.sleep(0)
        for task in (long, waiting[1]):
            task.cancel()
        assert await room == 7


async def test_what_nobody_waits_for_any_more_is_not_begun(tmp_path):
    async with decoders() as (pool, losses):
        long = asyncio.create_task(pool.run(time.sleep, 60, timeout=60))
        await until(lambda: pool._free.locked())
        with pytest.raises(Overloaded) as caught:
            await pool.run(eval, f"open('{tmp_path}/begun', 'w')", until=time.perf_counter() + 0.05)
        assert caught.value.code == "waited_too_long"
        long.cancel()
        with pytest.raises(Overloaded):
            await pool.run(eval, f"open('{tmp_path}/begun', 'w')", until=time.perf_counter())
        assert await pool.run(abs, -7, until=time.perf_counter() + PATIENCE) == 7
        assert (list(tmp_path.iterdir()), losses) == ([], [])


async def test_workers_are_confined():
    async with decoders() as (pool, _):
        assert await pool.run(resource.getrlimit, resource.RLIMIT_AS) == (1 << 30, 1 << 30)
        assert await pool.run(resource.getrlimit, resource.RLIMIT_CORE) == (0, 0)


async def test_a_worker_lives_for_so_many_tasks():
    async with decoders(max_tasks=3) as (pool, losses):
        pids = [await pool.run(os.getpid) for _ in range(9)]
        assert len(set(pids)) >= 3
        assert not losses


async def test_a_closed_pool_leaves_nothing_and_takes_nothing():
    async with decoders() as (pool, losses):
        pid = await pool.run(os.getpid)
        running = asyncio.create_task(pool.run(time.sleep, 60, timeout=60))
        await asyncio.sleep(0.1)
        await pool.close()
        await until(lambda: not alive(pid))
        with pytest.raises(Overloaded):
            await pool.run(os.getpid)
        with pytest.raises(Overloaded):
            await running
        assert not losses


PROGRAM = """
import asyncio, os, aiohttp, pydantic, structlog
print("started", flush=True)
from gateway.media.pool import DecodePool

async def main():
    pool = DecodePool(workers=2)
    await pool.warm()
    print(*await pool.run(eval, "list(__import__('sys').modules)"))
    print(await pool.run(os.getpid), flush=True)
    await asyncio.sleep(60)

if __name__ == "__main__":
    asyncio.run(main())
"""


def test_workers_are_small_and_die_with_a_gateway_that_is_killed(tmp_path):
    """They have what decodes and nothing else: the program's script is not run again in them."""
    script = tmp_path / "program.py"
    script.write_text(PROGRAM)
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, script],
        stdout=subprocess.PIPE,
        text=True,
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
    ) as program:
        assert program.stdout.readline() == "started\n"
        modules = set(program.stdout.readline().split())
        pid = int(program.stdout.readline())
        assert alive(pid)
        program.kill()
        assert program.stdout.read() == ""
    assert {"PIL.Image", "gateway.media.normalise"} <= modules
    assert not {"aiohttp", "pydantic", "structlog", "numpy"} & modules
    asyncio.run(until(lambda: not alive(pid)))
