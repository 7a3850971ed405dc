"""A picture nearly the same as another, sent twice: asked about once where the route says so, and told as such."""

from base64 import b64encode
from io import BytesIO

import aiohttp
import pytest

from tests.contract.replay import listening
from tests.gateway import judges, serving
from tests.unit.test_near import photo

CONFIG = """
providers: {{judge: {{adapter: openai, base_url: "{vendor}/v1", api_key: sk-1}}}}
routes: {{default: {{image: {{ask: [judge]{cache}}}}}}}
"""


def sent(quality):
    held = BytesIO()
    photo().save(held, "JPEG", quality=quality)
    return {"images": [{"data": "data:image/jpeg;base64," + b64encode(held.getvalue()).decode()}]}


async def told(client, quality):
    async with client.post("/v1/moderate", json=sent(quality)) as answer:
        assert answer.status == 200
        return await answer.json()


@pytest.mark.parametrize(("cache", "asked"), [("", 2), (", cache: {near_duplicates: true}", 1)], ids=["off", "on"])
async def test_saved_again_it_is_asked_about(tmp_path, cache, asked):
    async with (
        listening(judges) as vendor,
        serving(CONFIG.format(vendor=vendor.url, cache=cache), tmp_path) as url,
        aiohttp.ClientSession(url) as client,
    ):
        first, second = await told(client, 95), await told(client, 60)
        assert len(vendor.heard) == asked
        if asked == 2:
            assert "like" not in second["providers"][0]
            return
        async with client.get(f"/v1/decisions/{first['id']}") as answer:
            [before] = (await answer.json())["content"]
        async with client.get(f"/v1/decisions/{second['id']}") as answer:
            kept = (await answer.json())["providers"][0]
        assert kept == second["providers"][0]
        assert (kept["status"], kept["like"]["sha256"]) == ("cached", before["sha256"])
        assert 0 <= kept["like"]["distance"] <= 8
        assert second["action"] == first["action"]
