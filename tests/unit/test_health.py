"""Parking, pace, and what a question says of a provider's health: the vendor is left alone when it asks for that."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.adapter import VendorSettings
from gateway.dispatch.breaker import Circuit, State
from gateway.dispatch.deadline import Deadline
from gateway.dispatch.health import LONGEST_PARKING, Health
from gateway.dispatch.pace import Pace
from gateway.dispatch.question import Question, put
from gateway.domain import Content, Modality, Role
from gateway.errors import VendorThrottled, VendorTimeout, VendorUnavailable
from gateway.wire import retry_after
from tests.scripted import (
    CLEAN,
    FOREVER,
    IMAGE,
    PICTURE,
    TEXT,
    Scripted,
    answered,
    asked,
    cast,
    leg,
    now,
    provider,
    told,
)
from tests.virtualtime import virtual

SENT = datetime(2026, 11, 22, 6, 0, 0, tzinfo=UTC)


def busy(wait: float | None) -> VendorThrottled:
    return VendorThrottled("busy", http=429, retry_after=wait)


# What the vendor asks for


@pytest.mark.parametrize(
    "written, seconds",
    [
        (None, None),
        ("2", 2),
        ("0.25", 0.25),
        ("0", 0),
        ("-5", 0),
        ("1000000000", 1e9),
        (format_datetime(SENT + timedelta(seconds=90), usegmt=True), 90),
        (format_datetime(SENT - timedelta(days=1), usegmt=True), 0),
        ("inf", None),
        ("nan", None),
        ("1e999", None),
        ("soon", None),
        ("", None),
        ("Sun, 32 Nov 2026 06:00:00 GMT", None),
    ],
)
def test_how_long_a_vendor_asks_us_to_wait(written, seconds):
    headers = {"Date": format_datetime(SENT, usegmt=True)} | ({"Retry-After": written} if written is not None else {})
    assert retry_after(headers) == seconds


@pytest.mark.parametrize(
    "wait, parked", [(2.0, 2.0), (0.25, 0.25), (1e9, LONGEST_PARKING), (0.0, 0.0), (None, 0.0), (90.0, 90.0)]
)
@virtual
async def test_a_vendor_that_asks_for_patience_is_parked(wait, parked):
    who = provider(Scripted(busy(wait), retry={"attempts": 1}))
    await asked(who)
    assert who.health.parked_until == parked


@virtual
async def test_one_that_is_unavailable_may_say_until_when():
    adapter = Scripted(VendorUnavailable("maintenance", http=503, retry_after=7.0), CLEAN)
    who = provider(adapter)
    assert (await asked(who, deadline=5.0)).status == "unavailable"  # a second try would be too early
    assert ((await asked(who, deadline=5.0)).status, len(adapter.heard)) == ("throttled", 1)
    await asyncio.sleep(7.0)
    assert ((await asked(who)).status, len(adapter.heard)) == ("ok", 2)


@pytest.mark.parametrize("settings, most", [({}, 8.0), ({"circuit": {"open_most": "1m"}}, 60.0)])
@virtual
async def test_one_ill_node_of_many_does_not_send_all_away_for_longer_than_a_breaker(settings, most):
    adapter = Scripted(VendorUnavailable("one ill node", http=503, retry_after=3600.0), CLEAN, **settings)
    who = provider(adapter)
    await asked(who)
    await asyncio.sleep(most - 0.001)
    assert ((await asked(who, deadline=0.0005)).status, len(adapter.heard)) == ("throttled", 1)
    await asyncio.sleep(0.001)
    assert ((await asked(who)).status, len(adapter.heard)) == ("ok", 2)


@virtual
async def test_a_503_does_not_shorten_what_throttling_asked_for():
    adapter = Scripted((0.1, busy(90.0)), (0.2, VendorUnavailable("one ill node", http=503, retry_after=3600.0)))
    who = provider(adapter)
    await asyncio.gather(asked(who), asked(who))
    assert who.health.parked_until == pytest.approx(90.1)


@virtual
async def test_patience_asked_for_with_anything_else_is_no_parking():
    who = provider(Scripted(VendorTimeout("HTTP 504", http=504, retry_after=5.0)))
    await asked(who)
    assert who.health.parked_until == 0


@given(
    st.lists(st.none() | st.floats(0, 3) | st.just(1e9), min_size=1, max_size=8),
    st.lists(st.floats(0, 4), min_size=1, max_size=12),
    st.integers(1, 3),
)
@settings(max_examples=80, deadline=None)
@virtual
async def test_nobody_ever_asks_before_the_vendor_said(waits, comers, turns):
    """Whoever comes when, also those who waited for a turn while the vendor asked for patience."""
    script = [(0.3, busy(wait)) for wait in waits]
    adapter = Scripted(*script, (0.3, CLEAN), max_concurrency=turns, retry={"attempts": 3})
    who = provider(adapter)

    async def comes(at: float) -> None:
        await asyncio.sleep(at)
        await asked(who, deadline=5.0)

    await asyncio.gather(*(comes(at) for at in comers))
    heard = [at for at, _ in adapter.heard]
    for at, wait in zip(heard, waits, strict=False):
        told_at, until = at + 0.3, at + 0.3 + min(wait or 0.0, LONGEST_PARKING)
        assert not [asked for asked in heard if told_at < asked < until - 1e-9]


@virtual
async def test_those_who_waited_for_a_turn_hear_that_the_vendor_asked_for_patience():
    who = provider(Scripted((1.0, busy(60.0)), max_concurrency=1))
    outcomes = await asyncio.gather(*(asked(who) for _ in range(10)))
    assert [(outcome.status, outcome.attempts) for outcome in outcomes] == [("throttled", 1), *[("throttled", 0)] * 9]
    assert (len(who.adapter.heard), now()) == (1, 1)


@virtual
async def test_those_who_waited_for_a_turn_hear_that_the_breaker_opened():
    adapter = Scripted((0.1, VendorUnavailable("down")), max_concurrency=1, retry={"attempts": 1})
    outcomes = await asyncio.gather(*(asked(who) for who in [provider(adapter)] * 10))
    assert [outcome.status for outcome in outcomes] == [*["unavailable"] * 5, *["open"] * 5]
    assert len(adapter.heard) == 5


@virtual
async def test_a_parked_provider_with_nobody_after_it_is_waited_for_if_that_fits():
    who = provider(Scripted())
    who.health.parked_until = 2.0
    assert ((await asked(who, deadline=1.0)).status, now()) == ("throttled", 0)
    assert ((await asked(who, deadline=3.0)).status, now()) == ("ok", 2)


@pytest.mark.parametrize("full", [False, True], ids=["turns left", "no turn left"])
@virtual
async def test_what_is_held_is_told_at_once_and_the_fallback_steps_in(full):
    who = cast(parked=Scripted(max_concurrency=1), open=Scripted(max_concurrency=1), x=Scripted(0.1))
    who["parked"].health.parked_until = 1.0
    for _ in range(5):
        who["open"].health.failed(TEXT, 0.0, 0.1, 0, VendorUnavailable("down"))
    if full:
        for each in ("parked", "open"):
            await who[each].turns.acquire()
    answers = await answered(leg([who["parked"]], [who["open"], who["x"]]))
    assert told(answers) == [
        ("parked", "throttled", Role.ASK),
        ("open", "open", Role.FALLBACK),
        ("x", "ok", Role.FALLBACK),
    ]
    assert [answer.outcome.attempts for answer in answers] == [0, 0, 1]
    assert now() == pytest.approx(0.1)


@virtual
async def test_nothing_is_made_to_fit_for_a_provider_that_is_not_asked():
    entered = []

    @asynccontextmanager
    async def fitting(content, seconds):
        entered.append(seconds)
        yield content, ()

    who = provider(Scripted(VendorUnavailable("down"), retry={"attempts": 1}))
    who.fit = fitting
    question = Question(Content((PICTURE,)), {IMAGE: 0})
    statuses = [(await put(question, who, Deadline.after(3))).status for _ in range(7)]
    assert statuses == [*["unavailable"] * 5, "open", "open"]
    assert entered == [3] * 5


@virtual
async def test_no_turn_in_time_says_nothing_of_the_provider():
    who = provider(Scripted(10.0, max_concurrency=1, timeout="20s"))
    asking = asyncio.create_task(asked(who, deadline=20.0))
    await asyncio.sleep(0)
    outcomes = await asyncio.gather(*(asked(who, deadline=1.0) for _ in range(30)))
    assert {(outcome.status, outcome.attempts) for outcome in outcomes} == {("throttled", 0)}
    assert "max_concurrency" in outcomes[0].detail
    assert (await asking).status == "ok"
    assert who.health.breakers[TEXT].circuit(now()) == Circuit(State.CLOSED)
    assert who.health.outcomes == {"ok": 1}


# Time that was too short


@virtual
async def test_to_be_slower_than_half_of_ones_usual_time_is_no_fault():
    who = provider(Scripted(0.5, retry={"attempts": 1}))
    for _ in range(30):
        await asked(who)
    hurried = [(await asked(who, deadline=0.4)).status for _ in range(20)]
    assert hurried == ["timeout"] * 20
    assert who.health.breakers[TEXT].circuit(now()).state is State.CLOSED
    for _ in range(5):
        await asked(who, deadline=0.499)
    assert who.health.breakers[TEXT].circuit(now()).state is State.CLOSED


@virtual
async def test_a_vendor_that_says_itself_that_it_took_too_long_is_believed():
    who = provider(Scripted(*[0.5] * 30, (0.1, VendorTimeout("HTTP 504", http=504)), retry={"attempts": 1}))
    for _ in range(30):
        await asked(who)
    assert [(await asked(who)).status for _ in range(6)] == [*["timeout"] * 5, "open"]


@virtual
async def test_a_vendor_that_hangs_opens_its_breaker_though_others_need_time_too():
    hanging, spare = provider(Scripted(*[0.5] * 30, FOREVER), "a"), provider(Scripted(0.1), "x")
    for _ in range(30):
        await asked(hanging)
    began, to = now(), leg([hanging], [spare], deadline=3.0)
    statuses = [told(await answered(to))[0][1] for _ in range(7)]
    assert statuses == [*["timeout"] * 5, "open", "open"]
    assert now() - began == pytest.approx(5 * 2.1 + 2 * 0.1)


@virtual
async def test_a_vendor_nobody_knows_yet_opens_its_breaker_too():
    who = provider(Scripted(FOREVER))
    assert [(await asked(who, deadline=1.0)).status for _ in range(6)] == [*["timeout"] * 5, "open"]


# Pace


def test_quantiles_are_of_the_last_answers():
    pace = Pace()
    for took in range(19):
        pace.answered(float(took))
    assert pace.quantile(0.5) is None
    pace.answered(19.0)
    assert (pace.quantile(0.0), pace.quantile(0.5), pace.quantile(0.95), pace.quantile(1.0)) == (0, 10, 19, 19)
    for _ in range(300):
        pace.answered(7.0)
    assert pace.quantile(0.0) == pace.quantile(1.0) == 7


@virtual
async def test_text_and_image_have_a_pace_and_a_breaker_of_their_own():
    told_of: list[Modality] = []
    health = Health(VendorSettings(adapter="x"), on_change=lambda operation, circuit: told_of.append(operation))
    for _ in range(5):
        health.failed(IMAGE, 0.0, 0.1, 0, VendorUnavailable("down"))
    assert told_of == [IMAGE]
    assert health.admit(TEXT, 0.0) == 0
    for _ in range(20):
        health.answered(TEXT, 0.0, 0.5, 0, 3)
    assert (health.paces[TEXT].quantile(0.5), health.paces[IMAGE].quantile(0.5)) == (0.5, None)
    assert (health.calls, health.outcomes) == (65, {"ok": 20, "unavailable": 5})


# The loop that runs it


def test_on_the_loop_of_the_service_a_wait_is_never_a_moment_too_short():
    """uvloop counts in whole milliseconds and rounds: a wait of 33.3 ms would end before it is over."""

    async def waits() -> list[str]:
        who = provider(Scripted(rate_limit="300/s", retry={"attempts": 2}, circuit={"enabled": False}))
        who.health.budget.retry = lambda now: True
        for _ in range(300):
            await asked(who)
        return [(await asked(who)).status for _ in range(30)]

    assert uvloop.run(waits()) == ["ok"] * 30
