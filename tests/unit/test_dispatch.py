"""Whom to ask, in what order, for how long. Vendors here are adapters with a script; time is virtual and exact."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

import pytest

from gateway.adapter import Call, LocalAdapter, Reply, VendorSettings
from gateway.dispatch.cache import Asker
from gateway.dispatch.deadline import Deadline
from gateway.dispatch.fanout import Guidance, Route, ask
from gateway.dispatch.question import Provider, Question, put
from gateway.dispatch.retry import LEAST_TIME
from gateway.dispatch.strategies import Leg
from gateway.dispatch.transport import Discreet
from gateway.domain import Answer, Content, Exchange, Failure, Finding, Image, Look, Modality, Reading, Role, Text
from gateway.errors import (
    VendorDenied,
    VendorDrift,
    VendorError,
    VendorRejected,
    VendorThrottled,
    VendorTimeout,
    VendorUnavailable,
)
from gateway.mapping import VendorTable
from gateway.paths import TAXONOMY
from gateway.taxonomy import Taxonomy
from gateway.yamlfile import loads
from tests.virtualtime import virtual

TABLE = VendorTable(
    "acme",
    loads("measures: x\nscale: [0, 1]\nsilence: below_minimum\nlabels: {hate: hate, spam: spam}\n", file="acme.yaml"),
    Taxonomy.from_file(TAXONOMY),
)
TEXT, IMAGE = Modality.TEXT, Modality.IMAGE
CAPTION, PICTURE, SECOND = Text("a caption"), Image("aa", (), "png"), Image("bb", (), "png")
CLEAN = Look((Finding("hate", 0.0),))
FOREVER = 1e9

Step = float | Look | BaseException | Callable[[Content], Look]


class Scripted(LocalAdapter):
    """Does the steps of its script one look after the other, the last one for ever: waits, then answers or raises."""

    accepts: ClassVar = frozenset(Modality)

    def __init__(self, *looks: Iterable[Step] | Step, together: bool = False, **settings: Any):
        super().__init__(VendorSettings.model_validate({"adapter": "scripted", "timeout": "3s", **settings}))
        self.together = together  # type: ignore[misc]
        self.script = [look if isinstance(look, tuple) else (look,) for look in looks or (CLEAN,)]
        self.heard: list[tuple[float, Content]] = []
        self.busy = self.busiest = 0

    @property
    def times(self) -> list[float]:
        return [round(at, 6) for at, _ in self.heard]

    async def open(self, workshop: Any) -> None: ...

    async def look(self, content: Content, send: Any) -> Look:
        steps = self.script[min(len(self.heard), len(self.script) - 1)]
        self.heard.append((now(), content))
        self.busy += 1
        self.busiest = max(self.busy, self.busiest)
        try:
            for step in steps:
                if isinstance(step, BaseException):
                    raise step
                if isinstance(step, Look):
                    return step
                if callable(step):
                    return step(content)
                await asyncio.sleep(step)
            return CLEAN
        finally:
            self.busy -= 1


async def unused(address: str, call: Any, /) -> Any:
    raise AssertionError("a scripted vendor sends nothing")


def provider(adapter: Scripted, name: str = "acme") -> Provider:
    return Provider(name, adapter, TABLE.translate, dict.fromkeys(Modality, frozenset({"hate"})), unused)


def cast(**adapters: Scripted) -> dict[str, Provider]:
    return {name: provider(adapter, name) for name, adapter in adapters.items()}


def now() -> float:
    return asyncio.get_running_loop().time()


async def asked(adapter: Scripted, deadline: float = 10.0) -> Reading | Failure:
    return await put(Question(Content((CAPTION,)), {TEXT: 0}), provider(adapter), Deadline.after(deadline))


def leg(
    ask: Iterable[Provider],
    fallback: Iterable[Provider] = (),
    *,
    strategy: str = "all",
    need: int = 1,
    deadline: float = 5.0,
) -> Leg:
    return Leg(strategy, tuple(ask), tuple(fallback), need, deadline)


async def answered(to: Leg, *inputs: Text | Image) -> tuple[Answer, ...]:
    route = Route("default", {TEXT: to, IMAGE: to})
    return (await ask(Content(inputs or (CAPTION,)), route, Asker(None), Guidance())).answers


def told(answers: Iterable[Answer]) -> list[tuple[str, str, Role]]:
    return [(answer.outcome.provider, answer.outcome.status, answer.role) for answer in answers]


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
    async def stubborn(content: Content, send: Any) -> Look:
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


# Turns


@virtual
async def test_no_more_are_asked_of_a_provider_at_once_than_it_takes():
    adapter = Scripted(1.0, max_concurrency=2, timeout="10s")
    who = provider(adapter)
    question = Question(Content((CAPTION,)), {TEXT: 0})
    outcomes = await asyncio.gather(*(put(question, who, Deadline.after(10)) for _ in range(6)))
    assert {outcome.status for outcome in outcomes} == {"ok"}
    assert (adapter.busiest, now()) == (2, pytest.approx(3))


@virtual
async def test_waiting_for_a_turn_is_part_of_the_time():
    adapter = Scripted(2.0, max_concurrency=1, timeout="3s")
    who = provider(adapter)
    question = Question(Content((CAPTION,)), {TEXT: 0})
    outcomes = await asyncio.gather(*(put(question, who, Deadline.after(10)) for _ in range(3)))
    assert [outcome.status for outcome in outcomes] == ["ok", "timeout", "throttled"]
    assert (who.turns.locked(), adapter.busy) == (False, 0)


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
    assert answers[0].failure.raw == "{}"


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


# Several inputs


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
async def test_it_is_asked_apart_where_the_route_names_it_for_one_of_them_only():
    both, texts_only = Scripted(together=True), Scripted(together=True)
    legs = {TEXT: leg([provider(texts_only, "t")]), IMAGE: leg([provider(both, "i")])}
    await ask(Content((CAPTION, PICTURE)), Route("default", legs), Asker(None), Guidance())
    assert [content.inputs for _, content in texts_only.heard] == [(CAPTION,)]
    assert [content.inputs for _, content in both.heard] == [(PICTURE,)]


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
async def test_each_leg_keeps_its_own_deadline():
    who = provider(Scripted(FOREVER, timeout="60s"))
    legs = {TEXT: leg([who], deadline=2.0), IMAGE: leg([who], deadline=4.0)}
    answers = (await ask(Content((CAPTION, PICTURE)), Route("default", legs), Asker(None), Guidance())).answers
    assert [answer.outcome.latency_ms for answer in answers] == pytest.approx([2000, 4000])
    assert now() == pytest.approx(4)


@pytest.mark.parametrize("text, image", [(1.0, 4.0), (4.0, 1.0)])
@virtual
async def test_a_shared_question_is_over_when_the_longest_deadline_is(text, image):
    who = provider(Scripted(FOREVER, timeout="60s", together=True))
    legs = {TEXT: leg([who], deadline=text), IMAGE: leg([who], deadline=image)}
    answers = (await ask(Content((CAPTION, PICTURE)), Route("default", legs), Asker(None), Guidance())).answers
    assert {answer.outcome.status for answer in answers} == {"timeout"}
    assert now() <= max(text, image) + 1e-6


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
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert [adapter.busy for adapter in adapters] == [0, 0]


@virtual
async def test_nothing_goes_on_once_all_is_answered():
    who = cast(a=Scripted(0.5, together=True), b=Scripted(FOREVER))
    await answered(leg(who.values(), deadline=1.0), CAPTION, PICTURE)
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}
