"""What it costs at least: an aiohttp server that passes each request on to the vendor and its answer back.

`python -m bench.relay PORT VENDOR_URL`
"""

from __future__ import annotations

import asyncio
import sys

import aiohttp
import orjson
import uvloop
from aiohttp import web


async def main(port: int, vendor: str) -> None:
    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
    headers = {"Authorization": "Bearer key", "Content-Type": "application/json"}

    async def relay(request: web.Request) -> web.Response:
        asked = orjson.loads(await request.read())
        async with session.post(vendor, data=orjson.dumps(asked), headers=headers) as response:
            answer = orjson.loads(await response.read())
        return web.Response(body=orjson.dumps(answer), content_type="application/json")

    app = web.Application()
    app.router.add_post("/v1/moderations", relay)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), sys.argv[2]))
