"""One question to one provider, its retries and its turns; and that everything ends, whoever leaves when."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.adapter import Call, Reply
from gateway.dispatch.fanout import Asked
from gateway.dispatch.retry import LEAST_TIME
from gateway.dispatch.strategies import STRATEGIES, Leg
from gateway.dispatch.transport import Discreet
from gateway.domain import Exchange, Failure, Finding, Look, Reading
from gateway.errors import (
    VendorDenied,
    VendorDrift,
    VendorError,
    VendorRejected,
    VendorThrottled,
    VendorTimeout,
    VendorUnavailable,
)
from tests.scripted import (
    CAPTION,
    CLEAN,
    FOREVER,
    PICTURE,
    SECOND,
    Scripted,
    answered,
    asked,
    cast,
    dispatched,
    leg,
    now,
    provider,
    told,
    work_left,
)
from tests.virtualtime import virtual

# One question to one provider


@virtual
async def test_an_answer_becomes_a_reading():
    said = Look((Finding("hate", 0.25),), model="m-1", exchanges=(Exchange(200, "{}", 9.0),))
    reading = await asked(Scripted((0.2, said)))
    assert isinstance(reading, Reading)
    assert (reading.provider, reading.status, reading.inputs, reading.attempts) == ("acme", "ok", (0,), 1)
    assert [(signal.category, signal.score) for signal in reading.signals] == [("hate", 2500)]
    assert (reading.model, reading.exchanges) == ("m-1", said.exchanges)
    assert reading.latency_ms == pytest.approx(200)


@pytest.mark.parametrize(
    "error, status",
    [
        (VendorTimeout("slow"), "timeout"),
        (VendorThrottled("busy", http=429), "throttled"),
        (VendorUnavailable("down", http=503), "unavailable"),
        (VendorDenied("key", http=401), "denied"),
        (VendorRejected("no", http=400), "rejected"),
        (VendorDrift("shape", http=200), "drift"),
        (TimeoutError(), "timeout"),
        (RuntimeError("bug"), "unavailable"),
        (KeyError("bug"), "unavailable"),
        (AssertionError(), "unavailable"),
        (ExceptionGroup("two", [ValueError(), OSError()]), "unavailable"),
        (MemoryError(), "unavailable"),
        (asyncio.CancelledError(), "unavailable"),  # a future of its own was cancelled; nobody cancelled us
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else value,
)
@virtual
async def test_whatever_an_adapter_raises_becomes_a_failure(error, status):
    failure = await asked(Scripted(error, retry={"attempts": 1}))
    assert isinstance(failure, Failure)
    assert (failure.status, failure.inputs, failure.attempts) == (status, (0,), 1)
    assert failure.http == getattr(error, "http", None)


@virtual
async def test_an_answer_that_cannot_be_translated_is_drift_with_what_was_said():
    said = Look((Finding("hate", 7.0),), exchanges=(Exchange(200, '{"hate": 7}', 1.0),))
    failure = await asked(Scripted(said))
    assert (failure.status, failure.http, failure.raw) == ("drift", 200, '{"hate": 7}')


@virtual
async def test_a_key_that_a_vendor_repeats_is_taken_out_before_anybody_reads_it():
    async def repeats(address: str, call: Call, /) -> Reply:
        return Reply(401, {}, b"bad key sk-123 \xff")

    reply = await Discreet(repeats, (b"sk-123", b"other"))("https://example.org", Call("GET", "/"))
    assert (reply.status, reply.body) == (401, b"bad key *** \xff")


@pytest.mark.parametrize("patience, deadline, ends", [("3s", 10.0, 3.0), ("3s", 1.0, 1.0), ("500ms", 1.0, 0.5)])
@virtual
async def test_a_question_ends_by_its_timeout_and_by_the_deadline(patience, deadline, ends):
    failure = await asked(Scripted(FOREVER, timeout=patience), deadline)
    assert (failure.status, now()) == ("timeout", pytest.approx(ends))


@virtual
async def test_nobody_is_asked_for_longer_than_no_time_once_the_deadline_has_passed():
    failure = await asked(Scripted(FOREVER), deadline=-1.0)
    assert (failure.status, now()) == ("timeout", 0)


@virtual
async def test_an_adapter_that_swallows_its_end_still_has_its_time_only():
    async def stubborn(content: Any, send: Any) -> Look:
        try:
            await asyncio.sleep(FOREVER)
        except asyncio.CancelledError:
            return CLEAN

    adapter = Scripted()
    adapter.look = stubborn  # type: ignore[method-assign]
    await asked(adapter, deadline=2.0)
    assert now() == pytest.approx(2)


# Asking again


@virtual
async def test_a_second_attempt_may_help():
    adapter = Scripted(VendorUnavailable("reset"), CLEAN)
    reading = await asked(adapter)
    assert (reading.status, reading.attempts, len(adapter.heard)) == ("ok", 2, 2)
    assert 0 <= adapter.times[1] <= 0.1  # jitter


@pytest.mark.parametrize("attempts", [1, 2, 3, 5])
@virtual
async def test_attempts_are_counted_and_bounded(attempts):
    adapter = Scripted(VendorUnavailable("down", retry_after=0), retry={"attempts": attempts})
    failure = await asked(adapter)
    assert (failure.status, failure.attempts, len(adapter.heard)) == ("unavailable", attempts, attempts)


@virtual
async def test_it_waits_as_long_as_it_is_told():
    adapter = Scripted(
        VendorThrottled("busy", retry_after=2.0),
        VendorThrottled("busy", retry_after=0.5),
        CLEAN,
        retry={"attempts": 3},
    )
    assert (await asked(adapter)).attempts == 3
    assert adapter.times == [0, 2, 2.5]


@pytest.mark.parametrize("wait, attempts", [(1.0 - LEAST_TIME - 0.01, 2), (1.0, 1), (1.0 - LEAST_TIME / 2, 1), (60, 1)])
@virtual
async def test_a_wait_that_does_not_fit_before_the_deadline_is_not_begun(wait, attempts):
    adapter = Scripted(VendorThrottled("busy", retry_after=wait))
    failure = await asked(adapter, deadline=1.0)
    assert (failure.status, failure.attempts) == ("throttled", attempts)
    assert now() == pytest.approx(wait if attempts == 2 else 0)


@pytest.mark.parametrize(
    "error", [VendorDenied("key"), VendorRejected("no"), VendorDrift("shape"), VendorTimeout("slow")]
)
@virtual
async def test_what_asking_again_cannot_mend_is_asked_once(error: VendorError):
    adapter = Scripted(error, retry={"attempts": 5})
    assert (await asked(adapter)).attempts == len(adapter.heard) == 1


@virtual
async def test_a_timeout_is_not_repeated():
    adapter = Scripted(FOREVER, timeout="1s", retry={"attempts": 5})
    assert (await asked(adapter)).attempts == 1
    assert now() == pytest.approx(1)


@virtual
async def test_the_last_attempt_too_ends_by_the_deadline():
    adapter = Scripted(VendorUnavailable("reset", retry_after=1.0), FOREVER)
    failure = await asked(adapter, deadline=2.0)
    assert (failure.status, failure.attempts, now()) == ("timeout", 2, pytest.approx(2))


@virtual
async def test_retries_too_leave_time_for_those_who_come_after():
    who = cast(a=Scripted(VendorThrottled("busy", retry_after=4.5)), x=Scripted(1.0))
    answers = await answered(leg([who["a"]], [who["x"]], deadline=5.0))
    assert [(name, status) for name, status, _ in told(answers)] == [("a", "throttled"), ("x", "ok")]
    assert now() == pytest.approx(1)


@virtual
async def test_once_its_breaker_has_opened_nobody_waits_to_ask_again():
    adapter = Scripted(VendorUnavailable("down", http=503), retry={"attempts": 5}, circuit={"failures": 2})
    who = provider(adapter)
    failure = await asked(who)
    assert (failure.status, failure.http, failure.attempts, len(adapter.heard)) == ("unavailable", 503, 2, 2)
    assert now() <= 0.2  # two waits of full jitter at most: one before each of the two that would ask again


# Turns


@virtual
async def test_no_more_are_asked_of_a_provider_at_once_than_it_takes():
    adapter = Scripted(1.0, max_concurrency=2, timeout="10s")
    who = provider(adapter)
    outcomes = await asyncio.gather(*(asked(who) for _ in range(6)))
    assert {outcome.status for outcome in outcomes} == {"ok"}
    assert (adapter.busiest, now()) == (2, pytest.approx(3))


@virtual
async def test_waiting_for_a_turn_is_part_of_the_time():
    adapter = Scripted(2.0, max_concurrency=1, timeout="3s")
    who = provider(adapter)
    outcomes = await asyncio.gather(*(asked(who) for _ in range(3)))
    assert [(outcome.status, outcome.attempts) for outcome in outcomes] == [("ok", 1), ("timeout", 1), ("throttled", 0)]
    assert (who.turns.locked(), adapter.busy) == (False, 0)


@given(st.lists(st.tuples(st.floats(0, 3), st.floats(0, 4)), min_size=1, max_size=12), st.integers(1, 3))
@example([(0.0, 2.0), (0.0, 3.0), (2.0, 2.0), (1.5, 2.0), (2.5, 2.0), (0.5, 2.0)], 1)
@settings(max_examples=40, deadline=None)
@virtual
async def test_turns_are_given_back_whenever_whoever_leaves(comers, turns):
    """Each comes at one moment and loses patience after a while, waiting for a turn or having it."""
    who = provider(Scripted(1.0, max_concurrency=turns, timeout="2s", retry={"attempts": 1}))

    async def visit(comes: float, patience: float) -> None:
        await asyncio.sleep(comes)
        asking = asyncio.create_task(asked(who))
        await asyncio.wait((asking,), timeout=patience)
        asking.cancel()

    await asyncio.gather(*(visit(*comer) for comer in comers))
    assert await work_left() == 0
    assert (await asked(who)).status == "ok"
    assert who.adapter.busiest <= turns
    await asyncio.gather(*(asked(who) for _ in range(turns)))  # all turns are there
    assert (who.adapter.busiest, who.turns.locked()) == (turns, False)


# Leaving early


@pytest.mark.parametrize("inputs", [(CAPTION,), (CAPTION, PICTURE, SECOND)], ids=["one input", "shared questions"])
@virtual
async def test_whoever_leaves_leaves_no_work_behind(inputs):
    adapters = [Scripted(FOREVER, together=True, timeout="60s"), Scripted(FOREVER, timeout="60s")]
    who = [provider(adapter, name) for adapter, name in zip(adapters, "ab", strict=True)]
    asking = asyncio.create_task(answered(leg(who, deadline=60.0), *inputs))
    await asyncio.sleep(1)
    assert all(adapter.busy for adapter in adapters)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert await work_left() == 0
    assert [adapter.busy for adapter in adapters] == [0, 0]


@virtual
async def test_nothing_goes_on_once_all_is_answered():
    who = cast(a=Scripted(0.5, together=True), b=Scripted(FOREVER))
    await answered(leg(who.values(), deadline=1.0), CAPTION, PICTURE)
    assert await work_left() == 0


# Whatever the providers do

FAULTS = (
    VendorUnavailable("down", http=503),
    VendorThrottled("busy", retry_after=0.7),
    VendorThrottled("busy"),
    VendorDenied("key"),
    VendorRejected("no"),
)
LOOKS = st.tuples(st.floats(0, 4), st.sampled_from([CLEAN, CLEAN, *FAULTS])) | st.just((FOREVER,))
PLAYERS = st.builds(
    lambda looks, timeout, attempts, together, turns: Scripted(
        *looks,
        timeout=f"{timeout}ms",
        retry={"attempts": attempts},
        together=together,
        max_concurrency=turns,
    ),
    st.lists(LOOKS, min_size=1, max_size=3),
    st.integers(1, 4000),
    st.integers(1, 5),
    st.booleans(),
    st.integers(1, 2),
)


@st.composite
def legs(draw: Any) -> Leg:
    players = [
        provider(adapter, f"p{place}") for place, adapter in enumerate(draw(st.lists(PLAYERS, min_size=1, max_size=5)))
    ]
    asks = draw(st.integers(1, len(players)))
    shadows = draw(st.integers(0, len(players) - asks))
    middle = len(players) - shadows
    return leg(
        players[:asks],
        players[asks:middle],
        strategy=draw(st.sampled_from(sorted(STRATEGIES))),
        need=draw(st.integers(1, middle)),
        deadline=draw(st.floats(0.01, 6)),
        shadow=tuple(players[middle:]),
        hedge_after=draw(st.none() | st.floats(0.01, 2)),
        weights=(1.0,) * asks,
    )


INPUTS = st.sampled_from([(CAPTION,), (PICTURE,), (CAPTION, PICTURE), (CAPTION, PICTURE, SECOND)])


@given(legs(), INPUTS)
@settings(max_examples=150, deadline=None)
@virtual
async def test_everything_ends_by_the_deadline_and_nobody_is_asked_twice_of_one_input(leg, inputs):
    heard = await dispatched(leg, *inputs, holes=lambda index, answers: {"hate"})
    assert now() <= leg.deadline + 0.001
    for index in range(len(inputs)):
        names = [answer.outcome.provider for answer in heard.answers if answer.input == index]
        late = [question.provider for question in heard.pending if question.input == index]
        assert len({*names, *late}) == len(names) + len(late)
        assert {who.name for who in leg.shadow} <= set(late)
        assert names
    await asyncio.gather(*(question.task for question in heard.pending))
    assert now() <= leg.deadline + 0.001
    assert await work_left() == 0


@given(legs(), INPUTS, st.floats(0, 6))
@settings(max_examples=100, deadline=None)
@virtual
async def test_whoever_leaves_at_any_moment_leaves_no_work_behind(leg, inputs, moment):
    asking = asyncio.create_task(dispatched(leg, *inputs))
    await asyncio.wait((asking,), timeout=moment)
    if asking.done():
        heard: Asked = asking.result()
        heard.give_up()
    asking.cancel()
    assert await work_left() == 0
    players = (*leg.providers, *leg.shadow)
    assert [who.adapter.busy for who in players] == [0] * len(players)
    assert not any(who.turns.locked() for who in players)
