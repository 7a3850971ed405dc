"""A Pixicular client that changed its address: the guides' multipart call, by plain aiohttp."""

import aiohttp
import pytest
import pytest_asyncio

from tests.web.behind import KEY, PHOTO, REVIEWERS_KEY, standing

pytestmark = pytest.mark.asyncio(loop_scope="module")

BOTH = "detect-moderation,detect-labels"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def everything(tmp_path_factory):
    async with standing(tmp_path_factory.mktemp("gateway"), "{ask: [scorer, namer]}") as behind:
        yield behind


@pytest.fixture
def gateway(everything):
    everything.reset()
    return everything


async def asked(gateway, services=BOTH, photo=PHOTO, field="image", key=KEY, times=1):
    form = aiohttp.FormData()
    for _ in range(times):
        form.add_field(field, photo, filename="user-upload.png", content_type="image/png")
    if services is not None:
        form.add_field("services", services)
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    async with (
        aiohttp.ClientSession(gateway.url, headers=headers) as session,
        session.post("/v1/detect", data=form) as response,
    ):
        return response.status, await response.json(), response.headers


def found(answer, service="detect-moderation", listed="flags"):
    return {entry["name"]: entry["confidence"] for entry in answer[service][listed]}


async def test_both_services_in_one_document(gateway):
    gateway.labels = {"Explicit Nudity": 93.5, "Explicit": 93.5, "Blood & Gore": 70}
    gateway.things = {"Person": 99.5, "Knife": 71}
    status, answer, _ = await asked(gateway)
    assert status == 200
    assert found(answer) == {
        "Nudity": 0.935,
        "Sexual Activity": 0.001,
        "Suggestive": 0.001,
        "Violence": 0.7,
        "Drug Use": 0,
    }
    assert [flag["name"] for flag in answer["detect-moderation"]["flags"]][:2] == ["Nudity", "Violence"]
    assert found(answer, "detect-labels", "labels") == {"Person": 0.995, "Knife": 0.71}
    assert answer["meta"]["requestId"]
    assert answer["modgate"]["action"] == "block"


async def test_only_the_service_asked_for(gateway):
    _, moderation, _ = await asked(gateway, "detect-moderation", field="file")
    _, labels, _ = await asked(gateway, "detect-labels")
    assert moderation.keys() == {"detect-moderation", "meta", "modgate"}
    assert labels.keys() == {"detect-labels", "meta", "modgate"}


async def test_what_is_only_known_more_widely_is_said_of_all_it_may_be(gateway):
    gateway.scores = {"sexual": 0.97}
    flags = found((await asked(gateway, "detect-moderation"))[1])
    assert flags == {"Nudity": 0.97, "Sexual Activity": 0.97, "Suggestive": 0.97, "Violence": 0.001, "Drug Use": 0}


async def test_what_nobody_looked_for_is_left_out(tmp_path):
    async with standing(tmp_path, "{ask: [scorer]}") as scored:
        status, answer, headers = await asked(scored)
        only, said, _ = await asked(scored, "detect-labels")
    assert status == 200
    assert found(answer).keys() == {"Nudity", "Sexual Activity", "Suggestive", "Violence"}
    assert "detect-labels" not in answer
    assert answer["modgate"]["not_assessed"] == ["Drug Use", "detect-labels"]
    assert headers["X-Modgate-Not-Assessed"] == "Drug Use; detect-labels"
    assert (only, said["error"]["code"]) == (503, "nobody_names_things")


async def test_a_gap_that_no_flag_shows_is_no_answer(tmp_path):
    async with standing(tmp_path, "{ask: [scorer, namer], need: 2}") as both:
        both.named = False
        status, answer, headers = await asked(both, "detect-moderation")
        both.scores = {"violence": 0.97}
        alarmed, flagged, _ = await asked(both, "detect-moderation")
    assert (status, answer["error"]["code"]) == (503, "not_fully_assessed")
    assert headers["Retry-After"]
    assert (alarmed, found(flagged)["Violence"]) == (200, 0.97)


@pytest.mark.parametrize("services", ["detect-moderation", "detect-labels", BOTH])
async def test_nobody_answering_is_a_server_error(gateway, services):
    gateway.fails = True
    status, answer, headers = await asked(gateway, services)
    assert (status, answer["error"]["code"]) == (503, "no_provider_answered")
    assert headers["Retry-After"]


@pytest.mark.parametrize(
    ("given", "status", "code"),
    [
        ({"key": None}, 401, "missing_key"),
        ({"key": "nobodys-key"}, 401, "unknown_key"),
        ({"key": REVIEWERS_KEY}, 403, "missing_role"),
        ({"services": None}, 400, "invalid_field"),
        ({"services": "detect-age"}, 400, "invalid_field"),
        ({"field": "photo"}, 400, "missing_field"),
        ({"times": 2}, 400, "missing_field"),
        ({"photo": b""}, 400, "empty_image"),
        ({"photo": b"x" * 1_000_001}, 413, "image_too_large"),
        ({"photo": b"no picture at all"}, 415, "not_an_image"),
        ({"photo": PHOTO[:40]}, 422, "image_undecodable"),
    ],
    ids=str,
)
async def test_errors_say_what_is_wrong(gateway, given, status, code):
    got, answer, _ = await asked(gateway, **given)
    assert (got, answer["error"]["code"]) == (status, code)
    assert answer["error"]["message"]


async def test_a_body_that_is_no_form_is_malformed(gateway):
    headers = {"Authorization": f"Bearer {KEY}"}
    async with (
        aiohttp.ClientSession(gateway.url, headers=headers) as session,
        session.post("/v1/detect", json={"services": BOTH}) as response,
    ):
        assert (response.status, (await response.json())["error"]["code"]) == (400, "malformed_multipart")
