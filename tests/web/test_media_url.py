"""Pictures for vendors that take addresses only: over real sockets with TLS, the vendor fetches what it is told."""

import asyncio
import ssl
from contextlib import asynccontextmanager
from hashlib import sha256
from io import BytesIO

import aiohttp
import PIL.Image
import pytest
import trustme
from aiohttp import web

from gateway import registry
from gateway.config import load_config
from gateway.errors import ConfigError
from tests.contract.replay import listening
from tests.gateway import judgement, response, serving
from tests.waiting import until

CONFIG = """
server: {server}
providers:
  evolink: {{adapter: evolink, base_url: "{vendor}/v1", api_key: a-key-of-evolink, timeout: 30s}}
  impatient: {{adapter: evolink, base_url: "{vendor}/v1", api_key: a-key-of-evolink, timeout: 500ms}}
routes:
  default: {{text: {{ask: [evolink]}}, image: {{ask: [evolink], deadline: 60s}}}}
  impatient: {{image: {{ask: [impatient], deadline: 60s}}}}
fetch: {{allow_networks: [127.0.0.0/8], allow_ports: [{port}]}}
"""
NOWHERE = "/v1/media/" + "A" * 64


def saved(picture, form="JPEG", **options):
    held = BytesIO()
    picture.save(held, form, **options)
    return held.getvalue()


PHOTO = saved(PIL.Image.effect_mandelbrot((320, 240), (-2, -1.5, 1, 1.5), 30))


class Front:
    """What stands before a gateway in production: TLS, and then the gateway itself, at `behind`."""

    def __init__(self):
        self.authority = trustme.CA()
        self.behind = self.url = ""

    @property
    def trusting(self):
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        return aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context))

    async def pass_on(self, request):
        async with aiohttp.ClientSession(self.behind) as client, client.request(request.method, request.path) as said:
            headers = {name: said.headers[name] for name in ("Content-Type", "Cache-Control") if name in said.headers}
            nosniff = said.headers.get("X-Content-Type-Options", "")
            headers["X-Content-Type-Options"] = nosniff
            return web.Response(status=said.status, body=await said.read(), headers=headers)


@asynccontextmanager
async def fronted():
    front = Front()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", front.pass_on)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    front.authority.issue_cert("127.0.0.1").configure_cert(tls)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    front.url = f"https://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield front
    finally:
        await runner.cleanup()


class EvoLink:
    """Fetches the picture it is asked about, as the vendor does, and sees nothing bad in it."""

    def __init__(self, front):
        self._front = front
        self.fetched = []
        self.goes_on = asyncio.Event()
        self.goes_on.set()

    async def __call__(self, heard, writer):
        for part in heard.json["input"]:
            if part["type"] == "image_url":
                await self.goes_on.wait()
                async with self._front.trusting as client, client.get(part["image_url"]["url"]) as said:
                    self.fetched.append((part["image_url"]["url"], said.status, said.headers, await said.read()))
        summary = {"risk_level": "low", "flagged": False, "violations": [], "max_score": 0.001, "max_category": "hate"}
        writer.write(response({**judgement(heard), "evolink_summary": summary}))


async def photograph(heard, writer):
    writer.write(response(PHOTO, Content_Type="image/jpeg"))


@pytest.fixture
async def house(tmp_path):
    """The front, the vendor, the gateway's own address and a server with a photograph."""
    async with fronted() as front, listening(photograph) as photos:
        vendor = EvoLink(front)
        async with listening(vendor) as heard:
            server = f'{{public_url: "{front.url}"}}'
            config = CONFIG.format(server=server, vendor=heard.url, port=photos.url.rpartition(":")[2])
            async with serving(config, tmp_path) as url, aiohttp.ClientSession(url) as client:
                front.behind = url
                yield front, vendor, client, photos, config


async def upload(client, data, route="default"):
    form = aiohttp.FormData({"route": route})
    form.add_field("image", data, filename="picture", content_type="application/octet-stream")
    async with client.post("/v1/moderate", data=form) as answer:
        assert answer.status == 200
        return await answer.json()


async def evidence(client, answer):
    async with client.get(f"/v1/decisions/{answer['id']}") as kept:
        return await kept.json()


async def status(client, url):
    async with client.get(url) as said:
        return said.status


async def test_the_vendor_fetches_the_normalised_bytes(house, tmp_path):
    front, vendor, client, _, _ = house
    answer = await upload(client, PHOTO)
    assert (answer["action"], answer["degraded"]) == ("allow", False)
    [(url, code, headers, data)] = vendor.fetched
    assert code == 200 and url.startswith(front.url + "/v1/media/")
    assert data != PHOTO and PIL.Image.open(BytesIO(data)).size == (320, 240)
    kept = await evidence(client, answer)
    assert kept["content"][0]["views"] == [sha256(data).hexdigest()]
    [told] = kept["providers"][0]["fitted"]
    assert (told["by_address"], told["sha256"], told["quality"]) == (True, sha256(data).hexdigest(), None)
    assert headers["Content-Type"] == "image/jpeg"
    assert (headers["Cache-Control"], headers["X-Content-Type-Options"]) == ("no-store", "nosniff")
    assert not list((tmp_path / "var/outbox").iterdir())


async def test_the_callers_address_is_not_passed_on(house):
    """Who serves it could show the vendor another picture than us."""
    front, vendor, client, photos, _ = house
    async with client.post("/v1/moderate", json={"images": [{"url": photos.url + "/photo.jpg"}]}) as said:
        answer = await said.json()
    assert answer["providers"][0]["status"] == "ok"
    assert [url.startswith(front.url) for url, *_ in vendor.fetched] == [True]
    assert len(photos.heard) == 1


async def test_each_frame_has_an_address_of_its_own(house):
    _, vendor, client, _, _ = house
    frames = [PIL.Image.new("RGB", (40, 40), colour) for colour in ("red", "green", "blue")]
    answer = await upload(client, saved(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    assert len({data for *_, data in vendor.fetched}) == len({url for url, *_ in vendor.fetched}) == 3
    assert [told["view"] for told in answer["providers"][0]["fitted"]] == [0, 1, 2]


async def test_afterwards_there_is_nothing(house):
    front, vendor, client, _, _ = house
    await upload(client, PHOTO)
    [(url, *_)] = vendor.fetched
    async with front.trusting as outside:
        assert await status(outside, url) == 404


async def test_forged_expired_and_unheard_of_look_the_same(house):
    front, vendor, client, _, _ = house
    await upload(client, PHOTO)
    path = vendor.fetched[0][0].removeprefix(front.url)
    answers = []
    for asked in (
        path,
        path[:-1] + ("A" if path[-1] != "A" else "B"),
        NOWHERE,
        "/v1/media/x",
        "/v1/media/",
        "/nowhere",
    ):
        async with client.get(asked) as said:
            answers.append((said.status, {**await said.json(), "request_id": ""}))
    assert answers == [answers[0]] * len(answers)
    assert answers[0][0] == 404


async def test_it_is_there_while_the_question_is_under_way_and_no_longer(house, tmp_path):
    _, vendor, client, _, _ = house
    vendor.goes_on.clear()
    asking = asyncio.create_task(upload(client, PHOTO, "impatient"))
    await until(lambda: list((tmp_path / "var").glob("outbox/*")))
    answer = await asking
    assert (answer["providers"][0]["status"], answer["action"]) == ("timeout", "review")
    assert answer["providers"][0]["fitted"][0]["by_address"] is True
    assert not list((tmp_path / "var/outbox").iterdir())
    vendor.goes_on.set()
    await until(lambda: vendor.fetched)
    assert [code for _, code, *_ in vendor.fetched] == [404]


async def test_another_worker_on_the_same_folder_answers_for_it(house, tmp_path):
    front, vendor, client, _, config = house
    async with serving(config, tmp_path) as other:
        front.behind = other
        await upload(client, PHOTO)
    assert [code for _, code, *_ in vendor.fetched] == [200]


async def test_head_is_answered_and_the_route_is_described(house):
    _, _, client, _, _ = house
    async with client.head(NOWHERE) as said:
        assert said.status == 404
    async with client.get("/openapi.json") as said:
        described = (await said.json())["paths"]["/v1/media/{token}"]
    assert set(described) == {"get", "head"}
    assert "security" not in described["get"]


async def test_without_an_address_of_ours_bytes_are_rejected_and_it_says_what_to_set(tmp_path):
    async with fronted() as front, listening(EvoLink(front)) as vendor:
        config = CONFIG.format(server="{}", vendor=vendor.url, port=8000)
        async with serving(config, tmp_path) as url, aiohttp.ClientSession(url) as client:
            answer = await upload(client, PHOTO)
            assert await status(client, NOWHERE) == 404
    [reply] = answer["providers"]
    assert (reply["status"], answer["action"], answer["degraded"]) == ("rejected", "review", True)
    assert "server.public_url" in reply["error"]
    assert not vendor.heard


def test_the_command_lines_address_leaves_it_as_it_is(tmp_path):
    file = tmp_path / "gateway.yaml"
    server = '{port: 80, public_url: "https://mod.example.com/gate/"}'
    file.write_text(CONFIG.format(server=server, vendor="http://127.0.0.1:9", port=8000))
    settings = load_config(file, {}, registry.settings_for, registry.names()).listening_on("127.0.0.1", 8081)
    assert (settings.server.port, settings.server.public_url) == (8081, "https://mod.example.com/gate")


@pytest.mark.parametrize(
    "written",
    ["http://mod.example.com", "mod.example.com", "https://u:p@mod.example.com", "https://mod.example.com?a=b"],
)
def test_a_public_url_is_an_https_address(tmp_path, written):
    file = tmp_path / "gateway.yaml"
    file.write_text(CONFIG.format(server=f'{{public_url: "{written}"}}', vendor="http://127.0.0.1:9", port=8000))
    with pytest.raises(ConfigError, match=r"gateway\.yaml:2:22: .*public_url is https://host"):
        load_config(file, {}, registry.settings_for, registry.names())
