"""Many writers, few transactions: who waits hears when it is kept, and nothing is lost or doubled."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from gateway.paths import MESSAGES, TAXONOMY
from gateway.policy.messages import Messages
from gateway.store.commit import GroupCommit, WriterClosed
from gateway.store.tables import decisions
from gateway.taxonomy import Taxonomy

TAXONOMY_READ = Taxonomy.from_file(TAXONOMY)
SHIPPED = Messages.from_file(MESSAGES)


class Disk:
    """Commits when it is told to, and remembers what; a row whose id is "bad" fails its transaction."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.ready = asyncio.Event()
        self.ready.set()

    async def __call__(self, batch) -> None:
        ids = [row["id"] for _, row in batch]
        self.batches.append(ids)
        await self.ready.wait()
        if "bad" in ids:
            raise OSError("disk full")


@asynccontextmanager
async def writing():
    disk = Disk()
    writer = GroupCommit(disk)
    yield writer, disk
    await writer.close()


def put(writer: GroupCommit, id: str) -> asyncio.Task[None]:
    return asyncio.create_task(writer.put(decisions, {"id": id}))


async def test_what_waits_during_a_commit_goes_into_the_next_one_in_order():
    async with writing() as (writer, disk):
        disk.ready.clear()
        tasks = [put(writer, "first")]
        await settle()
        tasks += [put(writer, f"{number}") for number in range(5)]
        await settle()
        disk.ready.set()
        await asyncio.gather(*tasks)
        assert disk.batches == [["first"], ["0", "1", "2", "3", "4"]]


async def test_a_batch_is_bounded_and_nothing_is_lost_or_doubled():
    async with writing() as (writer, disk):
        ids = [f"{number}" for number in range(350)]
        await asyncio.gather(*(put(writer, id) for id in ids))
        assert [id for batch in disk.batches for id in batch] == ids
        assert max(map(len, disk.batches)) == 100


async def test_a_caller_waits_until_its_row_is_committed():
    async with writing() as (writer, disk):
        disk.ready.clear()
        task = put(writer, "a")
        await settle()
        assert (disk.batches, task.done()) == ([["a"]], False)
        disk.ready.set()
        await task


async def test_a_failed_transaction_tells_all_who_wait_for_it_and_the_next_one_works():
    async with writing() as (writer, disk):
        disk.ready.clear()
        before = put(writer, "before")
        await settle()
        together = [put(writer, id) for id in ("a", "bad", "b")]
        await settle()
        disk.ready.set()
        told = await asyncio.gather(before, *together, return_exceptions=True)
        assert [type(each) for each in told] == [type(None), OSError, OSError, OSError]
        await writer.put(decisions, {"id": "after"})


async def test_whoever_leaves_harms_nobody():
    async with writing() as (writer, disk):
        disk.ready.clear()
        first = put(writer, "first")
        await settle()
        leaving, staying = put(writer, "leaving"), put(writer, "staying")
        await settle()
        first.cancel()
        leaving.cancel()
        await settle()
        disk.ready.set()
        await staying
        assert disk.batches == [["first"], ["leaving", "staying"]]
        assert (first.cancelled(), leaving.cancelled()) == (True, True)


async def test_close_waits_for_what_is_on_its_way_and_refuses_what_comes_later():
    disk = Disk()
    writer = GroupCommit(disk)
    disk.ready.clear()
    tasks = [put(writer, "a")]
    await settle()
    tasks.append(put(writer, "b"))
    await settle()
    closing = asyncio.create_task(writer.close())
    await settle()
    assert not closing.done()
    disk.ready.set()
    await closing
    assert [task.done() for task in tasks] == [True, True]
    with pytest.raises(WriterClosed):
        await writer.put(decisions, {"id": "late"})
    await writer.close()


async def settle() -> None:
    """Let everything run that can."""
    for _ in range(5):
        await asyncio.sleep(0)
