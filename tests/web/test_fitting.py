"""Pictures of every size through the front door, to vendors with limits: each gets what it takes, and it is told."""

import os
from base64 import b64decode
from io import BytesIO

import aiohttp
import PIL.Image
import pytest

from tests.contract.replay import listening
from tests.gateway import response, serving

AZURE_BYTES, AZURE_LEAST, REKOGNITION_LEAST = 4 << 20, 50, 80
CONFIG = """
providers:
  azure: {{adapter: azure_content_safety, endpoint: "{vendor}", api_key: a-key-of-azure}}
  broken: {{adapter: azure_content_safety, endpoint: "{vendor}/broken", api_key: a-key-of-azure}}
  aws:
    {{adapter: rekognition, region: eu-west-1, endpoint_url: "{vendor}", access_key_id: AKIA, secret_access_key: none}}
routes:
  default: {{image: {{ask: [azure, aws], deadline: 8s}}}}
  broken: {{image: {{ask: [broken], deadline: 8s}}}}
limits: {{image_bytes: 20MB}}
"""


async def vendors(heard, writer):
    """Azure and Rekognition, who see nothing bad in anything."""
    if heard.path.startswith("/contentsafety/"):
        said = [{"category": label, "severity": 0} for label in ("Hate", "SelfHarm", "Sexual", "Violence")]
        writer.write(response({"categoriesAnalysis": said}))
    elif heard.path.startswith("/broken/"):
        writer.write(response({"error": {"code": "InternalError"}}, "500 Internal Server Error"))
    elif heard.headers["x-amz-target"].endswith("DetectModerationLabels"):
        writer.write(response({"ModerationLabels": [], "ModerationModelVersion": "7.0"}))
    else:
        writer.write(response({"Labels": [], "LabelModelVersion": "3.0"}))


def sent(heard):
    """The pictures each vendor was sent, by its name."""
    azure = [one.json["image"]["content"] for one in heard if one.path.startswith("/contentsafety/")]
    aws = [one.json["Image"]["Bytes"] for one in heard if "x-amz-target" in one.headers]
    return {"azure": [b64decode(each) for each in azure], "aws": [b64decode(each) for each in aws]}


def size(data):
    return PIL.Image.open(BytesIO(data)).size


def saved(picture, form="PNG", **options):
    held = BytesIO()
    picture.save(held, form, **options)
    return held.getvalue()


def noise(mode, *size):
    data = os.urandom(size[0] * size[1] * len(mode))
    return PIL.Image.frombytes(mode, size, data).point(lambda value: 255 * (value > 127))


@pytest.fixture
async def gateway(tmp_path):
    async with (
        listening(vendors) as vendor,
        serving(CONFIG.format(vendor=vendor.url), tmp_path) as url,
        aiohttp.ClientSession(url) as client,
    ):
        yield client, vendor


async def upload(client, data, **fields):
    form = aiohttp.FormData(fields)
    form.add_field("image", data, filename="picture", content_type="application/octet-stream")
    async with client.post("/v1/moderate", data=form) as answer:
        return answer.status, await answer.json()


def replies(answer):
    return {reply["name"]: reply for reply in answer["providers"]}


async def test_a_usual_picture_goes_to_all_as_it_is(gateway):
    client, vendor = gateway
    status, answer = await upload(client, saved(PIL.Image.new("RGB", (640, 480), "olive"), "JPEG"))
    assert (status, answer["degraded"]) == (200, False)
    assert not any("fitted" in reply for reply in answer["providers"])
    pictures = sent(vendor.heard)
    assert len(set(pictures["azure"] + pictures["aws"])) == 1


async def test_a_small_picture_is_enlarged_for_each_to_its_least_side(gateway):
    client, vendor = gateway
    status, answer = await upload(client, saved(PIL.Image.new("RGB", (30, 30), "olive")))
    assert (status, answer["degraded"]) == (200, False)
    pictures = sent(vendor.heard)
    assert {size(data) for data in pictures["azure"]} == {(AZURE_LEAST, AZURE_LEAST)}
    assert {size(data) for data in pictures["aws"]} == {(REKOGNITION_LEAST, REKOGNITION_LEAST)}
    [told] = replies(answer)["azure"]["fitted"]
    assert (told["width"], told["height"], told["bytes"]) == (50, 50, len(pictures["azure"][0]))
    assert (told["media_type"], told["quality"], told["view"]) == ("image/jpeg", 90, 0)
    async with client.get(f"/v1/decisions/{answer['id']}") as kept:
        assert replies(await kept.json()) == replies(answer)


async def test_a_strip_gets_a_ground(gateway):
    client, vendor = gateway
    _, answer = await upload(client, saved(PIL.Image.new("RGB", (16_000, 48), "olive")))
    assert answer["degraded"] is False
    pictures = sent(vendor.heard)
    assert {size(data) for data in pictures["azure"]} == {(2048, AZURE_LEAST)}
    assert {size(data) for data in pictures["aws"]} == {(2048, REKOGNITION_LEAST)}


async def test_what_is_too_large_to_be_looked_at_is_told_so(gateway):
    client, vendor = gateway
    status, answer = await upload(client, saved(PIL.Image.new("RGB", (20_000, 60), "olive")))
    assert (status, answer["code"]) == (413, "image_too_many_pixels")
    assert not vendor.heard


async def test_twelve_megapixels_of_noise(gateway):
    client, vendor = gateway
    data = saved(PIL.Image.frombytes("L", (4000, 3000), os.urandom(12_000_000)), compress_level=1)
    assert len(data) > 5 << 20
    _, answer = await upload(client, data)
    assert answer["degraded"] is False
    assert {size(each) for each in sent(vendor.heard)["azure"]} == {(2048, 1536)}


async def test_too_many_bytes_for_one_vendor_are_taken_from_it_alone(gateway):
    client, vendor = gateway
    _, answer = await upload(client, saved(noise("RGB", 2048, 2048), compress_level=1))
    assert answer["degraded"] is False
    pictures = sent(vendor.heard)
    assert len(pictures["aws"][0]) > AZURE_BYTES >= len(pictures["azure"][0])
    assert size(pictures["azure"][0]) == (2048, 2048)
    assert replies(answer)["azure"]["fitted"][0]["quality"] == 80
    assert "fitted" not in replies(answer)["aws"]


async def test_every_view_of_what_moves_or_is_see_through_is_made_to_fit(gateway):
    client, vendor = gateway
    frames = [PIL.Image.new("RGB", (40, 40), colour) for colour in ("red", "green", "blue")]
    _, moving = await upload(client, saved(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    assert [told["view"] for told in replies(moving)["azure"]["fitted"]] == [0, 1, 2]
    _, see_through = await upload(client, saved(PIL.Image.new("RGBA", (40, 40), (200, 0, 0, 90))))
    assert [told["view"] for told in replies(see_through)["aws"]["fitted"]] == [0, 1]
    assert not moving["degraded"] and not see_through["degraded"]
    assert {size(data) for data in sent(vendor.heard)["azure"]} == {(50, 50)}
    assert len(sent(vendor.heard)["azure"]) == 5


async def test_a_failure_says_what_it_was_sent(gateway):
    client, _ = gateway
    _, answer = await upload(client, saved(PIL.Image.new("RGB", (30, 30), "olive")), route="broken")
    assert (replies(answer)["broken"]["status"], answer["action"]) == ("unavailable", "review")
    assert replies(answer)["broken"]["fitted"][0]["width"] == AZURE_LEAST
