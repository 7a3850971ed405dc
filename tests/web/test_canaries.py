"""A vendor that fails in each way a canary is there for, and the whole gateway that notices it, and that it is over."""

import asyncio
import json
import sqlite3
import subprocess
import sys
from contextlib import AsyncExitStack, asynccontextmanager, closing

import aiohttp
import pytest

from gateway import paths
from gateway.canaries.probes import PROBES
from tests.contract.replay import listening
from tests.gateway import judgement, response, serving
from tests.waiting import until

CONFIG = """
canaries: {{enabled: {enabled}, every: 50ms}}
providers:
  vendor: {{adapter: openai, base_url: "{url}/v1", api_key: k, retry: {{attempts: 1}}, price_per_1k: 1.0, timeout: 30s}}
routes: {{default: {legs}}}
"""
HARMLESS, THREAT = (probe.text for probe in PROBES if probe.text)
BOTH = "{text: {ask: [vendor]}, image: {ask: [vendor]}}"


def well(said, text):
    return response(said)


def gone(said, text):
    error = {"error": {"message": "The model does not exist", "code": "model_not_found"}}
    return response(error, "404 Not Found")


def renamed(said, text):
    return response(json.loads(json.dumps(said).replace('"self-harm"', '"self_harm"')))


def deaf(said, text):
    said["results"][0]["category_scores"]["violence"] = 0.002
    return response(said)


def alarmed(said, text):
    said["results"][0]["category_scores"]["hate"] = 0.8
    return response(said)


def shifted(said, text):
    said["results"][0]["category_scores"]["violence"] = 0.6 if "kill" in (text or "") else 0.001
    return response(said)


def no_images(said, text):
    return response(said) if text else response({"error": {"message": "busy"}}, "503 Service Unavailable")


def looks_away(said, text):
    applied = said["results"][0]["category_applied_input_types"]
    if not text:
        applied.update({label: [] for label in applied})
    return response(said)


def throttles(said, text):
    return response({"error": {"message": "slow down"}}, "429 Too Many Requests")


FAULTS = {  # what the vendor does: how it is marked, for which probes
    gone: ("dead", {"harmless_text", "threat", "picture"}),
    renamed: ("renamed_label", {"harmless_text", "threat", "picture"}),
    deaf: ("blind", {"threat"}),
    alarmed: ("alarmed", {"harmless_text", "threat"}),  # of the threat it said something else before
    shifted: ("shifted", {"threat"}),
    no_images: ("image_path_dead", {"picture"}),
    looks_away: ("image_path_dead", {"picture"}),
}


class Vendor:
    """Answers as it is set, for OpenAI: from the next round on, which begins with the harmless text.

    `texts` are those it was asked about, None for a picture alone.
    """

    def __init__(self):
        self.does = well
        self._doing = well
        self.texts = []
        self.called = asyncio.Condition()

    async def asked(self, times):
        """Wait until it has been asked so often from now on."""
        enough = len(self.texts) + times
        async with self.called:
            await self.called.wait_for(lambda: len(self.texts) >= enough)

    async def says(self, heard, writer):
        given = heard.json["input"]
        text = given if isinstance(given, str) else None
        async with self.called:
            self.texts.append(text)
            self.called.notify_all()
        if text == HARMLESS:
            self._doing = self.does
        writer.write(self._doing(judgement(heard), text))


class Watched:
    def __init__(self, client, vendor, folder):
        self.client = client
        self.vendor = vendor
        self.folder = folder

    async def json(self, path):
        async with self.client.get(path) as answer:
            return await answer.json()

    async def provider(self):
        return (await self.json("/v1/providers"))["providers"][0]

    async def becomes(self, status):
        """The canary of the provider once it stands so."""

        async def there():
            canary = (await self.provider())["canary"]
            return canary if canary and canary["status"] == status else None

        return await until(there)

    async def marked_probes(self):
        async with self.client.get("/metrics") as answer:
            lines = [line for line in (await answer.text()).splitlines() if line.startswith("modgate_canary{")]
        return {line.partition('probe="')[2].partition('"')[0] for line in lines if line.endswith(" 1.0")}

    def rows(self, query):
        with closing(sqlite3.connect(self.folder / "var/modgate.sqlite")) as database:
            return database.execute(query).fetchall()


@asynccontextmanager
async def watched(folder, legs=BOTH, enabled="true"):
    vendor = Vendor()
    async with AsyncExitStack() as stack:
        listener = await stack.enter_async_context(listening(vendor.says))
        config = CONFIG.format(url=listener.url, legs=legs, enabled=enabled)
        url = await stack.enter_async_context(serving(config, folder))
        yield Watched(await stack.enter_async_context(aiohttp.ClientSession(url)), vendor, folder)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
async def test_a_provider_is_marked_and_cleared(tmp_path, caplog, fault):
    status, probes = FAULTS[fault]
    async with watched(tmp_path) as gateway:
        await gateway.becomes("ok")
        gateway.vendor.does = fault
        canary = await gateway.becomes(status)
        assert canary["detail"].partition(":")[0] in probes
        assert canary["at"].endswith("+00:00")
        assert await gateway.marked_probes() == probes
        ready = await gateway.json("/readyz")
        assert ready["status"] == "ready"
        assert ready["checks"]["canaries"] == {"ok": False, "marked": {"vendor": status}}

        gateway.vendor.does = well
        await gateway.becomes("ok")
        assert await gateway.marked_probes() == set()
        assert (await gateway.json("/readyz"))["checks"]["canaries"] == {"ok": True, "marked": {}}
        told = gateway.rows("SELECT kind, subject, body FROM events ORDER BY id")
    assert [(kind, subject) for kind, subject, _ in told] == [
        ("provider.marked", "vendor"),
        ("provider.cleared", "vendor"),
    ]
    assert json.loads(told[0][2]) == {"provider": "vendor", "status": status, "detail": canary["detail"]}


async def test_a_score_that_moved_under_the_same_model_is_noticed(tmp_path):
    async with watched(tmp_path) as gateway:
        await gateway.becomes("ok")
        gateway.vendor.does = shifted
        canary = await gateway.becomes("shifted")
        assert canary["detail"] == "threat: it says violence 0.60; the same model first said violence 0.97"
        gateway.vendor.does = lambda said, text: shifted({**said, "model": "omni-moderation-2027"}, text)
        await gateway.becomes("ok")  # another version, and this is what it says first


async def test_a_mark_outlives_a_restart_and_is_told_once(tmp_path):
    async with watched(tmp_path) as gateway:
        await gateway.becomes("ok")
        gateway.vendor.does = gone
        await gateway.becomes("dead")
    async with watched(tmp_path) as gateway:
        gateway.vendor.does = gone
        assert (await gateway.provider())["canary"]["status"] == "dead"
        await asyncio.sleep(0.3)
        assert gateway.rows("SELECT count(*) FROM events") == [(1,)]


async def test_a_vendor_that_asks_for_patience_is_neither_marked_nor_cleared(tmp_path):
    async with watched(tmp_path) as gateway:
        await gateway.becomes("ok")
        for fault, status in ((throttles, "ok"), (no_images, "image_path_dead"), (throttles, "image_path_dead")):
            gateway.vendor.does = fault
            await gateway.becomes(status)
            await gateway.vendor.asked(6)
            assert (await gateway.provider())["canary"]["status"] == status


async def test_canaries_are_no_traffic(tmp_path):
    """No decision, no cached answer, nothing of a breaker, a rate or a budget; but they are paid for."""
    async with watched(tmp_path) as gateway:
        gateway.vendor.does = gone  # denied: a breaker would open for five minutes
        await gateway.becomes("dead")
        await gateway.vendor.asked(12)
        told = await gateway.provider()
        assert (told["attempts"], told["errors"]) == (0, {})
        assert {operation["state"] for operation in told["breaker"].values()} == {"closed"}
        assert told["calls"] >= 12
        assert told["spend"] == pytest.approx(told["calls"] / 1000)
        assert gateway.rows("SELECT count(*) FROM decisions") == [(0,)]
        gateway.vendor.does = well
        async with gateway.client.post("/v1/moderate", json={"text": HARMLESS}) as answer:
            decided = await answer.json()
        assert [asked["status"] for asked in decided["providers"]] == ["ok"]  # not cached, and not held


async def test_only_what_a_route_asks_is_asked(tmp_path):
    async with watched(tmp_path, "{text: {ask: [vendor]}}") as gateway:
        await gateway.becomes("ok")
        assert None not in gateway.vendor.texts
        assert {HARMLESS, THREAT} == set(gateway.vendor.texts)


async def test_they_are_off_unless_switched_on(tmp_path):
    async with watched(tmp_path, enabled="false") as gateway:
        await asyncio.sleep(0.3)
        assert (await gateway.provider())["canary"] is None
        assert gateway.vendor.texts == []


async def doctor(vendor, folder):
    """Its exit code and report, with this vendor."""
    async with listening(vendor.says) as listener:
        file = folder / "gateway.yaml"
        policies = f"policies: {{dir: {json.dumps(str(paths.SHIPPED / 'policies'))}}}\n"
        file.write_text(CONFIG.format(url=listener.url, legs=BOTH, enabled="false") + policies)
        command = [sys.executable, "-m", "gateway.cli", "doctor", "--json", "--config", str(file)]
        done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=110)
    return done.returncode, json.loads(done.stdout)


async def test_doctor_asks_them_always_and_remembers_the_first(tmp_path):
    vendor = Vendor()
    code, report = await doctor(vendor, tmp_path)
    assert (code, report["ok"], report["providers"][0]["status"]) == (0, True, "ok")
    vendor.does = shifted
    code, report = await doctor(vendor, tmp_path)
    [told] = report["providers"]
    assert (code, report["ok"], told["status"]) == (1, False, "shifted")
    assert told["detail"].startswith("threat: it says violence 0.60")
    assert {probe: about["status"] for probe, about in told["canaries"].items()} == {
        "harmless_text": "ok",
        "threat": "shifted",
        "picture": "ok",
    }
