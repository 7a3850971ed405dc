"""The simulated Rekognition, heard through boto3."""

import asyncio
from contextlib import asynccontextmanager

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError

from adapters.simulator.rekognition_labels import MODERATION
from tests.simulating import digest, photo, simulator

SECRET = "simulator-secret"


@asynccontextmanager
async def rekognition(script="", path="", attempts=1, **options):
    async with simulator(script) as vendors:
        settings = {"aws_access_key_id": "simulator", "aws_secret_access_key": SECRET, "region_name": "us-east-1"}
        config = Config(retries={"total_max_attempts": attempts, "mode": "standard"})
        made = settings | {"endpoint_url": vendors.url + path, "config": config} | options
        api = boto3.client("rekognition", **made)
        try:
            yield api, vendors
        finally:
            api.close()


async def moderation(api, data, **options):
    return await asyncio.to_thread(api.detect_moderation_labels, Image={"Bytes": data}, **options)


async def things(api, data, **options):
    return await asyncio.to_thread(api.detect_labels, Image={"Bytes": data}, **options)


def named(answer):
    return {label["Name"]: label["Confidence"] for label in answer["ModerationLabels"]}


def test_the_tree_is_that_of_model_7():
    levels = [place.level for place in MODERATION.values()]
    assert [levels.count(level) for level in (1, 2, 3)] == [10, 20, 22]


@pytest.mark.parametrize("path", ["", "/rekognition"])
async def test_nothing_found(path):
    """Signed with boto3's own signature, which is checked."""
    async with rekognition(path=path) as (api, _):
        answer = await moderation(api, photo())
    assert (answer["ModerationLabels"], answer["ModerationModelVersion"], answer["ContentTypes"]) == ([], "7.0", [])
    assert answer["ResponseMetadata"]["RequestId"]
    assert answer["ResponseMetadata"]["HTTPHeaders"]["content-type"] == "application/x-amz-json-1.1"


async def test_a_label_comes_with_all_its_ancestors():
    data = photo()
    script = f'images: {{{digest(data)}: {{"rekognition:Exposed Female Nipple": 99.2, "rekognition:Weapons": 88}}}}'
    async with rekognition(script) as (api, _):
        answer = await moderation(api, data)
    assert {name: value for name, value in named(answer).items() if value > 90} == dict.fromkeys(
        ("Exposed Female Nipple", "Explicit Nudity", "Explicit"), 99.2
    )
    places = {label["Name"]: (label["ParentName"], label["TaxonomyLevel"]) for label in answer["ModerationLabels"]}
    assert places["Exposed Female Nipple"] == ("Explicit Nudity", 3)
    assert places["Violence"] == ("", 1)
    assert named(answer)["Violence"] == named(answer)["Weapons"] == 88


async def test_what_is_below_the_minimum_is_not_named():
    data = photo()
    async with rekognition(f"images: {{{digest(data)}: {{alcohol: 0.45, weapons: 0.52}}}}") as (api, _):
        assert set(named(await moderation(api, data))) == {"Weapons", "Violence"}  # 50
        assert set(named(await moderation(api, data, MinConfidence=30))) == {"Weapons", "Violence", "Alcohol"}
        assert named(await moderation(api, data, MinConfidence=52.1)) == {}
        seen = {label["Name"] for label in (await things(api, data))["Labels"]}  # 55
        assert "Weapon" not in seen and "Alcohol" not in seen


async def test_things_with_parents_categories_and_filters():
    data = photo()
    script = f'images: {{{digest(data)}: {{"rekognition:Handgun": 98.41, "rekognition:Fidget Spinner": 70}}}}'
    arms = {"GeneralLabels": {"LabelCategoryInclusionFilters": ["Weapons and Military"]}}
    async with rekognition(script) as (api, _):
        everything = await things(api, data)
        arms = await things(api, data, Settings=arms)
        one = await things(api, data, MaxLabels=1)
    found = {label["Name"]: label for label in everything["Labels"]}
    assert {"Handgun", "Gun", "Weapon", "Fidget Spinner"} < set(found)
    assert [parent["Name"] for parent in found["Handgun"]["Parents"]] == ["Gun", "Weapon"]
    assert found["Weapon"]["Confidence"] == 98.41
    assert {label["Name"] for label in arms["Labels"]} == {"Handgun", "Gun", "Weapon"}
    assert len(one["Labels"]) == 1 and one["LabelModelVersion"] == "3.0"


async def test_colours_are_true_of_pictures():
    async with rekognition() as (api, _):
        assert named(await moderation(api, photo("red"))) == {"Violence": 95.0}
        assert "Explicit Nudity" in named(await moderation(api, photo("magenta", "jpeg")))


async def test_kinds_of_content():
    data = photo()
    async with rekognition(f'images: {{{digest(data)}: {{"rekognition:ContentTypes:Illustrated": 99.2}}}}') as (api, _):
        answer = await moderation(api, data)
    assert answer["ContentTypes"] == [{"Name": "Illustrated", "Confidence": 99.2}]
    assert answer["ModerationLabels"] == []


REFUSED = [
    (photo(kind="webp"), {}, "InvalidImageFormatException"),
    (b"not a picture", {}, "InvalidImageFormatException"),
    (b"", {}, "ValidationException"),
    (photo() + b"0" * 5_242_880, {}, "ValidationException"),
    (photo(size=(79, 200)), {}, "InvalidParameterException"),
    (photo(size=(10_001, 80)), {}, "ImageTooLargeException"),
    (photo(), {"MinConfidence": 120}, "ValidationException"),
    (
        photo(),
        {"ProjectVersion": "arn:aws:rekognition:us-east-1:123456789012:project/x/version/y/1"},
        "ResourceNotFoundException",
    ),
]


@pytest.mark.parametrize(
    "data, options, code", REFUSED, ids=["webp", "text", "empty", "heavy", "small", "wide", "120", "adapter"]
)
async def test_what_it_refuses(data, options, code):
    async with rekognition() as (api, _):
        with pytest.raises(ClientError) as refused:
            await moderation(api, data, **options)
        modeled = getattr(api.exceptions, code, None) if code != "ValidationException" else None
    assert refused.value.response["Error"]["Code"] == code
    assert refused.value.response["Error"]["Message"]
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert modeled is None or isinstance(refused.value, modeled)


async def test_an_empty_picture_in_the_words_of_a_java_buffer():
    async with rekognition() as (api, _):
        with pytest.raises(ClientError, match=r"HeapByteBuffer\[pos=0 lim=0 cap=0\]' at 'image.bytes'"):
            await moderation(api, b"")


async def test_a_picture_is_sent_or_stored_and_not_both():
    stored = {"S3Object": {"Bucket": "photos", "Name": "a.png"}}
    async with rekognition('images: {"s3://photos/a.png": {weapons: 0.9}}') as (api, _):
        answer = await asyncio.to_thread(api.detect_moderation_labels, Image=stored)
        with pytest.raises(api.exceptions.InvalidParameterException):
            await asyncio.to_thread(api.detect_moderation_labels, Image={**stored, "Bytes": photo()})
        with pytest.raises(api.exceptions.InvalidParameterException):
            await asyncio.to_thread(api.detect_moderation_labels, Image={})
        with pytest.raises(api.exceptions.InvalidS3ObjectException):
            stored["S3Object"]["Name"] = "b.png"
            await asyncio.to_thread(api.detect_moderation_labels, Image=stored)
    assert named(answer)["Weapons"] == 90


SIGNED = [
    ({"aws_secret_access_key": "wrong"}, "InvalidSignatureException"),
    ({"aws_access_key_id": "refused-key"}, "UnrecognizedClientException"),
    ({"aws_session_token": "expired-token"}, "ExpiredTokenException"),
    ({"region_name": "ca-central-1"}, "UnknownOperationException"),
]


@pytest.mark.parametrize("options, code", SIGNED, ids=[row[1] for row in SIGNED])
async def test_a_signature_that_does_not_hold(options, code):
    async with rekognition(**options) as (api, _):
        with pytest.raises(ClientError) as refused:
            await moderation(api, photo())
    assert refused.value.response["Error"]["Code"] == code


async def test_signatures_of_others_are_looked_at_for_their_form_alone():
    async with rekognition(aws_access_key_id="AKIDOFSOMEBODY", aws_session_token="a-token") as (api, vendors):
        assert (await moderation(api, photo()))["ModerationModelVersion"]
        async with vendors.client.post("/rekognition/", data=b"{}") as response:
            assert (response.status, (await response.json(content_type=None))["__type"]) == (
                400,
                "MissingAuthenticationTokenException",
            )
        headers = {
            "Authorization": "AWS4-HMAC-SHA256 Credential=a/b",
            "X-Amz-Target": "RekognitionService.DetectLabels",
        }
        async with vendors.client.post("/", data=b"{}", headers=headers) as response:
            assert response.headers["x-amzn-ErrorType"] == "IncompleteSignatureException"


async def test_a_clock_that_is_wrong_refuses_every_signature():
    async with rekognition() as (api, vendors):
        await vendors.fails({"vendor": "rekognition", "clock": "-2h"})
        with pytest.raises(ClientError, match="Signature not yet current"):
            await moderation(api, photo())
        await vendors.fails({"vendor": "rekognition", "clock": "+6m"})
        with pytest.raises(ClientError, match="Signature expired"):
            await moderation(api, photo())


TROUBLES = [
    ("throttled", 400, "ProvisionedThroughputExceededException"),
    ("ThrottlingException", 400, "ThrottlingException"),
    ("ThrottlingException/500", 500, "ThrottlingException"),
    ("server_error", 500, "InternalServerError"),
    ("forbidden", 400, "AccessDeniedException"),
    ("quota", 400, "SubscriptionRequiredException"),
]


@pytest.mark.parametrize("error, status, code", TROUBLES, ids=[row[0] for row in TROUBLES])
async def test_every_documented_error_by_its_code(error, status, code):
    async with rekognition() as (api, vendors):
        await vendors.fails({"vendor": "rekognition", "error": error})
        with pytest.raises(ClientError) as raised:
            await moderation(api, photo())
    said = raised.value.response
    assert (said["ResponseMetadata"]["HTTPStatusCode"], said["Error"]["Code"]) == (status, code)
    assert "retry-after" not in said["ResponseMetadata"]["HTTPHeaders"]


async def test_boto3_asks_again_what_was_throttled_with_400():
    async with rekognition(attempts=2) as (api, vendors):
        await vendors.fails({"vendor": "rekognition", "error": "throttled", "calls": 1})
        assert (await moderation(api, photo()))["ModerationModelVersion"]
        calls, last = await vendors.calls("rekognition")
    assert (calls, [call["status"] for call in last]) == (2, [400, 200])
    assert "attempt=2" in last[1]["headers"]["amz-sdk-request"]


@pytest.mark.parametrize("region, taken, refused_at_least", [("eu-central-1", 5, 1), ("us-east-1", 50, 0)])
async def test_the_documented_limit_is_one_for_each_operation_and_region(region, taken, refused_at_least):
    async with rekognition("vendors: {rekognition: {limit: documented}}", region_name=region) as (api, _):
        codes = await asyncio.gather(*(moderation(api, photo()) for _ in range(60)), return_exceptions=True)
        assert (await things(api, photo()))["LabelModelVersion"]
    refused = [each.response["Error"]["Code"] for each in codes if isinstance(each, ClientError)]
    assert set(refused) <= {"ProvisionedThroughputExceededException"}
    assert len(codes) - len(refused) >= taken
    assert len(refused) >= refused_at_least


async def test_broken_answers_are_what_boto3_makes_of_them():
    """An empty dict without a word: which is why the gateway does not go by it."""
    async with rekognition() as (api, vendors):
        for instead in ("object", "html"):
            await vendors.fails({"instead": instead})
            assert (await moderation(api, photo())).get("ModerationLabels") is None
        await vendors.fails({"reset": "before_answer"})
        with pytest.raises(ConnectionClosedError):
            await moderation(api, photo())


async def test_an_answer_that_never_comes():
    quick = Config(retries={"total_max_attempts": 1}, read_timeout=0.3)
    async with rekognition(config=quick) as (api, vendors):
        await vendors.fails({"vendor": "rekognition", "hang": True})
        with pytest.raises(ReadTimeoutError):
            await moderation(api, photo())
