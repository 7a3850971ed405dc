"""`POST /v1/moderate` through the front door, with the real local models."""

import base64
import io
from pathlib import Path

import aiohttp
import PIL.Image
import pytest
import pytest_asyncio
import sklearn

from tests.gateway import image, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

LOCAL = """
providers:
  local-image: {adapter: local_image}
  local-text: {adapter: local_text}
routes:
  default: {text: {ask: [local-text]}, image: {ask: [local-image]}}
limits: {image_bytes: 1MB, text_chars: 500, images: 3, body_bytes: 4MB}
"""
PHOTO = (Path(sklearn.__file__).parent / "datasets/images/flower.jpg").read_bytes()
THREAT = "I am going to come to your house and beat you to death."
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'


def encoded(data):
    return base64.b64encode(data).decode()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(tmp_path_factory):
    async with serving(LOCAL, tmp_path_factory.mktemp("gateway")) as url, aiohttp.ClientSession(url) as client:
        yield client


async def ask(client, body, **headers):
    async with client.post("/v1/moderate", json=body, headers=headers) as response:
        return response.status, await response.json(), response.headers


async def test_a_caption_and_a_photograph_are_judged_together(gateway):
    form = aiohttp.FormData({"text": "Sunday in the garden", "context": '{"surface": "post", "country": "DE"}'})
    form.add_field("image", PHOTO, filename="flower.jpg", content_type="image/jpeg")
    async with gateway.post("/v1/moderate", data=form) as response:
        assert response.status == 200
        answer = await response.json()
    assert (answer["action"], answer["flagged"], answer["risk_level"]) == ("allow", False, "low")
    assert [(part["index"], part["type"], part["action"]) for part in answer["inputs"]] == [
        (0, "text", "allow"),
        (1, "image", "allow"),
    ]
    assert {(reply["name"], reply["input"], reply["status"], reply["role"]) for reply in answer["providers"]} == {
        ("local-text", 0, "ok", "ask"),
        ("local-image", 1, "ok", "ask"),
    }
    assert answer["degraded"] is False
    assert answer["tier"] == 1
    assert set(answer["categories"]["sexual"]["providers"]) == {"local-text", "local-image"}


async def test_a_threat_is_stopped_with_a_reason_in_the_callers_language(gateway):
    _, answer, _ = await ask(gateway, {"text": THREAT, "context": {"locale": "de-AT"}})
    assert answer["action"] in ("review", "block")
    reason = answer["reasons"][0]
    assert reason["category"].split("/")[0] in ("violence", "harassment")
    assert reason["score"] >= reason["threshold"]
    assert reason["rule"].startswith("thresholds.")
    assert "scheint" in reason["message"]
    _, english, _ = await ask(gateway, {"text": THREAT}, **{"Accept-Language": "fr;q=0.2, en;q=0.8"})
    assert "appears to" in english["reasons"][0]["message"]


async def test_what_nobody_looked_at_is_said_and_never_zero(gateway):
    _, answer, _ = await ask(gateway, {"images": [{"data": image()}]})
    unseen = answer["categories"]["violence/graphic"]
    assert (unseen["score"], unseen["state"], unseen["providers"]) == (None, "not_covered", {})
    assert answer["categories"]["sexual"]["state"] == "scored"


async def test_a_text_in_another_language_is_not_waved_through(gateway):
    _, answer, _ = await ask(
        gateway, {"text": "Heute war ein schöner Tag, wir sind lange am Fluss spazieren gegangen."}
    )
    assert answer["action"] == "review"
    assert answer["coverage"] == {"required": ["sexual"], "missing": ["sexual"]}
    assert answer["reasons"][0]["code"].startswith("coverage_")
    assert answer["degraded"] is True


async def test_a_stricter_policy_wants_more_than_the_local_models_see(gateway):
    _, answer, _ = await ask(gateway, {"images": [{"data": image()}], "policy": "kids-avatars"})
    assert answer["action"] == "review"
    assert set(answer["coverage"]["missing"]) == {"violence", "hate"}
    assert answer["policy"]["name"] == "kids-avatars"


async def test_an_album_is_judged_by_its_worst_picture(gateway):
    moving = io.BytesIO()
    frames = [PIL.Image.new("RGB", (8, 8), (shade, shade // 2, 0)) for shade in range(0, 240, 2)]
    frames[0].save(moving, "GIF", save_all=True, append_images=frames[1:])
    album = [{"data": image("olive")}, {"data": encoded(moving.getvalue())}]
    _, answer, _ = await ask(gateway, {"images": album})
    assert [part["action"] for part in answer["inputs"]] == ["allow", "review"]  # 120 frames were not all looked at
    assert answer["action"] == "review"
    assert {reason["code"] for reason in answer["reasons"]} == {"coverage_unseen_frames"}


async def test_the_evidence_is_there_when_the_answer_is(gateway):
    status, answer, _ = await ask(gateway, {"text": THREAT, "context": {"user_id": "u1"}})
    assert status == 200
    async with gateway.get(f"/v1/decisions/{answer['id']}") as response:
        kept = await response.json()
    assert kept["policy"]["hash"] == answer["policy"]["hash"]
    assert kept["reasons"] == answer["reasons"]
    assert kept["categories"] == answer["categories"]
    assert kept["context"] == {"user_id": "u1"}
    assert kept["raw"][0]["provider"] == "local-text"
    assert "violence" in kept["raw"][0]["answers"][0]["body"]
    assert len(kept["content"][0]["sha256"]) == 64
    assert THREAT not in str(kept)
    async with gateway.get("/v1/decisions/mod_nope") as response:
        assert (response.status, (await response.json())["code"]) == (404, "unknown_decision")


BAD = [
    # body, status, code
    ({}, 400, "empty_submission"),
    ({"text": "  \n"}, 400, "empty_submission"),
    ({"images": []}, 400, "empty_submission"),
    ({"text": 7}, 400, "invalid_field"),
    ({"txet": "hello"}, 400, "unknown_field"),
    ({"images": [{}]}, 400, "invalid_field"),
    ({"images": [{"url": "https://example.com/a.png", "data": encoded(PHOTO)}]}, 400, "invalid_field"),
    ({"images": [{"data": "not base64!"}]}, 400, "invalid_base64"),
    ({"images": [{"data": "data:image/png,raw"}]}, 400, "invalid_data_uri"),
    ({"images": [{"data": ""}]}, 400, "empty_image"),
    ({"images": [{"data": encoded(SVG)}]}, 415, "not_an_image"),
    ({"images": [{"data": encoded(b"just words")}]}, 415, "not_an_image"),
    ({"images": [{"data": encoded(PHOTO[:3000])}]}, 422, "image_undecodable"),
    ({"images": [{"data": encoded(b"\xff\xd8\xff" + bytes(1_100_000))}]}, 413, "image_too_large"),
    ({"images": [{"data": encoded(PHOTO)}] * 4}, 413, "too_many_images"),
    ({"text": "a" * 501}, 413, "text_too_long"),
    ({"text": "a", "context": {"k": "v" * 20_000}}, 413, "context_too_large"),
    ({"images": [{"url": "http://127.0.0.1/a.png"}]}, 422, "fetch_blocked"),
    ({"images": [{"url": "http://169.254.169.254/latest/meta-data"}]}, 422, "fetch_blocked"),
    ({"images": [{"url": "file:///etc/passwd"}]}, 422, "fetch_blocked"),
    ({"text": "a", "policy": "socail"}, 400, "unknown_policy"),
    ({"text": "a", "route": "defualt"}, 400, "unknown_route"),
]


@pytest.mark.parametrize("body, status, code", BAD, ids=[f"{number}-{code}" for number, (_, _, code) in enumerate(BAD)])
async def test_bad_input_is_refused_with_a_code_and_a_hint(gateway, body, status, code):
    got, problem, headers = await ask(gateway, body)
    assert (got, problem["code"]) == (status, code)
    assert headers["Content-Type"] == "application/problem+json"
    assert problem["status"] == status
    assert problem["detail"]
    assert problem["hint"]
    assert problem["request_id"] == headers["X-Request-Id"]


async def test_a_text_file_called_jpg_is_no_image(gateway):
    form = aiohttp.FormData()
    form.add_field("image", b"hello", filename="holiday.jpg", content_type="image/jpeg")
    async with gateway.post("/v1/moderate", data=form) as response:
        assert (response.status, (await response.json())["code"]) == (415, "not_an_image")


async def test_a_body_is_refused_while_it_streams(gateway):
    sent = 0

    async def endless():
        nonlocal sent
        while sent < 100:
            sent += 1
            yield b"x" * 1_000_000

    try:
        async with gateway.post("/v1/moderate", data=endless()) as response:
            assert response.status == 413
    except aiohttp.ClientOSError:
        pass  # it hung up on us before we had sent it all
    assert sent < 60
