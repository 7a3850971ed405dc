"""A vendor that fails in every way we know of, and the whole gateway before it, over real sockets."""

import asyncio
import json
import socket
import ssl
from dataclasses import dataclass
from email.utils import formatdate
from time import time

import aiohttp
import pytest
import pytest_asyncio
import trustme

from tests.contract.replay import LOOPBACK, listening
from tests.faults.asking import TEXT, Client, hangs, provider, refuses
from tests.faults.stage import DEADLINE, IN_TIME, PATIENT, SHORT
from tests.gateway import judgement, judges, response, serving
from tests.rawvendor import reset


def broken(old, new):
    """The answer of a vendor that works, with one thing wrong."""

    async def says(heard, writer):
        said = json.dumps(judgement(heard))
        assert old in said
        writer.write(response(said.replace(old, new).encode(), Content_Type="application/json"))

    return says


async def drips(heard, writer):
    for byte in response(judgement(heard)):
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0.1)


async def says_half(heard, writer):
    said = response(judgement(heard))
    writer.write(said[: len(said) // 2])
    await writer.drain()
    writer.close()


async def resets_halfway(heard, writer):
    said = response(judgement(heard))
    writer.write(said[: len(said) // 2])
    await writer.drain()
    reset(writer)


async def hangs_up(heard, writer):
    writer.close()


@dataclass(frozen=True)
class Fault:
    """`status` is the word for it in the answer; `attempts` how often the vendor is asked, None where that is open."""

    status: str
    says: object = None
    attempts: int | None = 1
    address: str | None = None

    @property
    def patience(self):
        return SHORT if self.status == "timeout" else PATIENT


FAULTS = {
    "hangs": Fault("timeout", hangs),
    "drips": Fault("timeout", drips),
    "refuses-connections": Fault("unavailable", attempts=None, address="http://{refused}/v1"),
    "has-no-address": Fault("unavailable", attempts=2, address="http://vendor.invalid/v1"),
    "has-a-false-certificate": Fault("unavailable", address="{secure}/v1"),
    "hangs-up": Fault("unavailable", hangs_up, attempts=2),
    "resets-mid-body": Fault("unavailable", resets_halfway, attempts=2),
    "says-half": Fault("unavailable", says_half, attempts=2),
    "400": Fault("rejected", refuses("400 Bad Request")),
    "401": Fault("denied", refuses("401 Unauthorized")),
    "403": Fault("denied", refuses("403 Forbidden")),
    "404": Fault("denied", refuses("404 Not Found")),
    "413": Fault("rejected", refuses("413 Content Too Large")),
    "429": Fault("throttled", refuses("429 Too Many Requests"), attempts=2),
    "429-seconds": Fault("throttled", refuses("429 Too Many Requests", Retry_After="60")),
    "429-date": Fault(
        "throttled", refuses("429 Too Many Requests", Retry_After=formatdate(time() + 3600, usegmt=True))
    ),
    "429-absurd": Fault("throttled", refuses("429 Too Many Requests", Retry_After="1e9")),
    "429-negative": Fault("throttled", refuses("429 Too Many Requests", Retry_After="-5"), attempts=2),
    "500": Fault("unavailable", refuses("500 Internal Server Error"), attempts=2),
    "503": Fault("unavailable", refuses("503 Service Unavailable"), attempts=2),
    "503-seconds": Fault("unavailable", refuses("503 Service Unavailable", Retry_After="60")),
    "204": Fault("drift", b"HTTP/1.1 204 No Content\r\n\r\n"),
    "302": Fault("drift", response(b"", "302 Found", Location="/works/v1/moderations")),
    "html": Fault("drift", response(b"<html>Welcome</html>", Content_Type="text/html")),
    "empty-object": Fault("drift", response({})),
    "null": Fault("drift", response(None)),
    "empty": Fault("drift", response(b"")),
    "nan": Fault("drift", broken("0.001", "NaN")),
    "wrong-scale": Fault("drift", broken("0.97", "97.0")),
    "scores-of-nothing": Fault("drift", broken('["text"]', "[]")),
}


async def vendor(heard, writer):
    """Fails as the first step of the path says, or works."""
    says = judges if heard.path.startswith("/works/") else FAULTS[heard.path.split("/")[1]].says
    if isinstance(says, bytes):
        writer.write(says)
    else:
        await says(heard, writer)


def config(server, addresses):
    """A provider for each fault, and routes: `with-…` has a provider that works to fall back on, `only-…` none.

    `once-…` is for one request in all: a vendor that asked for patience is left alone by the next.
    """
    lines = ["providers:", provider("works", f"{server}/works/v1")]
    lines += [
        provider(prefix + name, (fault.address or f"{server}/{name}/v1").format(**addresses), fault.patience)
        for name, fault in FAULTS.items()
        for prefix in ("", "once-")
    ]
    lines += ["routes:", f"  default: {{text: {{ask: [works], deadline: {DEADLINE}s}}}}"]
    for name in FAULTS:
        lines += [f'  with-{name}: {{text: {{ask: ["{name}"], fallback: [works], deadline: {DEADLINE}s}}}}']
        lines += [f'  only-{name}: {{text: {{ask: ["{name}"], deadline: {DEADLINE}s}}}}']
        lines += [f'  once-{name}: {{text: {{ask: ["once-{name}"], deadline: {DEADLINE}s}}}}']
    return "\n".join(lines)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(tmp_path_factory):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert(LOOPBACK).configure_cert(tls)
    with socket.socket() as taken:
        taken.bind((LOOPBACK, 0))  # and never listens
        refused = f"{LOOPBACK}:{taken.getsockname()[1]}"
        async with listening(vendor) as server, listening(judges, tls) as secure:
            text = config(server.url, {"refused": refused, "secure": secure.url})
            folder = tmp_path_factory.mktemp("faults")
            async with serving(text, folder, KEY="test-key") as url, aiohttp.ClientSession(url) as session:
                yield Client(session, {"all": server})


every_fault = pytest.mark.parametrize("fault", FAULTS)
together = pytest.mark.asyncio(loop_scope="module")


@together
@every_fault
async def test_another_provider_steps_in(gateway, fault):
    status, told, seconds = await gateway.post("/v1/moderate", text=f"{TEXT}, {fault}", route=f"with-{fault}")
    assert status == 200
    assert seconds <= IN_TIME
    assert told["action"] == "block"
    assert told["degraded"] is True
    assert [(asked["name"], asked["status"], asked["role"]) for asked in told["providers"]] == [
        (fault, FAULTS[fault].status, "ask"),
        ("works", "ok", "fallback"),
    ]
    assert told["categories"]["violence"]["providers"] == {"works": 0.97}
    assert told["providers"][0]["error"]


@together
@every_fault
async def test_nobody_else_to_ask_means_a_person_looks(gateway, fault):
    status, told, seconds = await gateway.post("/v1/moderate", text=TEXT, route=f"only-{fault}")
    assert status == 200
    assert seconds <= IN_TIME
    assert told["action"] == "review"
    assert told["degraded"] is True
    assert any(reason["code"].startswith("coverage_") for reason in told["reasons"])
    assert told["max_score"] is None
    assert {verdict["score"] for verdict in told["categories"].values()} == {None}


@together
@every_fault
async def test_openais_clients_hear_of_a_server_error(gateway, fault):
    status, told, seconds = await gateway.post("/v1/moderations", input=TEXT, model=f"only-{fault}")
    assert 500 <= status <= 599
    assert seconds <= IN_TIME
    assert told.keys() == {"error"}
    assert told["error"].keys() == {"message", "type", "param", "code"}
    assert told["error"]["message"]


@together
@pytest.mark.parametrize("fault", [name for name, fault in FAULTS.items() if fault.attempts])
async def test_asking_again_where_that_may_help(gateway, fault):
    told = await gateway.moderate(text=TEXT, route=f"once-{fault}")
    assert told["providers"][0]["attempts"] == FAULTS[fault].attempts


@together
@every_fault
async def test_every_fault_is_counted(gateway, fault):
    await gateway.moderate(text=TEXT, route=f"only-{fault}")
    labels = f'provider="{fault}",role="ask",status="{FAULTS[fault].status}"'
    assert f"modgate_provider_answers_total{{{labels}}}" in await gateway.text("/metrics")


@together
@pytest.mark.parametrize(("fault", "said"), [("html", "<html>Welcome"), ("nan", "NaN"), ("wrong-scale", "97.0")])
async def test_what_it_said_instead_is_kept(gateway, fault, said):
    told = await gateway.moderate(text=TEXT, route=f"only-{fault}")
    [kept] = json.loads(await gateway.text(f"/v1/decisions/{told['id']}"))["raw"]
    assert kept["provider"] == fault
    assert said in kept["answers"][0]["body"]


@together
async def test_a_redirect_does_not_take_the_key_elsewhere(gateway):
    before = len(gateway.heard("all"))
    await gateway.moderate(text=TEXT, route="only-302")
    assert [request.path for request in gateway.heard("all")[before:]] == ["/302/v1/moderations"]
