"""The same content is asked about once: while an answer is under way, and while it is remembered."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.dispatch.cache import Asker
from gateway.dispatch.deadline import Deadline
from gateway.dispatch.memory import Memory
from gateway.dispatch.question import Provider, Question
from gateway.domain import Content, Exchange, Failure, Finding, Input, Look, Reading, Signal, Text
from gateway.errors import VendorRejected
from tests.scripted import (
    CAPTION,
    CLEAN,
    FOREVER,
    HATE,
    PICTURE,
    SECOND,
    Scripted,
    now,
    provider,
    work_left,
)
from tests.virtualtime import virtual

TTL = 600.0
OTHER = Text("another caption")


def remembering(most: int = 1_000_000) -> Asker:
    return Asker(Memory(TTL, most))


async def put(
    asker: Asker, who: Provider, *inputs: Input, at: Sequence[int] = (), tenant: str = "acme", within: float = 5.0
) -> Reading | Failure:
    """Ask about these inputs, which stand in a submission at these places."""
    parts = inputs or (CAPTION,)
    where = {part.modality: place for part, place in zip(parts, at or range(len(parts)), strict=True)}
    return await asker.put(tenant, Question(Content(parts), where), who, Deadline.after(within), 1.0)


# Under way


@pytest.mark.parametrize("asker", [Asker(None), remembering()], ids=["without memory", "with memory"])
@virtual
async def test_fifty_equal_questions_at_once_are_one_call(asker):
    who = provider(Scripted((1.0, HATE)))
    outcomes = await asyncio.gather(*(put(asker, who) for _ in range(50)))
    assert (len(who.adapter.heard), now()) == (1, 1)
    assert [outcome.status for outcome in outcomes] == ["ok", *["cached"] * 49]
    assert {(outcome.attempts, outcome.latency_ms) for outcome in outcomes[1:]} == {(0, 0.0)}
    assert all(outcome.signals == outcomes[0].signals for outcome in outcomes)


@virtual
async def test_questions_that_differ_are_asked_apart():
    asker, one, two = remembering(), provider(Scripted(1.0), "one"), provider(Scripted(1.0), "two")
    asked = [
        put(asker, one),
        put(asker, one, OTHER),
        put(asker, one, PICTURE),
        put(asker, one, CAPTION, PICTURE),
        put(asker, one, CAPTION, SECOND),
        put(asker, one, tenant="other"),
        put(asker, two),
    ]
    assert [outcome.status for outcome in await asyncio.gather(*asked)] == ["ok"] * 7


@virtual
async def test_where_the_first_goes_away_one_of_the_others_asks():
    asker, who = remembering(), provider(Scripted(1.0))
    leader, *followers = [asyncio.create_task(put(asker, who)) for _ in range(10)]
    await asyncio.sleep(0.5)
    leader.cancel()
    outcomes = await asyncio.gather(*followers)
    assert sorted(outcome.status for outcome in outcomes) == [*["cached"] * 8, "ok"]
    assert (who.adapter.times, now(), who.adapter.busy) == ([0, 0.5], 1.5, 0)


@given(st.lists(st.floats(0, 3), min_size=1, max_size=8))
@settings(max_examples=50, deadline=None)
@virtual
async def test_whoever_goes_away_when_the_others_have_an_answer(patience):
    asker, who = Asker(None), provider(Scripted(1.0))
    stays = asyncio.create_task(put(asker, who))
    others = [asyncio.create_task(put(asker, who)) for _ in patience]
    for each, seconds in zip(others, patience, strict=True):
        asyncio.get_running_loop().call_later(seconds, each.cancel)
    assert (await stays).status in ("ok", "cached")
    await asyncio.wait(others)
    assert (await work_left(), who.adapter.busiest) == (0, 1)
    assert (await put(asker, who)).status == "ok"  # nothing is left that others would wait for


@virtual
async def test_a_failure_is_shared_and_not_remembered():
    asker, who = remembering(), provider(Scripted((1.0, VendorRejected("no")), CLEAN))
    outcomes = await asyncio.gather(*(put(asker, who) for _ in range(10)))
    assert {outcome.status for outcome in outcomes} == {"rejected"}
    assert len(who.adapter.heard) == 1
    assert [(await put(asker, who)).status for _ in range(2)] == ["ok", "cached"]


@virtual
async def test_whoever_waits_for_anothers_call_waits_no_longer_than_its_own_time():
    asker, who = remembering(), provider(Scripted(4.0, timeout="5s"))
    leading = asyncio.create_task(put(asker, who))
    await asyncio.sleep(1)
    failure = await put(asker, who, within=0.5)
    assert (failure.status, failure.attempts, failure.latency_ms, now()) == ("timeout", 0, pytest.approx(500), 1.5)
    assert "another request" in failure.detail
    assert failure.inputs == (0,)
    assert (await leading).status == "ok"
    assert who.health.outcomes == {"ok": 1}


# Remembered


@virtual
async def test_what_was_said_is_good_for_its_time():
    asker, who = remembering(), provider(Scripted(HATE))
    first = await put(asker, who)
    await asyncio.sleep(TTL - 1)
    again = await put(asker, who)
    assert (again.status, again.attempts, again.signals) == ("cached", 0, first.signals)
    await asyncio.sleep(1)
    assert (await put(asker, who)).status == "ok"


@virtual
async def test_what_cannot_be_written_is_told_and_not_remembered():
    half = Look((Finding("half of a pair \ud83d", 0.5),))
    asker, who = remembering(), provider(Scripted(half))
    assert [(await put(asker, who)).status for _ in range(2)] == ["ok", "ok"]
    assert len(who.adapter.heard) == 2


@virtual
async def test_tenants_do_not_hear_of_each_other():
    asker, who = remembering(), provider(Scripted())
    statuses = [(await put(asker, who, tenant=tenant)).status for tenant in ("a", "b", "a", "b")]
    assert statuses == ["ok", "ok", "cached", "cached"]


@virtual
async def test_what_was_said_is_of_the_inputs_asked_about_now():
    asker, who = remembering(), provider(Scripted(HATE, together=True))
    first = await put(asker, who, CAPTION, PICTURE, at=(0, 1))
    again = await put(asker, who, CAPTION, PICTURE, at=(3, 7))
    assert (first.inputs, again.inputs) == ((0, 1), (3, 7))
    assert [(signal.input, signal.category) for signal in again.signals] == [
        ({0: 3, 1: 7}[signal.input], signal.category) for signal in first.signals
    ]
    assert {signal.input for signal in again.signals} == {3, 7}
    alone = await put(asker, who, PICTURE, at=(7,))
    assert (alone.status, alone.inputs) == ("ok", (7,))  # the picture without its caption is another question


@virtual
async def test_lists_of_known_things_are_asked_each_time():
    asker, who = remembering(), provider(Scripted(0.1, tier=0))
    await asyncio.gather(put(asker, who), put(asker, who))
    await put(asker, who)
    assert len(who.adapter.heard) == 3


@virtual
async def test_what_is_remembered_is_told_though_the_provider_is_held():
    asker, who = remembering(), provider(Scripted())
    await put(asker, who)
    who.health.parked_until = FOREVER
    assert (await put(asker, who)).status == "cached"


def reading(size: int) -> Reading:
    return Reading("a", (0,), (), None, None, (Exchange(200, "x" * size, 1.0),), 1, 1.0)


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 4000)), max_size=60))
@settings(max_examples=50, deadline=None)
def test_it_never_holds_more_than_it_may(entries):
    memory = Memory(TTL, 5000)
    for number, size in entries:
        memory.set(("a", str(number)), reading(size), 0.0)
        held = [found for key in range(9) if (found := memory.get(("a", str(key)), 0.0))]
        assert sum(len(found.exchanges[0].body) for found in held) <= 5000
        assert memory.get(("a", str(number)), 0.0) is not None


def test_its_limit_is_bytes_of_the_process():
    memory = Memory(TTL, 10**6)
    labels = [f"a label {number}" for number in range(13)]
    tracemalloc.start()
    try:
        for number in range(2000):
            signals = tuple([Signal(label, number, "a", label, 0) for label in labels])
            memory.set(("acme", "a", "text", f"{number:064d}"), replace(reading(1200), signals=signals), 0.0)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert 0.9e6 < held < 1.1e6


def test_it_forgets_those_nobody_asked_for_longest():
    memory = Memory(TTL, 3 * 1700)
    for name in "abc":
        memory.set((name,), reading(1000), 0.0)
    memory.get(("a",), 0.0)
    memory.set(("d",), reading(1000), 0.0)
    assert [name for name in "abcd" if memory.get((name,), 0.0)] == ["a", "c", "d"]


def test_what_is_larger_than_all_of_it_is_not_kept():
    memory = Memory(TTL, 1000)
    memory.set(("a",), reading(5000), 0.0)
    assert memory.get(("a",), 0.0) is None
    memory.set(("b",), reading(100), 0.0)
    assert memory.get(("b",), 0.0) is not None
