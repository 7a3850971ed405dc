"""What breakers make of what others have found: a reason to look, and never a verdict."""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest

from gateway.adapter import CircuitSettings
from gateway.dispatch.breaker import Breaker, Circuit, Harm, State
from gateway.domain import Modality
from gateway.errors import VendorHeld
from gateway.replicas.hints import Hints
from gateway.replicas.line import Line
from tests.redisserver import patient, redis_server, soon
from tests.scripted import Scripted, provider
from tests.unit.test_breaker import DENIED, GOOD, LOST, QUICK, SLOW, Watched
from tests.unit.test_line import Watching

TEXT = Modality.TEXT


# One breaker


def test_a_closed_one_lets_one_probe_through():
    breaker = Watched()
    breaker.doubt(10.0)
    assert breaker.circuit(10.0) == Circuit(State.HALF_OPEN, "another replica's breaker has opened", 0.0, heard=True)
    probe = breaker.admit(10.0)
    with pytest.raises(VendorHeld):
        breaker.admit(10.0)
    breaker.ended(10.1, QUICK, probe, GOOD)
    assert breaker.circuit(10.1) == Circuit(State.CLOSED)
    assert [circuit.heard for circuit in breaker.told] == [True, True]


@pytest.mark.parametrize(("harm", "took"), [(LOST, QUICK), (Harm.ANSWER, QUICK), (GOOD, SLOW), (DENIED, QUICK)])
def test_where_the_probe_fails_it_opens_by_what_it_found_itself(harm, took):
    breaker = Watched()
    breaker.doubt(10.0)
    breaker.ended(10.1, took, breaker.admit(10.0), harm)
    circuit = breaker.circuit(10.1)
    assert (circuit.state, circuit.heard) == (State.OPEN, False)


def test_whoever_was_wrong_is_not_believed_for_a_while():
    breaker = Watched(open_most="8s")
    breaker.doubt(10.0)
    breaker.ended(11.0, QUICK, breaker.admit(10.0), GOOD)
    breaker.doubt(18.9)
    assert breaker.circuit(18.9).state is State.CLOSED
    breaker.doubt(19.0)
    assert breaker.circuit(19.0).state is State.HALF_OPEN


def test_an_open_one_keeps_its_time_whatever_others_fear():
    breaker = Watched()
    until = breaker.opened()
    breaker.doubt(0.5)
    assert breaker.reopens(0.5) == until
    assert breaker.circuit(0.5).heard is False


def test_where_it_closes_elsewhere_an_open_one_may_look_at_once():
    breaker = Watched()
    breaker.opened()
    breaker.hope(0.5)
    assert breaker.circuit(0.5).state is State.HALF_OPEN
    breaker.ended(0.6, QUICK, breaker.admit(0.5), GOOD)
    assert breaker.told[-1] == Circuit(State.CLOSED)


def test_hope_that_was_wrong_leaves_it_open_for_longer():
    breaker = Watched(open_for="2s")
    breaker.opened()
    breaker.hope(0.5)
    breaker.ended(0.6, QUICK, breaker.admit(0.5), LOST)
    assert breaker.reopens(0.6) == pytest.approx(0.6 + 4.0)


def test_one_that_is_switched_off_doubts_nothing():
    breaker = Breaker(CircuitSettings(enabled=False), lambda: 0.0)
    breaker.doubt(1.0)
    breaker.hope(1.0)
    assert breaker.circuit(1.0) == Circuit(State.CLOSED)


# Several, through Redis


@pytest.fixture(autouse=True)
def waits(monkeypatch):
    patient(monkeypatch)


@pytest.fixture
async def redis():
    async with redis_server() as server:
        yield server


class Replica:
    """One provider at one gateway, and its breaker for texts."""

    def __init__(self, line, version):
        self.hints = Hints(line, {"acme": version})
        self.who = provider(Scripted(circuit={"open_for": "1h", "open_most": "1h"}))
        self.breaker = self.who.health.breakers[TEXT]
        self.breaker._on_change = lambda circuit: self.hints.changed("acme", TEXT, circuit)

    @property
    def state(self):
        return self.breaker.circuit(asyncio.get_running_loop().time()).state

    def sees(self, harm):
        now = asyncio.get_running_loop().time()
        self.breaker.ended(now, QUICK, self.breaker.admit(now), harm)

    def opens(self):
        while self.state is not State.OPEN:
            self.sees(LOST)


@asynccontextmanager
async def replica(redis, version="v1"):
    line = Line(redis.url, witness := Watching())
    await line.open()
    one = Replica(line, version)
    listening = asyncio.create_task(one.hints.listen({"acme": one.who}))
    await soon(lambda: one.hints.listening)
    yield one, witness
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
    await line.close()


async def test_one_that_opens_makes_the_others_look_and_closing_lets_them_look_sooner(redis):
    async with replica(redis) as (one, _), replica(redis) as (two, _), replica(redis, "v2") as (else_, _):
        one.opens()
        await soon(lambda: two.state is State.HALF_OPEN)
        two.sees(LOST)
        assert two.state is State.OPEN
        one.breaker._open_until = 0.0  # its time has come
        one.sees(GOOD)
        assert one.state is State.CLOSED
        await soon(lambda: two.state is State.HALF_OPEN)
        assert else_.state is State.CLOSED  # another address, model or table


async def test_what_was_only_heard_is_not_said_again(redis):
    async with replica(redis) as (one, _), replica(redis) as (two, _), replica(redis) as (three, _):
        listener = redis.client.pubsub()
        await listener.subscribe("modgate:1:0:circuits")
        one.opens()
        await soon(lambda: two.state is three.state is State.HALF_OPEN)
        for other in (two, three):
            other.sees(GOOD)
        three.opens()
        said = []
        while len(said) < 2:
            message = await listener.get_message(ignore_subscribe_messages=True, timeout=1)
            said += [json.loads(message["data"])] if message else []
        assert [(each["sender"], each["state"]) for each in said] == [
            (one.hints._me, "open"),
            (three.hints._me, "open"),
        ]
        assert two.state is State.CLOSED  # it has just looked
        await listener.aclose()


@pytest.mark.parametrize(
    "said",
    ["", "x", "[]", '{"state": "open"}', '{"sender": "s", "version": "v1", "operation": "all", "state": "open"}'],
)
async def test_what_is_no_hint_is_counted_and_nothing_else(redis, said):
    async with replica(redis) as (one, witness):
        await redis.client.publish("modgate:1:0:circuits", said)
        await soon(lambda: witness.missed)
        assert (witness.missed, one.state) == ([("hint", "broken")], State.CLOSED)


async def test_they_hear_each_other_again_after_redis_was_gone(redis):
    async with replica(redis) as (one, _), replica(redis) as (two, witness):
        redis.kill()
        await soon(lambda: not (one.hints.listening or two.hints.listening))
        await redis.start()
        await soon(lambda: one.hints.listening and two.hints.listening and one.hints._line.well)
        one.opens()
        await soon(lambda: two.state is State.HALF_OPEN)
        assert ("hint", "lost") in witness.missed
