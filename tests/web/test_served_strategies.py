"""Each strategy once through a served gateway: whom it asked, in which role, and what came after the answer."""

import asyncio
from contextlib import AsyncExitStack

import aiohttp
import pytest
import pytest_asyncio

from tests.contract.replay import listening
from tests.gateway import judgement, response, serving
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

POLICY = "policy: p\nthresholds: {violence: {review: 0.3, block: 0.9}}\n"
VENDORS = ("mild", "other", "strict", "slow", "varies", "down")
CONFIG = """
cache: {{ttl: 5m}}
policies: {{dir: ./policies, default: p}}
providers: {{{providers}}}
routes:
  default:  {{text: {{ask: [mild]}}}}
  all:      {{text: {{ask: [mild, other], shadow: [slow], deadline: 60s}}}}
  replaced: {{text: {{ask: [mild, down], fallback: [other]}}}}
  first:    {{text: {{ask: [down, mild, other], strategy: first}}}}
  race:     {{text: {{ask: [mild, slow], strategy: race, deadline: 60s}}}}
  quorum:   {{text: {{ask: [slow, mild, other], strategy: quorum, need: 2, deadline: 60s}}}}
  hedge:    {{text: {{ask: [varies, mild], strategy: hedge, hedge_after: 1500ms, deadline: 60s}}}}
  cascade:  {{text: {{ask: [strict, mild, other], strategy: cascade}}}}
  needed:   {{text: {{ask: [strict, mild, other], strategy: cascade, need: 2}}}}
  split:    {{text: {{strategy: {{split: {{mild: 50, other: 50}}}}}}}}
"""
ONCE = "timeout: 60s, retry: {attempts: 1}"


class Vendors:
    """What they say: `strict` and `slow` find violence in anything, `down` is.

    Those in `held` say it once it is `time`: after the decision.
    """

    def __init__(self):
        self.held = {"slow"}
        self.time = asyncio.Event()

    def says(self, name):
        async def say(heard, writer):
            said = judgement(heard)
            said["results"][0]["category_scores"]["violence"] = 0.97 if name in ("strict", "slow") else 0.001
            if name in self.held:
                await self.time.wait()
            writer.write(response({}, "503 Service Unavailable") if name == "down" else response(said))

        return say


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(tmp_path_factory):
    folder, vendors = tmp_path_factory.mktemp("gateway"), Vendors()
    (folder / "policies").mkdir()
    (folder / "policies" / "p.yaml").write_text(POLICY)
    async with AsyncExitStack() as stack:
        urls = {name: (await stack.enter_async_context(listening(vendors.says(name)))).url for name in VENDORS}
        one = "{}: {{adapter: openai, base_url: '{}/v1', api_key: sk, price_per_1k: 2.00, {}}}"
        providers = ", ".join(one.format(name, url, ONCE) for name, url in urls.items())
        url = await stack.enter_async_context(serving(CONFIG.format(providers=providers), folder))
        client = await stack.enter_async_context(aiohttp.ClientSession(url))
        client.vendors = vendors
        yield client


async def moderated(gateway, route, text, **context):
    body = {"text": text, "route": route, "context": context}
    async with gateway.post("/v1/moderate", json=body) as response:
        assert response.status == 200
        return await response.json()


async def after(gateway, answer):
    """The decision once all that was still to come has come."""
    awaited = sum(told["status"] in ("late", "shadow") for told in answer["providers"])

    async def come():
        async with gateway.get(f"/v1/decisions/{answer['id']}") as response:
            kept = await response.json()
        return kept if len(kept["late"]) == awaited else None

    gateway.vendors.time.set()
    try:
        return await until(come)
    finally:
        gateway.vendors.time.clear()


async def metric(gateway, name):
    async with gateway.get("/metrics") as response:
        lines = (await response.text()).splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.partition("{")[0].partition(" ")[0] == name)


def told(answer):
    return [(each["name"], each["status"], each["role"]) for each in answer["providers"]]


async def test_all_are_asked_and_a_shadow_is_heard_later_and_changes_nothing(gateway):
    answer = await moderated(gateway, "all", "all of them")
    assert told(answer) == [("mild", "ok", "ask"), ("other", "ok", "ask"), ("slow", "shadow", "shadow")]
    assert (answer["action"], answer["degraded"]) == ("allow", False)
    assert answer["categories"]["violence"]["providers"] == {"mild": 0.001, "other": 0.001}
    kept = await after(gateway, answer)
    assert [(late["name"], late["status"], late["outcome"]) for late in kept["late"]] == [("slow", "shadow", "ok")]
    assert kept["late"][0]["scores"]["violence"] == 0.97
    assert (kept["action"], kept["revisions"]) == ("allow", [])
    assert {raw["provider"] for raw in kept["raw"]} == {"mild", "other", "slow"}


async def test_one_that_fails_is_replaced_and_once_its_breaker_is_open_not_asked(gateway):
    answers = [await moderated(gateway, "replaced", f"replaced {number}") for number in range(6)]
    assert told(answers[0]) == [
        ("mild", "ok", "ask"),
        ("down", "unavailable", "ask"),
        ("other", "ok", "fallback"),
    ]
    assert [told(answer)[1][1] for answer in answers] == [*["unavailable"] * 5, "open"]
    assert answers[5]["providers"][1]["attempts"] == 0
    assert "5 failures in a row" in answers[5]["providers"][1]["error"]
    assert all(answer["degraded"] for answer in answers)


async def test_first_asks_on_until_one_answers(gateway):
    answer = await moderated(gateway, "first", "the first that works")
    assert [(name, role) for name, _, role in told(answer)] == [("down", "ask"), ("mild", "ask")]


async def test_what_was_asked_before_is_remembered(gateway):
    first, again = [await moderated(gateway, "default", "said twice") for _ in range(2)]
    assert (told(first), told(again)) == ([("mild", "ok", "ask")], [("mild", "cached", "ask")])
    assert again["providers"][0]["attempts"] == 0
    assert (first["action"], first["categories"]) == (again["action"], again["categories"])
    assert told(await moderated(gateway, "all", "said twice"))[0] == ("mild", "cached", "ask")


async def test_a_race_is_over_with_the_first_and_revised_by_a_late_answer_that_is_stricter(gateway):
    revised = await metric(gateway, "modgate_revisions_total")
    answer = await moderated(gateway, "race", "a race")
    assert told(answer) == [("mild", "ok", "ask"), ("slow", "late", "ask")]
    assert answer["action"] == "allow"
    kept = await after(gateway, answer)
    assert (kept["action"], told(kept)) == ("allow", told(answer))
    [late], [revision] = kept["late"], kept["revisions"]
    assert (late["name"], late["status"], late["role"], late["outcome"]) == ("slow", "late", "ask", "ok")
    assert (revision["cause"], revision["action"]) == ("late_answer", "block")
    assert revision["reasons"][0]["category"] == "violence"
    assert await metric(gateway, "modgate_revisions_total") == revised + 1


async def test_a_quorum_waits_for_as_many_as_it_needs(gateway):
    answer = await moderated(gateway, "quorum", "a quorum")
    assert sorted(told(answer)) == [("mild", "ok", "ask"), ("other", "ok", "ask"), ("slow", "late", "ask")]
    assert [revision["action"] for revision in (await after(gateway, answer))["revisions"]] == ["block"]


async def test_a_first_that_is_slower_than_it_may_be_gets_another_beside_it(gateway):
    assert len((await moderated(gateway, "hedge", "quick"))["providers"]) == 1
    gateway.vendors.held.add("varies")
    answer = await moderated(gateway, "hedge", "slow")
    assert told(answer) == [("mild", "ok", "hedge"), ("varies", "late", "ask")]
    late = (await after(gateway, answer))["late"]
    assert [(each["name"], each["role"], each["outcome"]) for each in late] == [("varies", "ask", "ok")]


async def test_a_cascade_spares_those_who_could_change_nothing_and_says_what_it_saved(gateway):
    saved = await metric(gateway, "modgate_spend_saved_total")
    answer = await moderated(gateway, "cascade", "a cascade")
    assert (told(answer), answer["action"]) == ([("strict", "ok", "ask")], "block")
    assert await metric(gateway, "modgate_spend_saved_total") - saved == pytest.approx(2 * 0.002)


async def test_a_cascade_that_stops_short_of_what_it_needs_says_so(gateway):
    answer = await moderated(gateway, "needed", "a short cascade")
    assert (told(answer), answer["action"], answer["degraded"]) == ([("strict", "ok", "ask")], "block", True)
    assert "coverage_too_few" in [reason["code"] for reason in answer["reasons"]]


async def test_a_split_keeps_a_user_with_one_vendor(gateway):
    drawn = {}
    for user in range(12):
        names = {
            told(await moderated(gateway, "split", f"{user} says {number}", user_id=f"u{user}"))[0][0]
            for number in range(3)
        }
        assert len(names) == 1
        drawn[user] = names.pop()
    assert set(drawn.values()) == {"mild", "other"}
