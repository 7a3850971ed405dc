"""How often a provider is asked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dispatch.deadline import Deadline
from gateway.dispatch.limits import RateLimit
from gateway.dispatch.question import Question, put
from gateway.domain import Content, Failure
from tests.scripted import CAPTION, TEXT, Scripted, now, provider
from tests.virtualtime import virtual


def test_a_burst_passes_and_then_one_a_gap():
    limit = RateLimit(rate=10, burst=3)
    assert [limit.take(0.0) for _ in range(3)] == [0, 0, 0]
    assert limit.take(0.0) == pytest.approx(0.1)
    assert limit.take(0.1) == 0
    assert limit.take(0.1) == pytest.approx(0.1)


def test_an_idle_hour_saves_up_no_storm():
    limit = RateLimit(rate=10, burst=3)
    assert sum(limit.take(3600.0) == 0 for _ in range(100)) == 3


@given(st.floats(0.5, 100), st.integers(1, 20), st.lists(st.floats(0, 0.5), min_size=1, max_size=200))
def test_never_more_than_the_burst_and_the_rate_allow(rate, burst, gaps):
    limit, at, passed = RateLimit(rate, burst), 0.0, 0
    for gap in gaps:
        at += gap
        passed += limit.take(at) == 0
    assert passed <= burst + rate * at + 1e-6


@virtual
async def test_a_provider_over_its_rate_is_not_asked_and_says_so():
    adapter = Scripted(rate_limit="2/s", retry={"attempts": 1})
    asked_twice = provider(adapter)
    question = Question(Content((CAPTION,)), {TEXT: 0})
    outcomes = [await put(question, asked_twice, Deadline.after(1)) for _ in range(3)]
    assert len(adapter.heard) == 2
    assert isinstance(outcomes[2], Failure)
    assert (outcomes[2].status, outcomes[2].attempts) == ("throttled", 0)


@virtual
async def test_where_there_is_time_it_waits_for_its_turn():
    adapter = Scripted(rate_limit="2/s", retry={"attempts": 2})
    patient = provider(adapter)
    question = Question(Content((CAPTION,)), {TEXT: 0})
    began = now()
    for _ in range(3):
        outcome = await put(question, patient, Deadline.after(2))
    assert outcome.status == "ok"
    assert now() - began == pytest.approx(0.5)
