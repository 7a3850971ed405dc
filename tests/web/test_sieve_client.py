"""A Sieve client that changed its address: the pages' JSON calls, by plain aiohttp."""

from base64 import b64encode

import aiohttp
import pytest
import pytest_asyncio

from tests.gateway import image
from tests.web.behind import KEY, PHOTO, REVIEWERS_KEY, standing

pytestmark = pytest.mark.asyncio(loop_scope="module")

BEACH = {"content": "A walk on the beach"}
SEEN = {"sexual", "violence", "self_harm", "gore"}  # of the six, by the scorer


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def everything(tmp_path_factory):
    async with standing(tmp_path_factory.mktemp("gateway")) as behind:
        yield behind


@pytest.fixture
def gateway(everything):
    everything.reset()
    return everything


async def asked(gateway, kind, body, headers=None):
    headers = {"Authorization": f"Bearer {KEY}"} if headers is None else headers
    async with (
        aiohttp.ClientSession(gateway.url, headers=headers) as session,
        session.post(f"/v1/moderate/{kind}", json=body) as response,
    ):
        return response.status, await response.json(), response.headers


async def test_a_harmless_picture(gateway):
    status, answer, _ = await asked(gateway, "image", {"data": image()})
    assert status == 200
    assert (answer["action"], answer["flagged"], answer["pipeline_tier"]) == ("allow", False, 2)
    assert answer["request_id"]
    assert answer["latency_ms"] > 0
    assert answer["categories"].keys() == SEEN
    assert answer["categories"]["sexual"] == {"score": 0.001, "threshold": 0.5, "flagged": False}
    assert answer["modgate"]["not_assessed"] == ["hate_symbols", "drugs"]


async def test_a_picture_by_its_address_and_in_other_words(gateway):
    fetched = len(gateway.media.heard)
    gateway.scores = {"violence/graphic": 0.92, "violence": 0.3}
    _, answer, _ = await asked(gateway, "image", {"url": f"{gateway.media.url}/user-upload.png"})
    assert (answer["action"], answer["flagged"]) == ("block", True)
    assert answer["categories"]["gore"] == {"score": 0.92, "threshold": 0.5, "flagged": True}
    assert answer["categories"]["violence"] == {"score": 0.3, "threshold": 0.5, "flagged": False}
    assert [heard.path for heard in gateway.media.heard[fetched:]] == ["/user-upload.png"]


@pytest.mark.parametrize(("score", "action"), [(0.49, "allow"), (0.5, "flag"), (0.9, "flag"), (0.95, "block")])
async def test_the_action_is_the_policys(gateway, score, action):
    gateway.scores = {"violence": score}
    _, answer, _ = await asked(gateway, "text", {"text": f"a fight of {score}"})
    assert (answer["action"], answer["flagged"]) == (action, action != "allow")
    assert answer["categories"]["violence"] == {"score": score, "threshold": 0.5, "flagged": action != "allow"}


async def test_a_text_in_its_own_categories(gateway):
    gateway.scores = {"harassment": 0.7, "hate/threatening": 0.45}
    _, answer, _ = await asked(gateway, "text", {"content": "You there", "context": "chat", "user_id": "u1"})
    assert answer["categories"].keys() == {"harassment", "hate_speech", "sexual", "violence", "self_harm"}
    assert answer["categories"]["harassment"] == {"score": 0.7, "threshold": 0.6, "flagged": True}
    assert answer["categories"]["hate_speech"] == {"score": 0.45, "threshold": 0.4, "flagged": True}
    assert answer["modgate"]["not_assessed"] == ["toxicity", "spam", "threat", "profanity"]


async def test_the_caller_is_kept_as_context(gateway):
    _, answer, _ = await asked(gateway, "text", {"content": "Whose is this", "context": "chat", "user_id": "u1"})
    async with (
        aiohttp.ClientSession(gateway.url, headers={"X-API-Key": KEY}) as session,
        session.get(f"/v1/decisions/{answer['modgate']['id']}") as response,
    ):
        assert (await response.json())["context"] == {"surface": "chat", "user_id": "u1"}


async def test_only_the_categories_asked_for(gateway):
    _, answer, _ = await asked(gateway, "image", {"data": image(), "categories": ["sexual", "drugs"]})
    assert answer["categories"].keys() == {"sexual"}


@pytest.mark.parametrize(("kind", "body"), [("text", {"content": "Is anybody there"}), ("image", {"data": image()})])
async def test_nobody_answering_is_flagged(gateway, kind, body):
    gateway.fails = True
    status, answer, _ = await asked(gateway, kind, body)
    assert (status, answer["action"], answer["flagged"], answer["categories"]) == (200, "flag", True, {})
    assert answer["pipeline_tier"] is None
    assert "coverage_no_answer" in answer["modgate"]["reasons"]


def data(held):
    return {"data": "data:image/png;base64," + b64encode(held).decode()}


@pytest.mark.parametrize(
    ("kind", "body", "status", "code"),
    [
        ("image", {}, 400, "invalid_field"),
        ("image", {"url": "https://example.com/a.png", "data": image()}, 400, "invalid_field"),
        ("image", {"data": image(), "categories": ["toxicity"]}, 400, "invalid_field"),
        ("image", {"data": image(), "model": "x"}, 400, "unknown_field"),
        ("image", {"data": "data:image/png;base64,%%%"}, 400, "invalid_base64"),
        ("image", data(b"x" * 1_000_010), 413, "image_too_large"),
        ("image", data(b"no picture at all"), 415, "not_an_image"),
        ("image", data(PHOTO[:40]), 422, "image_undecodable"),
        ("image", {"url": "http://169.254.169.254/latest/meta-data"}, 422, "fetch_blocked"),
        ("text", {}, 400, "invalid_field"),
        ("text", {"content": "a", "text": "b"}, 400, "invalid_field"),
        ("text", {"content": " "}, 400, "empty_submission"),
        ("text", {"content": "x" * 201}, 413, "text_too_long"),
    ],
    ids=str,
)
async def test_errors_say_what_is_wrong(gateway, kind, body, status, code):
    asked_before = len(gateway.scorer.heard)
    got, answer, _ = await asked(gateway, kind, body)
    assert (got, answer["error"]["code"]) == (status, code)
    assert answer["error"]["message"]
    assert len(gateway.scorer.heard) == asked_before


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({}, 401, "missing_key"),
        ({"X-API-Key": "nobodys-key"}, 401, "unknown_key"),
        ({"X-API-Key": REVIEWERS_KEY}, 403, "missing_role"),
    ],
)
async def test_a_key_is_asked(gateway, headers, status, code):
    got, answer, _ = await asked(gateway, "text", BEACH, headers)
    assert (got, answer["error"]["code"]) == (status, code)
    good, _, _ = await asked(gateway, "text", BEACH, {"X-API-Key": KEY})
    assert good == 200
