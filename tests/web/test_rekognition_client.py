"""boto3, unchanged but for its address and keys, against the gateway."""

import asyncio
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import aiohttp
import boto3
import botocore.auth
import pytest
import pytest_asyncio
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.web.behind import KEY, PHOTO, REVIEWERS_KEY, standing

pytestmark = pytest.mark.asyncio(loop_scope="module")

BOTH = "{ask: [scorer, namer]}"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def everything(tmp_path_factory):
    async with standing(tmp_path_factory.mktemp("gateway"), BOTH) as behind:
        yield behind


@pytest.fixture
def gateway(everything):
    everything.reset()
    return everything


def client(url, name="app", key=KEY, **more):
    said = {"endpoint_url": url, "region_name": "eu-west-1", "aws_access_key_id": name, "aws_secret_access_key": key}
    once = Config(retries={"total_max_attempts": 1})
    return boto3.client("rekognition", **said, **more, config=once)


async def moderated(gateway, photo=PHOTO, operation="detect_moderation_labels", made=None, **options):
    caller = made or client(gateway.url)
    given = {"Image": {"Bytes": photo}, **options}
    return await asyncio.to_thread(lambda: getattr(caller, operation)(**given))


async def refused(gateway, **asked):
    """The code, status and message of the error that boto3 raises."""
    with pytest.raises(ClientError) as caught:
        await moderated(gateway, **asked)
    answer = caught.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Message"]


def confidences(answer):
    return {label["Name"]: label["Confidence"] for label in answer["ModerationLabels"]}


async def test_a_harmless_picture(gateway):
    answer = await moderated(gateway)
    assert (answer["ModerationLabels"], answer["ModerationModelVersion"]) == ([], "7.0")
    headers = answer["ResponseMetadata"]["HTTPHeaders"]
    assert headers["x-modgate-action"] == "allow"
    assert "x-modgate-not-assessed" not in headers  # the namer names whatever is over its minimum
    assert answer["ResponseMetadata"]["RequestId"]


async def test_a_label_of_the_model_keeps_its_name_and_brings_its_ancestors(gateway):
    gateway.labels = {"Exposed Female Nipple": 93.42, "Explicit Nudity": 93.42, "Explicit": 93.42, "Bare Back": 51.5}
    answer = await moderated(gateway)
    chain = {"Exposed Female Nipple": 93.42, "Explicit Nudity": 93.42, "Explicit": 93.42}
    partial = "Non-Explicit Nudity"
    more = {"Bare Back": 51.5, partial: 51.5, f"{partial} of Intimate parts and Kissing": 51.5}
    assert confidences(answer) == {**chain, **more}
    places = {label["Name"]: (label["ParentName"], label["TaxonomyLevel"]) for label in answer["ModerationLabels"]}
    assert places["Exposed Female Nipple"] == ("Explicit Nudity", 3)
    assert places["Explicit Nudity"] == ("Explicit", 2)
    assert places["Explicit"] == ("", 1)


async def test_what_another_vendor_found_is_told_in_these_words(gateway):
    gateway.scores = {"sexual": 0.97, "violence/graphic": 0.88, "self-harm": 0.71}
    found = confidences(await moderated(gateway))
    assert found == {"Explicit": 97, "Violence": 88, "Graphic Violence": 88, "Self-Harm": 71}


async def test_only_labels_as_sure_as_asked_are_told(gateway):
    gateway.labels = {"Gambling": 49.9, "Alcohol": 61, "Rude Gestures": 35}
    assert confidences(await moderated(gateway)) == {"Alcohol": 61}
    assert confidences(await moderated(gateway, MinConfidence=61)) == {"Alcohol": 61}
    assert set(confidences(await moderated(gateway, MinConfidence=30))) == {"Alcohol", "Gambling", "Rude Gestures"}


async def test_a_label_that_no_table_knows_is_told_as_it_is(gateway):
    gateway.labels = {"Brand New Harm": 77}
    answer = await moderated(gateway)
    assert confidences(answer) == {"Brand New Harm": 77}
    assert answer["ResponseMetadata"]["HTTPHeaders"]["x-modgate-action"] == "review"


async def test_things_with_those_above_them(gateway):
    gateway.things = {"Knife": 92.5, "Beach": 99, "Cloud": 40}
    gateway.labels = {"Weapons": 80, "Violence": 80}
    answer = await moderated(gateway, operation="detect_labels")
    assert [label["Name"] for label in answer["Labels"]] == ["Beach", "Knife", "Weapon", "Blade"]
    named = {label["Name"]: label for label in answer["Labels"]}
    assert named["Knife"]["Confidence"] == named["Blade"]["Confidence"] == 92.5
    assert {parent["Name"] for parent in named["Knife"]["Parents"]} == {"Weapon", "Blade"}
    assert answer["LabelModelVersion"] == "3.0"


async def test_things_as_many_and_as_filtered_as_asked(gateway):
    gateway.things = {"Beach": 99, "Sea": 98, "Cloud": 40}

    async def names(**options):
        return [label["Name"] for label in (await moderated(gateway, operation="detect_labels", **options))["Labels"]]

    assert await names(MaxLabels=1) == ["Beach"]
    assert await names(MinConfidence=40) == ["Beach", "Sea", "Cloud"]
    assert await names(Settings={"GeneralLabels": {"LabelExclusionFilters": ["Beach"]}}) == ["Sea"]
    assert await names(Settings={"GeneralLabels": {"LabelInclusionFilters": ["Beach"]}}) == ["Beach"]


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"photo": b"no picture at all"}, "InvalidImageFormatException"),
        ({"photo": PHOTO[:40]}, "InvalidImageFormatException"),
        ({"photo": b"x" * 1_000_001}, "ImageTooLargeException"),
        ({"photo": b""}, "ValidationException"),
        ({"MinConfidence": 120}, "InvalidParameterException"),
        ({"Image": {}}, "InvalidParameterException"),
        ({"Image": {"S3Object": {"Bucket": "ours", "Name": "photo.png"}}}, "InvalidS3ObjectException"),
        ({"ProjectVersion": "arn:aws:rekognition:eu-west-1:1:project/a/version/b/1"}, "ResourceNotFoundException"),
        (
            {"HumanLoopConfig": {"HumanLoopName": "a", "FlowDefinitionArn": "arn:aws:sagemaker"}},
            "InvalidParameterException",
        ),
        ({"operation": "detect_labels", "Features": ["IMAGE_PROPERTIES"]}, "InvalidParameterException"),
        ({"operation": "detect_faces"}, "UnknownOperationException"),
    ],
    ids=str,
)
async def test_bad_input_is_their_own_error(gateway, given, code):
    asked = len(gateway.scorer.heard)
    got, status, message = await refused(gateway, **given)
    assert (got, status) == (code, 400)
    assert message
    assert len(gateway.scorer.heard) == asked


async def test_errors_are_the_modelled_classes(gateway):
    caller = client(gateway.url)
    with pytest.raises(caller.exceptions.InvalidImageFormatException):
        await moderated(gateway, b"no picture at all", made=caller)
    with pytest.raises(caller.exceptions.AccessDeniedException):
        await moderated(gateway, made=client(gateway.url, "reviewer", REVIEWERS_KEY))
    gateway.fails = True
    with pytest.raises(caller.exceptions.InternalServerError):
        await moderated(gateway, made=caller)


@pytest.mark.parametrize("operation", ["detect_moderation_labels", "detect_labels"])
async def test_nobody_answering_is_a_server_error(gateway, operation):
    gateway.fails = True
    code, status, _ = await refused(gateway, operation=operation)
    assert (code, status) == ("InternalServerError", 500)


@pytest.mark.parametrize(
    ("name", "key", "code", "says"),
    [
        ("nobody", KEY, "UnrecognizedClientException", "no key of this name"),
        ("app", "another-key", "InvalidSignatureException", "signature"),
        ("hashed", KEY, "UnrecognizedClientException", "only a hash"),
    ],
)
async def test_a_wrong_key_is_refused(gateway, name, key, code, says):
    got, status, message = await refused(gateway, made=client(gateway.url, name, key))
    assert (got, status) == (code, 400)
    assert says in message
    assert KEY not in message


@contextmanager
def clock(monkeypatch, off):
    """botocore's clock, so much off ours."""
    with monkeypatch.context() as patch:
        shown = datetime.now(UTC) + off
        patch.setattr(botocore.auth, "get_current_datetime", lambda **_: shown.replace(tzinfo=None))
        yield


@pytest.mark.parametrize(("minutes", "good"), [(-14, True), (14, True), (-16, False), (16, False)])
async def test_a_clock_may_be_a_quarter_of_an_hour_off(gateway, monkeypatch, minutes, good):
    with clock(monkeypatch, timedelta(minutes=minutes)):
        if good:
            assert (await moderated(gateway))["ModerationModelVersion"] == "7.0"
            return
        code, status, message = await refused(gateway)
    assert (code, status) == ("InvalidSignatureException", 400)
    assert ("expired" if minutes < 0 else "not yet current") in message


async def test_keys_of_a_session_sign_too(gateway):
    caller = client(gateway.url, aws_session_token="a-token")
    assert (await moderated(gateway, made=caller))["ModerationModelVersion"] == "7.0"


def signed(url, body, service="rekognition", target="DetectModerationLabels"):
    """A request as botocore signs it: its headers."""
    headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": f"RekognitionService.{target}"}
    made = botocore.awsrequest.AWSRequest("POST", url, headers=headers, data=body)
    botocore.auth.SigV4Auth(
        SimpleNamespace(access_key="app", secret_key=KEY, token=None), service, "eu-west-1"
    ).add_auth(made)
    return dict(made.headers)


async def answered(url, body, headers):
    async with aiohttp.ClientSession() as session, session.post(url, data=body, headers=headers) as response:
        return response.status, await response.json(content_type=None), response.headers


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda headers: headers.pop("Authorization"), "MissingAuthenticationTokenException"),
        (lambda headers: headers.update(Authorization=f"Bearer {KEY}"), "IncompleteSignatureException"),
        (
            lambda headers: headers.update(Authorization="AWS4-HMAC-SHA256 Credential=app"),
            "IncompleteSignatureException",
        ),
        (
            lambda headers: headers.update(
                Authorization=headers["Authorization"].replace("x-amz-target", "x-amz-other")
            ),
            "IncompleteSignatureException",
        ),
        (lambda headers: headers.pop("X-Amz-Date"), "InvalidSignatureException"),
        (lambda headers: headers.update({"Content-Type": "application/json"}), "InvalidSignatureException"),
        (
            lambda headers: headers.update({"X-Amz-Target": "RekognitionService.DetectLabels"}),
            "InvalidSignatureException",
        ),
        (
            lambda headers: headers.update(Authorization=headers["Authorization"].replace("eu-west-1", "us-east-1")),
            "InvalidSignatureException",
        ),
    ],
    ids=["none", "bearer", "cut", "unsigned target", "no date", "other type", "other target", "other region"],
)
async def test_a_signature_is_of_this_request(gateway, spoil, code):
    body = b'{"Image": {}}'
    headers = signed(gateway.url, body)
    spoil(headers)
    status, said, sent = await answered(gateway.url, body, headers)
    assert (status, said["__type"], sent["x-amzn-ErrorType"]) == (400, code, code)


async def test_a_signature_is_of_this_body_and_for_this_service(gateway):
    body = b'{"Image": {}}'
    good = await answered(gateway.url, body, signed(gateway.url, body))
    other_body = await answered(gateway.url, b'{"Image":  {}}', signed(gateway.url, body))
    other_service = await answered(gateway.url, body, signed(gateway.url, body, service="s3"))
    with_query = await answered(f"{gateway.url}/?b=2&a=%C3%A9", body, signed(f"{gateway.url}/?b=2&a=%C3%A9", body))
    assert good[1]["__type"] == with_query[1]["__type"] == "InvalidParameterException"
    assert other_body[1]["__type"] == other_service[1]["__type"] == "InvalidSignatureException"


async def test_without_keys_any_signature_is_good(tmp_path):
    async with standing(tmp_path, BOTH, auth="") as open_to_all:
        answer = await moderated(open_to_all, made=client(open_to_all.url, "anybody", "anything"))
        status, said, _ = await answered(open_to_all.url, b'{"Image": {}}', {})
    assert answer["ModerationModelVersion"] == "7.0"
    assert (status, said["__type"]) == (400, "UnknownOperationException")


async def test_where_nobody_names_things_there_is_no_list_of_them(tmp_path):
    async with standing(tmp_path, "{ask: [scorer]}") as scored:
        code, status, _ = await refused(scored, operation="detect_labels", made=client(scored.url))
        answer = await moderated(scored, made=client(scored.url))
    assert (code, status) == ("InternalServerError", 500)
    unseen = answer["ResponseMetadata"]["HTTPHeaders"]["x-modgate-not-assessed"].split("; ")
    assert {"Alcohol", "Gambling", "Hate Symbols"} <= set(unseen)
    assert not {"Explicit", "Violence"} & set(unseen)


async def test_a_gap_is_a_server_error_where_no_label_shows_an_alarm(tmp_path):
    """Two have to look, one does: the policy reviews, and an empty list would read as clean."""
    async with standing(tmp_path, "{ask: [scorer, namer], need: 2}") as both:
        both.named = False
        code, status, message = await refused(both)
        both.scores = {"violence": 0.97}
        alarmed = await moderated(both)
    assert (code, status) == ("InternalServerError", 500)
    assert "coverage_too_few" in message
    assert confidences(alarmed) == {"Violence": 97}
