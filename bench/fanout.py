"""What three vendors cost at least: an aiohttp server that parses, asks all three at once, and merges what they say.

`python -m bench.fanout PORT VENDOR_URL`
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import aiohttp
import orjson
import uvloop
from aiohttp import web

VENDORS = 3


async def main(port: int, vendor: str) -> None:
    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
    headers = {"Authorization": "Bearer key", "Content-Type": "application/json"}

    async def ask(question: bytes) -> dict[str, Any]:
        async with session.post(vendor, data=question, headers=headers) as response:
            answer: dict[str, Any] = orjson.loads(await response.read())
            return answer

    async def moderate(request: web.Request) -> web.Response:
        question = orjson.dumps(orjson.loads(await request.read()))
        answers = await asyncio.gather(*(ask(question) for _ in range(VENDORS)))
        return web.Response(body=orjson.dumps(merged(answers)), content_type="application/json")

    app = web.Application()
    app.router.add_post("/v1/moderations", moderate)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


def merged(answers: list[dict[str, Any]]) -> dict[str, Any]:
    """The first answer with the highest score of each label."""
    [result] = answers[0]["results"]
    scores = [answer["results"][0]["category_scores"] for answer in answers]
    highest = {label: max(each[label] for each in scores) for label in scores[0]}
    return {**answers[0], "results": [{**result, "category_scores": highest}]}


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), sys.argv[2]))
