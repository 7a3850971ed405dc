"""A vendor that fails in every way we know of, and the whole gateway before it, over real sockets."""

import asyncio
import json
import logging
import socket
import ssl
import struct
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from email.utils import formatdate
from time import monotonic, time

import aiohttp
import pytest
import pytest_asyncio
import trustme

from tests.contract.replay import LOOPBACK, listening
from tests.gateway import image, judgement, judges, response, serving

DEADLINE = 0.8  # seconds, of every route here
IN_TIME = DEADLINE * 1.1


def broken(old, new):
    """The answer of a vendor that works, with one thing wrong."""

    async def says(heard, writer):
        said = json.dumps(judgement(heard))
        assert old in said
        writer.write(response(said.replace(old, new).encode(), Content_Type="application/json"))

    return says


async def hangs(heard, writer):
    await asyncio.sleep(60)


async def drips(heard, writer):
    for byte in response(judgement(heard)):
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0.01)


async def says_half(heard, writer):
    said = response(judgement(heard))
    writer.write(said[: len(said) // 2])
    await writer.drain()
    writer.close()


async def resets_halfway(heard, writer):
    said = response(judgement(heard))
    writer.write(said[: len(said) // 2])
    await writer.drain()
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def hangs_up(heard, writer):
    writer.close()


def refuses(status, **headers):
    error = {"message": "no", "type": "some_error", "param": None, "code": None}
    return response({"error": error}, status, **headers)


@dataclass(frozen=True)
class Fault:
    """`status` is the word for it in the answer; `attempts` how often the vendor is asked, None where that is open."""

    status: str
    says: object = None
    attempts: int | None = 1
    address: str | None = None


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
    "429-seconds": Fault("throttled", refuses("429 Too Many Requests", Retry_After="1")),
    "429-date": Fault(
        "throttled", refuses("429 Too Many Requests", Retry_After=formatdate(time() + 3600, usegmt=True))
    ),
    "429-absurd": Fault("throttled", refuses("429 Too Many Requests", Retry_After="1e9")),
    "429-negative": Fault("throttled", refuses("429 Too Many Requests", Retry_After="-5"), attempts=2),
    "500": Fault("unavailable", refuses("500 Internal Server Error"), attempts=2),
    "503": Fault("unavailable", refuses("503 Service Unavailable"), attempts=2),
    "503-seconds": Fault("unavailable", refuses("503 Service Unavailable", Retry_After="5")),
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
TEXT = "I will kill them all"  # the vendor that works finds violence in it, so a clean answer is never right


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
        provider(prefix + name, fault.address.format(**addresses) if fault.address else f"{server}/{name}/v1")
        for name, fault in FAULTS.items()
        for prefix in ("", "once-")
    ]
    lines += ["routes:", "  default: {text: {ask: [works], deadline: 800ms}}"]
    for name in FAULTS:
        lines += [f'  with-{name}: {{text: {{ask: ["{name}"], fallback: [works], deadline: 800ms}}}}']
        lines += [f'  only-{name}: {{text: {{ask: ["{name}"], deadline: 800ms}}}}']
        lines += [f'  once-{name}: {{text: {{ask: ["once-{name}"], deadline: 800ms}}}}']
    return "\n".join(lines)


def provider(name, address, more="timeout: 300ms"):
    """Never left out for having failed before: each test here is to see the fault itself."""
    more = f"{more}, circuit: {{enabled: false}}"
    return f'  "{name}": {{adapter: openai, base_url: "{address}", api_key: "${{KEY}}", {more}}}'


class Client:
    """Talks to the gateway under test. `vendors` are what its providers reach, by the name of the provider."""

    def __init__(self, session, vendors):
        self._session = session
        self.vendors = vendors

    def heard(self, name):
        return self.vendors[name].heard

    async def post(self, path, **body):
        """The status, the JSON, and how many seconds it took."""
        started = monotonic()
        async with self._session.post(path, json=body) as answer:
            return answer.status, await answer.json(), monotonic() - started

    async def moderate(self, **body):
        status, told, _ = await self.post("/v1/moderate", **body)
        assert status == 200, told
        return told

    async def text(self, path):
        async with self._session.get(path) as answer:
            return await answer.text()


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


# How providers are asked


@asynccontextmanager
async def asking(folder, legs, more="timeout: 300ms", key="test-key", **vendors):
    """A gateway with a provider for each vendor, of the same name, and one route."""
    async with AsyncExitStack() as stack:
        listeners = {name: await stack.enter_async_context(listening(says)) for name, says in vendors.items()}
        lines = [provider(name, f"{listener.url}/v1", more) for name, listener in listeners.items()]
        text = "\n".join(["providers:", *lines, f"routes: {{default: {{{legs}}}}}"])
        url = await stack.enter_async_context(serving(text, folder, KEY=key))
        yield Client(await stack.enter_async_context(aiohttp.ClientSession(url)), listeners)


def first(said):
    """A vendor that says this to the first request, and works from then on."""
    left = [said]

    async def says(heard, writer):
        writer.write(left.pop() if left else response(judgement(heard)))

    return says


def always(said):
    async def says(heard, writer):
        writer.write(said)

    return says


def outcomes(told):
    return [(asked["name"], asked["status"], asked["role"]) for asked in told["providers"]]


BOTH = "text: {ask: [a], deadline: 800ms}, image: {ask: [a], deadline: 800ms}"


async def test_a_vendor_that_fails_once_is_asked_again(tmp_path):
    async with asking(tmp_path, BOTH, a=first(refuses("500 Internal Server Error"))) as gateway:
        told = await gateway.moderate(text=TEXT)
    assert outcomes(told) == [("a", "ok", "ask")]
    assert told["providers"][0]["attempts"] == len(gateway.heard("a")) == 2
    assert (told["action"], told["degraded"]) == ("block", False)


async def test_a_vendor_is_not_asked_again_before_it_said(tmp_path):
    times = []
    says = first(refuses("429 Too Many Requests", Retry_After="1"))

    async def timed(heard, writer):
        times.append(monotonic())
        await says(heard, writer)

    async with asking(tmp_path, "text: {ask: [a], deadline: 2s}", a=timed) as gateway:
        told = await gateway.moderate(text=TEXT)
    assert outcomes(told) == [("a", "ok", "ask")]
    assert times[1] - times[0] >= 1.0


async def test_attempts_can_be_limited_to_one(tmp_path):
    a = first(refuses("500 Internal Server Error"))
    async with asking(tmp_path, BOTH, "retry: {attempts: 1}", a=a) as gateway:
        told = await gateway.moderate(text=TEXT)
    assert outcomes(told) == [("a", "unavailable", "ask")]
    assert len(gateway.heard("a")) == 1


async def test_the_deadline_holds_whatever_the_providers_take(tmp_path):
    legs = "text: {ask: [a], fallback: [b], deadline: 800ms}"
    async with asking(tmp_path, legs, "timeout: 500ms", a=hangs, b=hangs) as gateway:
        status, told, seconds = await gateway.post("/v1/moderate", text=TEXT)
    assert seconds <= IN_TIME
    assert (status, told["action"]) == (200, "review")
    assert outcomes(told) == [("a", "timeout", "ask"), ("b", "timeout", "fallback")]


async def test_first_leaves_the_others_alone_while_one_answers(tmp_path):
    legs = "text: {strategy: first, ask: [a, b], deadline: 800ms}"
    async with asking(tmp_path, legs, a=judges, b=judges) as gateway:
        told = await gateway.moderate(text=TEXT)
    assert outcomes(told) == [("a", "ok", "ask")]
    assert not gateway.heard("b")


async def test_first_goes_on_to_the_next_where_one_fails(tmp_path):
    legs = "text: {strategy: first, ask: [a, b], fallback: [c], deadline: 800ms}"
    async with asking(tmp_path, legs, a=always(response({})), b=judges, c=judges) as gateway:
        told = await gateway.moderate(text=TEXT)
    assert outcomes(told) == [("a", "drift", "ask"), ("b", "ok", "ask")]
    assert (told["action"], told["degraded"]) == ("block", True)
    assert not gateway.heard("c")


async def test_all_are_asked_at_once(tmp_path):
    async def late(heard, writer):
        await asyncio.sleep(0.2)
        await judges(heard, writer)

    async with asking(tmp_path, "text: {ask: [a, b], deadline: 800ms}", a=late, b=late) as gateway:
        _, told, seconds = await gateway.post("/v1/moderate", text=TEXT)
    assert outcomes(told) == [("a", "ok", "ask"), ("b", "ok", "ask")]
    assert seconds < 0.4


async def test_need_is_met_by_a_fallback(tmp_path):
    legs = "text: {ask: [a, b], fallback: [c], need: 2, deadline: 800ms}"
    async with asking(tmp_path, legs, a=judges, b=always(response({})), c=judges) as gateway:
        told = await gateway.moderate(text="A walk on the beach")
    assert outcomes(told) == [("a", "ok", "ask"), ("b", "drift", "ask"), ("c", "ok", "fallback")]
    assert (told["action"], told["degraded"]) == ("allow", True)


async def test_need_that_is_not_met_is_reviewed(tmp_path):
    legs = "text: {ask: [a, b], need: 2, deadline: 800ms}"
    async with asking(tmp_path, legs, a=judges, b=always(response({}))) as gateway:
        told = await gateway.moderate(text="A walk on the beach")
    assert (told["action"], told["degraded"]) == ("review", True)
    assert [reason["code"] for reason in told["reasons"]] == ["coverage_too_few"]


async def test_text_and_image_go_in_one_call(tmp_path):
    async with asking(tmp_path, BOTH, a=judges) as gateway:
        told = await gateway.moderate(text=TEXT, images=[{"data": image()}])
    [heard] = gateway.heard("a")
    assert [part["type"] for part in heard.json["input"]] == ["text", "image_url"]
    assert heard.json["input"][0]["text"] == TEXT
    assert [(asked["input"], asked["status"]) for asked in told["providers"]] == [(0, "ok"), (1, "ok")]


async def test_a_list_of_texts_is_a_call_for_each(tmp_path):
    async with asking(tmp_path, BOTH, a=judges) as gateway:
        _, told, _ = await gateway.post("/v1/moderations", input=["one", TEXT, "three"])
    assert sorted(heard.json["input"] for heard in gateway.heard("a")) == sorted(["one", TEXT, "three"])
    assert [result["flagged"] for result in told["results"]] == [False, True, False]


async def test_an_album_is_a_call_for_each_picture(tmp_path):
    async with asking(tmp_path, BOTH, a=judges) as gateway:
        await gateway.moderate(images=[{"data": image("olive")}, {"data": image("navy")}])
    sent = [heard.json["input"] for heard in gateway.heard("a")]
    assert [[part["type"] for part in parts] for parts in sent] == [["image_url"], ["image_url"]]
    assert sent[0] != sent[1]


async def test_a_picture_that_fails_is_not_covered_by_the_one_beside_it(tmp_path):
    async with asking(tmp_path, BOTH, a=first(refuses("400 Bad Request"))) as gateway:
        told = await gateway.moderate(images=[{"data": image("olive")}, {"data": image("navy")}])
    assert sorted(asked["status"] for asked in told["providers"]) == ["ok", "rejected"]
    assert sorted(judged["action"] for judged in told["inputs"]) == ["allow", "review"]
    assert (told["action"], told["degraded"]) == ("review", True)


async def test_no_more_calls_at_once_than_allowed(tmp_path):
    async def late(heard, writer):
        await asyncio.sleep(0.03)
        await judges(heard, writer)

    async with asking(tmp_path, BOTH, "max_concurrency: 2", a=late) as gateway:
        told = await asyncio.gather(*(gateway.moderate(text=f"{TEXT} {n}") for n in range(8)))
    assert {asked["status"] for each in told for asked in each["providers"]} == {"ok"}
    assert gateway.vendors["a"].busiest == 2


# Our key at the vendor stays between the two of us

KEY = "sk-canary-7f3a91c04be2d8566e1f"


def echo(status, place):
    """A vendor that repeats our key in its answer."""

    async def says(heard, writer):
        key = heard.headers["authorization"].removeprefix("Bearer ")
        said = {
            "message": {"error": {"message": f"Incorrect API key provided: {key}.", "code": "invalid_api_key"}},
            "code": {"error": {"message": "Incorrect API key", "code": f"invalid_api_key:{key}"}},
            "far-in": {"error": {"message": "." * (2048 - len('{"error": {"message": "') - 12) + key, "code": "x"}},
            "beside": {**judgement(heard), "key": key},
            "label": broken_label(judgement(heard), key),
            "model": {**judgement(heard), "model": key},
        }[place]
        writer.write(response(said, status))

    return says


def broken_label(said, key):
    said["results"][0]["category_scores"]["violence"] = key
    return said


@pytest.mark.parametrize(
    ("status", "place"),
    [
        *(("401 Unauthorized", place) for place in ("message", "code", "far-in")),
        *(("200 OK", place) for place in ("beside", "label", "model")),
    ],
)
async def test_our_key_is_told_to_nobody(tmp_path, capfd, caplog, status, place):
    caplog.set_level(logging.DEBUG)
    async with asking(tmp_path, BOTH, key=KEY, a=echo(status, place)) as gateway:
        told = await gateway.moderate(text=TEXT)
        _, dialect, _ = await gateway.post("/v1/moderations", input=TEXT)
        paths = (f"/v1/decisions/{told['id']}", "/v1/providers", "/readyz", "/metrics")
        seen = [json.dumps([told, dialect]), *[await gateway.text(path) for path in paths]]
    assert {heard.headers["authorization"] for heard in gateway.heard("a")} == {f"Bearer {KEY}"}
    kept = [file.read_bytes().decode("latin-1") for file in (tmp_path / "var").rglob("*") if file.is_file()]
    assert any(told["id"] in text for text in kept)
    seen += [*kept, *capfd.readouterr(), caplog.text]
    assert not [text for text in seen if KEY[:12] in text]
