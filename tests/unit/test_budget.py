"""How often providers are asked beyond what callers asked: counted, and as a vendor sees it that is down."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.dispatch.budget import HEDGE_SHARE, LEAST_HEDGES, LEAST_RETRIES, RETRY_SHARE, Budget
from gateway.domain import Text
from gateway.errors import VendorUnavailable
from tests.scripted import Scripted, asked, dispatched, leg, provider
from tests.virtualtime import virtual

EVENTS = st.lists(st.tuples(st.floats(0, 0.7), st.sampled_from(["asked"] * 6 + ["retry", "hedge"])), max_size=400)


@given(EVENTS)
@settings(max_examples=60, deadline=None)
def test_never_more_than_a_share_of_what_was_asked_lately_and_a_few(events):
    budget, at = Budget(), 0.0
    seen: list[tuple[float, str]] = []
    for gap, kind in events:
        at += gap
        if kind == "asked":
            budget.asked(at)
            seen.append((at, kind))
        elif getattr(budget, kind)(at):
            seen.append((at, kind))
            lately = [what for when, what in seen if int(when) > int(at) - 10]
            asks, hedges = lately.count("asked"), lately.count("hedge")
            assert lately.count("retry") + hedges <= max(LEAST_RETRIES, RETRY_SHARE * asks)
            assert kind != "hedge" or hedges <= max(LEAST_HEDGES, HEDGE_SHARE * asks)


def granted(budget: Budget, kind: str, at: float) -> int:
    """How many in a row."""
    return next(count for count in range(10_000) if not getattr(budget, kind)(at))


@pytest.mark.parametrize(
    "asks, retries, hedges", [(0, 4, 3), (24, 4, 3), (25, 5, 3), (79, 15, 3), (80, 16, 4), (1000, 200, 50)]
)
def test_what_is_granted(asks, retries, hedges):
    for kind, most in (("retry", retries), ("hedge", hedges)):
        budget = Budget()
        for _ in range(asks):
            budget.asked(5.0)
        assert granted(budget, kind, 5.0) == most


def test_hedges_and_retries_are_out_of_one_allowance():
    budget = Budget()
    for _ in range(100):
        budget.asked(0.0)
    assert granted(budget, "hedge", 0.0) == 5
    assert granted(budget, "retry", 0.0) == 15
    assert granted(budget, "hedge", 0.0) == 0


def test_a_busy_hour_saves_up_no_storm():
    budget = Budget()
    for _ in range(10_000):
        budget.asked(0.9)
    assert granted(budget, "hedge", 10.0) == LEAST_HEDGES
    assert granted(budget, "retry", 10.0) == LEAST_RETRIES - LEAST_HEDGES
    assert granted(budget, "hedge", 10.0) == 0
    assert granted(budget, "retry", 19.9) == 0
    assert granted(budget, "retry", 20.0) == LEAST_RETRIES


@pytest.mark.parametrize("circuit", [True, False], ids=["breaker on", "breaker off"])
@pytest.mark.parametrize("lasts", [0.0, 5.0, 60.0, 300.0])
@virtual
async def test_a_vendor_that_is_down_is_asked_hardly_more_often_than_it_is_needed(circuit, lasts):
    requests = 1000
    down = Scripted((0.02, VendorUnavailable("down", http=503)), circuit={"enabled": circuit}, retry={"attempts": 5})
    spare = Scripted(max_concurrency=requests)
    to = leg([provider(down, "down")], [provider(spare, "spare")], deadline=3.0)

    async def request(number: int) -> None:
        await asyncio.sleep(lasts * number / requests)
        heard = await dispatched(to, Text(f"text {number}"))
        assert [answer.outcome.status for answer in heard.answers][-1] == "ok"

    await asyncio.gather(*(request(number) for number in range(requests)))
    assert len(down.heard) <= 1.2 * requests
    if circuit and lasts:
        assert len(down.heard) <= 20 + 5 * lasts / 2  # five to open it, then hardly more than its probes


@virtual
async def test_the_budget_is_the_providers_not_the_questions():
    who = provider(
        Scripted(VendorUnavailable("down", retry_after=0), circuit={"enabled": False}, retry={"attempts": 5})
    )
    attempts = [(await asked(who)).attempts for _ in range(10)]
    assert attempts == [5, *[1] * 9]
