"""`GET /v1/providers`: how each provider stands, what it has cost, what it can see; of what really happened to it."""

from contextlib import AsyncExitStack

import aiohttp
import pytest
import pytest_asyncio

from tests.contract.replay import listening
from tests.gateway import image, judgement, response, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONFIG = """
auth:
  keys:
    - {{name: app, key: "${{APP_KEY}}", roles: [submit]}}
    - {{name: eye, key: "${{EYE_KEY}}", roles: [review]}}
providers:
  well: {{adapter: openai, base_url: "{url}/v1", api_key: sk-well, price_per_1k: 1.50}}
  busy: {{adapter: openai, base_url: "{url}/v1", api_key: sk-busy, retry: {{attempts: 1}}}}
  down: {{adapter: openai, base_url: "{url}/v1", api_key: sk-down, retry: {{attempts: 1}}, circuit: {{open_for: 5m}}}}
  shut: {{adapter: openai, base_url: "{url}/v1", api_key: sk-shut}}
  words: {{adapter: sieve, base_url: "{url}", api_key: sk-words, enabled: false}}
  idle: {{adapter: openai, base_url: "{url}/v1", api_key: sk-idle}}
routes:
  default: {{text: {{ask: [well]}}, image: {{ask: [well]}}}}
  all: {{text: {{ask: [well, busy, down, shut]}}}}
"""
KEYS = {"APP_KEY": "an-apps-key", "EYE_KEY": "a-reviewers-key"}
REFUSALS = {
    "sk-busy": response({}, "429 Too Many Requests", Retry_After="60"),
    "sk-down": response({}, "500 Internal Server Error"),
    "sk-shut": response({}, "401 Unauthorized"),
}


async def says(heard, writer):
    refusal = REFUSALS.get(heard.headers["authorization"].removeprefix("Bearer "))
    writer.write(refusal or response(judgement(heard)))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(tmp_path_factory):
    """After 21 texts that all were asked about, and a picture."""
    async with AsyncExitStack() as stack:
        vendor = await stack.enter_async_context(listening(says))
        config = CONFIG.format(url=vendor.url)
        url = await stack.enter_async_context(serving(config, tmp_path_factory.mktemp("gateway"), **KEYS))
        client = await stack.enter_async_context(aiohttp.ClientSession(url))
        for number in range(21):
            await submit(client, {"text": f"text {number}", "route": "all"})
        await submit(client, {"images": [{"data": image()}]})
        yield client


async def submit(client, body):
    async with client.post("/v1/moderate", json=body, headers={"X-API-Key": KEYS["APP_KEY"]}) as response:
        assert response.status == 200


@pytest_asyncio.fixture(loop_scope="module")
async def providers(gateway):
    async with gateway.get("/v1/providers", headers={"X-API-Key": KEYS["EYE_KEY"]}) as response:
        assert response.status == 200
        assert "sk-" not in await response.text()
        return {told["name"]: told for told in (await response.json())["providers"]}


async def test_every_provider_that_is_enabled_is_there(providers):
    assert list(providers) == ["well", "busy", "down", "shut", "idle"]


async def test_one_that_is_well(providers):
    well = providers["well"]
    closed = {"state": "closed", "reason": "", "next_probe_in_s": None}
    assert (well["adapter"], well["tier"], well["breaker"]) == ("openai", 2, {"text": closed, "image": closed})
    assert (well["attempts"], well["errors"], well["error_rate"], well["parked_for_s"]) == (22, {}, 0.0, 0.0)
    assert 0 < well["latency"]["text"]["p50_ms"] <= well["latency"]["text"]["p95_ms"] < 3000
    assert well["latency"]["image"] == {"p50_ms": None, "p95_ms": None}  # one is too few to tell


async def test_what_it_has_cost(providers):
    assert (providers["well"]["calls"], providers["well"]["spend"]) == (22, pytest.approx(0.033))
    assert (providers["down"]["calls"], providers["down"]["spend"]) == (5, 0.0)


async def test_what_it_can_see_in_each_modality(providers):
    sees = providers["well"]["sees"]
    assert "hate" in sees["text"]
    assert "hate" not in sees["image"]
    assert "violence/graphic" in sees["image"]


async def test_one_that_asked_for_patience_is_parked_and_its_breaker_is_closed(providers):
    busy = providers["busy"]
    assert 50 < busy["parked_for_s"] <= 60
    assert busy["breaker"]["text"]["state"] == "closed"
    assert (busy["attempts"], busy["errors"], busy["error_rate"]) == (1, {"throttled": 1}, 1.0)


async def test_one_that_fails_is_open_for_what_failed_only(providers):
    down = providers["down"]
    assert (down["attempts"], down["errors"]) == (5, {"unavailable": 5})
    text, pictures = down["breaker"]["text"], down["breaker"]["image"]
    assert (text["state"], text["reason"], pictures["state"]) == ("open", "5 failures in a row", "closed")


async def test_one_whose_key_is_refused_is_open_for_long(providers):
    shut = providers["shut"]
    assert (shut["attempts"], shut["errors"]) == (1, {"denied": 1})
    assert shut["breaker"]["text"]["state"] == "open"
    assert "key" in shut["breaker"]["text"]["reason"]
    assert 200 < shut["breaker"]["text"]["next_probe_in_s"] <= 300


async def test_one_that_was_never_asked_claims_nothing(providers):
    idle = providers["idle"]
    assert (idle["attempts"], idle["calls"], idle["error_rate"]) == (0, 0, None)
    assert idle["latency"]["text"] == {"p50_ms": None, "p95_ms": None}


async def test_it_is_not_for_strangers(gateway):
    async with gateway.get("/v1/providers") as response:
        assert response.status == 401
