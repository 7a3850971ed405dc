"""Pictures that a simulated vendor fetches: those which a gateway lends it, and nothing else."""

from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from tests.simulating import photo, simulator

PUBLIC = "https://modgate.example"


@asynccontextmanager
async def lender(asked):
    """A gateway that lends a red picture at /v1/media/red, and notes what it was asked for."""

    async def lend(request):
        asked.append(request.path)
        if request.path == "/v1/media/moved":
            raise web.HTTPFound("/v1/media/red")
        known = {"/v1/media/red": photo("red"), "/v1/media/page": b"<html>"}
        return web.Response(body=known[request.path]) if request.path in known else web.Response(status=404)

    app = web.Application()
    app.router.add_get("/{path:.*}", lend)
    runner = web.AppRunner(app, access_log=None)
    try:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def look(vendors, address):
    """What EvoLink says of the picture at an address: its score of violence, or the code of its error."""
    body = {"model": "evolink-moderation-1.0", "input": [{"type": "image_url", "image_url": {"url": address}}]}
    headers = {"Authorization": "Bearer rehearsal"}
    async with vendors.client.post("/evolink/v1/moderations", json=body, headers=headers) as response:
        said = await response.json()
    return said["error"]["code"] if response.status != 200 else said["results"][0]["category_scores"]["violence"]


async def test_a_picture_that_is_lent_is_looked_at():
    asked = []
    async with lender(asked) as place, simulator(f"reaches: {{'{PUBLIC}': '{place}'}}") as vendors:
        score = await look(vendors, f"{PUBLIC}/v1/media/red")
    assert (score, asked) == (0.95, ["/v1/media/red"])


@pytest.mark.parametrize("path", ["gone", "page", "moved"])
async def test_where_no_picture_is_to_be_had_it_could_not_be_downloaded(path):
    asked = []
    async with lender(asked) as place, simulator(f"reaches: {{'{PUBLIC}': '{place}'}}") as vendors:
        assert await look(vendors, f"{PUBLIC}/v1/media/{path}") == "invalid_image_url"
    assert asked == [f"/v1/media/{path}"]


async def test_no_other_address_is_fetched():
    asked = []
    async with lender(asked) as place, simulator(f"reaches: {{'{PUBLIC}': '{place}'}}") as vendors:
        assert await look(vendors, "https://media.example.com/[[violence=0.9]].png") == 0.9
        assert await look(vendors, f"https://modgate.example.com/v1/media/red?at={place}") < 0.01
        assert await look(vendors, place.replace("http:", "https:")) == "invalid_image_url"
    assert asked == []


async def test_what_is_reached_can_be_changed_and_a_mistake_changes_nothing():
    async with lender([]) as place, simulator() as vendors:
        assert await look(vendors, f"{PUBLIC}/v1/media/red") < 0.01
        await vendors.reaches({PUBLIC: place})
        for wrong in ({PUBLIC: "ftp://x"}, {f"{PUBLIC}/v1": place}, [place]):
            said = await vendors.control("PUT", "reaches", {"reaches": wrong}, status=400)
            assert said["error"]
        assert await look(vendors, f"{PUBLIC}/v1/media/red") == 0.95
