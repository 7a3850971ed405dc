"""The three vendors' guides, followed as their readers would: their programs, with another address.

Behind the gateway are others: OpenAI reads the texts, Rekognition looks at the pictures.
"""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass

import aiohttp
import openai
import pytest
import pytest_asyncio
import yaml
from aiohttp import web

from tests.endtoend.gateways import AUTH, KEY, data_uri, documented
from tests.gateway import serving
from tests.simulating import Rehearsal, photo, simulator

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass
class Place:
    """The gateway's address, the vendors behind it, and where uploads lie: `uploads`/red.png is a red one."""

    url: str
    vendors: Rehearsal
    uploads: str


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory):
    async with AsyncExitStack() as stack:
        vendors = await stack.enter_async_context(simulator())
        runner = uploads()
        stack.push_async_callback(runner.cleanup)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
        config = documented(vendors.url) | {
            "auth": AUTH,
            "fetch": {"allow_networks": ["127.0.0.1/32"], "allow_ports": [port]},
            "routes": {"default": {"text": {"ask": ["openai"]}, "image": {"ask": ["aws"]}}},
        }
        url = await stack.enter_async_context(serving(yaml.safe_dump(config), tmp_path_factory.mktemp("gateway")))
        yield Place(url, vendors, f"http://127.0.0.1:{port}")


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def all_is_well(place):
    await place.vendors.fails()


def uploads():
    """Where a platform keeps uploads for a while: /red.png is a red picture."""

    async def one(request):
        return web.Response(body=photo(request.match_info["colour"]), content_type="image/png")

    app = web.Application()
    app.router.add_get("/{colour}.png", one)
    return web.AppRunner(app, access_log=None)


# EvoLink's guide: pictures by address, with or without a caption; what to do is read off the summary's risk


def evolink(place):
    return openai.AsyncOpenAI(base_url=f"{place.url}/v1", api_key=KEY, max_retries=0)


async def summary(place, *parts):
    async with evolink(place) as client:
        response = await client.moderations.create(model="evolink-moderation-1.0", input=list(parts))
    return response.model_extra["evolink_summary"], response


def by_address(place, colour):
    return {"type": "image_url", "image_url": {"url": f"{place.uploads}/{colour}.png"}}


def caption(text):
    return {"type": "text", "text": text}


RISKS = {"red": "high", "magenta": "high", "blue": "medium", "black": "medium", "olive": "low"}


@pytest.mark.parametrize(("colour", "risk"), RISKS.items())
async def test_evolink_a_picture_by_address(place, colour, risk):
    told, _ = await summary(place, by_address(place, colour))
    assert told["risk_level"] == risk
    assert told["flagged"] is (risk == "high")
    assert bool(told["violations"]) is (risk == "high")


async def test_evolink_a_picture_with_its_caption(place):
    """The worse of the two counts, and each category says in which of them it was looked for."""
    calm, response = await summary(place, caption("A walk on the beach"), by_address(place, "olive"))
    worse, _ = await summary(place, caption("[[harassment/threatening=0.9]]"), by_address(place, "olive"))
    assert (calm["risk_level"], worse["risk_level"], worse["max_category"]) == ("low", "high", "harassment/threatening")
    looked = response.results[0].category_applied_input_types.model_dump(by_alias=True)
    assert looked["violence"] == looked["sexual"] == ["text", "image"]
    assert looked["sexual/minors"] == ["text"]  # Rekognition's minimum is above what the policy asks


async def test_evolink_an_album_is_as_bad_as_its_worst_picture(place):
    each = await asyncio.gather(*(summary(place, by_address(place, colour)) for colour in ("olive", "blue", "red")))
    assert sorted((told["risk_level"] for told, _ in each), key=["low", "medium", "high"].index)[-1] == "high"


async def test_evolink_trouble_approves_nothing(place):
    await place.vendors.fails({"error": "overloaded"})
    with pytest.raises(openai.InternalServerError):
        await summary(place, caption("Nobody has said this before"))


# Pixicular's guide: flags and things in one call; the platform's own thresholds, and no answer goes to a person


async def upload(place, picture):
    """What the platform does with an upload, and the document it did it on."""
    form = aiohttp.FormData({"services": "detect-moderation,detect-labels"})
    form.add_field("image", picture, filename="upload.png", content_type="image/png")
    headers = {"Authorization": f"Bearer {KEY}"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{place.url}/v1/detect", data=form, headers=headers) as r,
    ):
        said = await r.json()
        return (judged(said) if r.ok else f"review: {r.status}"), said


def judged(said):
    flags = {flag["name"]: flag["confidence"] for flag in said["detect-moderation"]["flags"]}
    things = {label["name"]: label["confidence"] for label in said["detect-labels"]["labels"]}
    blocked = [name for name in ("Nudity", "Sexual Activity", "Violence") if flags.get(name, 0) >= 0.9]
    seen = [name for name in ("Weapon", "Firearm", "Knife", "Drug Paraphernalia") if things.get(name, 0) >= 0.7]
    doubtful = [name for name, confidence in flags.items() if confidence >= 0.5]
    whys = {"block": blocked, "review": [*seen, *doubtful]}
    return next((f"{action}: {names[0]}" for action, names in whys.items() if names), "approve")


UPLOADS = {
    **{"red": "block: Violence", "magenta": "block: Nudity"},
    **{"yellow": "review: Weapon", "lime": "review: Drug Use", "olive": "approve"},
}


@pytest.mark.parametrize(("colour", "done"), UPLOADS.items())
async def test_pixicular_an_upload_with_both_services(place, colour, done):
    decided, said = await upload(place, photo(colour))
    assert decided == done
    assert said["meta"].keys() == {"processingTimeMs", "requestId"}


async def test_pixicular_trouble_goes_to_a_person(place):
    await place.vendors.fails({"error": "overloaded"})
    decided, _ = await upload(place, photo((9, 9, 90)))
    assert decided == "review: 503"


# Sieve's page: a picture by address or as data, some of the categories or all


async def sieve(place, **asked):
    headers = {"Authorization": f"Bearer {KEY}"}
    where = f"{place.url}/v1/moderate/image"
    async with aiohttp.ClientSession() as session, session.post(where, json=asked, headers=headers) as response:
        assert response.status == 200, await response.text()
        return await response.json()


SIX = {"sexual", "violence", "hate_symbols", "self_harm", "drugs", "gore"}


@pytest.mark.parametrize("by", ["url", "data"])
@pytest.mark.parametrize(("colour", "action"), {"red": "block", "blue": "flag", "olive": "allow"}.items())
async def test_sieve_a_picture(place, by, colour, action):
    asked = {"url": f"{place.uploads}/{colour}.png"} if by == "url" else {"data": data_uri(photo(colour))}
    said = await sieve(place, **asked)
    assert (said["action"], said["flagged"]) == (action, action != "allow")
    assert said["request_id"] and said["pipeline_tier"] == 2 and said["latency_ms"] > 0
    assert said["categories"].keys() == SIX - set(said["modgate"]["not_assessed"])
    assert said["modgate"]["not_assessed"] == ["self_harm"]  # Rekognition names depictions of it, which is not all
    over = {name for name, told in said["categories"].items() if told["flagged"]}
    assert over == {name for name, told in said["categories"].items() if told["score"] >= told["threshold"]}
    assert bool(over) is (action != "allow")


async def test_sieve_only_the_categories_asked_for(place):
    said = await sieve(place, data=data_uri(photo("red")), categories=["violence", "drugs"])
    assert said["categories"].keys() == {"violence", "drugs"}
    assert said["categories"]["violence"]["score"] == 0.95


async def test_sieve_trouble_is_flagged(place):
    await place.vendors.fails({"error": "overloaded"})
    said = await sieve(place, data=data_uri(photo((9, 90, 9))))
    assert (said["action"], said["flagged"], said["categories"]) == ("flag", True, {})
