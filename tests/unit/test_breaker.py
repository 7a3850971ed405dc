"""When a breaker opens, whom it lets through half-open, and when it closes again."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.adapter import CircuitSettings
from gateway.dispatch.breaker import Breaker, Circuit, Harm, State, harm_of
from gateway.errors import (
    VendorDenied,
    VendorDrift,
    VendorError,
    VendorHeld,
    VendorRejected,
    VendorThrottled,
    VendorTimeout,
    VendorUnavailable,
)
from tests.scripted import CLEAN, FOREVER, Scripted, asked, provider
from tests.virtualtime import virtual

GOOD, LOST, USELESS, DENIED = Harm.NONE, Harm.TRANSPORT, Harm.ANSWER, Harm.DENIED
SLOW, QUICK = 3.0, 0.1  # seconds


class Watched(Breaker):
    """Without jitter, and with what it told of itself."""

    def __init__(self, jitter: float = 0.0, **settings: Any):
        self.told: list[Circuit] = []
        circuit = CircuitSettings.model_validate({"slow_after": "2s", **settings})
        super().__init__(circuit, lambda: jitter, self.told.append)

    def saw(self, *harms: Harm, at: float = 0.0, took: float = QUICK) -> str:
        """These calls one after the other, each admitted; the reason if it is open now."""
        for harm in harms:
            self.ended(at, took, self.admit(at), harm)
        return self.circuit(at).reason

    def opened(self, at: float = 0.0) -> float:
        """Open it by failures in a row; when it may be probed."""
        while not self.circuit(at).reason:
            self.saw(LOST, at=at)
        return self.reopens(at)

    def reopens(self, at: float) -> float:
        wait = self.circuit(at).next_probe_in
        assert wait
        return at + wait


# Opening


@pytest.mark.parametrize("harm", [LOST, USELESS])
def test_it_opens_after_so_many_failures_in_a_row(harm):
    breaker = Watched(failures=5)
    assert breaker.saw(*[harm] * 4) == ""
    assert breaker.saw(GOOD, *[harm] * 4) == ""
    assert breaker.saw(harm) == "5 failures in a row"
    assert breaker.circuit(0).state is State.OPEN
    with pytest.raises(VendorHeld, match="5 failures in a row") as held:
        breaker.admit(1.5)
    assert held.value.retry_after == pytest.approx(0.5)


@given(st.lists(st.sampled_from([GOOD, LOST, USELESS]), max_size=60))
@settings(max_examples=60, deadline=None)
def test_it_opens_on_a_share_of_one_kind_among_enough_calls_and_not_before(harms):
    breaker = Watched(failures=1000, min_calls=10, failure_rate=0.5)
    for count, harm in enumerate(harms, 1):
        reason = breaker.saw(harm)
        seen = harms[:count]
        most = max(seen.count(LOST), seen.count(USELESS))
        assert bool(reason) == (harm is not GOOD and count >= 10 and most >= count / 2)
        if reason:
            assert ("without an answer" in reason) == (seen.count(LOST) >= count / 2)
            break


def test_what_the_transport_lost_and_answers_of_no_use_are_counted_apart():
    breaker = Watched(failures=1000, min_calls=10, failure_rate=0.5)
    assert breaker.saw(*[LOST, USELESS, GOOD, LOST, USELESS] * 4) == ""  # 40 % each, 80 % together
    assert breaker.saw(*[LOST] * 4) == "12 of 24 calls without an answer"


def test_it_opens_where_most_calls_are_slow():
    breaker = Watched(min_calls=10, slow_rate=0.8)
    assert breaker.saw(*[GOOD] * 9, took=SLOW) == ""
    assert breaker.saw(GOOD, took=SLOW) == "10 of 10 calls slow"
    assert Watched(min_calls=10).saw(*[GOOD] * 50, took=2.0) == ""  # to take as long as allowed is not slow


def test_what_is_longer_ago_than_the_window_is_forgotten():
    breaker = Watched(failures=1000, min_calls=10, window="10s")
    breaker.saw(*[LOST] * 9)
    assert breaker.saw(LOST, GOOD, at=10.5) == ""
    assert breaker.saw(*[LOST] * 8, at=11) == "9 of 10 calls without an answer"


def test_turned_off_it_never_opens():
    breaker = Watched(enabled=False)
    assert breaker.saw(*[LOST, USELESS, DENIED] * 100, took=SLOW) == ""
    assert (breaker.told, breaker.circuit(0)) == ([], Circuit(State.CLOSED))


def test_a_refused_key_opens_it_at_once_and_for_long():
    breaker = Watched()
    assert breaker.saw(DENIED) == "our key, credit or region is refused"
    assert breaker.reopens(0) == 300


def test_fifty_calls_that_hear_of_a_refused_key_open_it_once():
    breaker = Watched()
    under_way = [breaker.admit(0) for _ in range(50)]
    for at, probe in enumerate(under_way):
        breaker.ended(at, QUICK, probe, DENIED)
    assert (len(breaker.told), breaker.reopens(0)) == (1, 300)


def test_a_refused_key_says_more_than_an_opening_that_is_soon_over():
    breaker = Watched(open_for="2s")
    straggler = breaker.admit(0)
    breaker.opened()
    breaker.ended(1, QUICK, straggler, DENIED)
    assert breaker.reopens(1) == 301


def test_calls_that_were_under_way_when_it_opened_change_nothing():
    breaker = Watched()
    under_way = [breaker.admit(0) for _ in range(20)]
    reopens = breaker.opened()
    for probe in under_way:
        breaker.ended(1, QUICK, probe, LOST)
        breaker.ended(1, QUICK, 0, GOOD)
    assert (breaker.reopens(1), len(breaker.told)) == (reopens, 1)


# Half-open


def admitted(breaker: Breaker, at: float, callers: int = 50) -> list[int]:
    """The probes among callers that come at once; the others are held."""
    probes = []
    for _ in range(callers):
        try:
            probes.append(breaker.admit(at))
        except VendorHeld as held:
            assert "probe is under way" in held.detail
    return probes


@pytest.mark.parametrize("probes", [1, 2, 7])
def test_half_open_exactly_so_many_pass_and_close_it(probes):
    breaker = Watched(probes=probes)
    at = breaker.opened()
    assert breaker.circuit(at).state is State.HALF_OPEN
    through = admitted(breaker, at)
    assert len(through) == probes
    for probe in through[:-1]:
        breaker.ended(at, QUICK, probe, GOOD)
        assert admitted(breaker, at) == []  # those that did well still count
    breaker.ended(at, QUICK, through[-1], GOOD)
    assert breaker.circuit(at) == Circuit(State.CLOSED)
    assert len(admitted(breaker, at)) == 50
    assert [circuit.state for circuit in breaker.told] == [State.OPEN, State.CLOSED]


@pytest.mark.parametrize(
    "harm, took, reason",
    [
        (LOST, QUICK, "its probe failed: transport"),
        (USELESS, QUICK, "its probe failed: answer"),
        (DENIED, QUICK, "our key, credit or region is refused"),
        (GOOD, SLOW, "its probe was slow"),
    ],
)
def test_a_probe_that_does_badly_opens_it_again(harm, took, reason):
    breaker = Watched(open_for="2s")
    at = breaker.opened()
    breaker.ended(at, took, breaker.admit(at), harm)
    assert (breaker.circuit(at).state, breaker.circuit(at).reason) == (State.OPEN, reason)
    assert breaker.reopens(at) - at == (300 if harm is DENIED else 4)


def test_a_probe_nobody_waits_for_makes_room_for_another():
    breaker = Watched(probes=2)
    at = breaker.opened()
    for _ in range(100):
        for probe in admitted(breaker, at):
            breaker.abandoned(probe)
    assert breaker.circuit(at).state is State.HALF_OPEN
    assert len(admitted(breaker, at)) == 2


@pytest.mark.parametrize("late", [GOOD, LOST])
def test_a_probe_of_an_earlier_opening_says_nothing_of_this_one(late):
    breaker = Watched(probes=2, open_for="2s", open_most="60s")
    at = breaker.opened()
    failing, slow = admitted(breaker, at)
    breaker.ended(at, QUICK, failing, LOST)
    again = breaker.reopens(at)
    breaker.ended(at + 1, QUICK, slow, late)
    assert (breaker.reopens(at + 1), len(breaker.told)) == (again, 2)
    through = admitted(breaker, again)
    assert len(through) == 2
    breaker.ended(again, QUICK, through[0], GOOD)
    assert breaker.circuit(again).state is State.HALF_OPEN  # one of two


@given(st.floats(0, 1), st.integers(1, 12))
@settings(max_examples=60, deadline=None)
def test_open_time_doubles_up_to_a_cap_is_jittered_and_begins_anew_after_a_closing(jitter, failing):
    breaker, scale = Watched(jitter, open_for="2s", open_most="8s"), 1 - 0.2 * jitter
    at = breaker.opened()
    waits = [at]
    for _ in range(failing):
        breaker.ended(at, QUICK, breaker.admit(at), LOST)
        waits.append(breaker.reopens(at) - at)
        at += waits[-1]
    assert waits == pytest.approx([scale * seconds for seconds in [2, 4, *[8] * failing][: failing + 1]])
    breaker.ended(at, QUICK, breaker.admit(at), GOOD)
    assert breaker.opened(at) - at == pytest.approx(2 * scale)


def test_a_refused_key_does_not_lengthen_what_comes_after_it():
    breaker = Watched(open_for="2s")
    breaker.saw(DENIED)
    breaker.ended(300, QUICK, breaker.admit(300), LOST)
    assert breaker.reopens(300) == 302


# What counts


@pytest.mark.parametrize(
    "error, harm",
    [
        (VendorTimeout("slow"), LOST),
        (VendorUnavailable("reset"), LOST),
        (VendorUnavailable("down", http=503), USELESS),
        (VendorDrift("shape"), USELESS),
        (VendorDenied("key", http=401), DENIED),
        (VendorThrottled("busy", http=429), None),
        (VendorRejected("no", http=400), None),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, VendorError) else str(value),
)
def test_what_a_failure_says_of_a_provider(error, harm):
    assert harm_of(error) is harm


@pytest.mark.parametrize("harmless", [VendorThrottled("busy", http=429), VendorRejected("no", http=400)])
@virtual
async def test_throttling_and_refused_content_neither_open_it_nor_hide_what_does(harmless):
    who = provider(Scripted(*[harmless] * 30, retry={"attempts": 1}))
    assert {(await asked(who)).status for _ in range(30)} == {harmless.status}
    assert who.health.breakers["text"].circuit(0).state is State.CLOSED
    down = VendorUnavailable("down", http=503)
    failing = provider(Scripted(*[down, harmless] * 5, retry={"attempts": 1}))
    for _ in range(9):
        await asked(failing)
    assert failing.health.breakers["text"].circuit(0).reason == "5 failures in a row"


@pytest.mark.parametrize("harmless", [VendorThrottled("busy", http=429), VendorRejected("no", http=400)])
@virtual
async def test_a_probe_that_is_throttled_or_refused_neither_closes_nor_opens_it(harmless):
    who = provider(Scripted(*[VendorUnavailable("down")] * 5, harmless, CLEAN, retry={"attempts": 1}))
    for _ in range(5):
        await asked(who)
    await asyncio.sleep(2)
    assert (await asked(who)).status == harmless.status
    assert who.health.breakers["text"].circuit(asyncio.get_running_loop().time()).state is State.HALF_OPEN
    assert (await asked(who)).status == "ok"
    assert who.health.breakers["text"].circuit(0).state is State.CLOSED


@virtual
async def test_fifty_at_once_send_one_probe_to_a_vendor_that_may_be_well_again():
    who = provider(Scripted(*[VendorUnavailable("down")] * 5, (0.5, CLEAN), retry={"attempts": 1}))
    for _ in range(5):
        await asked(who)
    await asyncio.sleep(2)
    outcomes = await asyncio.gather(*(asked(who) for _ in range(50)))
    assert sorted(outcome.status for outcome in outcomes) == ["ok", *["open"] * 49]
    assert [outcome.attempts for outcome in outcomes if outcome.status == "open"] == [0] * 49
    assert len(who.adapter.heard) == 6


@virtual
async def test_callers_that_go_away_neither_open_it_nor_keep_its_probe():
    who = provider(Scripted(*[VendorUnavailable("down")] * 5, FOREVER, retry={"attempts": 1}))

    async def gone(callers: int) -> None:
        asking = [asyncio.create_task(asked(who)) for _ in range(callers)]
        await asyncio.sleep(0.5)
        for each in asking:
            each.cancel()
        await asyncio.wait(asking)

    who.adapter.script = [(FOREVER,)]
    await gone(20)
    assert who.health.breakers["text"].circuit(0).state is State.CLOSED
    who.adapter.script = [(VendorUnavailable("down"),)]
    for _ in range(5):
        await asked(who)
    await asyncio.sleep(2)
    who.adapter.script = [(FOREVER,)]
    for _ in range(3):
        before = len(who.adapter.heard)
        await gone(10)
        assert len(who.adapter.heard) == before + 1
    who.adapter.script = [(CLEAN,)]
    assert (await asked(who)).status == "ok"
