"""Our own call beside the one of the vendor's own client: the same on the wire, and the same made of every answer."""

import asyncio
import socket
import ssl
import struct
from base64 import b64encode
from functools import partial
from urllib.parse import parse_qsl, urlsplit

import boto3
import pytest
import pytest_asyncio
import trustme
from azure.ai.contentsafety.aio import ContentSafetyClient
from azure.ai.contentsafety.models import (
    AnalyzeImageOptions,
    AnalyzeImageOutputType,
    AnalyzeTextOptions,
    AnalyzeTextOutputType,
    ImageData,
)
from azure.core.credentials import AzureKeyCredential
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from openai import AsyncOpenAI

from gateway.domain import Content, Failure, Text
from tests.contract.asking import TRANSPORTS, WITH_CLIENT, staging
from tests.contract.replay import LOOPBACK, cases, listening, picture, telling
from tests.gateway import response

pytestmark = pytest.mark.asyncio(loop_scope="module")

CASES = [case for case in cases() if case.vendor in WITH_CLIENT]
TOKEN = "a/session+token=="
KEYS = ("AKIDEXAMPLE", "test-key")  # of fixtures/rekognition/settings.yaml

MATTER = {
    "openai": ("authorization", "content-type", "accept", "accept-encoding"),
    "azure_content_safety": ("ocp-apim-subscription-key", "content-type", "accept", "accept-encoding"),
    "rekognition": ("x-amz-target", "content-type", "accept-encoding", "x-amz-security-token"),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage():
    async with staging() as stage:
        yield stage


def essence(vendor, heard, leave_out=()):
    """What a request comes to: method, path, query, the headers that matter, what the body says."""
    where = urlsplit(heard.path)
    headers = {name: heard.headers.get(name) for name in MATTER[vendor] if name not in leave_out}
    if vendor == "rekognition":
        headers["authorization"] = heard.headers["authorization"].partition(", Signature=")[0]
        headers["authorization"] = headers["authorization"].replace(heard.headers["x-amz-date"][:8], "<day>")
    return heard.method, where.path, sorted(parse_qsl(where.query)), headers, heard.json


def essences(vendor, heards, leave_out=()):
    return sorted((essence(vendor, heard, leave_out) for heard in heards), key=repr)


def signature(heard, token=None):
    """What botocore signs this request with."""
    [names] = [part[14:] for part in heard.headers["authorization"].split(", ") if part.startswith("SignedHeaders=")]
    signed = {name: heard.headers[name] for name in names.split(";")}
    request = AWSRequest(heard.method, f"http://{heard.headers['host']}{heard.path}", signed, heard.body)
    request.context["timestamp"] = heard.headers["x-amz-date"]
    signer = SigV4Auth(Credentials(*KEYS, token), "rekognition", "us-east-1")
    return signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)


def came_of(outcome):
    """What we make of an answer, without how long it took."""
    if isinstance(outcome, Failure):
        return outcome.status, outcome.http, outcome.detail, outcome.raw
    return outcome.signals, outcome.model, outcome.opinion, [each.body for each in outcome.exchanges]


# Every fixture, by both transports


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_the_vendors_client_gets_the_same_answer_by_the_same_question(stage, case):
    says = telling(case) if case.response else None
    direct, ours = await stage.ask(case.asked, says, case.vendor, **case.settings)
    sdk, theirs = await stage.ask(case.asked, says, case.vendor, transport="sdk", **case.settings)
    assert essences(case.vendor, theirs) == essences(case.vendor, ours)
    assert came_of(sdk) == came_of(direct)
    assert len(theirs) <= 1  # the client did not ask again


# The vendors' clients as their guides show them, with nothing of ours between

WORDS, PICTURE = "Grüße aus dem Wald 🌲", picture("png")
SHOWN = PICTURE.views[0].data
BOTH = Content((Text(WORDS), PICTURE))
INLINE = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{b64encode(SHOWN).decode()}"}}
MODEL = "omni-moderation-latest"


async def by_openai(url, **asked):
    async with AsyncOpenAI(base_url=f"{url}/v1", api_key="test-key", max_retries=0) as client:
        await client.moderations.create(model=MODEL, **asked)


async def by_azure(url, method, options):
    key = AzureKeyCredential("test-key")
    async with ContentSafetyClient(url, key, api_version="2024-09-01", retry_total=0) as client:
        await getattr(client, method)(options)


async def by_boto3(url, token=None):
    def call():
        once = Config(retries={"total_max_attempts": 1})
        client = boto3.Session(*KEYS, token).client("rekognition", "us-east-1", endpoint_url=url, config=once)
        client.detect_moderation_labels(Image={"Bytes": SHOWN}, MinConfidence=30)
        client.detect_labels(Image={"Bytes": SHOWN}, MinConfidence=30)

    await asyncio.to_thread(call)


def azure_text(**more):
    return partial(by_azure, method="analyze_text", options=AnalyzeTextOptions(text=WORDS, output_type=EIGHT, **more))


EIGHT, FOUR = AnalyzeTextOutputType.EIGHT_SEVERITY_LEVELS, AnalyzeImageOutputType.FOUR_SEVERITY_LEVELS
azure_image = AnalyzeImageOptions(image=ImageData(content=SHOWN), output_type=FOUR)
LISTS = {"blocklists": ["mine", "yours"], "halt_on_blocklist_hit": True}
SAME = {
    "openai-text": ("openai", Content((Text(WORDS),)), {}, partial(by_openai, input=WORDS)),
    "openai-image": ("openai", Content((PICTURE,)), {}, partial(by_openai, input=[INLINE])),
    "openai-both": ("openai", BOTH, {}, partial(by_openai, input=[{"type": "text", "text": WORDS}, INLINE])),
    "azure-text": ("azure_content_safety", Content((Text(WORDS),)), {}, azure_text()),
    "azure-blocklists": (
        "azure_content_safety",
        Content((Text(WORDS),)),
        LISTS,
        azure_text(blocklist_names=LISTS["blocklists"], halt_on_blocklist_hit=True),
    ),
    "azure-image": (
        "azure_content_safety",
        Content((PICTURE,)),
        {},
        partial(by_azure, method="analyze_image", options=azure_image),
    ),
    "rekognition": ("rekognition", Content((PICTURE,)), {}, by_boto3),
    "rekognition-temporary-keys": (
        "rekognition",
        Content((PICTURE,)),
        {"session_token": TOKEN},
        partial(by_boto3, token=TOKEN),
    ),
}


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("case", SAME)
async def test_our_call_is_the_one_the_vendors_client_makes(stage, case, transport):
    vendor, content, changes, theirs = SAME[case]
    async with listening(always(response({}))) as server:
        await theirs(server.url)
    expected = server.heard
    _, ours = await stage.ask(content, always(response({})), vendor, transport=transport, **changes)
    apart = ("accept-encoding",) if vendor != "rekognition" else ()  # theirs unpack what is compressed
    assert essences(vendor, ours, apart) == essences(vendor, expected, apart)
    if vendor == "rekognition":
        for heard in (*expected, *ours):
            said = heard.headers["authorization"].partition("Signature=")[2]
            assert said == signature(heard, changes.get("session_token"))


def always(said):
    async def says(heard, writer):
        writer.write(said)

    return says


# What goes wrong below HTTP, and in it


async def hangs(heard, writer):
    await asyncio.sleep(60)


async def hangs_up(heard, writer):
    writer.close()


async def resets(heard, writer):
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def says_half(heard, writer):
    said = response({"results": ["." * 2000]})
    writer.write(said[: len(said) // 2])
    await writer.drain()
    writer.close()


async def breaks_off_a_chunk(heard, writer):
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n100\r\n{")
    await writer.drain()
    writer.close()


def refuses(status, **headers):
    return always(response({"error": {"code": "x", "message": "no"}, "__type": "x"}, status, **headers))


FAULTS = {  # the word for it, and how its detail begins
    "hangs": (hangs, "timeout", "no answer in time"),
    "hangs-up": (hangs_up, "unavailable", "reset"),
    "resets": (resets, "unavailable", "reset"),
    "says-half": (says_half, "unavailable", "truncated"),
    "breaks-off-a-chunk": (breaks_off_a_chunk, "unavailable", "truncated"),
    "is-not-http": (always(b"220 mail.example ESMTP\r\n\r\n"), "unavailable", "protocol"),
    "429": (refuses("429 Too Many Requests"), "throttled", "HTTP 429"),
    "429-seconds": (refuses("429 Too Many Requests", Retry_After="60"), "throttled", "HTTP 429"),
    "408": (refuses("408 Request Timeout"), "timeout", "HTTP 408"),
    "500": (refuses("500 Internal Server Error"), "unavailable", "HTTP 500"),
    "503-seconds": (refuses("503 Service Unavailable", Retry_After="60"), "unavailable", "HTTP 503"),
    "302": (always(response(b"", "302 Found", Location="/elsewhere")), "drift", "HTTP 302"),
    "307": (always(response(b"", "307 Temporary Redirect", Location="/elsewhere")), "drift", "HTTP 307"),
    "html": (always(response(b"<html>Welcome</html>", Content_Type="text/html")), "drift", "the answer is not JSON"),
    "html-called-json": (
        always(response(b"<html>", Content_Type="application/json")),
        "drift",
        "the answer is not JSON",
    ),
    "empty-object": (always(response({})), "drift", "the answer is not of the documented shape"),
    "a-list": (always(response([])), "drift", "the answer is not of the documented shape"),
    "too-long": (always(response(b" " * (1024 * 1024 + 1))), "drift", "the answer is over 1048576 bytes"),
    "compressed": (always(response(b"x", Content_Encoding="gzip")), "drift", "the answer is compressed"),
}
IMAGE = Content((PICTURE,))

every_vendor = pytest.mark.parametrize("vendor", WITH_CLIENT)
by_both = pytest.mark.parametrize("transport", TRANSPORTS)


@every_vendor
@by_both
@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_has_the_same_name_by_both_and_is_not_asked_again(stage, vendor, transport, fault):
    says, status, detail = FAULTS[fault]
    outcome, heard = await one_call(stage, vendor, transport, says)
    assert (outcome.status, outcome.detail[: len(detail)]) == (status, detail)
    assert len(heard) == 1


async def one_call(stage, vendor, transport, says=None, url=""):
    changes = {"operations": ["moderation"]} if vendor == "rekognition" else {}
    changes["timeout"] = "600ms" if says is hangs else "20s"
    return await stage.ask(IMAGE, says, vendor, url, transport=transport, **changes)


@every_vendor
@by_both
async def test_nobody_there(stage, vendor, transport):
    with socket.socket() as taken:
        taken.bind((LOOPBACK, 0))  # and never listens
        url = f"http://{LOOPBACK}:{taken.getsockname()[1]}"
        outcome, _ = await one_call(stage, vendor, transport, url=url)
    assert (outcome.status, outcome.detail) == ("unavailable", "refused: no connection")


@every_vendor
@by_both
async def test_no_such_name(stage, vendor, transport):
    outcome, _ = await one_call(stage, vendor, transport, url="http://vendor.invalid")
    assert (outcome.status, outcome.detail) == ("unavailable", "dns: its name does not resolve")


@every_vendor
@by_both
async def test_a_false_certificate(stage, vendor, transport):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert(LOOPBACK).configure_cert(tls)
    async with listening(always(response({})), tls) as server:
        outcome, _ = await one_call(stage, vendor, transport, url=server.url)
    assert (outcome.status, outcome.detail) == ("unavailable", "tls: its certificate is not valid")
    assert not server.heard
