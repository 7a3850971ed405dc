"""What keys have spent: counted once for each question, over processes and through restarts, by days of UTC."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from msgspec.structs import replace
from sqlalchemy import select, text
from sqlalchemy.exc import SQLAlchemyError

from gateway.domain import Answer, Role
from gateway.spending import Spending
from gateway.store.database import Database
from gateway.store.spends import Spends, until_tomorrow
from gateway.store.tables import spends as spends_table
from gateway.witness import Witness
from tests.unit.test_store import record

DAY = 86_400
NOON = 20_000 * DAY + DAY / 2


@asynccontextmanager
async def spending_in(folder):
    database = await Database.open(folder)
    try:
        yield Spends(database.reader)
    finally:
        await database.close()


@pytest.fixture
def clock(monkeypatch):
    """The time of day as a test sets it."""
    now = [NOON]
    monkeypatch.setattr("gateway.store.spends.time.time", lambda: now[0])
    return now


async def test_what_is_added_counts_at_once_and_for_its_key_alone(tmp_path):
    async with spending_in(tmp_path) as spends:
        spends.add("app", 0.5)
        spends.add("app", 0.25)
        spends.add("other", 9.0)
        assert (spends.today("app"), spends.today("nobody")) == (0.75, 0.0)


async def test_it_outlives_the_process(tmp_path, clock):
    async with spending_in(tmp_path) as spends:
        spends.add("app", 0.5)
        await spends.sync()
        spends.add("app", 0.25)
        await spends.sync()
    async with spending_in(tmp_path) as spends:
        await spends.sync()
        assert spends.today("app") == 0.75
        spends.add("app", 1.0)
        assert spends.today("app") == 1.75


async def test_processes_learn_of_each_others_and_count_nothing_twice(tmp_path, clock):
    async with spending_in(tmp_path) as one, spending_in(tmp_path) as two:
        for _ in range(3):
            one.add("app", 1.0)
            two.add("app", 10.0)
            await asyncio.gather(one.sync(), two.sync())
        await asyncio.gather(one.sync(), two.sync())
        assert one.today("app") == two.today("app") == 33.0


async def test_a_new_day_begins_with_nothing_and_yesterday_is_forgotten(tmp_path, clock):
    async with spending_in(tmp_path) as one, spending_in(tmp_path) as two:
        one.add("app", 5.0)
        await one.sync()
        await two.sync()
        clock[0] += DAY
        assert (one.today("app"), two.today("app")) == (0.0, 0.0)
        clock[0] += DAY
        one.add("app", 1.0)
        await one.sync()
        async with one._reader.connect() as connection:
            [row] = (await connection.execute(select(spends_table))).all()
        assert (row.day, row.amount) == (20_002, 1.0)


async def test_what_could_not_be_written_is_written_the_next_time(tmp_path, clock):
    async with spending_in(tmp_path) as spends:
        spends.add("app", 2.0)
        async with spends._reader.begin() as connection:
            await connection.change(text("alter table spends rename to elsewhere"))
        with pytest.raises(SQLAlchemyError):
            await spends.sync()
        async with spends._reader.begin() as connection:
            await connection.change(text("alter table elsewhere rename to spends"))
        await spends.sync()
        assert spends.today("app") == 2.0
    async with spending_in(tmp_path) as spends:
        await spends.sync()
        assert spends.today("app") == 2.0


@pytest.mark.parametrize("second, left", [(0, DAY), (1, DAY - 1), (DAY - 0.5, 0.5)])
def test_how_long_a_day_still_is(second, left):
    assert until_tomorrow(20_000 * DAY + second) == left


# What a decision costs


def charged(record, prices, *, late=()):
    bill, witness = [], Heard()
    spending = Spending(prices, lambda key, amount: bill.append((key, amount)), witness)
    spending.came_late(record, late, None) if late else spending.decided(record)
    assert len(witness.heard) == 1
    return bill


class Heard(Witness):
    def __init__(self):
        self.heard = []

    def decided(self, record):
        self.heard.append(record)

    def came_late(self, record, late, revision):
        self.heard.append(late)


SENT = replace(record(), key="app")  # one reading, on caption and picture, of one exchange; two failures
READING = SENT.answers[0].reading


def test_each_request_that_was_answered_costs_its_price():
    assert charged(SENT, {"a": 1.5, "b": 100.0}) == [("app", 0.0015)]
    twice = replace(READING, exchanges=READING.exchanges * 2)
    assert charged(replace(SENT, answers=(Answer(0, Role.ASK, twice),)), {"a": 1.5}) == [("app", 0.003)]


def test_one_answer_on_two_inputs_is_one_question():
    both = (Answer(0, Role.ASK, READING), Answer(1, Role.ASK, READING))
    assert charged(replace(SENT, answers=both), {"a": 1.5}) == [("app", 0.0015)]


def test_what_was_remembered_costs_nothing():
    answers = (Answer(0, Role.ASK, replace(READING, status="cached")),)
    assert charged(replace(SENT, answers=answers), {"a": 1.5}) == []


def test_shadows_and_other_late_answers_cost_too():
    assert charged(SENT, {"a": 2.0}, late=(Answer(0, Role.SHADOW, READING),)) == [("app", 0.002)]


def test_without_prices_or_a_key_there_is_nothing_to_charge():
    assert charged(SENT, {"a": 0.0}) == []
    assert charged(record(), {"a": 1.5}) == []
