"""How our calls to Rekognition are signed: as AWS's examples are, and as the vendor's own client signs them."""

import re
from datetime import UTC, datetime

import orjson
import pytest

from adapters.rekognition import day_key, signed
from gateway.dispatch.transport import HttpTransport
from gateway.wire import Call
from tests.contract.replay import listening
from tests.gateway import response
from tests.unit.test_rekognition import SECRET, adapter, moderation, photo

NOW = datetime(2026, 11, 21, 8, 0, 0, tzinfo=UTC)


def test_the_key_of_a_day_is_that_of_the_published_example():
    """docs.aws.amazon.com, "Examples of how to derive a signing key for Signature Version 4"."""
    key = day_key(SECRET, "20150830/us-east-1/iam/aws4_request")
    assert key.hex() == "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9"


@pytest.mark.parametrize(
    "method, more, body, signature",
    [
        ("GET", {}, b"", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        ("POST", {}, b"", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
        (
            "POST",
            {"Content-Type": "application/x-www-form-urlencoded"},
            b"Param1=value1",
            "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
        ),
    ],
    ids=["get-vanilla", "post-vanilla", "post-x-www-form-urlencoded"],
)
def test_signatures_are_those_of_the_published_vectors(method, more, body, signature):
    """AWS's Signature Version 4 test suite, by the names of its cases."""
    scope = "20150830/us-east-1/service/aws4_request"
    headers = {"Host": "example.amazonaws.com", "X-Amz-Date": "20150830T123600Z", **more}
    assert signed(day_key(SECRET, scope), scope, method, "/", headers, body)[1] == signature


SENT = {"Image": {"Bytes": "/9j/anBlZw=="}, "MinConfidence": 30.0}
PINNED = [  # as botocore 1.44.5 signs the same request (SigV4Auth, clock held)
    (
        {},
        "DetectModerationLabels",
        "content-type;host;x-amz-date;x-amz-target",
        "cdf38fb5582e9be9932cf2b5fecf3152fa8247dc0454102154285da547448033",
    ),
    (
        {"region": "eu-west-1", "session_token": "a-token/with+signs=="},
        "DetectLabels",
        "content-type;host;x-amz-date;x-amz-security-token;x-amz-target",
        "63fd94a6839e3b15af1e9d9ed5ace0a841a1a007ed3fc347e6a439b36b342820",
    ),
    (
        {"endpoint_url": "http://127.0.0.1:4566/behind/a~proxy%20x"},
        "DetectLabels",
        "content-type;host;x-amz-date;x-amz-target",
        "d4896be1807c9b637c8ff780dbbbce62c4eb6722469d90c8054ceb4b6b2b3270",
    ),
]


@pytest.mark.parametrize("settings, target, names, signature", PINNED, ids=["plain", "session token", "endpoint"])
def test_our_call_is_signed_as_the_vendors_own_client_signs_it(settings, target, names, signature):
    headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": f"RekognitionService.{target}"}
    sent = adapter(**settings).sign(Call("POST", "/", headers=headers, json=SENT, about="labels"), NOW)
    region = settings.get("region", "us-east-1")
    assert sent.headers["Authorization"] == (
        f"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261121/{region}/rekognition/aws4_request, "
        f"SignedHeaders={names}, Signature={signature}"
    )
    assert sent.headers["X-Amz-Date"] == "20261121T080000Z"
    assert sent.headers.get("X-Amz-Security-Token") == settings.get("session_token")
    assert (sent.body, sent.about, sent.method, sent.path) == (orjson.dumps(SENT), "labels", "POST", "/")


def test_every_moment_has_its_own_signature_and_every_day_its_own_key():
    asked = adapter()
    [call, _] = asked.ask(photo())
    moments = [NOW, NOW.replace(second=1), NOW.replace(day=22), NOW]
    first, later, next_day, again = (asked.sign(call, at).headers["Authorization"] for at in moments)
    assert len({first, later, next_day}) == 3
    assert first == again


def test_an_empty_session_token_is_none():
    [call, _] = adapter(session_token="").ask(photo())
    assert "X-Amz-Security-Token" not in adapter(session_token="").sign(call, NOW).headers


async def test_what_arrives_is_what_was_signed():
    """Through the real transport: a Host or a body that another layer touches would be a refused key."""

    async def says(heard, writer):
        writer.write(response(moderation()))

    transport = HttpTransport()
    await transport.open()
    try:
        async with listening(says) as vendor:
            await adapter(endpoint_url=vendor.url, operations=["moderation"]).look(photo(), transport)
    finally:
        await transport.close()
    [heard] = vendor.heard
    names, signature = re.fullmatch(
        r"AWS4-HMAC-SHA256 Credential=.*, SignedHeaders=(.*), Signature=(.*)", heard.headers["authorization"]
    ).groups()
    scope = f"{heard.headers['x-amz-date'][:8]}/us-east-1/rekognition/aws4_request"
    arrived = {name: heard.headers[name] for name in names.split(";")}
    assert arrived["host"] == vendor.url.removeprefix("http://")
    assert signed(day_key(SECRET, scope), scope, "POST", heard.path, arrived, heard.body)[1] == signature


def test_what_is_sent_are_the_very_bytes_that_were_signed():
    [call, _] = adapter().ask(photo())
    sent = adapter().sign(call, NOW)
    assert sent.json is None
    assert sent.data is call.body
