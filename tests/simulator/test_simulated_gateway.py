"""The whole gateway in front of every simulated vendor, by the configuration that docs/simulator.md shows."""

import json
import signal
import subprocess
import sys
import urllib.request
from base64 import b64encode
from contextlib import asynccontextmanager, contextmanager

import aiohttp
import pytest
import yaml

from gateway.paths import SHIPPED
from tests.gateway import serving
from tests.simulating import gateway_yaml, photo, simulator


@asynccontextmanager
async def gateway(folder, script=""):
    """A client of the gateway, and the vendors behind it."""
    async with (
        simulator(script) as vendors,
        serving(gateway_yaml(vendors.url), folder) as url,
        aiohttp.ClientSession(url) as client,
    ):
        yield client, vendors


async def moderate(client, text=None, *pictures):
    images = [{"data": f"data:image/png;base64,{b64encode(data).decode()}"} for data in pictures]
    body = ({"text": text} if text else {}) | ({"images": images} if images else {})
    async with client.post("/v1/moderate", json=body) as response:
        assert response.status == 200, await response.text()
        return await response.json()


def statuses(answer):
    return {(told["name"], told["input"]): told["status"] for told in answer["providers"]}


async def test_one_submission_asks_every_vendor_and_every_reading_is_scored(tmp_path):
    text = "[[violence=0.9, harassment/threatening=0.93]]"
    async with gateway(tmp_path) as (client, vendors):
        answer = await moderate(client, text, photo("red"))
        counts = await vendors.calls()
    asked = yaml.safe_load(gateway_yaml("http://x"))["routes"]["default"]
    expected = {(name, place) for place, kind in enumerate(("text", "image")) for name in asked[kind]["ask"]}
    assert statuses(answer) == dict.fromkeys(expected, "ok")
    assert all(count["calls"] for count in counts.values())
    assert (answer["action"], answer["degraded"]) == ("block", False)
    told = answer["categories"]["violence"]["providers"]
    by_measure = {
        "openai",
        "evolink",
        "azure",
        "sieve",
        "sightengine",
        "mistral",
        "claude",
        "aws",
        "pixicular",
        "google",
    }
    assert by_measure <= set(told)
    assert all(score >= 0.9 for name, score in told.items() if name != "guard")


async def test_nothing_in_it_is_allowed_by_all(tmp_path):
    async with gateway(tmp_path) as (client, _):
        answer = await moderate(client, "A walk on the beach", photo("olive"))
    assert (answer["action"], answer["reasons"]) == ("allow", [])
    assert set(statuses(answer).values()) == {"ok"}


async def test_a_marker_with_a_typing_error_is_rejected_by_all_and_never_allowed(tmp_path):
    async with gateway(tmp_path) as (client, _):
        answer = await moderate(client, "[[violense=0.9]]")
    assert set(statuses(answer).values()) == {"rejected"}
    assert answer["action"] == "review" and answer["degraded"]


STATUS = [
    ({"error": "throttled"}, "throttled"),
    ({"error": "quota"}, "denied"),
    ({"error": "refused_key"}, "denied"),
    ({"error": "server_error"}, "unavailable"),
    ({"error": "overloaded"}, "unavailable"),
    ({"instead": "html"}, "drift"),
    ({"instead": "object"}, "drift"),
    ({"instead": "wrong_shape"}, "drift"),
    ({"reset": "before_answer"}, "unavailable"),
]


@pytest.mark.parametrize("fault, status", STATUS, ids=[str(row[0]) for row in STATUS])
async def test_the_same_trouble_has_the_same_name_whoever_is_in_it(tmp_path, fault, status):
    """Each vendor says it in its own way; and nothing is ever allowed on the strength of it."""
    async with gateway(tmp_path) as (client, vendors):
        await vendors.fails(fault)
        answer = await moderate(client, "[[violence=0.9]]", photo("red"))
    assert answer["action"] == "review" and answer["degraded"]
    told = statuses(answer)
    if fault == {"error": "overloaded"}:
        assert told.pop(("aws", 1)) == "throttled"  # which calls its own overload by that name
    assert {name: said for name, said in told.items() if said != status} == {}


@contextmanager
def process(*arguments):
    """`modgate simulate` as people start it; what it prints with --json."""
    command = [sys.executable, "-m", "gateway.cli", "simulate", "--port", "0", "--json", *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        try:
            lines = iter(running.stdout.readline, "")
            yield json.loads("".join(until_the_end(lines))), running
        finally:
            running.kill()


def until_the_end(lines):
    for line in lines:
        yield line
        if line.startswith("}"):
            return


def modgate(*arguments):
    command = [sys.executable, "-m", "gateway.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)


def test_a_process_of_its_own_with_a_script_until_sigterm(tmp_path):
    script = tmp_path / "rehearsal.yaml"
    script.write_text("faults: [{vendor: sieve, error: overloaded}]\n")
    config = tmp_path / "gateway.yaml"
    with process("--script", script) as (told, running):
        policies = f"policies: {{dir: {json.dumps(str(SHIPPED / 'policies'))}}}\n"
        config.write_text(gateway_yaml(told["address"]) + policies)
        done = modgate("moderate", "--config", config, "--text", "Kind regards [[self_harm=0.97]]", "--json")
        with urllib.request.urlopen(told["control"] + "/calls") as response:
            calls = json.load(response)["vendors"]
        running.send_signal(signal.SIGTERM)
        assert running.wait(60) == 0
        assert running.stderr.read() == ""
    answer = json.loads(done.stdout)
    assert statuses(answer)[("sieve", 0)] == "unavailable" and statuses(answer)[("openai", 0)] == "ok"
    assert answer["categories"]["self_harm"]["providers"]["openai"] == 0.97
    assert calls["openai"]["calls"] == 1 and calls["sieve"]["status"].keys() == {"503"}
    assert told["vendors"]["azure_content_safety"] == told["address"] + "/azure_content_safety"


def test_a_script_that_cannot_be_used_ends_it_with_2(tmp_path):
    file = tmp_path / "rehearsal.yaml"
    file.write_text("faults: [{vendor: opnai, error: quota}]")
    done = modgate("simulate", "--port", 0, "--script", file)
    assert (done.returncode, done.stdout) == (2, "")
    assert "rehearsal.yaml:1:10: " in done.stderr and "did you mean 'openai'?" in done.stderr
    assert "Traceback" not in done.stderr


async def test_a_port_that_is_taken_ends_it_with_2():
    async with simulator() as vendors:
        done = modgate("simulate", "--port", vendors.url.rpartition(":")[2])
    assert done.returncode == 2
    assert "cannot listen" in done.stderr and "--port 0" in done.stderr
