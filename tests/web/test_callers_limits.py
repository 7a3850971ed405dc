"""What a caller may do, by its key: requests a second, money a day, and whose turn it is; and how a refusal is told."""

import asyncio
import json
import re
import socket
import sys
from pathlib import Path

import aiohttp
import boto3
import botocore.config
import openai
import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.web import brake
from tests.contract.replay import listening
from tests.gateway import judges, serving
from tests.waiting import until
from tests.web.behind import PHOTO

CONFIG = """
limits: {{concurrency: {concurrency}, wait: {wait}}}
auth:
  keys:
    - {{name: app, key: app-key}}
    - {{name: slow, key: slow-key, rate_limit: 2/m}}
    - {{name: poor, key: poor-key, daily_spend: 2.00}}
    - {{name: heap, key: heap-key, tenant: heap, priority: batch}}
providers: {{judge: {{adapter: openai, base_url: "{vendor}/v1", api_key: sk-1, price_per_1k: 1000.00}}}}
routes: {{default: {{text: {{ask: [judge]}}}}}}
"""


def configured(vendor, *, concurrency=256, wait="10s"):
    return CONFIG.format(vendor=vendor.url, concurrency=concurrency, wait=wait)


@pytest.fixture
async def behind():
    async with listening(judges) as vendor:
        yield vendor


@pytest.fixture
async def gateway(behind, tmp_path):
    async with serving(configured(behind), tmp_path) as url, aiohttp.ClientSession(url) as client:
        yield client


async def send(client, key, text="A walk on the beach", path="/v1/moderate"):
    async with client.post(path, json={"text": text}, headers={"X-API-Key": key}) as response:
        return response.status, await response.json(), response.headers.get("Retry-After")


async def refusals(client):
    """How many were refused, by reason."""
    async with client.get("/metrics") as response:
        families = {family.name: family for family in text_string_to_metric_families(await response.text())}
    samples = families["modgate_refused"].samples
    return {sample.labels["reason"]: sample.value for sample in samples if sample.name.endswith("_total")}


async def test_over_its_rate_a_key_is_told_when_to_come_back(gateway):
    assert (await send(gateway, "slow-key"))[0] == 200
    status, problem, after = await send(gateway, "slow-key")
    assert (status, problem["code"]) == (429, "rate_limited")
    assert 25 <= int(after) <= 30
    assert (await send(gateway, "app-key"))[0] == 200
    assert await refusals(gateway) == {"rate_limited": 1}


async def test_once_it_has_spent_its_day_a_key_is_refused(gateway, behind):
    for text in ("one", "two"):
        assert (await send(gateway, "poor-key", text))[0] == 200
    status, problem, after = await send(gateway, "poor-key", "three")
    assert (status, problem["code"]) == (429, "spend_exhausted")
    assert 0 < int(after) <= 86_400
    assert len(behind.heard) == 2
    assert (await send(gateway, "app-key"))[0] == 200


async def test_what_costs_nothing_is_not_spent(gateway, behind):
    answers = [
        (await send(gateway, "poor-key"))[0] for _ in range(5)
    ]  # the vendor is asked once, then it is remembered
    assert (answers, len(behind.heard)) == ([200] * 5, 1)


async def test_a_restart_does_not_give_the_money_back(behind, tmp_path):
    for text, status in (("one", 200), ("two", 200), ("three", 429)):
        async with serving(configured(behind), tmp_path) as url, aiohttp.ClientSession(url) as client:
            assert (await send(client, "poor-key", text))[0] == status


async def test_the_official_client_of_a_dialect_raises_its_own_exception(gateway):
    client = openai.AsyncOpenAI(api_key="poor-key", base_url=f"{gateway._base_url}/v1", max_retries=0)
    for text in ("one", "two"):
        await client.moderations.create(input=text)
    with pytest.raises(openai.RateLimitError) as caught:
        await client.moderations.create(input="three")
    assert caught.value.code == "insufficient_quota"
    assert int(caught.value.response.headers["Retry-After"]) > 0
    await client.close()


async def test_whoever_signs_has_limits_too(gateway):
    """Who it is shows only once the body has been read."""

    def asked(name):
        keys = {"aws_access_key_id": name, "aws_secret_access_key": f"{name}-key"}
        once = botocore.config.Config(retries={"total_max_attempts": 1})
        client = boto3.client(
            "rekognition", endpoint_url=str(gateway._base_url), region_name="eu-west-1", config=once, **keys
        )
        try:
            client.detect_moderation_labels(Image={"Bytes": PHOTO})
        except client.exceptions.ClientError as error:
            return error.response["Error"]["Code"]

    codes = [await asyncio.to_thread(asked, "slow") for _ in range(2)]
    assert codes[0] != codes[1] == "ProvisionedThroughputExceededException"
    for _ in range(3):
        assert await asyncio.to_thread(asked, "heap") == codes[0]
    async with gateway.get("/metrics") as response:
        assert "modgate_in_flight 0.0" in await response.text()


async def test_a_key_made_on_the_command_line_has_its_limits(gateway, tmp_path):
    program = [
        str(Path(sys.executable).with_name("modgate")),
        "keys",
        "create",
        "made",
        "--rate-limit",
        "1/m",
        "--json",
    ]
    config = ["--config", str(tmp_path / "gateway.yaml")]
    made = await asyncio.create_subprocess_exec(*program, *config, stdout=asyncio.subprocess.PIPE)
    key = json.loads((await made.communicate())[0])["key"]

    async def known():
        status, *_ = await send(gateway, key)
        return status if status != 401 else None

    assert await until(known) == 200
    assert (await send(gateway, key))[1]["code"] == "rate_limited"


async def test_work_that_came_in_too_slowly_is_not_begun(behind, tmp_path):
    """The head comes at once, the body after the time its caller is thought to wait."""
    async with serving(configured(behind, wait="1s"), tmp_path) as url, aiohttp.ClientSession(url) as client:

        async def dawdling():
            yield b'{"text": '
            await asyncio.sleep(1.2)
            yield b'"A walk on the beach"}'

        headers = {"X-API-Key": "app-key", "Content-Type": "application/json"}
        async with client.post("/v1/moderate", data=dawdling(), headers=headers) as response:
            problem = await response.json()
            assert (response.status, problem["code"], response.headers["Retry-After"]) == (503, "waited_too_long", "1")
        assert behind.heard == []
        assert (await send(client, "app-key"))[0] == 200
        assert await refusals(client) == {"waited_too_long": 1}


async def test_a_flood_of_batches_leaves_live_traffic_its_goodput(tmp_path, monkeypatch):
    """Batches get two of the eight places, live traffic needs four; and no busy machine makes them fewer."""

    async def ponders(heard, writer):
        await asyncio.sleep(0.1)
        await judges(heard, writer)

    monkeypatch.setattr(brake, "TOO_MUCH", 600.0)
    numbers = iter(range(100_000))

    async with (
        listening(ponders) as vendor,
        serving(configured(vendor, concurrency=8), tmp_path) as url,
        aiohttp.ClientSession(url, connector=aiohttp.TCPConnector(limit=0)) as client,
    ):

        async def live():
            """Twenty, four at once; how many were answered."""
            places = asyncio.Semaphore(4)

            async def one():
                async with places:
                    return await send(client, "app-key", f"live {next(numbers)}")

            return [status for status, _, _ in await asyncio.gather(*(one() for _ in range(20)))].count(200)

        async def flood(codes):
            while True:
                status, body, _ = await send(client, "heap-key", f"batch {next(numbers)}")
                codes.append(body.get("code", status))
                await asyncio.sleep(0.01)

        alone = await live()
        codes = []
        floods = [asyncio.create_task(flood(codes)) for _ in range(8)]
        await until(lambda: "batch_waits" in codes)
        beside = await live()
        await until(lambda: 200 in codes)
        for task in floods:
            task.cancel()
        await asyncio.gather(*floods, return_exceptions=True)
    assert alone == 20
    assert beside == 20
    assert {200, "batch_waits"} == set(codes)


@pytest.mark.parametrize("size", [20, 2_000_000])
async def test_after_a_refusal_the_connection_is_good_for_the_next_request(gateway, size):
    """The body is not looked at, however large, and thrown away while it comes in: a client that still writes is not
    cut off before it reads why."""
    await send(gateway, "slow-key")
    body = json.dumps({"text": "x" * size}).encode()
    head = f"POST /v1/moderate HTTP/1.1\r\nHost: x\r\nX-API-Key: slow-key\r\nContent-Length: {len(body)}\r\n\r\n"

    def talk():
        with socket.create_connection(("127.0.0.1", gateway._base_url.port), timeout=60) as line:
            statuses = []
            for _ in range(3):
                line.sendall(head.encode() + body)
                answer = b""
                while b"\r\n\r\n" not in answer:
                    answer += line.recv(65_536)
                top, _, rest = answer.partition(b"\r\n\r\n")
                length = int(next(row for row in top.split(b"\r\n") if row.lower().startswith(b"content-length:"))[15:])
                while len(rest) < length:
                    rest += line.recv(65_536)
                statuses.append(top[9:12])
            return statuses

    assert await asyncio.to_thread(talk) == [b"429"] * 3


async def test_who_asks_before_sending_is_told_no_at_once_or_to_go_on(gateway):
    await send(gateway, "slow-key")
    body = json.dumps({"text": "x" * 2000}).encode()

    def talk(key):
        head = f"POST /v1/moderate HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\nContent-Length: {len(body)}\r\n"
        with socket.create_connection(("127.0.0.1", gateway._base_url.port), timeout=60) as line:
            line.sendall(head.encode() + b"Expect: 100-continue\r\n\r\n")
            first = line.recv(65_536)
            if first.startswith(b"HTTP/1.1 100"):
                line.sendall(body)
                return first, line.recv(65_536)
            return first, b""

    first, then = await asyncio.to_thread(talk, "slow-key")
    assert (first[9:12], then) == (b"429", b"")
    assert b"connection: close" in first.lower()
    first, then = await asyncio.to_thread(talk, "app-key")
    assert (first, then[9:12]) == (b"HTTP/1.1 100 Continue\r\n\r\n", b"200")


async def test_metrics_say_how_the_loop_does_and_how_many_may_come(gateway):
    async def sampled():
        async with gateway.get("/metrics") as response:
            said = await response.text()
        return re.search(r"^modgate_loop_lag_seconds_count [1-9]", said, re.M) and said

    assert "modgate_admission_cap 256.0" in await until(sampled)
