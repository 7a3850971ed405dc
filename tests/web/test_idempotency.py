"""Sending a request twice under one key does it once."""

import asyncio

import aiohttp
import pytest

from gateway.errors import Conflict
from gateway.store.database import Database
from gateway.store.replays import Replays
from tests.gateway import serving

CONFIG = """
providers: {local-text: {adapter: local_text}}
routes: {default: {text: {ask: [local-text]}}}
auth:
  keys:
    - {name: app, key: app-key, tenant: acme}
    - {name: other, key: other-key, tenant: other}
"""
SAID = {"text": "A walk on the beach"}


@pytest.fixture
async def gateway(tmp_path):
    async with serving(CONFIG, tmp_path) as url, aiohttp.ClientSession(url) as client:
        yield client


async def send(client, body, key, who="app-key"):
    headers = {"X-API-Key": who, **({"Idempotency-Key": key} if key is not None else {})}
    async with client.post("/v1/moderate", json=body, headers=headers) as response:
        return response.status, await response.json(), response.headers.get("Idempotency-Replayed")


async def test_the_second_time_the_first_answer_comes_back(gateway):
    status, first, replayed = await send(gateway, SAID, "k1")
    assert (status, replayed) == (200, None)
    assert await send(gateway, SAID, "k1") == (200, first, "true")
    _, another, _ = await send(gateway, SAID, "k2")
    _, without, _ = await send(gateway, SAID, None)
    assert len({first["id"], another["id"], without["id"]}) == 3


async def test_another_request_under_the_same_key_is_a_conflict(gateway):
    await send(gateway, SAID, "k1")
    for body in ({"text": "Something else"}, {**SAID, "policy": "marketplace"}, {**SAID, "context": {"a": 1}}):
        status, problem, _ = await send(gateway, body, "k1")
        assert (status, problem["code"]) == (409, "idempotency_key_reused")


async def test_a_key_is_the_tenants_own(gateway):
    _, ours, _ = await send(gateway, SAID, "k1")
    status, theirs, replayed = await send(gateway, {"text": "Something else"}, "k1", "other-key")
    assert (status, replayed) == (200, None)
    assert theirs["id"] != ours["id"]


async def test_a_request_that_failed_may_be_sent_again(gateway):
    body = {**SAID, "policy": "nowhere"}
    assert (await send(gateway, body, "k1"))[0] == 400
    status, problem, replayed = await send(gateway, body, "k1")
    assert (status, problem["code"], replayed) == (400, "unknown_policy", None)
    assert (await send(gateway, SAID, "k1"))[0] == 200


async def test_many_at_once_do_it_once(gateway):
    answers = await asyncio.gather(*(send(gateway, SAID, "k1") for _ in range(12)))
    assert {status for status, _, _ in answers} <= {200, 409}
    assert len({answer["id"] for status, answer, _ in answers if status == 200}) == 1
    assert {answer["code"] for status, answer, _ in answers if status == 409} <= {"idempotency_in_flight"}


@pytest.mark.parametrize("key", ["", "a b", "x" * 256])
async def test_a_key_that_is_none_is_refused(gateway, key):
    status, problem, _ = await send(gateway, SAID, key)
    assert (status, problem["code"]) == (400, "invalid_idempotency_key")


async def test_a_request_that_was_lost_with_its_process_may_be_sent_again(tmp_path, monkeypatch):
    database = await Database.open(tmp_path)
    first, second = Replays(database.reader), Replays(database.reader)
    assert await first.claim("acme", "k", "f") is None  # and never ends
    with pytest.raises(Conflict):
        await second.claim("acme", "k", "f")
    monkeypatch.setattr("gateway.store.replays.ABANDONED", -1.0)
    assert await second.claim("acme", "k", "f") is None
    await database.close()
