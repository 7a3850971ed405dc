"""Large pictures, many at once and room for one: each waits for its turn, and none is kept while vendors are asked."""

from __future__ import annotations

import asyncio
import random
from base64 import b64encode
from contextlib import asynccontextmanager
from io import BytesIO

import aiohttp
import pytest
from PIL import Image

from tests.contract.replay import listening
from tests.gateway import judges, serving

CONFIG = """
limits: {{image_bytes: 1MB, body_bytes: 2MB, held_bytes: {held}, wait: {wait}}}
providers: {{judge: {{adapter: openai, base_url: "{vendor}/v1", api_key: sk-1, timeout: 60s}}}}
routes: {{default: {{image: {{ask: [judge], deadline: 60s}}}}}}
"""
AT_ONCE = 6


def photo(seed: int) -> bytes:
    """No two alike, about 200 KB: noise does not compress."""
    held = BytesIO()
    Image.frombytes("RGB", (320, 240), random.Random(seed).randbytes(320 * 240 * 3)).save(held, "PNG")
    return held.getvalue()


PHOTOS = [photo(seed) for seed in range(AT_ONCE)]


def in_base64(data: bytes) -> str:
    return "data:image/png;base64," + b64encode(data).decode()


def form(data):
    held = aiohttp.FormData()
    held.add_field("image", data, filename="a.png")
    return {"data": held}


async def _in_pieces(body: bytes):
    for start in range(0, len(body), 30_000):
        yield body[start : start + 30_000]


def streamed(data):
    """Of a length that nobody has said."""
    body = b'{"images": [{"data": "%b"}]}' % in_base64(data).encode()
    return {"data": _in_pieces(body), "headers": {"Content-Type": "application/json"}}


WAYS = {
    "multipart": ("/v1/moderate", form),
    "json": ("/v1/moderate", lambda data: {"json": {"images": [{"data": in_base64(data)}]}}),
    "streamed": ("/v1/moderate", streamed),
    "openai": (
        "/v1/moderations",
        lambda data: {"json": {"input": [{"type": "image_url", "image_url": {"url": in_base64(data)}}]}},
    ),
    "azure": (
        "/contentsafety/image:analyze",
        lambda data: {"json": {"image": {"content": b64encode(data).decode()}}},
    ),
    "sieve": ("/v1/moderate/image", lambda data: {"json": {"data": in_base64(data)}}),
}


@asynccontextmanager
async def gateway(vendor, folder, held="1B", wait="60s"):
    config = CONFIG.format(vendor=vendor.url, held=held, wait=wait)
    async with serving(config, folder) as url, aiohttp.ClientSession(url) as client:
        yield client


async def upload(client, way, data):
    path, written = WAYS[way]
    async with client.post(path, **written(data)) as response:
        return response.status, await response.json(content_type=None)


@pytest.mark.parametrize("way", WAYS)
async def test_all_have_their_turn_and_none_holds_the_room_while_a_vendor_thinks(way, tmp_path):
    """There is room for one body, and the vendor answers only once it was asked about all of them."""
    asked, all_there = [], asyncio.Event()

    async def says(heard, writer):
        asked.append(heard)
        if len(asked) == AT_ONCE:
            all_there.set()
        await all_there.wait()
        await judges(heard, writer)

    async with listening(says) as vendor, gateway(vendor, tmp_path) as client:
        answers = await asyncio.gather(*(upload(client, way, data) for data in PHOTOS))
    assert [status for status, _ in answers] == [200] * AT_ONCE


async def test_a_body_that_stalls_is_given_up_and_its_room_is_free(tmp_path):
    stalling = asyncio.Event()

    async def stalls():
        yield b'{"text": "' + b"x" * 100_000
        stalling.set()
        await asyncio.Event().wait()

    async with listening(judges) as vendor, gateway(vendor, tmp_path, wait="1s") as client:
        headers = {"Content-Type": "application/json"}
        task = asyncio.create_task(client.post("/v1/moderate", data=stalls(), headers=headers))
        await stalling.wait()
        async with await task as response:
            assert (response.status, (await response.json())["code"]) == (503, "waited_too_long")
        assert (await upload(client, "json", PHOTOS[0]))[0] == 200
