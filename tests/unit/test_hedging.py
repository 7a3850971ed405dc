"""What a hedge is for, simulated: 2 % of the answers stall, or all of a vendor is slow. Seeded, in virtual time."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass

import pytest

from gateway.domain import Role, Text
from tests.scripted import CLEAN, Scripted, dispatched, leg, now, provider
from tests.virtualtime import virtual

HEALTHY_P95 = 0.62  # seconds
RATE = 50  # requests a second


def natural(dice: random.Random) -> float:
    """Seconds until an answer: log-normal with a median of 0.3 s; 2 % stall for 1.5 to 4 s."""
    return dice.uniform(1.5, 4.0) if dice.random() < 0.02 else dice.lognormvariate(-1.204, 0.4)


@dataclass
class Seen:
    """Seconds of every answer, when each hedge began, and how long each would have taken without."""

    took: list[float]
    hedges: list[float]
    alone: list[float]

    def most_hedges(self, seconds: float) -> int:
        """In any stretch of so many seconds."""
        return max((sum(at <= other < at + seconds for other in self.hedges) for at in self.hedges), default=0)


def p99(values: list[float]) -> float:
    return sorted(values)[int(0.99 * len(values))]


async def simulated(calls: int, slower: float = 1.0, hedge_after: float | None = None) -> Seen:
    """So many requests, one after the other at RATE, to a first that is so many times slower, and another beside it."""
    dice = random.Random(20261122)
    alone = [slower * natural(dice) for _ in range(calls)]
    first = Scripted(
        *[(took, CLEAN) for took in alone], max_concurrency=10_000, timeout="60s", circuit={"enabled": False}
    )
    other = Scripted(*[(natural(dice), CLEAN) for _ in range(calls)], max_concurrency=10_000, timeout="60s")
    to = leg([provider(first, "a")], [provider(other, "b")], strategy="hedge", hedge_after=hedge_after, deadline=60)
    seen = Seen([], [], alone)

    async def request(number: int) -> None:
        await asyncio.sleep(number / RATE)
        began = now()
        heard = await dispatched(to, Text(f"text {number}"))
        seen.took.append(now() - began)
        roles = [*(answer.role for answer in heard.answers), *(question.role for question in heard.pending)]
        if Role.HEDGE in roles:
            seen.hedges.append(now())

    await asyncio.gather(*(request(number) for number in range(calls)))
    assert len(first.heard) == calls
    assert len(other.heard) == len(seen.hedges)
    return seen


@virtual
async def test_where_few_answers_stall_a_hedge_cuts_the_tail_for_hardly_more_calls():
    calls = 8000
    seen = await simulated(calls)
    assert p99(seen.took) <= 0.4 * p99(seen.alone)
    assert len(seen.hedges) <= 0.05 * calls


@pytest.mark.parametrize("hedge_after", [None, HEALTHY_P95], ids=["its own p95", "the p95 of better days"])
@virtual
async def test_a_vendor_that_is_slow_as_a_whole_is_not_asked_twice_as_often(hedge_after):
    calls = 1500
    seen = await simulated(calls, slower=6.0, hedge_after=hedge_after)
    assert 0 < len(seen.hedges) <= 0.05 * calls
    assert seen.most_hedges(10.0) <= 0.06 * 10 * RATE  # a second of granularity
