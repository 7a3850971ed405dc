"""OpenAI's own client, unchanged but for its address and key, against the gateway."""

import asyncio
from base64 import b64decode
from contextlib import AsyncExitStack
from dataclasses import dataclass

import openai
import pytest
import pytest_asyncio
from openai import AsyncOpenAI, OpenAI

from tests.contract.replay import Listener, listening
from tests.gateway import LABELS, SEEN_IN_IMAGES, image, judges, response, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

KEY, REVIEWERS_KEY = "an-apps-key", "a-reviewers-key"
CONFIG = """
auth:
  keys:
    - {{name: app, key: "${{APP_KEY}}", roles: [submit]}}
    - {{name: reviewer, key: "${{REVIEWERS_KEY}}", roles: [review]}}
fetch: {{allow_networks: [127.0.0.1/32], allow_ports: [{media}]}}
providers:
  usual: {{adapter: openai, base_url: "{usual}/v1", api_key: sk-1}}
  other: {{adapter: openai, base_url: "{other}/v1", api_key: sk-2}}
  broken: {{adapter: openai, base_url: "{broken}/v1", api_key: sk-3, retry: {{attempts: 1}}}}
routes:
  default:
    text: {{ask: [usual]}}
    image: {{ask: [usual]}}
  second: {{text: {{ask: [other]}}}}
  nobody: {{text: {{ask: [broken]}}, image: {{ask: [broken]}}}}
"""
PHOTO = {"type": "image_url", "image_url": {"url": image()}}
CAPTION = {"type": "text", "text": "User caption or message"}


@dataclass
class Gateway:
    """The gateway's address, and what is behind it."""

    url: str
    usual: Listener
    other: Listener
    media: Listener

    async def asked(self, client, key=KEY, **given):
        """What this client makes of the answer; the one that blocks, in a thread."""
        said = {"base_url": f"{self.url}/v1", "api_key": key, "max_retries": 0, "timeout": 10.0}
        if client is AsyncOpenAI:
            async with AsyncOpenAI(**said) as caller:
                return await caller.moderations.create(**given)
        with OpenAI(**said) as caller:
            return await asyncio.to_thread(caller.moderations.create, **given)


async def serves_a_photo(heard, writer):
    writer.write(response(b64decode(image().partition(",")[2]), Content_Type="image/png"))


async def breaks(heard, writer):
    writer.write(response({}, "500 Internal Server Error"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(tmp_path_factory):
    async with AsyncExitStack() as stack:
        vendors = {"usual": judges, "other": judges, "broken": breaks, "media": serves_a_photo}
        at = {name: await stack.enter_async_context(listening(says)) for name, says in vendors.items()}
        places = {name: listener.url for name, listener in at.items()}
        text = CONFIG.format(**{**places, "media": places["media"].rpartition(":")[2]})
        folder = tmp_path_factory.mktemp("gateway")
        url = await stack.enter_async_context(serving(text, folder, APP_KEY=KEY, REVIEWERS_KEY=REVIEWERS_KEY))
        yield Gateway(url, at["usual"], at["other"], at["media"])


@pytest.fixture(params=[OpenAI, AsyncOpenAI])
def client(request):
    return request.param


def by_label(model):
    return model.model_dump(by_alias=True)


async def test_a_text(gateway, client):
    answer = await gateway.asked(client, input="I will kill them all")
    [result] = answer.results
    assert result.flagged is True
    assert result.categories.violence is True
    assert result.category_scores.violence == 0.97
    assert result.categories.hate is False


async def test_an_answer_has_exactly_the_thirteen_categories(gateway, client):
    [result] = (await gateway.asked(client, input="A walk on the beach")).results
    assert result.flagged is False
    for part in (result.categories, result.category_scores, result.category_applied_input_types):
        assert by_label(part).keys() == set(LABELS)
    assert set(by_label(result.categories).values()) == {False}
    assert set(by_label(result.category_scores).values()) == {0.001}


async def test_a_list_of_texts_is_answered_in_its_order(gateway, client):
    answer = await gateway.asked(client, input=["A walk on the beach", "I will kill them all", "Good night"])
    assert [result.flagged for result in answer.results] == [False, True, False]


@pytest.mark.parametrize(
    ("parts", "on_text", "on_both"),
    [([CAPTION], ["text"], ["text"]), ([CAPTION, PHOTO], ["text"], ["text", "image"]), ([PHOTO], [], ["image"])],
    ids=["text", "text and image", "image"],
)
async def test_applied_types_say_what_was_looked_at(gateway, client, parts, on_text, on_both):
    [result] = (await gateway.asked(client, input=parts)).results
    expected = {label: on_both if label in SEEN_IN_IMAGES else on_text for label in LABELS}
    assert by_label(result.category_applied_input_types) == expected


async def test_the_guides_snippet_with_an_image_by_address(gateway, client):
    fetched = len(gateway.media.heard)
    address = f"{gateway.media.url}/user-upload.png"
    response = await gateway.asked(
        client, model="evolink-moderation-1.0", input=[{"type": "image_url", "image_url": {"url": address}}]
    )
    assert response.model_extra["evolink_summary"]["risk_level"] == "low"
    assert [heard.path for heard in gateway.media.heard[fetched:]] == ["/user-upload.png"]


async def test_the_summary_tells_what_to_do(gateway, client):
    low = (await gateway.asked(client, input=[CAPTION, PHOTO])).model_extra["evolink_summary"]
    high = (await gateway.asked(client, input="I will kill them all")).model_extra["evolink_summary"]
    assert (low["risk_level"], low["flagged"], low["violations"]) == ("low", False, [])
    assert (high["risk_level"], high["flagged"], high["violations"]) == ("high", True, ["violence"])
    assert (high["max_category"], high["max_score"]) == ("violence", 0.97)


async def test_a_model_that_is_no_route_is_echoed(gateway, client):
    answer = await gateway.asked(client, input="Good night", model="omni-moderation-latest")
    assert answer.model == "omni-moderation-latest"


async def test_a_model_that_is_a_route_is_asked(gateway, client):
    usual, other = len(gateway.usual.heard), len(gateway.other.heard)
    answer = await gateway.asked(client, input=f"I will kill them all, said {client.__name__}", model="second")
    assert answer.results[0].flagged is True
    assert (len(gateway.usual.heard), len(gateway.other.heard)) == (usual, other + 1)


async def test_an_unknown_key_is_an_authentication_error(gateway, client):
    with pytest.raises(openai.AuthenticationError) as caught:
        await gateway.asked(client, key="nobodys-key", input="Good night")
    assert caught.value.code == "invalid_api_key"


async def test_a_key_without_the_role_is_a_permission_error(gateway, client):
    with pytest.raises(openai.PermissionDeniedError):
        await gateway.asked(client, key=REVIEWERS_KEY, input="Good night")


def part(url):
    return {"type": "image_url", "image_url": {"url": url}}


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ("", "empty_submission"),
        ("  \n ", "empty_submission"),
        ([], "empty_submission"),
        (["Good night", ""], "empty_submission"),
        ([PHOTO, PHOTO], "too_many_images"),
        ([part("data:image/png;base64,AAAA")], "not_an_image"),
        ([part("data:image/png;base64,%%%")], "invalid_base64"),
        ([part(image()[:-9])], "invalid_base64"),
        ([part("data:image/png;base64,")], "empty_image"),
        ([part("http://169.254.169.254/latest/meta-data")], "invalid_image_url"),
        ([part("ftp://media.example.com/photo.png")], "invalid_image_url"),
        ([{"type": "video", "video": "x"}], "invalid_field"),
        (7, "invalid_field"),
    ],
)
async def test_bad_input_is_a_bad_request(gateway, client, given, code):
    asked = len(gateway.usual.heard)
    with pytest.raises(openai.BadRequestError) as caught:
        await gateway.asked(client, input=given)
    assert caught.value.code == code
    assert caught.value.type == "invalid_request_error"
    assert caught.value.message
    assert len(gateway.usual.heard) == asked


@pytest.mark.parametrize("given", ["Good night", ["Good", "night"], [CAPTION, PHOTO]], ids=["one", "list", "parts"])
async def test_nobody_answering_is_a_server_error(gateway, client, given):
    with pytest.raises(openai.InternalServerError) as caught:
        await gateway.asked(client, input=given, model="nobody")
    assert caught.value.code == "server_is_overloaded"
    assert caught.value.response.headers["retry-after"]
