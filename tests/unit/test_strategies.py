"""Each strategy: who is asked, when, beside whom, and whose answer is waited for."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

import pytest

from gateway.domain import Answer, Exchange, Finding, Look, Role
from gateway.errors import VendorDenied, VendorRejected, VendorThrottled, VendorUnavailable
from tests.scripted import (
    CLEAN,
    FOREVER,
    HATE,
    Scripted,
    answered,
    cast,
    dispatched,
    leg,
    now,
    provider,
    told,
    work_left,
)
from tests.virtualtime import virtual

DOWN = VendorDenied("key")


# Strategy all


@virtual
async def test_all_are_asked_at_once():
    who = cast(a=Scripted(1.0), b=Scripted(2.0), spare=Scripted())
    answers = await answered(leg([who["a"], who["b"]], [who["spare"]]))
    assert told(answers) == [("a", "ok", Role.ASK), ("b", "ok", Role.ASK)]
    assert (now(), who["spare"].adapter.heard) == (2, [])


@virtual
async def test_each_that_fails_is_replaced_by_the_next_fallback_that_is_left():
    who = cast(
        a=Scripted((0.2, VendorDenied("key"))),
        b=Scripted((0.1, VendorDenied("key"))),
        c=Scripted(0.5),
        x=Scripted((0.3, VendorRejected("no"))),
        y=Scripted(0.1),
        z=Scripted(0.1),
    )
    answers = await answered(leg([who["a"], who["b"], who["c"]], [who["x"], who["y"], who["z"]]))
    assert told(answers) == [
        ("a", "denied", Role.ASK),
        ("y", "ok", Role.FALLBACK),
        ("b", "denied", Role.ASK),
        ("x", "rejected", Role.FALLBACK),
        ("z", "ok", Role.FALLBACK),
        ("c", "ok", Role.ASK),
    ]
    assert all(len(each.adapter.heard) == 1 for each in who.values())


@virtual
async def test_it_is_replaced_until_nobody_is_left_and_nobody_is_asked_twice():
    who = {name: provider(Scripted(VendorDenied("key")), name) for name in ("a", "b", "x", "y", "z")}
    answers = await answered(leg([who["a"], who["b"]], [who["x"], who["y"], who["z"]]))
    assert sorted(answer.outcome.provider for answer in answers) == ["a", "b", "x", "y", "z"]
    assert all(len(each.adapter.heard) == 1 for each in who.values())


@virtual
async def test_the_deadline_ends_everything():
    who = cast(a=Scripted(FOREVER), b=Scripted(1.0), x=Scripted(FOREVER), y=Scripted(FOREVER))
    answers = await answered(leg([who["a"], who["b"]], [who["x"], who["y"]], deadline=4.0))
    slow = [("a", "timeout", Role.ASK), ("x", "timeout", Role.FALLBACK), ("y", "timeout", Role.FALLBACK)]
    assert told(answers) == [*slow, ("b", "ok", Role.ASK)]
    assert now() == pytest.approx(4)


@virtual
async def test_an_answer_that_did_not_look_is_replaced_too():
    blind = Look((Finding("hate", None),), exchanges=(Exchange(200, "{}", 1.0),))
    who = cast(a=Scripted(blind), x=Scripted())
    answers = await answered(leg([who["a"]], [who["x"]]))
    assert told(answers) == [("a", "drift", Role.ASK), ("x", "ok", Role.FALLBACK)]
    vain = answers[0].failure
    assert vain.raw == "{}"
    assert (vain.inputs, vain.http, vain.attempts, vain.latency_ms) == ((0,), 200, 1, 0.0)
    assert vain.detail == "it answered, and did not look at this input"


@virtual
async def test_a_route_without_anybody_gives_no_answer():
    assert await answered(leg([])) == ()


# Strategy first


@virtual
async def test_first_stops_at_the_first_answer():
    who = cast(a=Scripted(1.0), b=Scripted(), x=Scripted())
    answers = await answered(leg([who["a"], who["b"]], [who["x"]], strategy="first"))
    assert told(answers) == [("a", "ok", Role.ASK)]
    assert who["b"].adapter.heard == who["x"].adapter.heard == []


@virtual
async def test_first_goes_on_in_order_to_the_fallbacks():
    who = cast(a=Scripted((1.0, VendorDenied("key"))), b=Scripted((1.0, VendorRejected("no"))), x=Scripted(1.0))
    answers = await answered(leg([who["a"], who["b"]], [who["x"]], strategy="first"))
    assert told(answers) == [("a", "denied", Role.ASK), ("b", "rejected", Role.ASK), ("x", "ok", Role.FALLBACK)]
    assert [each.adapter.times for each in who.values()] == [[0], [1], [2]]


@virtual
async def test_first_asks_as_many_as_are_needed():
    who = cast(a=Scripted(), b=Scripted(VendorDenied("key")), c=Scripted(), d=Scripted())
    answers = await answered(leg(who.values(), strategy="first", need=2))
    assert [provider for provider, _, _ in told(answers)] == ["a", "b", "c"]


@virtual
async def test_first_ends_by_the_deadline():
    who = cast(a=Scripted(FOREVER), b=Scripted(FOREVER), c=Scripted(FOREVER))
    answers = await answered(leg(who.values(), strategy="first", deadline=5.0))
    assert [status for _, status, _ in told(answers)] == ["timeout", "timeout", "timeout"]
    assert now() == pytest.approx(5)


@virtual
async def test_a_provider_that_asked_for_patience_is_not_asked_and_the_fallback_steps_in_at_once():
    parked, spare = provider(Scripted(VendorThrottled("busy", retry_after=1.0)), "a"), provider(Scripted(0.1), "x")
    parked.health.parked_until = 1.0  # it would fit before the deadline
    answers = await answered(leg([parked], [spare]))
    assert told(answers) == [("a", "throttled", Role.ASK), ("x", "ok", Role.FALLBACK)]
    assert (answers[0].outcome.attempts, parked.adapter.heard) == (0, [])
    assert now() == pytest.approx(0.1)


@virtual
async def test_a_fallback_fills_what_had_to_be_seen_and_was_not():
    who = [provider(Scripted(), name, sees) for name, sees in (("a", ["spam"]), ("x", ["spam"]), ("y", ["hate"]))]

    def unseen(index: int, answers: Sequence[Answer]) -> set[str]:
        return {"hate"} - {
            slug
            for answer in answers
            for seen in who
            if seen.name == answer.outcome.provider
            for slug in seen.sees["text"]
        }

    answers = await answered(leg(who[:1], who[1:]), holes=unseen)
    assert told(answers) == [("a", "ok", Role.ASK), ("y", "ok", Role.FALLBACK)]


# Strategies race and quorum


@virtual
async def test_a_race_is_decided_by_the_first_usable_answer_and_the_rest_may_come_late():
    who = cast(a=Scripted(0.5), b=Scripted((0.2, DOWN)), c=Scripted(2.0))
    heard = await dispatched(leg(who.values(), strategy="race"))
    assert (told(heard.answers), now()) == ([("b", "denied", Role.ASK), ("a", "ok", Role.ASK)], 0.5)
    assert [(late.provider, late.role) for late in heard.pending] == [("c", Role.ASK)]
    assert told([await heard.pending[0].task]) == [("c", "ok", Role.ASK)]
    assert now() == 2


@virtual
async def test_a_race_that_nobody_wins_goes_to_the_fallbacks():
    who = cast(a=Scripted((0.5, DOWN)), b=Scripted(FOREVER), x=Scripted(DOWN), y=Scripted())
    answers = await answered(leg([who["a"], who["b"]], [who["x"], who["y"]], strategy="race", deadline=3.0))
    assert [name for name, _, _ in told(answers)] == ["a", "b", "x", "y"]
    assert now() == pytest.approx(2)  # two thirds: the rest is the fallbacks'


@pytest.mark.parametrize("need, ends", [(1, 1.0), (2, 2.0), (3, 3.0)])
@virtual
async def test_a_quorum_is_done_when_as_many_as_needed_have_answered(need, ends):
    who = cast(a=Scripted(3.0), b=Scripted(1.0), c=Scripted(2.0))
    heard = await dispatched(leg(who.values(), strategy="quorum", need=need))
    assert (len(heard.answers), len(heard.pending), now()) == (need, 3 - need, ends)


@virtual
async def test_answers_that_come_together_all_count():
    who = cast(a=Scripted(1.0), b=Scripted((1.0, HATE)))
    heard = await dispatched(leg(who.values(), strategy="race"))
    assert (len(heard.answers), heard.pending) == (2, ())


# Strategy hedge


@virtual
async def test_a_slow_first_gets_another_beside_it():
    who = cast(a=Scripted(2.0), b=Scripted(0.3), c=Scripted())
    heard = await dispatched(leg([who["a"]], [who["b"], who["c"]], strategy="hedge", hedge_after=0.5))
    assert (told(heard.answers), now()) == ([("b", "ok", Role.HEDGE)], pytest.approx(0.8))
    assert [(late.provider, late.role) for late in heard.pending] == [("a", Role.ASK)]
    assert (who["b"].adapter.times, who["c"].adapter.heard) == ([0.5], [])


@virtual
async def test_without_a_budget_nobody_is_hedged():
    who = cast(a=Scripted(2.0), b=Scripted())
    who["a"].health.budget.hedge = lambda now: False
    heard = await dispatched(leg(who.values(), strategy="hedge", hedge_after=0.5))
    assert (told(heard.answers), who["b"].adapter.heard, now()) == ([("a", "ok", Role.ASK)], [], 2)


@virtual
async def test_while_nobody_knows_what_is_usual_nobody_is_hedged():
    who = cast(a=Scripted(2.0), b=Scripted())
    who["a"].health.budget.hedge = lambda now: pytest.fail("asked for a hedge")
    assert told(await answered(leg(who.values(), strategy="hedge"))) == [("a", "ok", Role.ASK)]


@virtual
async def test_a_first_that_fails_is_replaced_at_once_and_each_leaves_time_for_the_next():
    who = cast(a=Scripted(DOWN), b=Scripted(FOREVER), c=Scripted(0.5))
    answers = await answered(leg(who.values(), strategy="hedge", deadline=3.0))
    assert told(answers) == [("a", "denied", Role.ASK), ("b", "timeout", Role.FALLBACK), ("c", "ok", Role.FALLBACK)]
    assert now() == pytest.approx(2.5)


# Strategy cascade; what settles it is tested with the policies


@virtual
async def test_a_cascade_stops_when_nothing_that_remains_could_change_the_outcome():
    who = cast(a=Scripted(0.1), b=Scripted(0.1), c=Scripted(0.1), x=Scripted())
    remained = []

    def settled(index: int, answers: Sequence[Answer], remaining: Sequence) -> bool:
        remained.append([each.name for each in remaining])
        return len(answers) == 2

    asks = [who["a"], who["b"], who["c"]]
    answers = await answered(leg(asks, [who["x"]], strategy="cascade", need=3), settled=settled)
    assert [name for name, _, _ in told(answers)] == ["a", "b"]  # even though three were needed: it cannot matter
    assert remained == [["b", "c"], ["c"]]


@virtual
async def test_a_cascade_that_is_not_settled_asks_all_and_replaces_who_failed():
    who = cast(a=Scripted(DOWN), b=Scripted(0.1), c=Scripted(0.1), x=Scripted(), y=Scripted())
    asks = [who["a"], who["b"], who["c"]]
    answers = await answered(leg(asks, [who["x"], who["y"]], strategy="cascade", need=3))
    assert [name for name, _, _ in told(answers)] == ["a", "b", "c", "x"]


@virtual
async def test_a_cascade_of_one_that_fails_has_its_fallback():
    who = cast(a=Scripted(DOWN), x=Scripted())
    to = leg([who["a"]], [who["x"]], strategy="cascade")
    answers = await answered(to, settled=lambda index, answers, remaining: True)
    assert told(answers) == [("a", "denied", Role.ASK), ("x", "ok", Role.FALLBACK)]


# Strategy split


@virtual
async def test_the_same_subject_always_gets_the_same():
    who = cast(a=Scripted(), b=Scripted())
    to = leg(who.values(), strategy="split", weights=(50, 50))
    for subject in ("u1", "u2", "u3", "\ud800"):
        assert len({told(await answered(to, subject=subject))[0] for _ in range(5)}) == 1


@virtual
async def test_subjects_are_split_by_weight_within_two_percent():
    who = cast(a=Scripted(), b=Scripted(), c=Scripted())
    to = leg(who.values(), strategy="split", weights=(70, 20, 10))
    drawn = Counter([told(await answered(to, subject=f"user-{number}"))[0][0] for number in range(10_000)])
    assert [drawn[name] / 100 for name in "abc"] == pytest.approx([70, 20, 10], abs=2)


@virtual
async def test_a_subject_stays_with_its_vendor_from_release_to_release():
    who = cast(a=Scripted(), b=Scripted(), c=Scripted())
    to = leg(who.values(), strategy="split", weights=(50, 30, 20))
    drawn = [told(await answered(to, subject=f"user-{number}"))[0][0] for number in range(24)]
    assert "".join(drawn) == "abacbbaaababbbbaabaabbca"


@virtual
async def test_one_that_fails_is_replaced_by_a_fallback_not_by_the_other_of_the_split():
    who = cast(a=Scripted(DOWN), b=Scripted(DOWN), x=Scripted())
    answers = await answered(leg([who["a"], who["b"]], [who["x"]], strategy="split", weights=(1, 1)))
    assert [(name == "x", status) for name, status, _ in told(answers)] == [(False, "denied"), (True, "ok")]


# Shadows


@pytest.mark.parametrize("strategy", ["all", "first", "race", "hedge", "cascade", "quorum"])
@pytest.mark.parametrize("script", [(FOREVER,), (0.1, HATE), (VendorUnavailable("down"),), (VendorRejected("no"),)])
@virtual
async def test_a_shadow_is_asked_never_waited_for_and_changes_nothing(strategy, script):
    def to(*shadows):
        who = cast(a=Scripted((0.2, DOWN)), b=Scripted((0.5, HATE)), x=Scripted(0.1))
        return leg([who["a"], who["b"]], [who["x"]], strategy=strategy, shadow=shadows)

    alone = await answered(to())
    took = now()
    shadow = provider(Scripted(script, timeout="60s"), "s")
    heard = await dispatched(to(shadow))
    assert told(heard.answers) == told(alone)
    assert now() - took == pytest.approx(took)
    assert [late.role for late in heard.pending if late.provider == "s"] == [Role.SHADOW]
    assert shadow.adapter.times[0] == pytest.approx(took)
    await asyncio.gather(*(late.task for late in heard.pending))
    assert await work_left() == 0


# Asking asks for little


@pytest.mark.parametrize("strategy", ["all", "first", "cascade", "split"])
@virtual
async def test_one_provider_is_asked_without_a_task_of_its_own(strategy):
    tasks = []

    def look(content):
        tasks.append(asyncio.current_task())
        return CLEAN

    await answered(leg([provider(Scripted(look))], strategy=strategy, weights=(1,)))
    assert tasks == [asyncio.current_task()]
