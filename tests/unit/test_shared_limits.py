"""What a key may send and spend, counted over replicas; and where Redis is gone or says nonsense, as without it."""

import asyncio
import time
from contextlib import asynccontextmanager

import pytest

from gateway.replicas.line import Line
from gateway.replicas.purse import Purse
from gateway.replicas.rates import Rates
from tests.redisserver import patient, redis_server
from tests.unit.test_line import Watching

RATE, SPENT = "modgate:1:rate:app", "modgate:1:spent:*"
A_MINUTE = 1 / 60


@pytest.fixture(autouse=True)
def waits(monkeypatch):
    patient(monkeypatch)


@pytest.fixture
async def redis():
    async with redis_server() as server:
        yield server


@asynccontextmanager
async def connected(redis):
    witness = Watching()
    line = Line(redis.url, witness)
    await line.open()
    yield line, witness
    await line.close()


# Rates


async def test_two_replicas_share_what_a_key_may_send(redis):
    async with connected(redis) as (one, _), connected(redis) as (two, _):
        here, there = Rates(one), Rates(two)
        assert await here.take("app", A_MINUTE) == 0
        assert 50 < await there.take("app", A_MINUTE) <= 60
        assert 50 < await here.take("app", A_MINUTE) <= 60
        assert await there.take("other", A_MINUTE) == 0
        assert 0 < await redis.client.pttl(RATE) <= 61_000


async def test_over_a_time_three_replicas_let_through_what_one_would(redis):
    async with connected(redis) as (one, _), connected(redis) as (two, _), connected(redis) as (three, _):
        replicas, rate, passed = [Rates(line) for line in (one, two, three)], 200.0, 0
        began = time.monotonic()
        while (took := time.monotonic() - began) < 0.5:
            waits = await asyncio.gather(*(rates.take("app", rate) for rates in replicas))
            passed += waits.count(0)
        while not await replicas[0].take("app", rate):
            passed += 1
        most = rate * (1 + time.monotonic() - began)
        assert rate * (1 + took) * 0.95 <= passed <= most * 1.05


async def test_another_limit_holds_at_once(redis):
    async with connected(redis) as (line, _):
        rates = Rates(line)
        await rates.take("app", 1 / 3600)
        assert 3500 < await rates.take("app", 1 / 3600) <= 3600
        assert 0 < await rates.take("app", 10.0) <= 0.1


@pytest.mark.parametrize("nonsense", ["never", "", "nan", "1e99", "-1e99"])
async def test_what_is_no_time_is_put_right(redis, nonsense):
    async with connected(redis) as (line, witness):
        rates = Rates(line)
        await redis.client.set(RATE, nonsense)
        while await rates.take("app", 100.0):  # noqa: ASYNC110 - time has to pass
            await asyncio.sleep(0.01)
        assert abs(float(await redis.client.get(RATE)) - time.time()) < 60
        assert witness.missed == []


async def test_what_is_of_another_type_is_put_right(redis):
    async with connected(redis) as (line, _):
        rates = Rates(line)
        await redis.client.lpush(RATE, "x")
        assert await rates.take("app", A_MINUTE) == 0
        assert await rates.take("app", A_MINUTE) > 0


async def test_when_redis_goes_each_limits_for_itself_and_knows_what_it_let_through(redis):
    async with connected(redis) as (one, _), connected(redis) as (two, witness):
        here, there = Rates(one), Rates(two)
        assert await here.take("app", A_MINUTE) == 0
        redis.kill()
        assert 50 < await here.take("app", A_MINUTE) <= 60
        assert await there.take("app", A_MINUTE) == 0
        assert 50 < await there.take("app", A_MINUTE) <= 60
        assert {purpose for purpose, _ in witness.missed} == {"rate"}


async def test_a_redis_that_is_full_limits_nobody_less(redis):
    async with connected(redis) as (line, witness):
        rates, mine = Rates(line), purse(line)
        await redis.client.config_set("maxmemory", 1)
        assert await rates.take("app", A_MINUTE) == 0
        assert 50 < await rates.take("app", A_MINUTE) <= 60
        mine.add("app", 1.0)
        assert await mine.today("app") == 1.0
        assert line.well
        assert {why for _, why in witness.missed} == {"refused"}


async def test_without_one_it_is_a_limit_of_this_process():
    rates = Rates(None)
    assert await rates.take("app", A_MINUTE) == 0
    assert 50 < await rates.take("app", A_MINUTE) <= 60


# Money


class Book(dict):
    """A database's own count."""

    def add(self, key, amount):
        self[key] = self.get(key, 0.0) + amount

    def today(self, key):
        return self.get(key, 0.0)


def purse(line, book=None):
    book = Book() if book is None else book
    return Purse(book.add, book.today, line)


async def until_told(purse, key, amount):
    while await purse.today(key) != pytest.approx(amount):  # noqa: ASYNC110 - Redis tells nobody
        await asyncio.sleep(0.01)


async def test_what_one_replica_spends_all_have_spent(redis):
    async with connected(redis) as (one, _), connected(redis) as (two, _):
        here, there = purse(one), purse(two)
        here.add("app", 1.5)
        here.add("app", 0.25)
        there.add("app", 2.0)
        there.add("other", 7.0)
        assert await here.today("app") >= 1.75
        await until_told(here, "app", 3.75)
        await until_told(there, "app", 3.75)
        assert await here.today("nobody") == 0
        [name] = [name for name in await redis.client.keys(SPENT) if name.endswith(b":app")]
        assert await redis.client.ttl(name) > 86_400


async def test_what_the_database_knows_is_not_forgotten_with_redis(redis):
    async with connected(redis) as (line, _):
        book = Book(app=5.0)  # from before a restart
        mine = purse(line, book)
        mine.add("app", 1.0)
        assert await mine.today("app") == 6.0
        await redis.client.flushdb()
        assert await mine.today("app") == 6.0
        redis.kill()
        mine.add("app", 1.0)
        assert await mine.today("app") == 7.0


async def test_what_redis_lost_is_there_again_with_the_next_charge(redis):
    async with connected(redis) as (one, _), connected(redis) as (two, _):
        here, there = purse(one), purse(two)
        here.add("app", 1.0)
        await until_told(there, "app", 1.0)
        await redis.client.flushdb()
        here.add("app", 1.0)
        await until_told(there, "app", 2.0)


async def test_what_is_no_money_does_not_count(redis):
    async with connected(redis) as (line, witness):
        mine = purse(line)
        mine.add("app", 1.0)
        assert await mine.today("app") == 1.0
        [name] = await redis.client.keys(SPENT)
        nonsense = {"a": "nan", "b": "inf", "c": "-5", "d": "much", "e": "2"}
        await redis.client.hset(name, mapping=nonsense)
        assert await mine.today("app") == 3.0
        assert witness.missed == [("spend", "broken")] * 4


async def test_what_is_of_another_type_is_written_anew(redis):
    async with connected(redis) as (one, witness), connected(redis) as (two, _):
        here, there = purse(one), purse(two)
        here.add("app", 1.0)
        await until_told(there, "app", 1.0)
        [name] = await redis.client.keys(SPENT)
        await redis.client.delete(name)
        await redis.client.set(name, "x")
        assert await here.today("app") == 1.0
        assert witness.missed == [("spend", "refused")]
        await until_told(there, "app", 1.0)


async def test_a_new_day_begins_at_nothing(redis, monkeypatch):
    async with connected(redis) as (line, _):
        mine = purse(line)
        mine.add("app", 1.0)
        now = time.time()
        monkeypatch.setattr(time, "time", lambda: now + 86_400)
        mine._today = lambda key: 0.0  # the database's count has days too
        assert await mine.today("app") == 0.0
        mine.add("app", 0.5)
        await until_told(mine, "app", 0.5)
