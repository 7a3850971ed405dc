"""What every request gets: an id, timings, a key check, problems in one shape, metrics, a log line, an end in order."""

import asyncio
import json
import re

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.web.app import endpoints
from tests.gateway import serving

OPEN = """
providers: {local-text: {adapter: local_text}}
routes: {default: {text: {ask: [local-text]}}}
"""
LOCKED = (
    OPEN
    + """
auth:
  keys:
    - {name: app, key: "${APP_KEY}", tenant: acme, roles: [submit]}
    - {name: other, key: other-key, tenant: other, roles: [submit]}
    - {name: judge, key: judge-key, tenant: acme, roles: [review]}
    - {name: root, key: root-key, tenant: acme, roles: [admin]}
"""
)
CANARY = "canary-5ecret-key"
SAID = {"text": "A walk on the beach"}


@pytest.fixture
async def gateway(tmp_path):
    async with serving(OPEN, tmp_path) as url, aiohttp.ClientSession(url) as client:
        yield client


@pytest.fixture
async def locked(tmp_path):
    async with serving(LOCKED, tmp_path, APP_KEY=CANARY) as url, aiohttp.ClientSession(url) as client:
        yield client


def bearer(key):
    return {"Authorization": f"Bearer {key}"}


async def test_every_answer_has_an_id_and_says_where_the_time_went(gateway):
    for path in ("/healthz", "/nowhere", "/v1/moderate", "/docs"):
        async with gateway.get(path) as response:
            assert re.fullmatch(r"req_[0-9a-f]{24}", response.headers["X-Request-Id"])
            timing = response.headers["Server-Timing"]
            assert re.fullmatch(r"total;dur=[\d.]+, vendors;dur=[\d.]+, policy;dur=[\d.]+", timing)


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_whoever_balances_load_may_ask_by_head(gateway, path):
    async with gateway.head(path) as response:
        assert (response.status, await response.read()) == (200, b"")
        assert response.headers["X-Request-Id"]


async def test_a_body_that_is_not_encoded_as_it_says_is_the_callers_mistake_and_ends_its_connection(gateway):
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    async with gateway.post("/v1/moderate", data=b"{}", headers=headers) as response:
        assert (response.status, (await response.json())["code"]) == (400, "malformed_encoding")
        assert response.headers["Connection"] == "close"
    async with gateway.post("/v1/moderate", json=SAID) as response:
        assert response.status == 200


@pytest.mark.parametrize("given, kept", [("trace-1.2_3", True), ("a b", False), ("x" * 65, False), ("<script>", False)])
async def test_a_harmless_request_id_of_the_callers_is_kept(gateway, given, kept):
    async with gateway.get("/healthz", headers={"X-Request-Id": given}) as response:
        assert (response.headers["X-Request-Id"] == given) is kept


async def test_what_is_not_there_and_what_is_not_allowed_there(gateway):
    async with gateway.get("/v1/nothing") as response:
        problem = await response.json()
        assert (response.status, problem["code"], response.content_type) == (
            404,
            "unknown_address",
            "application/problem+json",
        )
    async with gateway.get("/v1/moderate") as response:
        assert (response.status, response.headers["Allow"]) == (405, "POST")
        problem = await response.json()
        assert (problem["code"], problem["hint"]) == ("method_not_allowed", "Use POST.")


async def test_ready_says_what_it_checked(gateway):
    async with gateway.get("/readyz") as response:
        ready = await response.json()
        assert response.status == 200
    assert ready["checks"]["models"]["providers"] == ["local-text"]
    assert ready["checks"]["policies"]["loaded"] == ["kids-avatars", "marketplace", "social"]


async def test_metrics_count_what_happened(gateway):
    for _ in range(3):
        await gateway.post("/v1/moderate", json=SAID)
    await gateway.post("/v1/moderate", json={})
    async with gateway.get("/metrics") as response:
        families = {family.name: family for family in text_string_to_metric_families(await response.text())}
    decisions = families["modgate_decisions"].samples
    assert [
        sample.value for sample in decisions if sample.labels.get("action") == "allow" and "_total" in sample.name
    ] == [3]
    requests = {
        (sample.labels["route"], sample.labels["status"]): sample.value
        for sample in families["modgate_requests"].samples
        if "_total" in sample.name
    }
    assert requests[("/v1/moderate", "200")] == 3
    assert requests[("/v1/moderate", "400")] == 1


async def test_every_route_is_described_and_shown(gateway):
    async with gateway.get("/openapi.json") as response:
        api = await response.json()
    described = {(verb.upper(), path) for path, verbs in api["paths"].items() for verb in verbs}
    assert described == {(endpoint.method, endpoint.path) for endpoint in endpoints()}
    async with gateway.get("/docs") as response:
        page = await response.text()
    assert all(path in page for _, path in described)
    assert "http://" not in page.replace("http://www.w3.org", "")  # nothing is fetched from elsewhere


ROLES = {"app": "submit", "judge": "review", "root": "admin"}
KEYS = {"app": CANARY, "judge": "judge-key", "root": "root-key"}


async def test_the_printed_address_leads_to_the_page(gateway):
    async with gateway.get("/") as response:
        assert (response.status, response.url.path, response.content_type) == (200, "/docs", "text/html")


async def test_every_route_asks_for_its_role_and_no_other(locked):
    """Role by route, made from the route table: a new route is in here by itself, unless its callers sign."""
    for endpoint in (one for one in endpoints() if not one.signed):
        path = re.sub(r"\{\w+\}", "mod_0", endpoint.path)
        async with locked.request(endpoint.method, path, json=SAID) as response:
            assert (response.status == 401) is bool(endpoint.roles), path
        for name, role in ROLES.items():
            async with locked.request(endpoint.method, path, json=SAID, headers=bearer(KEYS[name])) as response:
                allowed = not endpoint.roles or role == "admin" or role in endpoint.roles
                assert (response.status in (401, 403)) is not allowed, (path, role)


async def test_another_tenants_decision_is_not_there(locked):
    async with locked.post("/v1/moderate", json=SAID, headers={"X-API-Key": CANARY}) as response:
        decision = (await response.json())["id"]
    for key, status in ((CANARY, 200), ("root-key", 200), ("other-key", 404)):
        async with locked.get(f"/v1/decisions/{decision}", headers=bearer(key)) as response:
            assert response.status == status


async def test_a_wrong_key_is_told_apart_from_none_and_never_repeated(locked):
    async with locked.post("/v1/moderate", json=SAID) as response:
        assert (response.status, (await response.json())["code"]) == (401, "missing_key")
        assert response.headers["WWW-Authenticate"] == 'Bearer realm="modgate"'
    async with locked.post("/v1/moderate", json=SAID, headers=bearer("guess-123")) as response:
        said = await response.text()
        assert (response.status, json.loads(said)["code"]) == (401, "unknown_key")
        assert "guess-123" not in said


async def test_too_many_at_once_are_refused_with_when_to_come_back(tmp_path):
    config = OPEN + "limits: {concurrency: 1}\n"
    async with serving(config, tmp_path) as url, aiohttp.ClientSession(url) as client:

        async def one():
            async with client.post("/v1/moderate", json={"text": "a sentence to look at " * 100}) as response:
                return response.status, response.headers.get("Retry-After")

        answers = await asyncio.gather(*(one() for _ in range(20)))
    assert (200, None) in answers
    assert (503, "1") in answers
    assert {status for status, _ in answers} == {200, 503}
