"""What is owed shows while it is owed, and is paid by itself once the vendor is back: seen from outside."""

import aiohttp
import pytest
import structlog
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from gateway.debt import payer
from tests.contract.replay import listening
from tests.gateway import judges, response, serving
from tests.waiting import until

CONFIG = """
debt: {{after: 1ms}}
providers:
  judge:
    adapter: openai
    base_url: "{vendor}/v1"
    api_key: sk-1
    retry: {{attempts: 1}}
    circuit: {{failures: 2, open_for: 100ms, open_most: 100ms}}
routes: {{default: {{text: {{ask: [judge]}}}}}}
"""


@pytest.fixture
def hurried(monkeypatch):
    monkeypatch.setattr(payer, "_EVERY", 0.05)


async def metric(client, name):
    async with client.get("/metrics") as response:
        families = text_string_to_metric_families(await response.text())
        return {
            tuple(sample.labels.values()): sample.value
            for family in families
            for sample in family.samples
            if sample.name == name
        }


async def becomes(client, name, value):
    async def there():
        return (await metric(client, name)).get(()) == value

    await until(there)


async def test_an_outage_from_outside(tmp_path, hurried):
    down = True

    async def says(heard, writer):
        await judges(heard, writer) if not down else writer.write(response({}, "503 Service Unavailable"))

    async with (
        listening(says) as vendor,
        serving(CONFIG.format(vendor=vendor.url), tmp_path) as url,
        aiohttp.ClientSession(url) as client,
    ):
        ids = {}
        for text in ("a walk", "I will kill you"):
            async with client.post("/v1/moderate", json={"text": text}) as said:
                decided = await said.json()
                assert (decided["action"], decided["degraded"]) == ("review", True)
                ids[text] = decided["id"]
        await becomes(client, "modgate_debt", 2.0)
        assert (await metric(client, "modgate_debt_oldest_seconds"))[()] > 0
        async with client.get("/readyz") as ready:
            checks = (await ready.json())["checks"]
            assert (ready.status, checks["debt"]["ok"], checks["debt"]["owed"]) == (200, False, 2)

        down = False
        await becomes(client, "modgate_debt", 0.0)
        assert (await metric(client, "modgate_debt_oldest_seconds"))[()] == 0
        assert await metric(client, "modgate_debt_paid_total") == {("relaxed",): 1, ("tightened",): 1}
        for text, action in (("a walk", "allow"), ("I will kill you", "block")):
            async with client.get(f"/v1/decisions/{ids[text]}") as said:
                [revision] = (await said.json())["revisions"]
                assert (revision["cause"], revision["action"]) == ("debt", action)


async def test_a_payer_that_breaks_does_not_do_so_unheard(tmp_path, monkeypatch):
    async def breaks(self, pause):
        raise RuntimeError("nobody thought of this")

    monkeypatch.setattr(payer.Payer, "round", breaks)
    monkeypatch.setattr("gateway.web.app.log", structlog.get_logger())  # one that nobody has used is captured
    with capture_logs() as lines:
        config = CONFIG.format(vendor="http://127.0.0.1:1")
        async with (
            serving(config, tmp_path) as url,
            aiohttp.ClientSession(url) as client,
            client.get("/healthz") as said,
        ):
            assert said.status == 200
            ended = await until(lambda: [line for line in lines if line["event"] == "task_ended"])  # it tidies up first
    [line] = ended
    assert ("Payer.run" in line["task"], line["log_level"]) == (True, "error")
