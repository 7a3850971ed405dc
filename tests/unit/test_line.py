"""The line to Redis: what is asked is answered, or done without at once, and whoever runs it is told once."""

import asyncio
from contextlib import asynccontextmanager
from time import monotonic

import pytest

from gateway.replicas.line import Line, NoAnswer
from gateway.witness import Witness
from tests.redisserver import PASSWORD, patient, redis_server, soon


class Watching(Witness):
    """What it was told of Redis."""

    def __init__(self):
        self.changes = []
        self.missed = []

    def redis_changed(self, well, why):
        self.changes.append((well, why))

    def redis_missed(self, purpose, why):
        self.missed.append((purpose, why))


@asynccontextmanager
async def connected(redis):
    witness = Watching()
    line = Line(redis.url, witness)
    await line.open()
    try:
        yield line, witness
    finally:
        await line.close()


async def why(line, *command):
    """Why there is no answer."""
    with pytest.raises(NoAnswer) as silence:
        await line.ask("cache", *command)
    return silence.value.why


@pytest.fixture(autouse=True)
def waits(request, monkeypatch):
    """Only what is about waiting waits as shortly as it really does."""
    if "hangs" not in request.node.name and "late" not in request.node.name:
        patient(monkeypatch)


async def persisted(line, *command):
    """The answer, asked for until it comes."""
    while True:
        try:
            return await line.ask("cache", *command)
        except NoAnswer:
            await asyncio.sleep(0.01)


async def test_what_is_asked_at_once_is_answered_to_whom_asked():
    async with redis_server() as redis, connected(redis) as (line, witness):
        numbers = await asyncio.gather(*(line.ask("cache", "ECHO", str(number)) for number in range(200)))
        assert [int(number) for number in numbers] == list(range(200))
        assert (witness.changes, witness.missed) == ([(True, "")], [])


async def test_an_error_of_redis_is_no_answer_for_the_one_who_asked():
    async with redis_server() as redis, connected(redis) as (line, witness):
        await redis.client.lpush("a", "list")
        asked = [line.ask("rate", "GET", "a"), line.ask("cache", "ECHO", "x")]
        refused, fine = await asyncio.gather(*asked, return_exceptions=True)
        assert (refused.why, fine, line.well) == ("refused", b"x", True)
        assert witness.missed == [("rate", "refused")]


async def test_a_redis_that_dies_is_told_of_once_and_found_again():
    async with redis_server() as redis, connected(redis) as (line, witness):
        redis.kill()
        while line.well:
            assert await why(line, "ECHO", "x") == "lost"
        assert await why(line, "ECHO", "x") == "lost"
        assert [well for well, _ in witness.changes] == [True, False]
        await redis.start()
        await soon(lambda: line.well)
        assert await line.ask("cache", "ECHO", "back") == b"back"
        assert [well for well, _ in witness.changes] == [True, False, True]


async def test_a_redis_that_hangs_is_waited_for_three_times_and_then_by_nobody():
    async with redis_server() as redis, connected(redis) as (line, witness):
        redis.hang()
        while line.well:
            assert await why(line, "ECHO", "x") in ("slow", "lost")
        assert 2 <= witness.missed.count(("cache", "slow")) <= 3
        began = monotonic()
        assert [await why(line, "ECHO", "x") for _ in range(1000)] == ["lost"] * 1000
        assert monotonic() - began < 10  # nobody waits: a thousand times PATIENCE is fifty
        redis.go_on()
        assert await persisted(line, "ECHO", "mine") == b"mine"  # and not what was asked before


async def test_a_late_answer_is_not_taken_for_the_next():
    async with redis_server() as redis, connected(redis) as (line, _):
        late = asyncio.create_task(why(line, "EVAL", "for i = 1, 20000000 do end return 'late'", 0))
        assert await late == "slow"
        for number in range(100):
            assert await persisted(line, "ECHO", str(number)) == str(number).encode()


async def test_it_starts_without_redis_and_finds_it_later():
    async with redis_server(started=False) as redis, connected(redis) as (line, witness):
        assert (line.well, witness.changes) == (False, [(False, "ConnectionError")])
        await redis.start()
        await soon(lambda: line.well)
        assert [well for well, _ in witness.changes] == [False, True]


async def test_a_wrong_password_is_told_without_a_word_of_it(caplog):
    async with redis_server() as redis:
        redis.url = redis.url.replace(PASSWORD, "sk-wr0ng")
        async with connected(redis) as (line, witness):
            assert (line.well, witness.changes) == (False, [(False, "AuthenticationError")])
            assert "sk-wr0ng" not in f"{line.why}{caplog.text}{line!r}"


@pytest.mark.parametrize("nonsense", [b"HTTP/1.1 200 OK\r\n\r\n", b"*1\r\n$-7\r\n", b":x\r\n"])
async def test_what_speaks_something_else_is_no_redis(nonsense):
    async def speaks(reader, writer):
        writer.write(nonsense)
        await reader.read()
        writer.close()

    server = await asyncio.start_server(speaks, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    witness = Watching()
    line = Line(f"redis://127.0.0.1:{port}", witness)
    await line.open()
    while not witness.changes or witness.changes[-1][0]:
        with pytest.raises(NoAnswer):
            await line.ask("cache", "ECHO", "x")
    await line.close()
    server.close()


async def test_what_is_told_while_nobody_listens_is_forgotten():
    async with redis_server(started=False) as redis, connected(redis) as (line, witness):
        for number in range(1000):
            line.tell("spend", "SET", f"k{number}", "x")
        assert witness.missed == [("spend", "lost")] * 1000
        await redis.start()
        await soon(lambda: line.well)
        assert await redis.client.dbsize() == 0


async def test_more_than_can_wait_is_not_kept_waiting():
    async with redis_server() as redis, connected(redis) as (line, witness):
        for number in range(1000):
            line.tell("cache", "SET", f"k{number}", "x")
        assert witness.missed.count(("cache", "full")) == 1000 - 256
        await persisted(line, "PING")
        assert await redis.client.dbsize() == 256
