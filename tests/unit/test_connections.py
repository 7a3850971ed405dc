"""Connections to vendors: opened, used again, and given up, whatever befalls them."""

from __future__ import annotations

import asyncio
import random
import socket
from types import SimpleNamespace

import pytest

from gateway.dispatch import connections
from gateway.dispatch.connection import Connection
from gateway.errors import VendorUnavailable
from tests.rawvendor import PATIENCE, ask, client, echoing, failure, on_either_loop, plain, request_on, reset, serving
from tests.waiting import until

OK = b"HTTP/1.1 200 OK\r\n"


@on_either_loop
async def test_calls_one_after_the_other_share_a_connection_and_calls_side_by_side_do_not():
    async with serving(echoing) as vendor, client() as send:
        for n in range(20):
            assert (await ask(send, vendor.url, f"/{n}")).body == b"/%d" % n
        assert len(vendor.connections) == 1
        for _ in range(3):
            replies = await asyncio.gather(*(ask(send, vendor.url, f"/{n}") for n in range(10)))
            assert [reply.body for reply in replies] == [b"/%d" % n for n in range(10)]
        assert len(vendor.connections) == 10


@on_either_loop
async def test_nobody_gets_anothers_answer_however_many_give_up():
    async def serves(reader, writer):
        while True:
            path = await request_on(reader)
            await asyncio.sleep(dice.random() / 200)
            writer.write(plain(path))

    async def asks(n):
        async with turns:
            reply = await ask(send, vendor.url, f"/{n}")
        assert reply.body == b"/%d" % n

    dice = random.Random(1)
    turns = asyncio.Semaphore(10)
    async with serving(serves) as vendor, client() as send:
        tasks = [asyncio.create_task(asks(n)) for n in range(300)]
        for task in tasks[::3]:
            await asyncio.sleep(dice.random() / 200)
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        assert not [end for end in ends if isinstance(end, Exception)]
        assert len([end for end in ends if end is None]) >= 200


class Ahead:
    """The running loop, its clock set forward by `later` seconds."""

    def __init__(self):
        self._loop = asyncio.get_running_loop()
        self.later = 0.0

    def time(self):
        return self._loop.time() + self.later

    def __getattr__(self, name):
        return getattr(self._loop, name)


@on_either_loop
async def test_what_was_not_used_for_long_is_closed(monkeypatch):
    loop = Ahead()
    monkeypatch.setattr(connections, "asyncio", SimpleNamespace(get_running_loop=lambda: loop))

    def closed():
        return [connection.is_closing() for connection in vendor.connections].count(True)

    async with serving(echoing) as vendor, client() as send:
        await asyncio.gather(*(ask(send, vendor.url) for _ in range(3)))
        loop.later += 0.6 * connections.IDLE
        await ask(send, vendor.url)
        assert closed() == 0
        loop.later += 0.6 * connections.IDLE
        await ask(send, vendor.url)
        assert len(vendor.connections) == 3
        await until(lambda: closed() == 2)
        loop.later += 1.2 * connections.IDLE
        await ask(send, vendor.url)
        assert len(vendor.connections) == 4


@on_either_loop
async def test_closing_closes_every_connection():
    async with serving(echoing) as vendor:
        async with client() as send:
            await asyncio.gather(*(ask(send, vendor.url) for _ in range(3)))
        await until(lambda: all(connection.is_closing() for connection in vendor.connections))
        assert len(vendor.connections) == 3


@pytest.mark.parametrize("noticed", [True, False])
@on_either_loop
async def test_a_connection_that_the_vendor_closed_is_not_used_again(noticed):
    async with serving(echoing) as vendor, client() as send:
        await ask(send, vendor.url)
        with socket.socket(fileno=vendor.connections[0].get_extra_info("socket").dup().detach()) as theirs:
            theirs.shutdown(socket.SHUT_RDWR)
        if noticed:
            await until(vendor.connections[0].is_closing)
        assert (await ask(send, vendor.url, "/2")).body == b"/2"
        assert len(vendor.connections) == 2


@on_either_loop
async def test_a_connection_that_the_vendor_closes_on_the_next_request_is_a_failure():
    async def serves(reader, writer):
        writer.write(plain(await request_on(reader)))
        await reader.read(1)

    async with serving(serves) as vendor, client() as send:
        await ask(send, vendor.url)
        failed = await failure(send, vendor.url)
        assert isinstance(failed, VendorUnavailable)
        assert failed.again
        assert failed.detail == "reset: it closed the connection without an answer"
        assert (await ask(send, vendor.url, "/3")).body == b"/3"


@on_either_loop
async def test_a_connection_lost_before_anything_was_asked_is_a_failure():
    async def hangs_up(reader, writer):
        await asyncio.sleep(0.02)  # what it would read first is never sent

    alive: set[Connection] = set()
    loop = asyncio.get_running_loop()
    async with serving(hangs_up) as vendor:
        _, connection = await loop.create_connection(lambda: Connection(alive), "127.0.0.1", vendor.port)
        assert alive == {connection}
        await until(lambda: not alive)
        with pytest.raises(VendorUnavailable, match="without an answer"):
            await asyncio.wait_for(connection.exchange(b"GET / HTTP/1.1\r\n\r\n"), PATIENCE)


@pytest.mark.parametrize("closes", [True, False])
@on_either_loop
async def test_an_answer_before_the_request_was_read_is_the_answer(closes):
    """The rest of the upload is not sent, and the connection not used again."""

    async def serves(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(plain(b"too large", b"413 Content Too Large"))
        await writer.drain()
        if not closes:
            await asyncio.sleep(60)

    async with serving(serves) as vendor, client() as send:
        for _ in range(2):
            reply = await ask(send, vendor.url, data=b"x" * 5_000_000)
            assert (reply.status, reply.body) == (413, b"too large")
        assert len(vendor.connections) == 2


@pytest.mark.parametrize("stage", ["accepted", "in the request", "asked", "in the head", "in the body"])
@pytest.mark.parametrize("how", ["end", "reset"])
@on_either_loop
async def test_a_connection_lost_at_any_stage_is_a_failure_and_the_next_call_works(stage, how):
    async def serves(reader, writer):
        if len(vendor.connections) > 1:
            await echoing(reader, writer)
        elif stage == "in the request":
            await reader.readuntil(b"\r\n\r\n")
        elif stage != "accepted":
            await request_on(reader)
        writer.write({"in the head": OK, "in the body": OK + b"Content-Length: 9\r\n\r\n[1"}.get(stage, b""))
        await asyncio.sleep(0.02)
        if how == "reset":
            reset(writer)

    async with serving(serves) as vendor, client() as send:
        failed = await failure(send, vendor.url, data=b"x" * 5_000_000)
        assert isinstance(failed, VendorUnavailable)
        assert failed.again
        assert failed.detail.partition(":")[0] == ("truncated" if stage == "in the body" else "reset")
        assert (await ask(send, vendor.url, "/2")).body == b"/2"


@pytest.mark.parametrize("said", [b"", OK, OK + b"Content-Length: 9\r\n\r\n[1", OK + b"\r\n[1"])
@on_either_loop
async def test_who_stops_waiting_closes_the_connection_and_nobody_else_suffers(said):
    heard = asyncio.Event()

    async def serves(reader, writer):
        while (path := await request_on(reader)) != b"/slow":
            writer.write(plain(path))
        writer.write(said)
        heard.set()
        await reader.read()
        writer.write(plain(b"late"))

    async with serving(serves) as vendor, client() as send:
        await ask(send, vendor.url, "/1")
        slow = asyncio.create_task(ask(send, vendor.url, "/slow"))
        beside = [asyncio.create_task(ask(send, vendor.url, f"/{n}")) for n in (2, 3)]
        await heard.wait()
        slow.cancel()
        with pytest.raises(asyncio.CancelledError):
            await slow
        assert [(await task).body for task in beside] == [b"/2", b"/3"]
        await until(vendor.connections[0].is_closing)
        assert (await ask(send, vendor.url, "/4")).body == b"/4"
