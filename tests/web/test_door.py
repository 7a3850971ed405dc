"""Whoever finds no room is refused at the door, in the same words as in the frame; and a connection stays in step."""

import asyncio
import json
import re
from contextlib import asynccontextmanager

import aiohttp
import pytest
import structlog.testing

from gateway.web.app import endpoints
from tests.contract.replay import listening
from tests.gateway import judges, serving
from tests.waiting import until

CONFIG = """
limits: {{concurrency: 4}}
auth:
  keys:
    - {{name: app, key: app-key, roles: [submit, admin]}}
    - {{name: heap, key: heap-key, priority: batch}}
providers: {{judge: {{adapter: openai, base_url: "{vendor}/v1", api_key: sk-1}}}}
routes: {{default: {{text: {{ask: [judge], deadline: 60s}}}}}}
"""
BODY = b'{"text": "A walk on the beach"}'
HEAD = "POST {path} HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\nX-Request-Id: mine\r\nContent-Type: application/json\r\n"


def request(path="/v1/moderate", key="app-key", body=BODY, more=""):
    head = HEAD.format(path=path, key=key)
    return f"{head}{more}Content-Length: {len(body)}\r\n\r\n".encode() + body


class Line:
    """One connection, byte by byte."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    async def send(self, *pieces):
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()
            await asyncio.sleep(0.02)

    async def hear(self):
        """Status, headers and body of the next answer."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        line, *fields = head.strip().split("\r\n")
        headers = {name.lower(): said.strip() for name, said in (field.split(":", 1) for field in fields)}
        return int(line.split()[1]), headers, await self.reader.readexactly(int(headers["content-length"]))

    async def ask(self, *pieces):
        await self.send(*pieces)
        return await self.hear()


def at_the_door(headers):
    """Those of a refusal carry no date, which aiohttp puts on each of its own."""
    return "date" not in headers


@pytest.fixture
async def busy(tmp_path):
    """A gateway all of whose places are taken, until `free` is called."""
    go_on = asyncio.Event()

    async def ponders(heard, writer):
        await go_on.wait()
        await judges(heard, writer)

    async with (
        listening(ponders) as vendor,
        serving(CONFIG.format(vendor=vendor.url), tmp_path) as url,
        aiohttp.ClientSession(url, headers={"X-API-Key": "app-key"}) as client,
    ):
        gateway = Busy(client, vendor, go_on)
        yield gateway
        await gateway.free()


class Busy:
    def __init__(self, client, vendor, go_on):
        self.client, self.vendor, self._go_on = client, vendor, go_on
        self._holding = []

    async def fill(self, many=4):
        self._holding = [asyncio.create_task(self._hold(number)) for number in range(many)]
        await until(lambda: len(self.vendor.heard) == many)

    async def _hold(self, number):
        async with self.client.post("/v1/moderate", json={"text": f"held {number}"}) as response:
            return response.status

    async def free(self):
        self._go_on.set()
        assert set(await asyncio.gather(*self._holding)) <= {200}
        self._holding = []

    @asynccontextmanager
    async def line(self):
        port = self.client._base_url.port
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            yield Line(reader, writer)
        finally:
            writer.close()

    async def in_flight(self):
        async with self.client.get("/metrics") as response:
            return float(re.search(r"^modgate_in_flight (\S+)", await response.text(), re.M)[1])


ADMITTED = sorted({endpoint.path for endpoint in endpoints() if endpoint.admitted})


@pytest.mark.parametrize("path", ADMITTED)
async def test_it_is_what_the_frame_says_at_the_same_address(busy, path):
    """Which answers what is sent in chunks."""
    await busy.fill()
    async with busy.line() as line:
        status, headers, body = await line.ask(request(path + "?api-version=1"))
        assert at_the_door(headers)
        chunked = HEAD.format(path=path, key="app-key") + "Transfer-Encoding: chunked\r\n\r\n"
        frames = await line.ask(chunked.encode() + b"2\r\n{}\r\n0\r\n\r\n")
    assert not at_the_door(frames[1])
    timing = re.compile(r"total;dur=[\d.]+, vendors;dur=0.00, policy;dur=0.00")
    assert timing.fullmatch(headers.pop("server-timing"))
    assert timing.fullmatch(frames[1].pop("server-timing"))
    theirs = {name: said for name, said in frames[1].items() if name not in ("date", "server")}
    assert (status, headers, body) == (frames[0], theirs, frames[2])
    assert headers["x-request-id"] == "mine"


async def test_whoever_has_no_id_gets_one(busy):
    await busy.fill()
    async with busy.line() as line:
        given = request().replace(b"mine", b"<script>")
        _, headers, body = await line.ask(given)
    assert re.fullmatch(r"req_[0-9a-f]{24}", headers["x-request-id"])
    assert json.loads(body)["request_id"] == headers["x-request-id"]


async def test_the_connection_is_good_for_the_next_request_once_there_is_room(busy):
    await busy.fill()
    async with busy.line() as line:
        for _ in range(3):
            assert (await line.ask(request()))[0] == 503
        await busy.free()
        for _ in range(3):
            assert (await line.ask(request()))[0] == 200
        assert await busy.in_flight() == 0


@pytest.mark.parametrize("key, code", [("app-key", "overloaded"), ("heap-key", "batch_waits")])
async def test_a_batch_is_refused_there_while_live_traffic_has_its_share(busy, key, code):
    await busy.fill(3 if code == "batch_waits" else 4)
    async with busy.line() as line:
        status, headers, body = await line.ask(request(key=key))
        assert (status, json.loads(body)["code"], at_the_door(headers)) == (503, code, True)


async def test_batches_on_their_way_take_no_place_of_live_traffic(busy):
    await busy.fill(3)
    async with busy.line() as live:
        batches = [asyncio.create_task(_asked(busy, request(key="heap-key"))) for _ in range(20)]
        assert {status for status, *_ in await asyncio.gather(*batches)} == {503}
        await live.send(request(body=b'{"text": "live"}'))
        await until(lambda: len(busy.vendor.heard) == 4)
        await busy.free()
        assert (await live.hear())[0] == 200


async def _asked(busy, sent):
    async with busy.line() as line:
        return await line.ask(sent)


async def test_a_key_that_is_not_known_is_told_so_all_the_same(busy):
    await busy.fill()
    async with busy.line() as line:
        for key in ("no-key", ""):
            assert (await line.ask(request(key=key)))[0] == 401


async def test_nothing_else_is_refused(busy):
    await busy.fill()
    for path in ("/healthz", "/readyz", "/metrics", "/v1/providers", "/docs", "/v1/decisions/mod_0"):
        async with busy.client.get(path) as response:
            assert response.status != 503


@pytest.mark.parametrize("size", [10, 100_000, 3_000_000])
async def test_the_body_of_what_was_refused_is_thrown_away_as_it_comes(busy, size):
    """And the next request begins where it ends, be that within one piece."""
    await busy.fill()
    sent = request(body=b"x" * size)
    head, next_one = sent[:-size], request()
    async with busy.line() as line:
        status, headers, _ = await line.ask(head)
        assert (status, at_the_door(headers)) == (503, True)
        await line.send(sent[-size : -size // 2], sent[-size // 2 :] + next_one)
        assert (await line.hear())[0] == 503
        await busy.free()
        assert (await line.ask(next_one))[0] == 200


async def test_two_requests_in_one_piece_are_for_the_frame(busy):
    await busy.fill()
    async with busy.line() as line:
        await line.send(request() + request(key="no-key") + request())
        heard = [await line.hear() for _ in range(3)]
        assert [(status, at_the_door(headers)) for status, headers, _ in heard] == [
            (503, False),
            (401, False),
            (503, False),
        ]
        status, headers, _ = await line.ask(request())
        assert (status, at_the_door(headers)) == (503, True)


@pytest.mark.parametrize("cut", [3, 40, 120])
async def test_a_head_that_comes_in_pieces_is_for_the_frame(busy, cut):
    await busy.fill()
    sent = request()
    async with busy.line() as line:
        status, headers, _ = await line.ask(sent[:cut], sent[cut:])
        assert (status, at_the_door(headers)) == (503, False)
        status, headers, _ = await line.ask(sent)
        assert (status, at_the_door(headers)) == (503, True)


async def test_an_answer_does_not_overtake_another(busy):
    """A request behind one that is still under way waits for its turn."""
    await busy.fill(3)
    async with busy.line() as line:
        await line.send(request(body=b'{"text": "first"}'))
        await until(lambda: len(busy.vendor.heard) == 4)
        await line.send(request(body=b'{"text": "second"}'))
        await busy.free()
        assert [(await line.hear())[0] for _ in range(2)] == [200, 200]


UNUSUAL = {
    "asks first": request(more="Expect: 100-continue\r\n"),
    "wants it closed": request(more="Connection: close\r\n"),
    "older": request().replace(b"HTTP/1.1", b"HTTP/1.0"),
    "whole address": request(path="http://x/v1/moderate"),
    "a path written otherwise": request(path="/v1/%6Doderate"),
}


@pytest.mark.parametrize("sent", UNUSUAL.values(), ids=UNUSUAL.keys())
async def test_what_is_written_in_an_unusual_way_is_for_the_frame(busy, sent):
    await busy.fill()
    async with busy.line() as line:
        status, headers, _ = await line.ask(sent)
        assert (status, at_the_door(headers)) == (503, False)


MALFORMED = {
    "two lengths": request(more="Content-Length: 3\r\n"),
    "no length": request().replace(b"31", b"thirty"),
    "a line that goes on": request(more="X-Long: a\r\n b\r\n"),
    "no name": request(more=": a\r\n"),
    "a space in a name": request(more="X Y: a\r\n"),
    "an end of line of its own": request(more="X-Y: a\n"),
    "a zero": request(more="X-Y: a\0b\r\n"),
    "another protocol": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
}


@pytest.mark.parametrize("sent", MALFORMED.values(), ids=MALFORMED.keys())
async def test_what_is_malformed_is_for_the_parser(busy, sent):
    await busy.fill()
    async with busy.line() as line:
        status, headers, body = await line.ask(sent)
        problem = json.loads(body)
    assert (status, headers["content-type"]) == (400, "application/problem+json")
    assert (problem["code"], problem["request_id"]) == ("malformed_http", headers["x-request-id"])
    assert problem["detail"].startswith("This is no HTTP: ")
    assert headers["server-timing"]


async def test_a_line_that_is_too_long_is_told_so(busy):
    async with busy.line() as line:
        status, _, body = await line.ask(request(more=f"X-Y: {'a' * 9_000}\r\n"))
    problem = json.loads(body)
    assert (status, problem["code"]) == (400, "malformed_http")
    assert "8190 bytes" in problem["detail"]


async def test_it_is_counted_and_told_in_one_line(busy):
    await busy.fill()
    with structlog.testing.capture_logs() as lines:
        async with busy.line() as line:
            for _ in range(5):
                await line.ask(request())
        told = await until(lambda: [line for line in lines if line["event"] == "refused_at_the_door"])
    assert {(line["route"], line["code"]) for line in told} == {("/v1/moderate", "overloaded")}
    assert sum(line["many"] for line in told) <= 5
    async with busy.client.get("/metrics") as response:
        said = await response.text()
    assert 'modgate_refused_total{reason="overloaded"} 5.0' in said
    assert 'modgate_requests_total{route="/v1/moderate",status="503"} 5.0' in said


async def test_whoever_hangs_up_on_the_way_in_gives_the_place_back(busy):
    """Let in at the door, and gone before anybody looked; or with a body that the frame waits for in vain."""
    async with busy.line() as line:
        await line.send(request()[:-5])
        assert await until(busy.in_flight) == 1
    for _ in range(8):
        async with busy.line() as line:
            line.writer.write(request()[:-5])
            line.writer.transport.abort()
    assert await until(lambda: _none(busy))
    await busy.free()
    assert (await _asked(busy, request()))[0] == 200


async def _none(busy):
    return await busy.in_flight() == 0
