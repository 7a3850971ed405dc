"""How the providers of a route are asked, seen from both ends of a whole gateway: who, how often, and at once."""

import asyncio
from time import monotonic

from tests.faults.asking import BOTH, TEXT, asking, first, hangs, refuses
from tests.gateway import image, judges, response


def always(said):
    async def says(heard, writer):
        writer.write(said)

    return says


def outcomes(told):
    return [(asked["name"], asked["status"], asked["role"]) for asked in told["providers"]]


async def test_a_vendor_that_fails_once_is_asked_again(tmp_path):
    async with asking(tmp_path, BOTH, a=first(refuses("500 Internal Server Error"))) as gateway:
        told = await gateway.moderate(text=TEXT)
    assert outcomes(told) == [("a", "ok", "ask")]
    assert told["providers"][0]["attempts"] == len(gateway.heard("a")) == 2
    assert (told["action"], told["degraded"]) == ("block", False)


async def test_a_vendor_is_not_asked_again_before_it_said(tmp_path):
    times = []
    says = first(refuses("429 Too Many Requests", Retry_After="1"))

    async def timed(heard, writer):
        times.append(monotonic())
        await says(heard, writer)

    async with asking(tmp_path, BOTH, a=timed) as gateway:
        told = await gateway.moderate(text=TEXT)
    assert outcomes(told) == [("a", "ok", "ask")]
    assert times[1] - times[0] >= 1.0


async def test_attempts_can_be_limited_to_one(tmp_path):
    a = first(refuses("500 Internal Server Error"))
    async with asking(tmp_path, BOTH, "retry: {attempts: 1}", a=a) as gateway:
        told = await gateway.moderate(text=TEXT)
    assert outcomes(told) == [("a", "unavailable", "ask")]
    assert len(gateway.heard("a")) == 1


async def test_the_deadline_holds_whatever_the_providers_take(tmp_path):
    """They would take a minute each."""
    legs = "text: {ask: [a], fallback: [b], deadline: 800ms}"
    async with asking(tmp_path, legs, patience="timeout: 60s", a=hangs, b=hangs) as gateway:
        status, told, seconds = await gateway.post("/v1/moderate", text=TEXT)
    assert 0.8 <= seconds < 30
    assert (status, told["action"]) == (200, "review")
    assert outcomes(told) == [("a", "timeout", "ask"), ("b", "timeout", "fallback")]


async def test_first_leaves_the_others_alone_while_one_answers(tmp_path):
    legs = "text: {strategy: first, ask: [a, b]}"
    async with asking(tmp_path, legs, a=judges, b=judges) as gateway:
        told = await gateway.moderate(text=TEXT)
    assert outcomes(told) == [("a", "ok", "ask")]
    assert not gateway.heard("b")


async def test_first_goes_on_to_the_next_where_one_fails(tmp_path):
    legs = "text: {strategy: first, ask: [a, b], fallback: [c]}"
    async with asking(tmp_path, legs, a=always(response({})), b=judges, c=judges) as gateway:
        told = await gateway.moderate(text=TEXT)
    assert outcomes(told) == [("a", "drift", "ask"), ("b", "ok", "ask")]
    assert (told["action"], told["degraded"]) == ("block", True)
    assert not gateway.heard("c")


async def test_all_are_asked_at_once(tmp_path):
    met = asyncio.Barrier(2)

    async def waits_for_the_other(heard, writer):
        await met.wait()
        await judges(heard, writer)

    async with asking(tmp_path, "text: {ask: [a, b]}", a=waits_for_the_other, b=waits_for_the_other) as gateway:
        told = await gateway.moderate(text=TEXT)
    assert outcomes(told) == [("a", "ok", "ask"), ("b", "ok", "ask")]


async def test_need_is_met_by_a_fallback(tmp_path):
    legs = "text: {ask: [a, b], fallback: [c], need: 2}"
    async with asking(tmp_path, legs, a=judges, b=always(response({})), c=judges) as gateway:
        told = await gateway.moderate(text="A walk on the beach")
    assert outcomes(told) == [("a", "ok", "ask"), ("b", "drift", "ask"), ("c", "ok", "fallback")]
    assert (told["action"], told["degraded"]) == ("allow", True)


async def test_need_that_is_not_met_is_reviewed(tmp_path):
    legs = "text: {ask: [a, b], need: 2}"
    async with asking(tmp_path, legs, a=judges, b=always(response({}))) as gateway:
        told = await gateway.moderate(text="A walk on the beach")
    assert (told["action"], told["degraded"]) == ("review", True)
    assert [reason["code"] for reason in told["reasons"]] == ["coverage_too_few"]


async def test_text_and_image_go_in_one_call(tmp_path):
    async with asking(tmp_path, BOTH, a=judges) as gateway:
        told = await gateway.moderate(text=TEXT, images=[{"data": image()}])
    [heard] = gateway.heard("a")
    assert [part["type"] for part in heard.json["input"]] == ["text", "image_url"]
    assert heard.json["input"][0]["text"] == TEXT
    assert [(asked["input"], asked["status"]) for asked in told["providers"]] == [(0, "ok"), (1, "ok")]


async def test_a_list_of_texts_is_a_call_for_each(tmp_path):
    async with asking(tmp_path, BOTH, a=judges) as gateway:
        _, told, _ = await gateway.post("/v1/moderations", input=["one", TEXT, "three"])
    assert sorted(heard.json["input"] for heard in gateway.heard("a")) == sorted(["one", TEXT, "three"])
    assert [result["flagged"] for result in told["results"]] == [False, True, False]


async def test_an_album_is_a_call_for_each_picture(tmp_path):
    async with asking(tmp_path, BOTH, a=judges) as gateway:
        await gateway.moderate(images=[{"data": image("olive")}, {"data": image("navy")}])
    sent = [heard.json["input"] for heard in gateway.heard("a")]
    assert [[part["type"] for part in parts] for parts in sent] == [["image_url"], ["image_url"]]
    assert sent[0] != sent[1]


async def test_a_picture_that_fails_is_not_covered_by_the_one_beside_it(tmp_path):
    async with asking(tmp_path, BOTH, a=first(refuses("400 Bad Request"))) as gateway:
        told = await gateway.moderate(images=[{"data": image("olive")}, {"data": image("navy")}])
    assert sorted(asked["status"] for asked in told["providers"]) == ["ok", "rejected"]
    assert sorted(judged["action"] for judged in told["inputs"]) == ["allow", "review"]
    assert (told["action"], told["degraded"]) == ("review", True)


async def test_no_more_calls_at_once_than_allowed(tmp_path):
    async def late(heard, writer):
        await asyncio.sleep(0.03)
        await judges(heard, writer)

    async with asking(tmp_path, BOTH, "max_concurrency: 2", a=late) as gateway:
        told = await asyncio.gather(*(gateway.moderate(text=f"{TEXT} {n}") for n in range(8)))
    assert {asked["status"] for each in told for asked in each["providers"]} == {"ok"}
    assert gateway.vendors["a"].busiest == 2
