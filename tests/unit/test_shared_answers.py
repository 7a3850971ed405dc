"""What one replica has heard of a vendor the others know too; what they find in Redis they do not simply believe."""

import asyncio
from contextlib import asynccontextmanager

import orjson
import pytest
from msgspec.structs import replace

from gateway.dispatch.cache import Asker
from gateway.dispatch.deadline import Deadline
from gateway.dispatch.memory import Memory
from gateway.dispatch.question import Question
from gateway.domain import Content, Text
from gateway.errors import VendorRejected
from gateway.replicas.answers import LARGEST, SharedAnswers
from gateway.replicas.line import Line
from tests.redisserver import patient, redis_server, soon
from tests.scripted import CAPTION, CLEAN, HATE, PICTURE, Scripted, provider
from tests.unit.test_line import Watching

TTL = 600.0


@pytest.fixture(autouse=True)
def waits(monkeypatch):
    patient(monkeypatch)


@pytest.fixture
async def redis():
    async with redis_server() as server:
        yield server


@asynccontextmanager
async def replica(redis, version="v1"):
    """What puts questions at one of several gateways, and what it was told of Redis."""
    witness = Watching()
    line = Line(redis.url, witness)
    await line.open()
    yield Asker(Memory(TTL, 10**8), SharedAnswers(line, TTL, {"acme": version})), witness
    await line.close()


async def put(asker, who, *inputs, tenant="acme", at=None):
    parts = inputs or (CAPTION,)
    where = {part.modality: place for part, place in zip(parts, at or range(len(parts)), strict=True)}
    return await asker.put(tenant, Question(Content(parts), where), who, Deadline.after(60.0), 1.0)


async def kept(redis, number=1):
    """The names of so many entries, once they are there."""
    while True:
        names = await redis.client.keys("*")
        if len(names) >= number:
            return names
        await asyncio.sleep(0.01)


async def test_what_one_has_heard_all_know(redis):
    who = provider(Scripted(HATE))
    async with replica(redis) as (one, _), replica(redis) as (other, witness):
        first = await put(one, who)
        [name] = await kept(redis)
        again = await put(other, who)
        assert (again.status, again.attempts, again.signals, again.exchanges) == ("cached", 0, first.signals, ())
        assert (len(who.adapter.heard), witness.missed) == (1, [])
        assert b"acme" not in name and CAPTION.digest.encode() not in name
        assert 0 < await redis.client.pttl(name) <= TTL * 1000
        await redis.client.flushdb()
        assert (await put(other, who)).status == "cached"  # it remembers it itself now


async def test_equal_questions_at_once_are_one_call_at_each_replica(redis):
    who = provider(Scripted((0.2, HATE)))
    async with replica(redis) as (one, _), replica(redis) as (other, _):
        outcomes = await asyncio.gather(*(put(asker, who) for asker in (one, other) for _ in range(25)))
        assert len(who.adapter.heard) <= 2
        assert sorted({outcome.status for outcome in outcomes}) == ["cached", "ok"]
        assert all(outcome.signals == outcomes[0].signals for outcome in outcomes)


async def test_what_differs_is_told_apart(redis):
    who, two = provider(Scripted(HATE)), provider(Scripted(HATE, together=True))
    async with replica(redis) as (one, _), replica(redis) as (other, _), replica(redis, "v2") as (newer, _):
        await put(one, who)
        await put(one, two, CAPTION, PICTURE)
        await kept(redis, 2)
        assert (await put(other, who, tenant="else")).status == "ok"
        assert (await put(other, who, Text("else"))).status == "ok"
        assert (await put(other, who, PICTURE)).status == "ok"
        assert (await put(newer, who)).status == "ok"  # another model, table or address
        moved = await put(other, two, CAPTION, PICTURE, at=(3, 7))
        assert (moved.status, moved.inputs, {signal.input for signal in moved.signals}) == ("cached", (3, 7), {3, 7})


async def test_a_failure_is_told_to_nobody(redis):
    who = provider(Scripted(VendorRejected("no"), CLEAN))
    async with replica(redis) as (one, _), replica(redis) as (other, _):
        assert (await put(one, who)).status == "rejected"
        assert (await put(other, who)).status == "ok"
        await kept(redis)


def changed(**more):
    return lambda entry: orjson.dumps({**orjson.loads(entry), **more})


def signalled(**more):
    def change(entry):
        told = orjson.loads(entry)
        return orjson.dumps({**told, "signals": [{**signal, **more} for signal in told["signals"]]})

    return change


SPOILT = {
    "no JSON": lambda entry: b"\x80\x04]",
    "half of it": lambda entry: entry[: len(entry) // 2],
    "not a reading": lambda entry: b'{"action": "allow"}',
    "a list": lambda entry: b"[]",
    "nothing": lambda entry: b"",
    "another provider's": changed(provider="other"),
    "a failure": changed(status="timeout"),
    "text for a number": changed(attempts="1"),
    "of two inputs": changed(inputs=[0, 1]),
    "of none": changed(inputs=[], signals=[]),
    "a score off the scale": signalled(score=10_001),
    "a negative score": signalled(score=-1),
    "a share for a score": signalled(score=0.5),
    "about another input": signalled(input=1),
    "by another": signalled(provider="other"),
    "too long": lambda entry: b" " * LARGEST + entry,
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
async def test_what_is_not_as_we_write_it_is_as_good_as_none(redis, spoil):
    who = provider(Scripted(HATE))
    async with replica(redis) as (one, _), replica(redis) as (other, witness):
        await put(one, who)
        [name] = await kept(redis)
        await redis.client.set(name, spoil(await redis.client.get(name)), px=60_000)
        assert (await put(other, who)).status == "ok"
        assert witness.missed == [("cache", "broken")]
        await soon(lambda: len(who.adapter.heard) == 2)
    async with replica(redis) as (third, _):
        assert (await put(third, who)).status == "cached"  # and has been put right


async def test_what_is_of_another_type_or_good_for_ever_is_as_good_as_none(redis):
    who = provider(Scripted(HATE))
    async with replica(redis) as (one, _), replica(redis) as (two, told_two), replica(redis) as (three, told_three):
        await put(one, who)
        [name] = await kept(redis)
        await redis.client.persist(name)
        assert (await put(two, who)).status == "ok"
        assert told_two.missed == [("cache", "broken")]
        while await redis.client.ttl(name) < 0:  # noqa: ASYNC110 - until it has been put right
            await asyncio.sleep(0.01)
        await redis.client.delete(name)
        await redis.client.lpush(name, "x")
        assert (await put(three, who)).status == "ok"
        assert told_three.missed == [("cache", "refused")]


async def test_it_is_good_for_no_longer_than_it_was(redis):
    who = provider(Scripted(HATE))
    async with replica(redis) as (one, _), replica(redis) as (other, _):
        await put(one, who)
        [name] = await kept(redis)
        await redis.client.pexpire(name, 300)
        assert (await put(other, who)).status == "cached"
        while (await put(other, who)).status == "cached":  # noqa: ASYNC110 - time has to pass
            await asyncio.sleep(0.02)
        assert not await redis.client.exists(name) or await redis.client.pttl(name) > 300_000


async def test_what_is_too_long_is_kept_here_alone(redis):
    long = replace(HATE, findings=HATE.findings * (LARGEST // 50))
    who = provider(Scripted(long))
    async with replica(redis) as (one, _), replica(redis) as (other, _):
        await put(one, who)
        assert [(await put(asker, who)).status for asker in (one, other)] == ["cached", "ok"]
        assert await redis.client.dbsize() == 0


async def test_without_redis_each_asks_for_itself(redis):
    who = provider(Scripted(HATE))
    async with replica(redis) as (one, _), replica(redis) as (other, witness):
        redis.kill()
        assert [(await put(asker, who)).status for asker in (one, other, one, other)] == [
            "ok",
            "ok",
            "cached",
            "cached",
        ]
        assert {purpose for purpose, _ in witness.missed} == {"cache"}
