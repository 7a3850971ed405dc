"""Azure's own client, both of its forms, unchanged but for its address and key, against the gateway."""

import asyncio

import aiohttp
import pytest
import pytest_asyncio
from azure.ai.contentsafety import ContentSafetyClient
from azure.ai.contentsafety.aio import ContentSafetyClient as AsyncContentSafetyClient
from azure.ai.contentsafety.models import AnalyzeImageOptions, AnalyzeTextOptions, ImageData
from azure.core.credentials import AzureKeyCredential
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceNotFoundError,
)

from gateway import paths
from tests.gateway import serving
from tests.web.behind import KEY, PHOTO, REVIEWERS_KEY, Behind, standing

pytestmark = pytest.mark.asyncio(loop_scope="module")

FOUR = {"Hate": 0, "SelfHarm": 0, "Sexual": 0, "Violence": 0}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def everything(tmp_path_factory):
    async with standing(tmp_path_factory.mktemp("gateway")) as behind:
        yield behind


@pytest.fixture
def gateway(everything):
    everything.reset()
    return everything


@pytest.fixture(params=[ContentSafetyClient, AsyncContentSafetyClient], ids=["sync", "aio"])
def client(request):
    return request.param


async def asked(gateway, client, method, options, key=KEY):
    """What this client makes of the answer; the one that blocks, in a thread."""
    said = {"endpoint": gateway.url, "credential": AzureKeyCredential(key), "retry_total": 0}
    if client is AsyncContentSafetyClient:
        async with client(**said) as caller:
            return await getattr(caller, method)(options)

    def call():
        with client(**said) as caller:
            return getattr(caller, method)(options)

    return await asyncio.to_thread(call)


async def text(gateway, client, said="A walk on the beach", key=KEY, **options):
    return await asked(gateway, client, "analyze_text", AnalyzeTextOptions(text=said, **options), key)


async def picture(gateway, client, key=KEY, **source):
    return await asked(gateway, client, "analyze_image", AnalyzeImageOptions(image=ImageData(**source)), key)


def severities(answer):
    return {entry.category: entry.severity for entry in answer.categories_analysis}


async def test_a_harmless_text(gateway, client):
    answer = await text(gateway, client)
    assert severities(answer) == FOUR
    assert list(severities(answer)) == sorted(FOUR)  # the vendor's order
    assert answer.blocklists_match == []
    assert answer["modgate"]["action"] == "allow"
    assert answer["modgate"]["not_assessed"] == []


@pytest.mark.parametrize(
    ("score", "eight", "four"),
    [
        (0.14, 0, 0),
        (0.15, 1, 0),
        (0.35, 2, 2),
        (0.5, 3, 2),
        (0.69, 3, 2),
        (0.7, 4, 4),
        (0.8, 5, 4),
        (0.95, 6, 6),
        (1, 7, 6),
    ],
)
async def test_severity_is_the_inverse_of_our_table(gateway, client, score, eight, four):
    gateway.scores = {"violence": score}
    said = f"fight {score} {client.__module__}"
    assert severities(await text(gateway, client, said)) == {**FOUR, "Violence": four}
    finely = await text(gateway, client, said, output_type="EightSeverityLevels")
    assert severities(finely)["Violence"] == eight


@pytest.mark.parametrize(
    ("label", "category"),
    [
        ("harassment", "Hate"),
        ("harassment/threatening", "Hate"),
        ("hate/threatening", "Hate"),
        ("self-harm/instructions", "SelfHarm"),
        ("sexual/minors", "Sexual"),
        ("violence/graphic", "Violence"),
    ],
)
async def test_what_has_no_category_of_its_own_is_told_by_the_one_it_falls_under(gateway, client, label, category):
    gateway.scores = {label: 0.82}
    answer = await text(gateway, client, f"about {label} {client.__module__}")
    assert severities(answer) == {**FOUR, category: 4}


async def test_only_the_categories_asked_for_are_told(gateway, client):
    gateway.scores = {"hate": 0.7}
    answer = await text(gateway, client, f"filter {client.__module__}", categories=["Violence", "Hate"])
    assert severities(answer) == {"Hate": 4, "Violence": 0}


async def test_an_image_by_its_bytes(gateway, client):
    gateway.scores = {"sexual": 0.96}
    answer = await picture(gateway, client, content=PHOTO)
    assert severities(answer)["Sexual"] == 6
    assert answer["modgate"]["action"] == "block"


async def test_what_nobody_looked_at_has_no_severity(gateway, client):
    """The scorer's hate and harassment see no pictures."""
    answer = await picture(gateway, client, content=PHOTO)
    assert severities(answer) == {**FOUR, "Hate": None}
    assert answer["modgate"]["not_assessed"] == ["Hate"]


async def test_an_image_by_its_address(gateway, client):
    fetched = len(gateway.media.heard)
    gateway.scores = {"violence": 0.7}
    answer = await picture(gateway, client, blob_url=f"{gateway.media.url}/photo.png")
    assert severities(answer)["Violence"] == 4
    assert [heard.path for heard in gateway.media.heard[fetched:]] == ["/photo.png"]


async def test_an_unknown_key_is_an_authentication_error(gateway, client):
    with pytest.raises(ClientAuthenticationError) as caught:
        await text(gateway, client, key="nobodys-key")
    assert caught.value.error.code == "401"


async def test_a_key_without_the_role_is_forbidden(gateway, client):
    with pytest.raises(HttpResponseError) as caught:
        await text(gateway, client, key=REVIEWERS_KEY)
    assert (caught.value.status_code, caught.value.error.code) == (403, "403")


async def test_a_bearer_token_opens_too(gateway):
    given = {"url": f"{gateway.url}/contentsafety/text:analyze", "json": {"text": "hello"}}
    async with (
        aiohttp.ClientSession() as session,
        session.post(**given, headers={"Authorization": f"Bearer {KEY}"}) as good,
        session.post(**given) as bad,
    ):
        assert (good.status, bad.status) == (200, 401)


async def test_a_blocklist_is_not_found(gateway, client):
    with pytest.raises(ResourceNotFoundError) as caught:
        await text(gateway, client, blocklist_names=["our-list"])
    assert caught.value.error.code == "ResourceNotFound"
    assert "our-list" in caught.value.error.message


@pytest.mark.parametrize(
    "options", [{"said": ""}, {"said": "x" * 201}, {"categories": ["Spam"]}, {"output_type": "Six"}], ids=str
)
async def test_a_bad_text_is_an_invalid_request(gateway, client, options):
    asked = len(gateway.scorer.heard)
    with pytest.raises(HttpResponseError) as caught:
        await text(gateway, client, **options)
    assert (caught.value.status_code, caught.value.error.code) == (400, "InvalidRequestBody")
    assert caught.value.response.headers["x-ms-error-code"] == "InvalidRequestBody"
    assert len(gateway.scorer.heard) == asked


@pytest.mark.parametrize(
    "source",
    [
        {},
        {"content": b"GIF? no", "blob_url": "https://example.com/photo.png"},
        {"content": b"no picture at all"},
        {"content": PHOTO[:40]},
        {"content": b"x" * 1_000_001},
        {"blob_url": "http://169.254.169.254/latest/meta-data"},
        {"blob_url": "ftp://media.example.com/photo.png"},
    ],
    ids=["none", "both", "other", "cut", "large", "metadata", "ftp"],
)
async def test_a_bad_image_is_an_invalid_request(gateway, client, source):
    asked = len(gateway.scorer.heard)
    with pytest.raises(HttpResponseError) as caught:
        await picture(gateway, client, **source)
    assert (caught.value.status_code, caught.value.error.code) == (400, "InvalidRequestBody")
    assert caught.value.error.message
    assert len(gateway.scorer.heard) == asked


async def test_nobody_answering_is_a_server_error(gateway, client):
    gateway.fails = True
    with pytest.raises(HttpResponseError) as of_text:
        await text(gateway, client, f"nobody is there {client.__module__}")
    with pytest.raises(HttpResponseError) as of_image:
        await picture(gateway, client, content=PHOTO)
    for caught in (of_text, of_image):
        assert (caught.value.status_code, caught.value.error.code) == (503, "ServerBusy")
        assert caught.value.response.headers["Retry-After"]


async def test_a_gap_that_no_severity_shows_is_a_server_error(tmp_path, client):
    """Two have to look, one does: the policy reviews, and four zeros would read as clean."""
    async with standing(tmp_path, "{ask: [scorer, namer], need: 2}") as both:
        both.named = False
        with pytest.raises(HttpResponseError) as caught:
            await picture(both, client, content=PHOTO)
        both.scores = {"violence": 0.97}
        alarmed = await picture(both, client, content=PHOTO)
    assert (caught.value.status_code, caught.value.error.code) == (503, "ServerBusy")
    assert "coverage_too_few" in caught.value.error.message
    assert severities(alarmed)["Violence"] == 6


async def test_a_required_category_that_nobody_looked_at_has_no_severity(tmp_path, client):
    """kids-avatars wants hate to be looked at, which the scorer does not in pictures: review, and it shows."""
    shipped = str(paths.SHIPPED / "policies")
    kids = f"\npolicies: {{dir: '{shipped}', default: kids-avatars}}\n"
    async with standing(tmp_path, more=kids) as strict:
        answer = await picture(strict, client, content=PHOTO)
    assert severities(answer)["Hate"] is None
    assert answer["modgate"]["action"] == "review"


async def test_a_text_has_at_most_ten_thousand_code_points(tmp_path, client):
    config = "providers: {local-text: {adapter: local_text}}\nroutes: {default: {text: {ask: [local-text]}}}\n"
    async with serving(config, tmp_path) as url:
        gateway = Behind(url)
        assert set(severities(await text(gateway, client, "🎈" * 10_000))) == set(FOUR)
        with pytest.raises(HttpResponseError) as told:
            await text(gateway, client, "🎈" * 10_001)
    assert (told.value.status_code, told.value.error.code) == (400, "InvalidRequestBody")
    assert "at most 10000 characters" in told.value.error.message
