"""Every vendor behind HTTP, and every way of failing: what comes of each is written down here, and is never a score.

Asked as dispatch asks (question.put), over the real transport and a real socket, about content the vendor takes. The
vendors are those of config/vendors: a new one without its rows here fails. Broken answers are good ones of that vendor,
its `clean` fixture, with one thing wrong.
"""

import asyncio
import json
import socket
import ssl
from dataclasses import dataclass, replace
from email.utils import formatdate
from time import time

import aiohttp
import pytest
import pytest_asyncio
import trustme
import yaml

from gateway.dispatch.deadline import Deadline
from gateway.dispatch.question import Provider, Question, put
from gateway.dispatch.transport import HttpTransport
from gateway.domain import Failure, Modality, Reading
from tests.contract.replay import LOOPBACK, Listener, listening
from tests.contract.replaying import CASES, OWN, SETTINGS, TABLES, VENDORS, adapter_for
from tests.gateway import image, judges, response, serving
from tests.rawvendor import reset

BY_NAME = {str(case): case for case in CASES}
ONCE = {"retry": {"attempts": 1}}
PATIENCE = 60.0  # seconds within which there is an outcome, whatever the vendor does
SOON, LATE = 60, 3600  # seconds the vendor asks us to wait


# How a vendor fails, whoever it is: the status it comes to, and its HTTP status where it has one


@dataclass(frozen=True)
class Fault:
    """`says` are the bytes it answers with, or how it treats the connection; `at` where it is, if not at the server.

    `parks` is how long it is left alone thereafter.
    """

    status: str
    http: int | None = None
    says: object = None
    at: str = "server"
    parks: float = 0.0
    timeout: str = "30s"


async def hangs(heard, writer):
    await asyncio.sleep(60)


async def resets(heard, writer):
    reset(writer)


async def hangs_up(heard, writer):
    writer.close()


def answered(status, **headers):
    """The answer of somebody in between, who speaks no vendor's language."""
    return response({"message": "no"}, status, **headers)


def day(later):
    return formatdate(time() + later, usegmt=True)


def told(http, status, word, parks=0.0, **headers):
    return Fault(word, http, answered(f"{http} {status}", **headers), parks=parks)


def good(vendor):
    """The case that is broken here."""
    return BY_NAME[f"{vendor}/clean"]


def clean(vendor, body=None):
    """The good answer; with `body`, that instead of its own."""
    head, _, own = good(vendor).response.partition(b"\r\n\r\n")
    kept = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"content-length")]
    body = own if body is None else body
    return b"\r\n".join([*kept, b"Content-Length: %d" % len(body), b"", body])


def cut_off(vendor):
    """Fewer bytes than it said there would be."""
    head, gap, body = clean(vendor).partition(b"\r\n\r\n")
    return head + gap + body[: len(body) // 2]


def cut_short(vendor):
    """As many bytes as it said, and half a JSON document."""
    body = clean(vendor).partition(b"\r\n\r\n")[2]
    return clean(vendor, body[: len(body) // 2])


def with_score(written, parents=0):
    """The good answer with this, as it stands there, in the place of one score, or of what holds it."""

    def made(vendor):
        said, (*way, last) = SCORED[vendor]
        said, (*way, last) = json.loads(json.dumps(said)), [*way, last][: len([*way, last]) - parents]
        holder = said
        for step in way:
            holder = holder[step]
        holder[last] = "@@"
        return clean(vendor, json.dumps(said).replace('"@@"', written).encode())

    return made


FAULTS = {
    "timeout": Fault("timeout", says=hangs, timeout="150ms"),
    "dns": Fault("unavailable", at="nowhere"),
    "tls": Fault("unavailable", at="secure"),
    "refused": Fault("unavailable", at="refused"),
    "reset": Fault("unavailable", says=resets),
    "hangs-up": Fault("unavailable", says=hangs_up),
    "400": told(400, "Bad Request", "rejected"),
    "401": told(401, "Unauthorized", "denied"),
    "403": told(403, "Forbidden", "denied"),
    "404": told(404, "Not Found", "denied"),
    "413": told(413, "Content Too Large", "rejected"),
    "429-seconds": told(429, "Too Many Requests", "throttled", SOON, Retry_After=SOON),
    "429-date": told(429, "Too Many Requests", "throttled", LATE, Date=day(0), Retry_After=day(LATE)),
    "500": told(500, "Internal Server Error", "unavailable"),
    "503": told(503, "Service Unavailable", "unavailable"),
    "truncated": Fault("unavailable", says=cut_off),
    "half-a-document": Fault("drift", 200, cut_short),
    "wrong-shape": Fault("drift", 200, with_score('"high"', parents=1)),
    "another-document": Fault("drift", 200, lambda vendor: clean(vendor, b'{"status": "ok"}')),
    "empty-object": Fault("drift", 200, lambda vendor: clean(vendor, b"{}")),
    "empty-list": Fault("drift", 200, lambda vendor: clean(vendor, b"[]")),
    "empty": Fault("drift", 200, lambda vendor: clean(vendor, b"")),
    "html": Fault("drift", 200, response(b"<html>Welcome</html>", Content_Type="text/html")),
    "null": Fault("drift", 200, lambda vendor: clean(vendor, b"null")),
    "null-score": Fault("drift", 200, with_score("null")),
    "nan": Fault("drift", 200, with_score("NaN")),
    "1e308": Fault("drift", 200, with_score("1e308")),
    "wrong-scale": Fault("drift", 200, with_score("9700.0")),  # a hundred times the highest there is, or more
}

ASKED_FOR = {  # what the table has to hold, whatever else it does
    *("timeout", "dns", "tls", "refused", "reset", "400", "401", "403", "404", "413", "429-seconds", "429-date"),
    *("500", "503", "truncated", "wrong-shape", "empty", "html", "null", "nan", "1e308", "wrong-scale"),
}

# Where one score stands in a vendor's good answer. Llama Guard has none but the logarithms of probabilities; where
# Rekognition finds nothing it gives no number, so a label is put in
SCORES = {
    "anthropic_vision": ("content", 0, "input", "violence"),
    "azure_content_safety": ("categoriesAnalysis", 3, "severity"),
    "evolink": ("results", 0, "category_scores", "violence"),
    "google_vision": ("responses", 0, "safeSearchAnnotation", "violence"),
    "http": ("results", 0, "scores", "violence"),
    "llama_guard": ("choices", 0, "logprobs", "content", 1, "logprob"),
    "mistral": ("results", 0, "category_scores", "violence_and_threats"),
    "openai": ("results", 0, "category_scores", "violence"),
    "pixicular": ("detect-moderation", "flags", 3, "confidence"),
    "rekognition": ("ModerationLabels", 0, "Confidence"),
    "sieve": ("categories", "violence", "score"),
    "sightengine": ("violence", "prob"),
}


def scored(vendor):
    said = json.loads(clean(vendor).partition(b"\r\n\r\n")[2])
    if vendor == "rekognition":
        said["ModerationLabels"] = [{"Name": "Violence", "Confidence": 31.0, "ParentName": "", "TaxonomyLevel": 1}]
    return said, SCORES[vendor]


SCORED = {vendor: scored(vendor) for vendor in VENDORS if vendor in SCORES}


# Where a vendor says itself what is wrong, and the HTTP status alone would mislead: the fixture, and what comes of it

OWN_WORDS = {
    "anthropic_vision/overloaded-529": ("unavailable", 529),
    "anthropic_vision/usage-limit": ("denied", 400),  # a 400, and our account's limit
    "anthropic_vision/refusal": ("rejected", 200),  # it will not judge this, in a 200
    "azure_content_safety/quota-exhausted": ("denied", 403),
    "evolink/no-credit-402": ("denied", 402),
    "google_vision/refused-key": ("denied", 400),  # API_KEY_INVALID
    "google_vision/image-exhausted": ("throttled", 200),  # an error about the image, in a 200
    "google_vision/image-denied": ("denied", 200),
    "google_vision/image-internal": ("unavailable", 200),
    "http/quota-exhausted": ("denied", 402),
    "llama_guard/filtered": ("drift", 200),  # the server's own filter took the verdict away
    "mistral/wrong-model": ("denied", 400),  # invalid_model: ours to mend
    "openai/quota-exhausted": ("denied", 429),  # no waiting helps
    "openai/credit-exhausted": ("denied", 429),
    "pixicular/not-completed": ("drift", 200),
    "rekognition/access-denied": ("denied", 400),  # each of its errors is a 400: the code decides
    "rekognition/expired-token": ("denied", 400),
    "rekognition/throttled": ("throttled", 400),
    "rekognition/throttled-500": ("throttled", 500),
    "rekognition/image-too-large": ("rejected", 400),
    "sieve/quota-exhausted": ("denied", 402),
    "sightengine/api-error-in-a-200": ("unavailable", 200),  # its errors come in a 200
    "sightengine/refused-key-in-a-200": ("denied", 200),
    "sightengine/quota-in-a-200": ("denied", 200),
    "sightengine/media-in-a-200": ("rejected", 200),
}


def test_every_vendor_and_every_fault_has_its_row():
    assert SCORES.keys() == set(VENDORS), "a vendor without a place of a score, or a place without its vendor"
    assert {name.partition("/")[0] for name in OWN_WORDS} == set(VENDORS), "say what each calls its own failures"
    assert FAULTS.keys() >= ASKED_FOR


# Asking


class Stage:
    """One server that answers as `says`, and where else a vendor may be."""

    def __init__(self, send):
        self.send = send
        self.says = b""
        self.places = {}
        self.server: Listener | None = None

    async def answer(self, heard, writer):
        if isinstance(self.says, bytes):
            writer.write(self.says)
            writer.close()  # a broken answer leaves nothing for the next question
        else:
            await self.says(heard, writer)

    async def ask(self, case, says, at="server", patience="30s"):
        """What comes of it, how often it was heard, and who was asked."""
        self.says, before = says, len(self.server.heard)
        adapter = adapter_for(replace(case, settings={**case.settings, **ONCE, "timeout": patience}), self.places[at])
        provider = Provider(case.vendor, adapter, TABLES[case.vendor].translate, {}, self.send)
        where = {part.modality: index for index, part in enumerate(case.asked.inputs)}
        outcome = await put(Question(case.asked, where), provider, Deadline.after(PATIENCE))
        return outcome, len(self.server.heard) - before, provider


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage():
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert(LOOPBACK).configure_cert(tls)
    send = HttpTransport()
    await send.open()
    stage = Stage(send)
    with socket.socket() as taken:
        taken.bind((LOOPBACK, 0))  # and never listens
        async with listening(stage.answer) as stage.server, listening(judges, tls) as secure:
            refused = f"http://{LOOPBACK}:{taken.getsockname()[1]}"
            stage.places = {"server": stage.server.url, "secure": secure.url, "refused": refused}
            stage.places["nowhere"] = "http://vendor.invalid"
            yield stage
    await send.close()


together = pytest.mark.asyncio(loop_scope="module")
every_vendor = pytest.mark.parametrize("vendor", VENDORS)


@together
@every_vendor
async def test_the_answer_that_is_broken_below_is_a_good_one(stage, vendor):
    """So it is the one wrong thing that fails."""
    said, place = SCORED[vendor]
    outcome, calls, _ = await stage.ask(good(vendor), clean(vendor, json.dumps(said).encode()))
    assert isinstance(outcome, Reading), outcome.detail
    assert calls == 1
    for step in place:
        said = said[step]


@together
@every_vendor
@pytest.mark.parametrize("name", FAULTS)
async def test_a_fault_comes_to_what_is_declared(stage, name, vendor):
    fault, clock = FAULTS[name], asyncio.get_running_loop().time
    says = fault.says(vendor) if callable(fault.says) and not asyncio.iscoroutinefunction(fault.says) else fault.says
    began = clock()
    outcome, calls, provider = await stage.ask(good(vendor), says, fault.at, fault.timeout)
    assert isinstance(outcome, Failure), "it reads as an answer"
    assert (outcome.status, outcome.http) == (fault.status, fault.http), outcome.detail
    assert outcome.detail
    assert not outcome.detail.startswith("internal"), outcome.detail
    assert clock() - began < PATIENCE
    assert calls == (1 if fault.at == "server" else 0)
    parked = provider.health.parked_until and provider.health.parked_until - clock()
    assert parked == pytest.approx(fault.parks, abs=20.0)


@together
@pytest.mark.parametrize("name", OWN_WORDS)
async def test_a_vendors_own_word_decides(stage, name):
    case = BY_NAME[name]
    outcome, _, _ = await stage.ask(case, case.response)
    assert isinstance(outcome, Failure), "it reads as an answer"
    assert (outcome.status, outcome.http) == OWN_WORDS[name], outcome.detail


# The whole gateway, and each vendor down


def gateway_yaml(down, works):
    """Each vendor at a server that is down; routes `only-…` to it alone, and `with-…` to one that works after it."""
    providers = {"works": {"adapter": "openai", "base_url": f"{works}/v1", "api_key": "test-key"}}
    routes = {"default": {"text": {"ask": ["works"]}, "image": {"ask": ["works"]}}}
    for vendor in VENDORS:
        written = yaml.safe_load(yaml.safe_dump(SETTINGS[vendor]).replace("{server}", down))
        written |= {"table": str(OWN[vendor])} if vendor in OWN else {}
        providers[vendor] = {**written, **good(vendor).settings, **ONCE, "adapter": vendor}
        modality = modality_of(vendor)
        routes[f"only-{vendor}"] = {modality: {"ask": [vendor], "deadline": "30s"}}
        routes[f"with-{vendor}"] = {modality: {"ask": [vendor], "fallback": ["works"], "deadline": "30s"}}
    return yaml.safe_dump({"cache": {"enabled": False}, "providers": providers, "routes": routes})


def modality_of(vendor):
    return good(vendor).asked.inputs[0].modality.value


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(tmp_path_factory):
    async def down(heard, writer):
        writer.write(answered("500 Internal Server Error"))

    async with listening(down) as broken, listening(judges) as works:
        config = gateway_yaml(broken.url, works.url)
        async with serving(config, tmp_path_factory.mktemp("down")) as url, aiohttp.ClientSession(url) as client:
            yield client


async def moderated(gateway, vendor, route):
    of_text = modality_of(vendor) == Modality.TEXT
    body = {"text": "I will kill them all"} if of_text else {"images": [{"data": image()}]}
    async with gateway.post("/v1/moderate", json={**body, "route": f"{route}-{vendor}"}) as answer:
        assert answer.status == 200
        return await answer.json()


@together
@every_vendor
async def test_nobody_else_to_ask_means_a_person_looks(gateway, vendor):
    told = await moderated(gateway, vendor, "only")
    assert [(asked["name"], asked["status"]) for asked in told["providers"]] == [(vendor, "unavailable")]
    assert (told["action"], told["degraded"], told["max_score"]) == ("review", True, None)
    assert any(reason["code"].startswith("coverage_") for reason in told["reasons"])


@together
@every_vendor
async def test_another_provider_steps_in(gateway, vendor):
    told = await moderated(gateway, vendor, "with")
    assert [(asked["name"], asked["status"], asked["role"]) for asked in told["providers"]] == [
        (vendor, "unavailable", "ask"),
        ("works", "ok", "fallback"),
    ]
    assert (told["action"], told["degraded"]) == ("block" if modality_of(vendor) == "text" else "allow", True)
