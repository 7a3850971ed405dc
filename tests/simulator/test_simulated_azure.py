"""The simulated Azure AI Content Safety, heard through the official client on its aiohttp transport."""

import time
from contextlib import asynccontextmanager
from io import BytesIO

import PIL.Image
import pytest
from azure.ai.contentsafety.aio import ContentSafetyClient
from azure.ai.contentsafety.models import AnalyzeImageOptions, AnalyzeTextOptions, ImageData
from azure.core.credentials import AzureKeyCredential
from azure.core.exceptions import (
    ClientAuthenticationError,
    DecodeError,
    HttpResponseError,
    ResourceNotFoundError,
    ServiceRequestError,
    ServiceResponseError,
)

from tests.simulating import photo, simulator

FOUR = ["Hate", "SelfHarm", "Sexual", "Violence"]
EIGHT = "EightSeverityLevels"


@asynccontextmanager
async def client(script="", key="rehearsal", **options):
    settings = {"api_version": "2024-09-01", "retry_total": 0} | options
    async with (
        simulator(script) as vendors,
        ContentSafetyClient(vendors.url, AzureKeyCredential(key), **settings) as api,
    ):
        yield api, vendors


def text(said, **options):
    return AnalyzeTextOptions(text=said, **options)


def image(data):
    return AnalyzeImageOptions(image=ImageData(content=data))


def severities(answer):
    return {entry.category: entry.severity for entry in answer.categories_analysis}


async def test_a_text_on_four_levels_and_on_eight():
    async with client() as (api, _):
        clean = await api.analyze_text(text("hello"))
        four = await api.analyze_text(text("[[violence=0.82, hate=0.5]]"))
        eight = await api.analyze_text(text("[[violence=0.82, hate=0.5]]", output_type=EIGHT))
    assert list(severities(clean)) == FOUR
    assert set(severities(clean).values()) == {0}
    assert clean.blocklists_match == []
    assert severities(eight) == {"Hate": 3, "SelfHarm": 0, "Sexual": 0, "Violence": 5}
    assert severities(four) == {"Hate": 2, "SelfHarm": 0, "Sexual": 0, "Violence": 4}


async def test_every_severity_can_be_had_by_its_own_label():
    async with client() as (api, _):
        for severity in range(8):
            marked = f"[[azure_content_safety:Sexual={severity}]]"
            assert severities(await api.analyze_text(text(marked, output_type=EIGHT)))["Sexual"] == severity
            assert severities(await api.analyze_text(text(marked)))["Sexual"] == severity // 2 * 2


async def test_an_image_is_never_odd():
    async with client() as (api, _):
        clean, red = [severities(await api.analyze_image(image(photo(colour)))) for colour in ("white", "red")]
    assert set(clean.values()) == {0}
    assert red == {"Hate": 0, "SelfHarm": 0, "Sexual": 0, "Violence": 6}


async def test_only_the_categories_that_were_asked_for():
    async with client() as (api, _):
        answer = await api.analyze_text(text("[[sexual=0.7]]", categories=["Violence", "Sexual"]))
    assert severities(answer) == {"Sexual": 4, "Violence": 0}


async def test_headers_of_a_success():
    heard = {}
    async with client() as (api, _):
        await api.analyze_text(text("x"), raw_response_hook=lambda reply: heard.update(reply.http_response.headers))
    assert heard["apim-request-id"] and heard["x-ms-region"]
    assert "x-ms-error-code" not in heard


LISTS = "vendors: {azure_content_safety: {blocklists: {words: [k*ll, h*te], empty: []}}}"


async def test_blocklists():
    async with client(LISTS) as (api, _):
        hit = await api.analyze_text(text("K*ll it [[violence=0.7]]", blocklist_names=["words", "empty"]))
        halted = await api.analyze_text(text("K*ll", blocklist_names=["words"], halt_on_blocklist_hit=True))
        missed = await api.analyze_text(text("hello", blocklist_names=["words"], halt_on_blocklist_hit=True))
        with pytest.raises(ResourceNotFoundError) as unknown:
            await api.analyze_text(text("x", blocklist_names=["wordz"]))
    [match] = hit.blocklists_match
    assert (match.blocklist_name, match.blocklist_item_text) == ("words", "k*ll")
    assert severities(hit)["Violence"] == 4
    assert halted.categories_analysis == [] and halted.blocklists_match
    assert severities(missed) and missed.blocklists_match == []
    assert unknown.value.error.code == "ResourceNotFound"


def blank(kind, width, height):
    """A picture of any size in a few bytes."""
    held = BytesIO()
    PIL.Image.new("1", (width, height)).save(held, kind)
    return held.getvalue()


REFUSED = [
    (
        blank("png", 60, 10667),
        "The height of given image is 10667 pixels and is greater than the maximum allowed of 7200",
    ),
    (blank("png", 7201, 60), "The width of given image is 7201 pixels"),
    (blank("png", 49, 60), "less than the minimum allowed of 50 pixels"),
    (photo() + b"0" * 4_194_304, "exceeds the maximum limit of 4194304 bytes (4MB)."),
    (b"\0\0\0\x1cftypavif", "The image format is not supported. Please double check the API definition."),
    (b"", "You should provide [content] or [blobUrl] of the image, please check your request body."),
]


@pytest.mark.parametrize("data, words", REFUSED, ids=["high", "wide", "small", "heavy", "avif", "empty"])
async def test_pictures_it_refuses(data, words):
    async with client() as (api, _):
        with pytest.raises(HttpResponseError) as refused:
            await api.analyze_image(image(data))
    assert refused.value.status_code == 400
    assert refused.value.error.code == refused.value.response.headers["x-ms-error-code"] == "InvalidRequestBody"
    assert words in refused.value.message


@pytest.mark.parametrize("kind", ["jpeg", "png", "gif", "bmp", "tiff", "webp"])
async def test_pictures_it_takes(kind):
    async with client() as (api, _):
        assert severities(await api.analyze_image(image(photo("blue", kind))))["Hate"] == 6


@pytest.mark.parametrize(
    "asked",
    [
        {"text": "x" * 10_001},
        {"text": ""},
        {"text": "x", "categories": ["violence"]},
        {"text": "x", "outputType": "SixSeverityLevels"},
        {"text": "[[violense=1]]"},
    ],
    ids=["long", "empty", "category", "levels", "marker"],
)
async def test_texts_it_refuses(asked):
    async with client() as (api, _):
        with pytest.raises(HttpResponseError) as refused:
            await api.analyze_text(asked)
    assert refused.value.error.code == "InvalidRequestBody"


async def test_ten_thousand_code_points_are_not_too_many():
    async with client() as (api, _):
        assert severities(await api.analyze_text(text("𝒳" * 10_000)))


@pytest.mark.parametrize(
    "asked",
    [
        {"image": {"content": "AAAA", "blobUrl": "https://x.example/a"}},
        {"image": {"content": "not base64!"}},
        {"image": {"content": "AAAA"}, "outputType": EIGHT},
        {"image": {"blobUrl": "https://unknown.blob.core.windows.net/a.png"}},
    ],
    ids=["two", "base64", "levels", "blob"],
)
async def test_image_requests_it_refuses(asked):
    async with client() as (api, _):
        with pytest.raises(HttpResponseError) as refused:
            await api.analyze_image(asked)
    assert refused.value.error.code == "InvalidRequestBody"


async def test_a_key_it_does_not_know_is_refused_by_the_front_door():
    async with client(key="refused-key") as (api, _):
        with pytest.raises(ClientAuthenticationError) as refused:
            await api.analyze_text(text("x"))
    assert refused.value.error.code == "401"
    assert "x-ms-error-code" not in refused.value.response.headers


async def test_an_interface_of_a_version_it_does_not_have():
    async with client(api_version="2020-01-01") as (api, _):
        with pytest.raises(ResourceNotFoundError) as refused:
            await api.analyze_text(text("x"))
    assert refused.value.error.code == "404"


TROUBLES = [
    ("throttled", HttpResponseError, 429, "429"),
    ("TooManyRequests", HttpResponseError, 429, "TooManyRequests"),
    ("forbidden", HttpResponseError, 403, "403"),
    ("server_error", HttpResponseError, 500, "InternalError"),
    ("overloaded", HttpResponseError, 503, "ServerBusy"),
    ("not_found", ResourceNotFoundError, 404, "404"),
    ("InvalidResourceName", HttpResponseError, 400, "InvalidResourceName"),
]


@pytest.mark.parametrize("error, kind, status, code", TROUBLES, ids=[row[0] for row in TROUBLES])
async def test_every_documented_error_raises_the_clients_own(error, kind, status, code):
    async with client() as (api, vendors):
        await vendors.fails({"vendor": "azure_content_safety", "error": error})
        with pytest.raises(kind) as raised:
            await api.analyze_text(text("x"))
    assert (raised.value.status_code, raised.value.error.code) == (status, code)


@pytest.mark.parametrize("error, calls", [("throttled", 2), ("TooManyRequests", 1)])
async def test_the_client_retries_only_where_it_is_told_how_long(error, calls):
    """Its own default: a 429 with Retry-After again, after exactly that time; a bare one never."""
    async with client(retry_total=1) as (api, vendors):
        await vendors.fails({"vendor": "azure_content_safety", "error": error, "calls": 1})
        began = time.monotonic()
        if calls == 1:
            with pytest.raises(HttpResponseError):
                await api.analyze_text(text("x"))
        else:
            await api.analyze_text(text("x"))
            assert time.monotonic() - began >= 1
        assert (await vendors.calls("azure_content_safety"))[0] == calls


async def test_broken_answers_are_what_the_client_makes_of_them():
    async with client() as (api, vendors):
        await vendors.fails({"instead": "html_502"})
        with pytest.raises(HttpResponseError) as page:
            await api.analyze_text(text("x"))
        assert (page.value.status_code, page.value.error) == (502, None)
        await vendors.fails({"instead": "garbage"})
        with pytest.raises(DecodeError):
            await api.analyze_text(text("x"))
        await vendors.fails({"instead": "object"})
        assert "categoriesAnalysis" not in await api.analyze_text(text("x"))
        await vendors.fails({"remove": ["/categoriesAnalysis/2/severity"]})
        assert severities(await api.analyze_text(text("x")))["Sexual"] is None
        await vendors.fails({"reset": "before_answer"})
        with pytest.raises((ServiceRequestError, ServiceResponseError)):
            await api.analyze_text(text("x"))
