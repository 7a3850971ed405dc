"""What `/openapi.json` says of our answers is what they are: no key more, none less."""

import re
from base64 import b64encode

import aiohttp
import pytest
import pytest_asyncio

from gateway.web.app import endpoints
from tests.gateway import image
from tests.web.behind import PHOTO, standing

pytestmark = pytest.mark.asyncio(loop_scope="module")

DATA = image()
BYTES = b64encode(PHOTO).decode()
SUBMITTED = {"text": "A walk on the beach", "images": [{"data": DATA}]}
PARTS = [{"type": "text", "text": "A walk"}, {"type": "image_url", "image_url": {"url": DATA}}]

ASKED = {
    ("POST", "/v1/moderate"): [SUBMITTED],
    ("POST", "/v1/moderations"): [{"input": "A walk"}, {"input": ["A walk", "A fight"]}, {"input": PARTS}],
    ("POST", "/contentsafety/text:analyze"): [{"text": "A walk"}],
    ("POST", "/contentsafety/image:analyze"): [{"image": {"content": BYTES}}],
    ("POST", "/v1/moderate/image"): [{"data": DATA}],
    ("POST", "/v1/moderate/text"): [{"content": "A walk"}],
    ("GET", "/v1/providers"): [None],
    ("GET", "/v1/policies"): [None],
    ("PUT", "/v1/drills/{provider}"): [{"scenario": "vendor-outage"}],
    ("DELETE", "/v1/drills/{provider}"): [None],
    ("GET", "/healthz"): [None],
    ("GET", "/readyz"): [None],
}
TARGETS = ("DetectModerationLabels", "DetectLabels")
SERVICES = ("detect-moderation", "detect-labels", "detect-moderation,detect-labels")


def described(method, path):
    [route] = [route for route in endpoints() if (route.method, route.path) == (method, path)]
    return route.reply


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gateway")
    async with standing(folder, "{ask: [scorer, namer]}", auth="server: {{drills: true}}\n") as behind:
        behind.scores = {"violence": 0.97}
        behind.labels = {"Explicit Nudity": 93.5, "Explicit": 93.5}
        behind.things = {"Person": 99.5, "Knife": 71}
        async with aiohttp.ClientSession(behind.url) as client:
            yield client


async def told(gateway, method, path, **sent):
    async with gateway.request(method, path, **sent) as response:
        assert response.status == 200, await response.text()
        return await response.json(content_type=None)


@pytest.mark.parametrize(("method", "path"), ASKED)
async def test_an_answer_is_as_described(gateway, method, path):
    for body in ASKED[method, path]:
        answer = await told(gateway, method, path.format(provider="scorer"), json=body)
        described(method, path).model_validate(answer, extra="forbid")


async def test_the_evidence_is_as_described(gateway):
    [id, policy] = [(await told(gateway, "POST", "/v1/moderate", json=SUBMITTED))[name] for name in ("id", "policy")]
    for address in (f"/v1/decisions/{id}", f"/v1/decisions/{id}?explain=1"):
        evidence = await told(gateway, "GET", address)
        assert described("GET", "/v1/decisions/{id}").model_validate(evidence, extra="forbid").raw
    source = await told(gateway, "GET", f"/v1/policies/{policy['hash']}")
    assert described("GET", "/v1/policies/{hash}").model_validate(source, extra="forbid").activations


@pytest.mark.parametrize("target", TARGETS)
async def test_rekognitions_answer_is_as_described(gateway, target):
    headers = {"X-Amz-Target": f"RekognitionService.{target}"}
    answer = await told(gateway, "POST", "/", json={"Image": {"Bytes": BYTES}}, headers=headers)
    described("POST", "/").model_validate(answer, extra="forbid")


@pytest.mark.parametrize("services", SERVICES)
async def test_pixiculars_answer_is_as_described(gateway, services):
    form = aiohttp.FormData()
    form.add_field("image", PHOTO, filename="photo.png")
    form.add_field("services", services)
    answer = await told(gateway, "POST", "/v1/detect", data=form)
    described("POST", "/v1/detect").model_validate(answer, extra="forbid")


async def test_every_error_is_as_described(gateway):
    """Every route there is, asked for what is not there, or with half a body."""
    paths = (await told(gateway, "GET", "/openapi.json"))["paths"]
    refused = set()
    routes = [route for route in endpoints() if route.method != "HEAD"]  # whose answers have no body
    for route in routes:
        address = re.sub(r"\{\w+\}", "nothing", route.path)
        headers = {"Content-Type": "application/json"}
        async with gateway.request(route.method, address, data=b"{", headers=headers, allow_redirects=False) as answer:
            if answer.status >= 400:
                responses = paths[route.path][route.method.lower()]["responses"]
                content = responses.get(str(answer.status), responses["default"])["content"]
                assert content == responses["default"]["content"], (route.path, answer.status)
                [(media, described)] = content.items()
                assert answer.content_type == media
                assert described["schema"]["$ref"].endswith(f"/{route.refusal.__name__}")
                route.refusal.model_validate(await answer.json(content_type=None), extra="forbid")
                refused.add((route.method, route.path))
    asked = [route for route in routes if route.body or route.multipart or "{" in route.path]
    assert {(route.method, route.path) for route in asked} <= refused


async def test_every_route_that_answers_in_json_says_how(gateway):
    paths = (await told(gateway, "GET", "/openapi.json"))["paths"]
    silent = [
        (method, path)
        for path, operations in paths.items()
        for method, operation in operations.items()
        if method != "head" and "content" not in operation["responses"].get("200", {"content": None})
    ]
    assert silent == [("get", "/v1/media/{token}"), ("get", "/metrics"), ("get", "/openapi.json"), ("get", "/docs")]


async def test_the_description_names_the_answer_who_is_refused_and_what_may_be_sent_beside_the_body(gateway):
    paths = (await told(gateway, "GET", "/openapi.json"))["paths"]
    asked = paths["/v1/moderate"]["post"]
    assert asked["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].endswith("/DecisionOut")
    assert {"401", "403"} <= set(asked["responses"])
    assert {parameter["name"] for parameter in asked["parameters"]} == {"Idempotency-Key", "Accept-Language"}
    [name, explain] = paths["/v1/decisions/{id}"]["get"]["parameters"]
    assert (name["in"], explain["in"], explain["name"]) == ("path", "query", "explain")
    assert "401" not in paths["/healthz"]["get"]["responses"]
    ready = paths["/readyz"]["get"]["responses"]
    assert ready["503"]["content"] == ready["200"]["content"]
