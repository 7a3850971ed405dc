"""`modgate drill` against a gateway that is served, with simulated vendors behind it; and the routes it uses."""

import asyncio
import json
import re
import shlex
import signal
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from xml.etree import ElementTree

import aiohttp
import pytest
import pytest_asyncio
import typer

from gateway.cli.drill import hold, show
from gateway.cli.main import app
from gateway.dispatch.rehearsal import Scenario
from gateway.errors import BadContent, ConfigError, Forbidden
from tests.contract.replay import listening
from tests.gateway import serving
from tests.simulating import simulator
from tests.waiting import until

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/drills.md").read_text()
ADMIN, APP = "an-admins-key", "an-apps-key"
CONFIG = """
server: {{drills: {allowed}}}
auth:
  keys:
    - {{name: admin, key: "${{ADMIN}}", roles: [admin]}}
    - {{name: app, key: "${{APP}}", roles: [submit]}}
providers:
  well: {{adapter: openai, base_url: "{vendors}/openai/v1", api_key: rehearsal, timeout: 20s, retry: {{attempts: 1}}}}
  spare: {{adapter: evolink, base_url: "{vendors}/evolink/v1", api_key: rehearsal, timeout: 20s}}
  idle: {{adapter: sieve, base_url: "{vendors}", api_key: rehearsal}}
  known: {{adapter: hash_list, lists: [{{file: ./listed.txt, kind: bad, category: violence, name: ours}}]}}
routes:
  default:
    text: {{ask: [well, known], fallback: [spare], need: 2, deadline: 30s}}
    image: {{ask: [well], deadline: 30s}}
"""
together = pytest.mark.asyncio(loop_scope="module")


class Gateway:
    """Its address, and how an admin speaks to it."""

    def __init__(self, url, client):
        self.url = url
        self._client = client

    async def ask(self, method, path, body=None, key=ADMIN):
        headers = {"Authorization": f"Bearer {key}"}
        async with self._client.request(method, path, json=body, headers=headers) as answer:
            return answer.status, await answer.json()

    async def put(self, provider="well", key=ADMIN, **body):
        return await self.ask("PUT", f"/v1/drills/{provider}", {"scenario": "vendor-outage", "for": "60s", **body}, key)

    async def end(self, provider="well"):
        return await self.ask("DELETE", f"/v1/drills/{provider}")

    async def moderate(self, text, route="default"):
        _, told = await self.ask("POST", "/v1/moderate", {"text": text, "route": route}, APP)
        return told

    async def provider(self, name="well"):
        _, said = await self.ask("GET", "/v1/providers")
        return next(told for told in said["providers"] if told["name"] == name)

    async def active(self):
        """What the metric says of drills, by provider and scenario."""
        async with self._client.get("/metrics") as answer:
            text = await answer.text()
        found = re.findall(r'^modgate_drill_active\{provider="(.*?)",scenario="(.*?)"\} (\S+)', text, re.M)
        return {(provider, scenario): float(value) for provider, scenario, value in found}

    @asynccontextmanager
    async def command(self, *args):
        """`modgate drill`, as it runs."""
        told = (sys.executable, "-m", "gateway.cli", "drill", *args, "--url", self.url, "--key", ADMIN)
        pipes = {"stdout": asyncio.subprocess.PIPE, "stderr": asyncio.subprocess.PIPE}
        process = await asyncio.create_subprocess_exec(*told, cwd=ROOT, preexec_fn=_can_be_interrupted, **pipes)
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    async def drill(self, *args):
        """What it prints as JSON, and its exit code."""
        async with self.command(*args, "--json", "--rate", "25/s", "--during", "1200ms") as process:
            out, err = await process.communicate()
        assert not err
        return json.loads(out), process.returncode

    async def hold(self, scenario, provider="well", mode="shadow", during=1.2):
        """The report of a drill without a process of its own."""
        plan = {"scenario": scenario, "provider": provider, "mode": mode, "route": "default", "share": 1.0}
        report, _ = await hold({**plan, "policy": None, "url": self.url, "rate": 25.0, "during_s": during}, ADMIN)
        return report


def _can_be_interrupted():
    """Who runs the tests in the background of a shell has SIGINT ignored, and hands that on."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@asynccontextmanager
async def standing(folder, allowed="true"):
    (folder / "listed.txt").write_text(f"sha256:{'0' * 64}\n")
    async with AsyncExitStack() as stack:
        vendors = await stack.enter_async_context(simulator())
        config = CONFIG.format(vendors=vendors.url, allowed=allowed)
        url = await stack.enter_async_context(serving(config, folder, ADMIN=ADMIN, APP=APP))
        yield Gateway(url, await stack.enter_async_context(aiohttp.ClientSession(url)))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(tmp_path_factory):
    async with standing(tmp_path_factory.mktemp("drills")) as made:
        yield made


# The command


@together
async def test_an_outage_in_shadow_is_survived_and_nobody_else_notices(gateway, tmp_path, capsys):
    page = tmp_path / "report.html"
    drilled = asyncio.create_task(gateway.drill("vendor-outage", "--provider", "well", "--out", str(page)))
    meanwhile = []
    while not drilled.done():
        meanwhile.append(await gateway.moderate(f"A quiet day {len(meanwhile)}"))
        await asyncio.sleep(0.1)
    report, code = await drilled
    assert (code, report["ok"], report["lost"], report["silent_allows"]) == (0, True, 0, 0)
    assert report["requests"] == 60
    before, during = report["phases"]["before"], report["phases"]["during"]
    assert before["provider"].keys() == {"ok"}
    assert {"unavailable", "open"} == during["provider"].keys()
    assert during["degraded"] == 1.0
    assert (before["allow"], during["allow"], during["review"]) == (1.0, 0.5, 0.5)  # a text has a spare, a picture none
    assert report["change"] == {"review": 0.5, "block": 0.0}
    assert report["first_failure_after_s"] <= report["breaker_open_after_s"] <= 5
    assert during["calls_per_request"] <= 2.2
    assert report["debt"].keys() == {"raised", "paid", "lost", "owed"}
    assert {asked["status"] for told in meanwhile for asked in told["providers"]} == {"ok"}
    assert (await gateway.provider())["breaker"]["text"]["state"] == "closed"
    assert (await gateway.provider())["drill"] is None
    assert_is_whole(page.read_text(), report)
    assert_holds(json.loads(re.search(r"```json\n(.*?)```", PAGE, re.S)[1]), report)
    show(report)
    assert re.search(r"allowed +100.0% +50.0% +", capsys.readouterr().out)


def assert_is_whole(page, report):
    """It has the figures and both plots, and asks nobody for anything."""
    assert page.count('<svg viewBox="0 0 960') == 2
    plots = [ElementTree.fromstring(found) for found in re.findall(r"<svg viewBox=\"0 0 960.*?</svg>", page, re.S)]
    dots = [(float(dot.get("cx")), float(dot.get("cy"))) for dot in plots[0].iter("circle")]
    assert len(dots) == report["requests"]
    assert all(0 <= x <= 960 and 0 <= y <= 240 for x, y in dots)
    assert sum(float(bar.get("height")) for bar in plots[1].iter("rect")) > 240
    assert "It held." in page
    assert f"Lost: 0 of {report['requests']}." in page
    assert not re.search(r"<script|<link|<img|@import|url\(|src=|href=", page)


def assert_holds(shown, real):
    """What docs/drills.md shows is there, whatever the figures; but not the words for how a provider stood."""
    for name, value in shown.items():
        assert name in real
        if isinstance(value, dict) and name != "provider":
            assert_holds(value, real[name])


@together
async def test_a_storm_that_is_live_concerns_everybody(gateway):
    seen = []

    async def look():
        told = await gateway.moderate(f"Another quiet day {len(seen)}")
        seen.extend(asked["status"] for asked in told["providers"] if asked["name"] == "well")

    await look()
    drilled = asyncio.create_task(gateway.hold("throttle-storm", mode="live"))
    while not drilled.done():
        await look()
        await asyncio.sleep(0.05)
    report = await drilled
    assert (report["ok"], report["lost"], report["silent_allows"]) == (True, 0, 0)
    assert report["phases"]["during"]["provider"].keys() == {"throttled"}
    assert report["breaker_open_after_s"] is None
    assert (seen[0], "throttled" in seen) == ("ok", True)


@together
async def test_shifted_scores_show_in_what_people_are_sent(gateway):
    report = await gateway.hold("score-shift")
    assert (report["ok"], report["lost"]) == (True, 0)
    assert report["phases"]["during"]["provider"].keys() == {"ok"}
    assert report["change"]["review"] > 0.4
    assert report["phases"]["after"]["review"] == 0.0


@together
async def test_a_provider_that_is_never_asked_has_not_been_rehearsed(gateway):
    with pytest.raises(BadContent, match="No route asks 'idle'"):
        await gateway.hold("garbage", "idle")
    with pytest.raises(ConfigError, match="no provider 'wel'; there are well"):
        await gateway.hold("garbage", "wel")
    report = await gateway.hold("slow", "spare", during=0.2)
    assert (report["ok"], report["reached"], report["lost"]) == (False, False, 0)


@together
async def test_a_command_that_is_interrupted_ends_its_drill(gateway):
    async with gateway.command("slow", "--provider", "well", "--during", "60s", "--rate", "5/s") as process:
        assert (await begun(gateway))["mode"] == "shadow"
        process.send_signal(signal.SIGINT)
        await process.wait()
        assert (await gateway.provider())["drill"] is None


@together
async def test_a_command_that_is_killed_leaves_a_drill_that_ends(gateway):
    async with gateway.command("slow", "--provider", "well", "--during", "2s", "--rate", "5/s") as process:
        await begun(gateway)
        process.kill()
        await process.wait()
        assert 0 < (await gateway.provider())["drill"]["ends_in_s"] <= 12
        await gateway.put(scenario="slow", **{"for": "100ms"})
        await until(lambda: over(gateway))


async def begun(gateway):
    async def drill():
        return (await gateway.provider())["drill"]

    return await until(drill)


async def over(gateway):
    return (await gateway.provider())["drill"] is None


@pytest.mark.parametrize("listens", [False, True])
async def test_where_no_gateway_answers_it_has_failed_and_was_not_used_wrongly(listens):
    async with listening(says_it_is_another) as other:
        url = other.url if listens else "http://127.0.0.1:1"
        told = (sys.executable, "-m", "gateway.cli", "drill", "slow", "--provider", "well", "--url", url)
        process = await asyncio.create_subprocess_exec(*told, cwd=ROOT, stderr=asyncio.subprocess.PIPE)
        _, err = await process.communicate()
    assert process.returncode == 1
    assert err.startswith(b"no_gateway: No gateway answers: ")
    assert b"--url" in err


async def says_it_is_another(heard, writer):
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n<html></html>")


# The routes


@together
async def test_it_ends_by_itself_and_says_meanwhile_that_it_is_on(gateway):
    status, drill = await gateway.put(**{"for": "60s"})
    assert (status, drill["mode"], drill["share"]) == (200, "shadow", 1.0)
    assert (await gateway.active())[("well", "vendor-outage")] == 1
    assert (await gateway.provider())["drill"]["id"] == drill["id"]
    told = await gateway.moderate("On the beach", drill["routes"]["default"])
    assert [asked["status"] for asked in told["providers"]] == ["unavailable", "ok", "ok"]
    assert "drill" in told["providers"][0]["error"]
    await gateway.put(**{"for": "100ms"})
    await until(lambda: over(gateway))
    assert (await gateway.active())[("well", "vendor-outage")] == 0
    gone = await gateway.moderate("On the beach", drill["routes"]["default"])
    assert gone["code"] == "unknown_route"


@together
async def test_a_share_can_change_while_it_is_on_and_another_scenario_cannot(gateway):
    _, first = await gateway.put(share=0.0)
    route = first["routes"]["default"]
    assert (await gateway.moderate("One", route))["providers"][0]["status"] == "ok"
    _, second = await gateway.put(share=1.0)
    assert second["id"] == first["id"]
    assert (await gateway.moderate("Two", route))["providers"][0]["status"] == "unavailable"
    status, refused = await gateway.put(scenario="garbage")
    assert (status, refused["code"]) == (409, "drill_under_way")
    assert (await gateway.end())[0] == 200
    assert (await gateway.end())[0] == 404


@together
@pytest.mark.parametrize(
    ("scenario", "status"), [("vendor-outage", "unavailable"), ("garbage", "drift"), ("throttle-storm", "throttled")]
)
async def test_what_is_spoiled_is_as_a_vendor_spoils_it(gateway, scenario, status):
    _, drill = await gateway.put(scenario=scenario)
    told = await gateway.moderate(f"On the beach, {scenario}", drill["routes"]["default"])
    await gateway.end()
    assert told["providers"][0]["status"] == status
    assert (told["action"], told["degraded"]) == ("allow", True)  # two others looked


@together
@pytest.mark.parametrize(
    ("provider", "body", "status", "code"),
    [
        ("nobody", {}, 404, "unknown_provider"),
        ("known", {}, 400, "no_drill_possible"),
        ("idle", {}, 400, "no_drill_possible"),
        ("well", {"scenario": "score-shift", "mode": "live"}, 400, "no_drill_possible"),
        ("well", {"scenario": "earthquake"}, 400, "invalid_field"),
        ("well", {"share": 1.5}, 400, "invalid_field"),
        ("well", {"for": "11m"}, 400, "invalid_field"),
    ],
)
async def test_what_cannot_be_a_drill_is_refused(gateway, provider, body, status, code):
    answered, refused = await gateway.put(provider, **body)
    assert (answered, refused["code"]) == (status, code)
    assert not any((await gateway.active()).values())


@together
async def test_it_takes_an_admin(gateway):
    status, refused = await gateway.put(key=APP)
    assert (status, refused["code"]) == (403, "missing_role")


async def test_it_takes_the_setting(tmp_path):
    async with standing(tmp_path, allowed="false") as gateway:
        status, refused = await gateway.put()
        assert (status, refused["code"]) == (403, "drills_off")
        with pytest.raises(Forbidden, match="not allowed here"):
            await gateway.hold("vendor-outage")


# The page about it


def test_the_shown_commands_are_commands():
    drill = typer.main.get_command(app).commands["drill"]
    shown = re.findall(r"^modgate drill (.+)$", PAGE, re.M)
    assert len(shown) == 2
    for line in shown:
        drill.make_context("drill", shlex.split(line))


@together
async def test_the_shown_request_begins_a_drill_and_every_scenario_is_told(gateway):
    [body] = re.findall(r"/v1/drills/aws -d '(.+)'$", PAGE, re.M)
    assert (await gateway.put(**json.loads(body)))[0] == 200
    assert (await gateway.end())[0] == 200
    told = re.findall(r"^\| `(.+?)` \|", PAGE, re.M)
    assert told == [scenario.value for scenario in Scenario]
