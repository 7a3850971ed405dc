"""Every call that leaves the code fails once: the first, the second … until a submission's whole life passes without.

After SQLite's own anomaly tests. Whatever fails, the caller hears a decision or a named problem, a threat is never
allowed, what was answered is found again, and sending it again under the same key works.
"""

from concurrent.futures.process import BrokenProcessPool
from contextlib import AsyncExitStack, asynccontextmanager
from functools import wraps

import aiohttp
from sqlalchemy.exc import OperationalError

from gateway.dispatch.connection import Connection
from gateway.dispatch.connections import Connections
from gateway.dispatch.transport import HttpTransport
from gateway.errors import VendorUnavailable
from gateway.media.fetch import Fetcher
from gateway.media.pool import DecodePool
from gateway.store.commit import GroupCommit
from gateway.store.reader import Statements
from tests.contract.replay import listening
from tests.gateway import image, judges, serving
from tests.simulating import photo

FULL = OperationalError("INSERT", {}, Exception("database or disk is full"))
POINTS = {
    (HttpTransport, "__call__"): OSError("the network is down"),
    (Connections, "take"): VendorUnavailable("refused: no connection"),
    (Connection, "exchange"): VendorUnavailable("reset: it closed the connection without an answer"),
    (DecodePool, "_once"): BrokenProcessPool("a decoder died"),
    (Fetcher, "_read"): aiohttp.ClientPayloadError("the picture broke off"),
    (GroupCommit, "put_together"): FULL,
    (Statements, "execute"): FULL,
    (Statements, "change"): FULL,
}
THREAT = "I will kill them all"
LEAST_POINTS = 20  # calls in one life, or the sweep has lost its grip


class Sweep:
    """Counts the calls, and fails the `target`-th."""

    def __init__(self, monkeypatch):
        self.count = 0
        self.target = None
        self.failed = None
        for (kind, name), error in POINTS.items():
            monkeypatch.setattr(kind, name, self._counted(getattr(kind, name), f"{kind.__name__}.{name}", error))

    def _counted(self, real, name, error):
        @wraps(real)
        async def call(*args, **kwargs):
            self.count += 1
            if self.count == self.target:
                self.failed = name
                raise error
            return await real(*args, **kwargs)

        return call

    @asynccontextmanager
    async def failing(self, target):
        self.count, self.target, self.failed = 0, target, None
        yield
        self.target = None


async def life(client, picture, number):
    """A submission with all that can be sent, the same again, the same in another dialect, and its evidence."""
    body = {"text": f"{THREAT} {number}", "images": [{"data": image()}, {"url": picture}]}
    key = {"Idempotency-Key": f"life-{number}"}
    told = [await said(client.post("/v1/moderate", json=body, headers=key)) for _ in range(2)]
    told.append(await said(client.post("/v1/moderations", json={"input": f"{THREAT} too {number}"})))
    ids = [answer["id"] for status, answer in told if status == 200 and answer.get("action")]
    if ids:
        told.append(await said(client.get(f"/v1/decisions/{ids[0]}")))
    return told, ids, lambda: said(client.post("/v1/moderate", json=body, headers=key))


async def said(request):
    async with request as response:
        return response.status, await response.json()


def check(told, where):
    for status, answer in told:
        if status == 200:
            action = answer.get("action") or answer.get("modgate", {}).get("action")
            assert action in ("review", "block"), (where, answer)
        else:
            assert status in (409, 422, 503), (where, status, answer)
            assert answer.get("code") or answer["error"]["code"], (where, answer)
            assert "Traceback" not in str(answer), where


async def test_whatever_call_fails_once_nothing_is_lost_and_nothing_let_through(tmp_path, monkeypatch):
    picture = photo("teal", size=(64, 64))

    async def pictures(heard, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(picture), picture))

    async with AsyncExitStack() as stack:
        vendor = await stack.enter_async_context(listening(judges))
        media = await stack.enter_async_context(listening(pictures))
        port = media.url.rpartition(":")[2]
        config = f"""
fetch: {{allow_networks: [127.0.0.1/32], allow_ports: [{port}]}}
cache: {{enabled: false}}
providers: {{vendor: {{adapter: openai, base_url: "{vendor.url}/v1", api_key: k, circuit: {{enabled: false}}}}}}
routes: {{default: {{text: {{ask: [vendor]}}, image: {{ask: [vendor]}}}}}}
"""
        url = await stack.enter_async_context(serving(config, tmp_path))
        client = await stack.enter_async_context(aiohttp.ClientSession(url))
        sweep = Sweep(monkeypatch)
        points = []
        while True:
            target = len(points) + 1
            async with sweep.failing(target):
                told, ids, again = await life(client, f"{media.url}/p.png", target)
            where = f"call {target}: {sweep.failed}"
            check(told, where)
            status, answer = await again()
            assert status == 200, (where, answer)
            check([(status, answer)], where)
            if told[0][0] == 200:
                assert answer["id"] == told[0][1]["id"], where
            for id in ids:
                assert (await said(client.get(f"/v1/decisions/{id}")))[0] == 200, where
            if sweep.failed is None:
                break
            points.append(sweep.failed)
        assert len(points) >= LEAST_POINTS
        assert set(points) == {f"{kind.__name__}.{name}" for kind, name in POINTS}
