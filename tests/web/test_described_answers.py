"""What `/openapi.json` says of our answers is what they are: no key more, none less."""

import aiohttp
import pytest
import pytest_asyncio

from gateway.web.api.answers import DecisionOut, EvidenceOut
from tests.gateway import image, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONFIG = """
providers:
  local-image: {adapter: local_image}
  local-text: {adapter: local_text}
  gone: {adapter: openai, base_url: "http://127.0.0.1:9/v1", api_key: sk}
routes:
  default: {text: {ask: [gone, local-text]}, image: {ask: [local-image]}}
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(tmp_path_factory):
    async with serving(CONFIG, tmp_path_factory.mktemp("gateway")) as url, aiohttp.ClientSession(url) as client:
        yield client


async def test_a_decision_and_its_evidence_are_as_described(gateway):
    body = {"text": "I will find out where you live and beat you to death.", "images": [{"data": image()}]}
    async with gateway.post("/v1/moderate", json=body) as response:
        told = await response.json()
    assert DecisionOut.model_validate(told, extra="forbid").degraded
    for address in (f"/v1/decisions/{told['id']}", f"/v1/decisions/{told['id']}?explain=1"):
        async with gateway.get(address) as response:
            assert EvidenceOut.model_validate(await response.json(), extra="forbid").raw


async def test_the_description_names_the_answer_who_is_refused_and_what_may_be_sent_beside_the_body(gateway):
    async with gateway.get("/openapi.json") as response:
        paths = (await response.json())["paths"]
    asked = paths["/v1/moderate"]["post"]
    assert asked["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].endswith("/DecisionOut")
    assert {"401", "403"} <= set(asked["responses"])
    assert {parameter["name"] for parameter in asked["parameters"]} == {"Idempotency-Key", "Accept-Language"}
    [name, explain] = paths["/v1/decisions/{id}"]["get"]["parameters"]
    assert (name["in"], explain["in"], explain["name"]) == ("path", "query", "explain")
    assert "401" not in paths["/healthz"]["get"]["responses"]
