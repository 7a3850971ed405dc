"""What a named person has to see is shown to no further vendor."""

from __future__ import annotations

import pytest

from gateway.domain import Answer
from gateway.errors import VendorUnavailable
from gateway.policy.bounds import holes, suspects
from tests.policies.saying import facts, failed, policy, said
from tests.scripted import CLEAN, HATE, Scripted, answered, leg, provider, told
from tests.virtualtime import virtual

DOWN = VendorUnavailable("down")


def suspicious(answer: Answer) -> bool:
    return answer.reading is not None and any(signal.score for signal in answer.reading.signals)


async def asked(strategy, *looks, need=1, fallback=1):
    ask = [provider(Scripted(look, retry={"attempts": 1}), name) for name, look in zip("abc", looks, strict=False)]
    spare = [provider(Scripted(CLEAN), f"x{place}") for place in range(fallback)]
    answers = await answered(leg(ask, spare, strategy=strategy, need=need), closed=suspicious)
    return [name for name, _, _ in told(answers)]


@pytest.mark.parametrize(
    "strategy, looks, need, heard",
    [
        ("all", (HATE, (0.1, DOWN)), 1, "ab"),  # nobody stands in for b
        ("all", (CLEAN, (0.1, DOWN)), 1, "ab x0"),
        ("all", (HATE,), 2, "a"),
        ("first", (HATE, CLEAN), 2, "a"),
        ("first", (CLEAN, CLEAN), 2, "ab"),
        ("cascade", (HATE, CLEAN), 2, "a"),
        ("hedge", (HATE, CLEAN), 2, "a"),
        ("race", (HATE, (0.1, DOWN)), 2, "ab"),
    ],
)
@virtual
async def test_nobody_further_is_asked(strategy, looks, need, heard):
    expected = [*heard.split(" ")[0], *heard.split(" ")[1:]]
    assert await asked(strategy, *looks, need=need) == expected


@virtual
async def test_what_a_shadow_says_closes_nothing():
    shadow = provider(Scripted(HATE), "s")
    to = leg(
        [provider(Scripted((0.1, DOWN), retry={"attempts": 1}), "a")],
        [provider(Scripted(CLEAN), "x")],
        shadow=(shadow,),
    )
    assert [name for name, _, _ in told(await answered(to, closed=suspicious))] == ["a", "x"]


RULES = policy("", "{sexual: {review: 0.3}, hate: {block: 0.5}}", "{coverage: {spam: {min_providers: 1}}}")


@pytest.mark.parametrize(
    "answer, suspected",
    [
        (said("a", {"sexual/minors": 0.3}), True),
        (said("a", {"sexual/minors": 0.29}), False),
        (said("a", {"hate": 1.0, "sexual": 1.0}), False),
        (said("a", {"sexual/minors": None}, below=0.3), False),
        (failed("a"), False),
    ],
)
def test_one_answer_is_enough(answer, suspected):
    assert suspects(RULES, answer) is suspected
    assert holes(RULES, facts(answer)) == (frozenset() if suspected else {"spam"})
