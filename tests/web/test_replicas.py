"""Two gateways and one Redis: what they share, and that nobody notices when it is gone."""

import asyncio
import json
from contextlib import asynccontextmanager

import aiohttp
import pytest

from tests.contract.replay import listening
from tests.gateway import judges, response, serving
from tests.redisserver import PASSWORD, patient, redis_server, soon

CONFIG = """
storage: {{redis: "{redis}"}}
auth:
  keys:
    - {{name: app, key: app-key}}
    - {{name: slow, key: slow-key, rate_limit: 1/m}}
    - {{name: poor, key: poor-key, daily_spend: 2.00}}
providers:
  judge:
    {{adapter: openai, base_url: "{vendor}/v1", api_key: sk-1, price_per_1k: 1000.00,
      retry: {{attempts: 1}}, circuit: {{open_for: 1h, open_most: 1h}}}}
routes: {{default: {{text: {{ask: [judge]}}}}}}
"""


@pytest.fixture(autouse=True)
def waits(request, monkeypatch):
    if "hangs" not in request.node.name:
        patient(monkeypatch)


@asynccontextmanager
async def gateway(redis, vendor, folder):
    """A client of one more gateway, with a database of its own."""
    folder.mkdir()
    config = CONFIG.format(redis=redis.url, vendor=vendor.url)
    async with serving(config, folder) as url, aiohttp.ClientSession(url) as client:
        await until(client, lambda ready: ready["redis"]["ok"] is ready["redis"]["hears_others"])
        yield client


@asynccontextmanager
async def pair(vendor_says, folder):
    async with (
        redis_server() as redis,
        listening(vendor_says) as vendor,
        gateway(redis, vendor, folder / "one") as one,
        gateway(redis, vendor, folder / "two") as two,
    ):
        yield redis, vendor, one, two


async def send(client, text="A walk on the beach", key="app-key"):
    async with client.post("/v1/moderate", json={"text": text}, headers={"X-API-Key": key}) as answer:
        return answer.status, await answer.json()


async def until(client, holds):
    """The checks of /readyz, once this holds for them."""
    while True:
        async with client.get("/readyz") as answer:
            assert answer.status == 200
            checks = (await answer.json())["checks"]
        if holds(checks):
            return checks
        await asyncio.sleep(0.02)


async def breaker(client):
    async with client.get("/v1/providers", headers={"X-API-Key": "app-key"}) as answer:
        return (await answer.json())["providers"][0]["breaker"]["text"]


async def metric(client, name):
    async with client.get("/metrics") as answer:
        lines = (await answer.text()).splitlines()
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if line.startswith(name)}


async def test_what_one_was_told_the_other_does_not_ask_again(tmp_path):
    async with pair(judges, tmp_path) as (redis, vendor, one, two):
        assert (await send(one, "I will kill you"))[1]["providers"][0]["status"] == "ok"
        while not await redis.client.keys("modgate:1:said:*"):  # noqa: ASYNC110 - Redis tells nobody
            await asyncio.sleep(0.01)
        status, told = await send(two, "I will kill you")
        assert (status, told["providers"][0]["status"], told["action"]) == (200, "cached", "block")
        assert len(vendor.heard) == 1


async def test_they_share_what_a_key_may_send_and_spend(tmp_path):
    async with pair(judges, tmp_path) as (_, vendor, one, two):
        sent = [(await send(client, str(number), "slow-key"))[0] for number in range(2) for client in (one, two)]
        assert sent == [200, 429, 429, 429]
        for number, client in enumerate((one, two)):
            assert (await send(client, f"dear {number}", "poor-key"))[0] == 200
        for client in (one, two):
            told = await send(client, "dear 0", "poor-key")  # said before: that costs nothing
            assert (told[0], told[1]["code"]) == (429, "spend_exhausted")
        assert len(vendor.heard) == 3


async def test_a_breaker_that_opens_at_one_costs_the_other_a_single_call(tmp_path):
    async def fails(heard, writer):
        writer.write(response({"error": {"message": "down"}}, "503 Service Unavailable"))

    async with pair(fails, tmp_path) as (_, vendor, one, two):
        while (await breaker(one))["state"] != "open":
            assert (await send(one, str(len(vendor.heard))))[1]["action"] == "review"
        while (await breaker(two))["state"] != "half_open":  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.01)
        assert "another replica" in (await breaker(two))["reason"]
        asked = len(vendor.heard)
        for number in range(5):
            assert (await send(two, f"two {number}"))[1]["action"] == "review"
        assert (len(vendor.heard), (await breaker(two))["state"]) == (asked + 1, "open")


@pytest.mark.parametrize("harm", ["dies", "hangs"])
async def test_nobody_notices_when_redis(tmp_path, capfd, harm):
    async with pair(judges, tmp_path) as (redis, _, one, two):
        statuses, numbers, stop = [], iter(range(10**6)), asyncio.Event()

        async def traffic(client):
            while not stop.is_set():
                statuses.append(await send(client, f"text {next(numbers)}"))

        flow = [asyncio.create_task(traffic(client)) for client in (one, two) for _ in range(3)]
        redis.kill() if harm == "dies" else redis.hang()
        for client in (one, two):
            checks = await until(client, lambda checks: not checks["redis"]["ok"])
            assert checks["redis"]["error"]
            before = len(statuses)
            await soon(lambda before=before: len(statuses) >= before + 20)
            assert (await metric(client, "modgate_redis_lost"))["modgate_redis_lost"] == 1
            assert sum((await metric(client, "modgate_redis_missed_total")).values()) > 0
        limited = [(await send(one, f"limited {number}", "slow-key"))[0] for number in range(4)]
        await (redis.start() if harm == "dies" else asyncio.to_thread(redis.go_on))
        for client in (one, two):
            await until(client, lambda checks: checks["redis"]["ok"] and checks["redis"]["hears_others"])
        stop.set()
        await asyncio.gather(*flow)
    assert limited == [200, 429, 429, 429]  # never no limit
    assert {(status, told["action"]) for status, told in statuses} == {(200, "allow")}
    assert PASSWORD not in "".join(capfd.readouterr()) + json.dumps(checks)


async def test_it_starts_without_redis(tmp_path):
    async with (
        redis_server(started=False) as redis,
        listening(judges) as vendor,
        gateway(redis, vendor, tmp_path / "one") as client,
    ):
        assert (await send(client))[0] == 200
        await redis.start()
        await until(client, lambda checks: checks["redis"]["ok"])
