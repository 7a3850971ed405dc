"""Queries in threads: what is kept, what is undone, and what becomes of those that nobody waits for."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import Column, Float, Integer, MetaData, Table, event, func, insert, select, update
from sqlalchemy.exc import IntegrityError, OperationalError

from gateway.store.engine import open_engine, open_reader
from gateway.store.reader import MOST, Reader

NUMBERS = Table("numbers", MetaData(), Column("id", Integer, primary_key=True), Column("value", Float))
SLOW = select(func.slow())


@asynccontextmanager
async def reading(folder: Path):
    """A reader of an empty table. `slow()` in a statement takes a fifth of a second."""
    writer = open_engine(folder / "some.sqlite")
    NUMBERS.create(writer)
    writer.dispose()
    reader = open_reader(folder / "some.sqlite")
    event.listen(reader._engine, "connect", lambda it, _: it.create_function("slow", 0, lambda: time.sleep(0.2)))
    try:
        yield reader
    finally:
        await reader.close()


async def kept(reader: Reader) -> list[int]:
    async with reader.connect() as connection:
        return list((await connection.execute(select(NUMBERS.c.id).order_by(NUMBERS.c.id))).scalars())


async def test_what_is_changed_counts_once_it_is_left_without_an_error(tmp_path):
    async with reading(tmp_path) as reader:
        async with reader.begin() as connection:
            assert await connection.change(insert(NUMBERS).values([{"id": 1}, {"id": 2}])) == 2
            assert await connection.change(update(NUMBERS).where(NUMBERS.c.id > 5).values(value=1.0)) == 0
            assert await kept(reader) == []
        assert await kept(reader) == [1, 2]


async def test_what_fails_is_undone_and_told(tmp_path):
    async with reading(tmp_path) as reader:
        with pytest.raises(IntegrityError):
            async with reader.begin() as connection:
                await connection.change(insert(NUMBERS).values(id=1))
                await connection.change(insert(NUMBERS).values(id=1))
        assert await kept(reader) == []


async def test_what_is_changed_where_one_only_reads_is_undone(tmp_path):
    async with reading(tmp_path) as reader:
        async with reader.connect() as connection:
            await connection.change(insert(NUMBERS).values(id=1))
        assert await kept(reader) == []


async def test_rows_can_be_read_when_the_connection_is_given_back(tmp_path):
    async with reading(tmp_path) as reader:
        async with reader.begin() as connection:
            await connection.change(insert(NUMBERS).values(id=1, value=0.5))
        async with reader.connect() as connection:
            answer = await connection.execute(select(NUMBERS))
        [row] = answer.all()
        assert (row.id, row.value) == (1, 0.5)


async def test_the_loop_goes_on_while_a_statement_runs(tmp_path):
    async with reading(tmp_path) as reader, reader.connect() as connection:
        asked = asyncio.create_task(connection.execute(SLOW))
        turns = 0
        while not asked.done():
            await asyncio.sleep(0.01)
            turns += 1
        assert turns > 5


async def test_who_is_cancelled_within_a_change_undoes_it_and_takes_no_connection_away(tmp_path):
    async def change_slowly(reader: Reader) -> None:
        async with reader.begin() as connection:
            await connection.change(insert(NUMBERS).values(id=1))
            await connection.execute(SLOW)

    async with reading(tmp_path) as reader:
        for _ in range(2 * MOST):
            task = asyncio.create_task(change_slowly(reader))
            await asyncio.sleep(0.05)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert await kept(reader) == []
        assert reader._engine.pool.checkedout() == 0


async def test_more_than_there_are_connections_wait_for_their_turn(tmp_path):
    async with reading(tmp_path) as reader:
        assert await asyncio.gather(*(kept(reader) for _ in range(10 * MOST))) == [[]] * 10 * MOST
        assert reader._engine.pool.checkedin() <= MOST


async def test_a_database_that_is_not_there_is_told_as_any_other_error(tmp_path):
    reader = open_reader(tmp_path / "nowhere" / "some.sqlite")
    with pytest.raises(OperationalError):
        await kept(reader)
    await reader.close()
