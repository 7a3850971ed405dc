"""Signature Version 4, against AWS's published examples and botocore's own signer."""

from datetime import UTC, datetime
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest
from aiohttp.test_utils import make_mocked_request
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from gateway.errors import Unauthorized
from gateway.web.signature import canonical_request, claimed, sign

# The documented test suite signs with these
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
SCOPE = "20150830/us-east-1/service/aws4_request"
STAMP = "20150830T123600Z"
HOST = ("host", "example.amazonaws.com")
DATE = ("x-amz-date", STAMP)


@pytest.mark.parametrize(
    ("method", "path", "query", "headers", "body", "signature"),
    [
        ("GET", "/", "", [HOST, DATE], b"", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        ("POST", "/", "", [HOST, DATE], b"", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
        (
            "GET",
            "/",
            "Param2=value2&Param1=value1",
            [HOST, DATE],
            b"",
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ),
        (
            "GET",
            "/",
            "",
            [HOST, ("my-header1", " value1 "), ("my-header2", '"a   b   c"'), DATE],
            b"",
            "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
        ),
        (
            "POST",
            "/",
            "",
            [("content-type", "application/x-www-form-urlencoded"), HOST, DATE],
            b"Param1=value1",
            "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
        ),
    ],
    ids=["get-vanilla", "post-vanilla", "get-vanilla-query-order-key-case", "get-header-value-trim", "post-form"],
)
def test_the_documented_suite(method, path, query, headers, body, signature):
    assert sign(SECRET, SCOPE, STAMP, canonical_request(method, path, query, headers, body)) == signature


def test_the_example_of_the_users_guide():
    headers = [
        ("content-type", "application/x-www-form-urlencoded; charset=utf-8"),
        ("host", "iam.amazonaws.com"),
        DATE,
    ]
    canonical = canonical_request("GET", "/", "Action=ListUsers&Version=2010-05-08", headers, b"")
    signature = sign(SECRET, "20150830/us-east-1/iam/aws4_request", STAMP, canonical)
    assert signature == "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"


@pytest.mark.parametrize("query", ["", "a=1", "b=2&a=1", "a=%C3%A9%20x", "a=x%2Fy&a=b", "a", "A=1&a=2&B=3"])
@pytest.mark.parametrize("body", [b"", b'{"Image": {"Bytes": "eA=="}}', bytes(range(256))], ids=len)
def test_what_botocore_signs_is_signed_alike(query, body):
    sent = signed_by_botocore(f"http://127.0.0.1:8080/{'?' if query else ''}{query}", body)
    claim = claimed(sent, "rekognition", datetime.now(UTC))
    headers = [(name, sent.headers[name]) for name in claim.signed]
    canonical = canonical_request("POST", "/", query, headers, body)
    assert sign(SECRET, claim.scope, claim.stamp, canonical) == claim.signature


def signed_by_botocore(url, body):
    headers = {"X-Amz-Target": "Service.Operation", "Content-Type": "application/x-amz-json-1.1", "X-Spaced": " a   b "}
    made = AWSRequest("POST", url, headers=headers, data=body)
    SigV4Auth(SimpleNamespace(access_key="app", secret_key=SECRET, token=None), "rekognition", "eu-west-1").add_auth(
        made
    )
    return make_mocked_request("POST", "/", {**dict(made.headers), "Host": urlsplit(url).netloc})


NOW = datetime(2015, 8, 30, 12, 36, tzinfo=UTC)


def request(signed="host;x-amz-date;x-amz-target", scope=SCOPE, date=STAMP, written=None):
    whole = f"AWS4-HMAC-SHA256 Credential=app/{scope}, SignedHeaders={signed}, Signature={'0' * 64}"
    return make_mocked_request(
        "POST", "/", {"Authorization": whole if written is None else written, "X-Amz-Date": date}
    )


def test_what_a_request_claims():
    claim = claimed(request(), "service", NOW)
    assert (claim.name, claim.scope, claim.stamp) == ("app", SCOPE, STAMP)
    assert claim.signed == ("host", "x-amz-date", "x-amz-target")


@pytest.mark.parametrize(
    ("given", "code", "says"),
    [
        ({"written": ""}, "missing_key", "not signed"),
        ({"written": "Bearer key"}, "malformed_signature", "form"),
        ({"written": "AWS4-ECDSA-P256-SHA256 Credential=app"}, "malformed_signature", "form"),
        ({"signed": "host;x-amz-date"}, "malformed_signature", "x-amz-target"),
        ({"signed": "x-amz-date;x-amz-target"}, "malformed_signature", "host"),
        ({"scope": "20150830/us-east-1/s3/aws4_request"}, "wrong_signature", "'service'"),
        ({"scope": "20150829/us-east-1/service/aws4_request"}, "wrong_signature", "day"),
        ({"scope": "20150830/us-east-1/service/aws3_request"}, "malformed_signature", "form"),
        ({"date": "20150830"}, "malformed_signature", "no time"),
        ({"date": "20150830T125101Z"}, "wrong_signature", "not yet current"),
        ({"date": "20150830T122059Z"}, "wrong_signature", "expired"),
    ],
)
def test_a_claim_that_cannot_be_good_is_refused_by_its_headers(given, code, says):
    with pytest.raises(Unauthorized) as caught:
        claimed(request(**given), "service", NOW)
    assert caught.value.code == code
    assert says in caught.value.detail


@pytest.mark.parametrize("date", ["20150830T122100Z", "20150830T125100Z"])
def test_a_quarter_of_an_hour_is_near_enough(date):
    assert claimed(request(date=date), "service", NOW).stamp == date
