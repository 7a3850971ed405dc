"""Whatever is asked, a simulated vendor answers in its own shape: no request breaks it."""

import asyncio
import json
from base64 import b64encode
from copy import deepcopy

import pytest

from adapters.simulator.server import MOST_BYTES
from tests.simulating import photo, simulator

PICTURE = b64encode(photo()).decode()
URI = f"data:image/png;base64,{PICTURE}"
BEARER = {"Authorization": "Bearer k"}
PARTS = [{"type": "text", "text": "x"}, {"type": "image_url", "image_url": {"url": URI}}]
FEATURES = [{"type": "SAFE_SEARCH_DETECTION"}]
TOOL = {"name": "t", "input_schema": {"properties": {"hate": {}}, "$defs": {"score": {"enum": [0, 1]}}}}
SOURCE = {"type": "base64", "media_type": "image/png", "data": PICTURE}
TURN = [{"type": "image", "source": SOURCE}, {"type": "text", "text": "x"}]

ASKED = [
    # vendor, path, headers, body
    ("openai", "/v1/moderations", BEARER, {"model": "omni-moderation-latest", "input": PARTS}),
    ("evolink", "/v1/moderations", BEARER, {"model": "evolink-moderation-1.0", "input": PARTS[:1]}),
    (
        "azure_content_safety",
        "/contentsafety/text:analyze?api-version=2024-09-01",
        {"Ocp-Apim-Subscription-Key": "k"},
        {"text": "x", "categories": ["Hate"], "blocklistNames": [], "haltOnBlocklistHit": True},
    ),
    (
        "azure_content_safety",
        "/contentsafety/image:analyze?api-version=2024-09-01",
        {"Ocp-Apim-Subscription-Key": "k"},
        {"image": {"content": PICTURE}, "outputType": "FourSeverityLevels"},
    ),
    ("sieve", "/v1/moderate/image", BEARER, {"data": URI, "categories": ["gore"]}),
    ("sieve", "/v1/moderate/text", BEARER, {"content": "x", "context": "chat"}),
    ("pixicular", "/v1/detect-from-url", BEARER, {"services": "detect-labels", "url": "https://a.example/x"}),
    (
        "google_vision",
        "/v1/images:annotate",
        BEARER,
        {"requests": [{"image": {"content": PICTURE}, "features": FEATURES}]},
    ),
    (
        "google_vision",
        "/v1/images:annotate",
        BEARER,
        {"requests": [{"image": {"source": {"imageUri": "x"}}, "features": FEATURES}]},
    ),
    ("mistral", "/v1/moderations", BEARER, {"model": "mistral-moderation-2603", "input": ["x"]}),
    (
        "mistral",
        "/v1/chat/moderations",
        BEARER,
        {"model": "mistral-moderation-2603", "input": [[{"role": "user", "content": "x"}]]},
    ),
    (
        "llama_guard",
        "/v1/chat/completions",
        {},
        {"model": "llama-guard-4", "messages": [{"role": "user", "content": PARTS}], "max_tokens": 9, "logprobs": True},
    ),
    (
        "anthropic_vision",
        "/v1/messages",
        {"x-api-key": "k", "anthropic-version": "2023-06-01"},
        {
            **{"model": "claude-haiku-4-5", "max_tokens": 99, "messages": [{"role": "user", "content": TURN}]},
            **{"tools": [TOOL], "tool_choice": {"type": "tool", "name": "t"}},
        },
    ),
]

ODD = [None, True, 0, -1.5, "", "x", [], [None], {}, {"x": None}]


def places(document, path=()):
    """Every place in a document, as keys and indexes."""
    yield path
    below = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    for key, value in below:
        yield from places(value, (*path, key))


def changed(document, path, value):
    if not path:
        return value
    copy = deepcopy(document)
    holder = copy
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = value
    return copy


@pytest.mark.parametrize("vendor, path, headers, body", ASKED, ids=[row[0] + row[1].partition("?")[0] for row in ASKED])
async def test_no_body_breaks_it(vendor, path, headers, body):
    bodies = [json.dumps(changed(body, place, odd)).encode() for place in places(body) for odd in ODD]
    bodies += [b"", b"{", b"\xff\xfe", b"[" * 2000]
    async with simulator() as vendors:

        async def status(data):
            async with vendors.client.post(f"/{vendor}{path}", data=data, headers=headers) as response:
                return response.status, response.content_type, data[:200]

        told = [await status(json.dumps(body).encode())]
        for start in range(0, len(bodies), 20):
            told += await asyncio.gather(*map(status, bodies[start : start + 20]))
    assert told[0][0] in (200, 404)
    assert [each for each in told if (each[0] >= 500 and each[0] != 501) or "json" not in each[1]] == []


@pytest.mark.parametrize("vendor", ["openai", "azure_content_safety", "rekognition", "pixicular", "sightengine"])
async def test_a_body_beyond_all_limits_is_refused_in_the_vendors_shape(vendor):
    paths = {
        "openai": "/v1/moderations",
        "azure_content_safety": "/contentsafety/image:analyze",
        "rekognition": "/",
        "pixicular": "/v1/detect",
        "sightengine": "/1.0/check.json",
    }
    async with simulator() as vendors:
        body = b"0" * (MOST_BYTES + 1)
        async with vendors.client.post(f"/{vendor}{paths[vendor]}", data=body) as response:
            assert response.status in (400, 413)
            assert await response.json(content_type=None)


async def test_an_address_or_method_of_nobody_is_told_in_the_vendors_shape():
    async with simulator() as vendors:
        async with vendors.client.get("/v1/moderations") as response:
            assert (response.status, (await response.json())["error"]["code"]) == (404, "unknown_url")
        async with vendors.client.post("/azure_content_safety/nowhere") as response:
            assert (response.status, (await response.json())["error"]["code"]) == (404, "404")
