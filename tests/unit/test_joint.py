"""Submissions of several inputs: each goes its own way, and what one provider judges together is asked of it once."""

from __future__ import annotations

import asyncio

import pytest

from gateway.dispatch.cache import Asker
from gateway.dispatch.fanout import Guidance, Route, ask
from gateway.domain import Content, Finding, Look, Role
from gateway.errors import VendorDenied
from tests.scripted import (
    CAPTION,
    FOREVER,
    IMAGE,
    PICTURE,
    SECOND,
    TEXT,
    Scripted,
    answered,
    cast,
    dispatched,
    everywhere,
    leg,
    now,
    provider,
    told,
    work_left,
)
from tests.virtualtime import virtual


@virtual
async def test_answers_come_in_the_order_of_the_inputs():
    slow_on_text = Scripted((2.0,), (1.0,))
    answers = await answered(leg([provider(slow_on_text)]), CAPTION, PICTURE, SECOND)
    assert [answer.input for answer in answers] == [0, 1, 2]
    assert [answer.outcome.inputs for answer in answers] == [(0,), (1,), (2,)]
    assert now() == 2


@virtual
async def test_a_caption_and_its_picture_are_one_question_to_a_provider_that_judges_both():
    adapter = Scripted(1.0, together=True)
    answers = await answered(leg([provider(adapter)]), CAPTION, PICTURE)
    assert [content.inputs for _, content in adapter.heard] == [(CAPTION, PICTURE)]
    assert [answer.input for answer in answers] == [0, 1]
    assert answers[0].outcome is answers[1].outcome
    assert answers[0].outcome.inputs == (0, 1)


@virtual
async def test_a_caption_goes_with_every_picture_and_is_itself_asked_about_once():
    adapter = Scripted(1.0, together=True)
    answers = await answered(leg([provider(adapter)]), CAPTION, PICTURE, SECOND)
    assert [content.inputs for _, content in adapter.heard] == [(CAPTION, PICTURE), (CAPTION, SECOND)]
    assert [answer.input for answer in answers] == [0, 1, 2]


@virtual
async def test_what_the_caller_says_of_a_submission_goes_with_every_question():
    together, apart = Scripted(together=True), Scripted()
    submission = Content((CAPTION, PICTURE), {"country": "DE"})
    await ask(submission, everywhere(leg(cast(a=together, b=apart).values())), Asker(None), Guidance())
    assert [content.context for _, content in together.heard + apart.heard] == [{"country": "DE"}] * 3


@virtual
async def test_it_is_asked_apart_where_the_route_names_it_for_one_of_them_only():
    both, texts_only = Scripted(together=True), Scripted(together=True)
    legs = {TEXT: leg([provider(texts_only, "t")]), IMAGE: leg([provider(both, "i")])}
    await answered(Route("default", legs), CAPTION, PICTURE)
    assert [content.inputs for _, content in texts_only.heard] == [(CAPTION,)]
    assert [content.inputs for _, content in both.heard] == [(PICTURE,)]


@virtual
async def test_and_where_it_is_only_a_fallback_for_the_other():
    both, pictures = Scripted(together=True), Scripted()
    legs = {TEXT: leg([provider(both)]), IMAGE: leg([provider(pictures, "i")], [provider(both)])}
    await answered(Route("default", legs), CAPTION, PICTURE)
    assert [content.inputs for _, content in both.heard] == [(CAPTION,)]


@virtual
async def test_an_answer_that_looked_at_one_input_only_is_a_failure_for_the_other():
    text_only = Look((Finding("hate", 0.1, frozenset({TEXT})),))
    who = cast(a=Scripted(text_only, together=True), x=Scripted())
    answers = await answered(leg([who["a"]], [who["x"]]), CAPTION, PICTURE)
    assert [(answer.input, *each) for answer, each in zip(answers, told(answers), strict=True)] == [
        (0, "a", "ok", Role.ASK),
        (1, "a", "drift", Role.ASK),
        (1, "x", "ok", Role.FALLBACK),
    ]


@virtual
async def test_a_hole_in_one_input_asks_a_fallback_about_that_one_alone():
    who = cast(a=Scripted(), x=Scripted())
    answers = await answered(
        leg([who["a"]], [who["x"]]), CAPTION, PICTURE, holes=lambda index, _: {"hate"} if index == 1 else set()
    )
    assert [(answer.input, answer.outcome.provider) for answer in answers] == [(0, "a"), (1, "a"), (1, "x")]


@virtual
async def test_each_leg_keeps_its_own_deadline():
    who = provider(Scripted(FOREVER, timeout="60s"))
    legs = {TEXT: leg([who], deadline=2.0), IMAGE: leg([who], deadline=4.0)}
    answers = await answered(Route("default", legs), CAPTION, PICTURE)
    assert [answer.outcome.latency_ms for answer in answers] == pytest.approx([2000, 4000])
    assert now() == pytest.approx(4)


@pytest.mark.parametrize("text, image", [(1.0, 4.0), (4.0, 1.0)])
@virtual
async def test_a_shared_question_is_over_when_the_longest_deadline_is(text, image):
    who = provider(Scripted(FOREVER, timeout="60s", together=True))
    legs = {TEXT: leg([who], deadline=text), IMAGE: leg([who], deadline=image)}
    answers = await answered(Route("default", legs), CAPTION, PICTURE)
    assert {answer.outcome.status for answer in answers} == {"timeout"}
    assert now() <= max(text, image) + 1e-6


@pytest.mark.parametrize("inputs", [(CAPTION, PICTURE), (PICTURE, CAPTION)], ids=["text first", "image first"])
@virtual
async def test_who_waits_less_long_goes_on_to_its_fallback_and_the_other_still_has_the_answer(inputs):
    who = cast(both=Scripted(3.0, together=True, timeout="60s"), x=Scripted(0.1))
    legs = {TEXT: leg([who["both"]], [who["x"]], deadline=1.2), IMAGE: leg([who["both"]], deadline=6.0)}
    answers = await answered(Route("default", legs), *inputs)
    of_text = [answer for answer in answers if inputs[answer.input] is CAPTION]
    assert told(of_text) == [("both", "timeout", Role.ASK), ("x", "ok", Role.FALLBACK)]
    vain = of_text[0].outcome
    assert vain.inputs == (inputs.index(CAPTION), inputs.index(PICTURE))
    assert (vain.attempts, vain.http, vain.raw) == (0, None, "")
    assert vain.detail == "no answer in time; another input waits longer for it"
    assert vain.latency_ms == pytest.approx(800)
    assert told(answer for answer in answers if inputs[answer.input] is PICTURE) == [("both", "ok", Role.ASK)]
    assert (len(who["both"].adapter.heard), now()) == (1, 3)


@virtual
async def test_where_nobody_comes_after_it_a_shared_question_has_all_the_time():
    who = provider(Scripted(3.9, together=True, timeout="60s"))
    answers = await answered(leg([who], deadline=4.0), CAPTION, PICTURE)
    assert [answer.outcome.status for answer in answers] == ["ok", "ok"]


@virtual
async def test_whoever_has_a_fallback_has_time_for_it_though_the_other_has_none():
    who = cast(both=Scripted(FOREVER, together=True, timeout="60s"), x=Scripted(0.1))
    legs = {TEXT: leg([who["both"]], deadline=3.0), IMAGE: leg([who["both"]], [who["x"]], deadline=3.0)}
    answers = await answered(Route("default", legs), CAPTION, PICTURE)
    assert told(answers)[1:] == [("both", "timeout", Role.ASK), ("x", "ok", Role.FALLBACK)]
    assert who["both"].health.outcomes == {"timeout": 1}


RACES = ("race", "quorum", "hedge")


@pytest.mark.parametrize("strategy", RACES)
@virtual
async def test_a_joint_question_that_others_were_faster_than_lingers_for_both_inputs(strategy):
    who = cast(both=Scripted(1.0, together=True), quick=Scripted(0.2))
    who["both"].health.budget.hedge = lambda now: True
    heard = await dispatched(leg(who.values(), strategy=strategy, hedge_after=0.1), CAPTION, PICTURE)
    assert [(answer.input, answer.outcome.provider) for answer in heard.answers] == [(0, "quick"), (1, "quick")]
    late = await asyncio.gather(*(question.task for question in heard.pending))
    assert [(answer.input, answer.outcome.provider) for answer in late] == [(0, "both"), (1, "both")]
    assert late[0].outcome is late[1].outcome
    assert (len(who["both"].adapter.heard), now()) == (1, 1)
    assert await work_left() == 0


@pytest.mark.parametrize("strategy", RACES)
@virtual
async def test_a_joint_question_nobody_will_hear_of_is_given_up(strategy):
    who = cast(both=Scripted(FOREVER, together=True, timeout="60s"), quick=Scripted(0.2))
    who["both"].health.budget.hedge = lambda now: True
    heard = await dispatched(leg(who.values(), strategy=strategy, hedge_after=0.1, deadline=60), CAPTION, PICTURE)
    one, other = heard.pending
    one.task.cancel()
    await work_left()
    assert who["both"].adapter.busy == 1  # the other input still waits
    other.task.cancel()
    assert await work_left() == 0
    assert (who["both"].adapter.busy, who["both"].health.outcomes) == (0, {})


@virtual
async def test_a_joint_question_that_was_given_up_can_be_put_again():
    """The text waits a short while and goes on without; the image comes to this provider only later."""
    who = cast(late=Scripted((2.0, VendorDenied("key"))), both=Scripted(1.5, together=True, timeout="60s"))
    legs = {
        TEXT: leg([who["both"]], deadline=1.0),
        IMAGE: leg([who["late"], who["both"]], strategy="first", deadline=9.0),
    }
    answers = await answered(Route("default", legs), CAPTION, PICTURE)
    assert [status for _, status, _ in told(answers)] == ["timeout", "denied", "ok"]
    assert (who["both"].adapter.times, now()) == ([0, 2], 3.5)
