"""What a vendor says on one connection, right or wrong: the full answer or a failure with a name, never a part."""

from __future__ import annotations

import asyncio
import os
from itertools import pairwise

import aiohttp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.dispatch.connection import ANSWER_CAP
from gateway.errors import VendorDrift, VendorUnavailable
from tests.rawvendor import (
    LOOPS,
    ask,
    client,
    echoing,
    failure,
    on_either_loop,
    plain,
    request_on,
    reset,
    saying,
    serving,
)
from tests.waiting import until

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
CHUNKS = b'4\r\n{"a"\r\n3;x=1;y="2"\r\n:1}\r\n'

# Answers whose end shows by themselves: status, body, whether the connection can be used again
WHOLE = {
    "length": (plain(b'{"a":1}'), 200, b'{"a":1}', True),
    "empty": (plain(b""), 200, b"", True),
    "spaces around values": (OK + b"Content-Length: \t 2 \t\r\nX-Y:z \r\n\r\n{}", 200, b"{}", True),
    "no reason": (plain(b"{}", b"200"), 200, b"{}", True),
    "latin-1 header": (plain(b"{}", b"200 OK", b"X-Name: caf\xe9"), 200, b"{}", True),
    "repeated header": (plain(b"{}", b"200 OK", b"X-A: 1", b"x-a: 2"), 200, b"{}", True),
    "keep-alive": (plain(b"{}", b"200 OK", b"Connection: Keep-Alive", b"Keep-Alive: timeout=5"), 200, b"{}", True),
    "offers h2": (plain(b"{}", b"200 OK", b"Connection: Upgrade", b"Upgrade: h2,h2c"), 200, b"{}", True),
    "close": (plain(b"{}", b"200 OK", b"Connection: close"), 200, b"{}", False),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}", 200, b"{}", False),
    "HTTP/1.0 kept": (
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\n{}", 200, b"{}", True
    ),
    "chunked": (CHUNKED + CHUNKS + b"0\r\n\r\n", 200, b'{"a":1}', True),
    "trailers": (CHUNKED + CHUNKS + b"0\r\nX-Sum: 1\r\nX-More: 2\r\n\r\n", 200, b'{"a":1}', True),
    "chunked and close": (
        OK + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", 200, b"{}", False
    ),
    "204": (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", True),
    "304 with a length": (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", 304, b"", True),
    "302": (plain(b"", b"302 Found", b"Location: /elsewhere"), 302, b"", True),
    "429": (plain(b"slow", b"429 Too Many Requests", b"Retry-After: 5 "), 429, b"slow", True),
    "100 before": (b"HTTP/1.1 100 Continue\r\n\r\n" + plain(b"{}"), 200, b"{}", True),
    "103 before": (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 3 + plain(b"{}"), 200, b"{}", True),
    "largest": (plain(b"x" * ANSWER_CAP), 200, b"x" * ANSWER_CAP, True),
}  # fmt: skip
SHORT = {name: row for name, row in WHOLE.items() if len(row[0]) < 1000}

# To be refused while the vendor holds the connection open: no use in waiting
BROKEN = {
    "not HTTP": b"220 smtp.example ESMTP\r\n",
    "TLS alert": b"\x15\x03\x01\x00\x02\x02\x46",
    "HTTP/2": b"HTTP/2 200\r\n\r\n",
    "bare line feeds": b"HTTP/1.1 200 OK\nContent-Length: 2\n\n{}",
    "no such status": b"HTTP/1.1 20x OK\r\n\r\n",
    "two lengths": OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}}",
    "the same length twice": OK + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    "a list of lengths": OK + b"Content-Length: 2, 2\r\n\r\n{}",
    "length and chunks": OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "chunks and length": OK + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "negative": OK + b"Content-Length: -2\r\n\r\n{}",
    "signed": OK + b"Content-Length: +2\r\n\r\n{}",
    "hexadecimal": OK + b"Content-Length: 0x2\r\n\r\n{}",
    "no length": OK + b"Content-Length:\r\n\r\n{}",
    "overflowing": OK + b"Content-Length: 18446744073709551618\r\n\r\n{}",
    "overflowing chunk": CHUNKED + b"10000000000000002\r\n{}",
    "negative chunk": CHUNKED + b"-2\r\n{}\r\n0\r\n\r\n",
    "chunk without its end": CHUNKED + b"2\r\n{}0\r\n\r\n",
    "folded header": OK + b"X-A: 1\r\n 2\r\nContent-Length: 2\r\n\r\n{}",
    "space before the colon": OK + b"Content-Length : 2\r\n\r\n{}",
    "NUL in a header": OK + b"X-A: \0\r\nContent-Length: 2\r\n\r\n{}",
    "another protocol": b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
}

SMUGGLED = plain(b"smuggled", b"403 Forbidden", b"X-Smuggled: 1")


@pytest.mark.parametrize("name", WHOLE)
@on_either_loop
async def test_a_whole_answer_is_read_and_the_connection_used_again_where_it_may(name):
    answer, status, body, reusable = WHOLE[name]

    async def serves(reader, writer):
        while True:
            await request_on(reader)
            writer.write(answer)

    async with serving(serves) as vendor, client() as send:
        for _ in range(3):
            reply = await ask(send, vendor.url)
            assert (reply.status, reply.body) == (status, body)
        assert len(vendor.connections) == (1 if reusable else 3)


def latin_1(value):
    """aiohttp reads headers as UTF-8, with the other bytes as surrogates."""
    return value.encode("utf-8", "surrogateescape").decode("latin-1")


@pytest.mark.parametrize("name", WHOLE)
@on_either_loop
async def test_it_reads_what_aiohttp_reads(name):
    answer = WHOLE[name][0]
    async with serving(saying(answer)) as vendor, client() as send, aiohttp.ClientSession() as session:
        ours = await ask(send, vendor.url)
        async with session.post(vendor.url, data=b"{}", allow_redirects=False) as theirs:
            assert (ours.status, ours.body) == (theirs.status, await theirs.read())
            read = {key.lower(): theirs.headers.getall(key)[-1] for key in theirs.headers}
            assert dict(ours.headers) == {key: latin_1(value) for key, value in read.items()}


@on_either_loop
async def test_headers_are_found_in_any_case_and_trailers_are_none():
    answer = CHUNKED + b"2\r\n{}\r\n0\r\nRetry-After: 9\r\nContent-Encoding: gzip\r\n\r\n"
    async with serving(saying(answer)) as vendor, client() as send:
        reply = await ask(send, vendor.url)
        assert reply.headers["TRANSFER-encoding"] == "chunked"
        assert list(reply.headers) == ["transfer-encoding"]


@pytest.mark.parametrize("name", BROKEN)
@on_either_loop
async def test_what_is_not_sound_http_is_refused_at_once(name):
    async def serves(reader, writer):
        path = await request_on(reader)
        writer.write(plain(b"fine") if path == b"/fine" else BROKEN[name])
        await reader.read()

    async with serving(serves) as vendor, client() as send:
        failed = await failure(send, vendor.url)
        assert failed.detail == "protocol: the answer is not HTTP"
        assert isinstance(failed, VendorUnavailable)
        assert (await ask(send, vendor.url, "/fine")).body == b"fine"


@pytest.mark.parametrize("name", SHORT)
@on_either_loop
async def test_an_answer_broken_off_anywhere_is_never_a_shorter_answer(name):
    answer, status, body, _ = SHORT[name]

    async def serves(reader, writer):
        offset, how = (await request_on(reader)).decode().strip("/").split("/")
        writer.write(answer[: int(offset)])
        await writer.drain()
        if how == "reset":
            reset(writer)

    async with serving(serves) as vendor, client() as send:
        for offset in range(len(answer)):
            for how in ("end", "reset"):
                failed = await failure(send, vendor.url, f"/{offset}/{how}")
                assert failed.detail.partition(":")[0] in ("truncated", "reset"), offset
                assert isinstance(failed, VendorUnavailable)
        reply = await ask(send, vendor.url, f"/{len(answer)}/end")
        assert (reply.status, reply.body) == (status, body)


@pytest.mark.parametrize("loop", LOOPS)
@given(name=st.sampled_from(sorted(SHORT)), cuts=st.sets(st.integers(1, 200), max_size=12))
@settings(max_examples=60, deadline=None)
def test_where_the_network_cuts_an_answer_does_not_matter(loop, name, cuts):
    answer, status, body, _ = SHORT[name]
    places = sorted({0, *(cut for cut in cuts if cut < len(answer)), len(answer)})

    async def serves(reader, writer):
        await request_on(reader)
        for start, end in pairwise(places):
            writer.write(answer[start:end])
            for _ in range(4):  # turns of the loop in which the client reads this piece alone
                await asyncio.sleep(0)

    async def asked():
        async with serving(serves) as vendor, client() as send:
            return await ask(send, vendor.url)

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        reply = runner.run(asked())
    assert (reply.status, reply.body) == (status, body)


@pytest.mark.parametrize("head", [OK + b"\r\n", b"HTTP/1.0 200 OK\r\n\r\n", OK + b"Connection: close\r\n\r\n"])
@on_either_loop
async def test_without_a_length_the_end_of_the_connection_ends_the_body(head):
    async with serving(saying(head + b"[1,2]")) as vendor, client() as send:
        assert (await ask(send, vendor.url)).body == b"[1,2]"


@on_either_loop
async def test_without_a_length_a_reset_does_not_end_the_body():
    async def serves(reader, writer):
        await request_on(reader)
        writer.write(OK + b"\r\n[1,2]")
        await asyncio.sleep(0.02)
        reset(writer)

    async with serving(serves) as vendor, client() as send:
        assert (await failure(send, vendor.url)).detail == "truncated: the answer broke off"


@on_either_loop
async def test_without_a_length_our_own_closing_does_not_end_the_body():
    async def serves(reader, writer):
        await request_on(reader)
        writer.write(OK + b"\r\n[1,2]")
        await writer.drain()
        said.set()
        await reader.read()

    said = asyncio.Event()

    async with serving(serves) as vendor, client() as send:
        asked = asyncio.create_task(failure(send, vendor.url))
        await said.wait()
        await asyncio.sleep(0.05)  # the loop reads it in its next turn
        await send.close()
        assert (await asked).detail == "truncated: the answer broke off"


@pytest.mark.parametrize("second", [SMUGGLED, b"H", SMUGGLED[:40], SMUGGLED + SMUGGLED, b"\r\n\r\nxyz", b"}"])
@on_either_loop
async def test_what_follows_an_answer_is_nobodys_answer(second):
    """Neither its status nor its headers or body reach this call or a later one, and its connection is given up."""

    async def serves(reader, writer):
        writer.write(plain(await request_on(reader)) + second)
        await reader.read()

    async with serving(serves) as vendor, client() as send:
        for turn in range(3):
            reply = await ask(send, vendor.url, f"/{turn}")
            assert (reply.status, reply.body) == (200, f"/{turn}".encode())
            assert list(reply.headers) == ["content-length"]
        await until(lambda: all(connection.is_closing() for connection in vendor.connections))
        assert len(vendor.connections) == 3


@pytest.mark.parametrize(
    "second", [SMUGGLED, b"H", b"\r\n", b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n"]
)
@pytest.mark.parametrize("noticed", [True, False])
@on_either_loop
async def test_what_comes_while_nobody_asks_is_nobodys_answer(second, noticed):
    """Also where it lies unread when the next request is about to go out."""
    async with serving(echoing) as vendor, client() as send:
        await ask(send, vendor.url, "/1")
        os.write(vendor.connections[0].get_extra_info("socket").fileno(), second)
        if noticed:
            await asyncio.sleep(0.05)
        reply = await ask(send, vendor.url, "/2")
        assert (reply.status, reply.body) == (200, b"/2")
        assert len(vendor.connections) == 2


@on_either_loop
async def test_what_stands_before_the_answer_is_not_part_of_it():
    async def serves(reader, writer):
        status = (await request_on(reader)).strip(b"/")
        writer.write(plain(b"[9]", status + b" X", b"X-Early: 1") + plain(b"{}"))

    async with serving(serves) as vendor, client() as send:
        reply = await ask(send, vendor.url, "/199")  # llhttp reads a body after it
        assert (reply.status, reply.body, list(reply.headers)) == (200, b"{}", ["content-length"])
        assert (await failure(send, vendor.url, "/103")).detail == "protocol: the answer is not HTTP"
        assert (await ask(send, vendor.url, "/099")).status == 99  # no 200: no adapter reads it


@pytest.mark.parametrize(
    "start, piece",
    [
        (OK + b"X: ", b"x" * 4096),
        (OK, b"X: y\r\n" * 1000),
        (CHUNKED + b"2\r\n{}\r\n0\r\nX: ", b"x" * 4096),
        (CHUNKED + b"2\r\n{}\r\n0\r\n", b"X: y\r\n" * 1000),
        (CHUNKED + b"2;x=", b"x" * 4096),
    ],
    ids=["header", "headers", "trailer", "trailers", "extension"],
)
@on_either_loop
async def test_no_part_of_the_framing_is_endless(start, piece):
    async with serving(endless(start, piece)) as vendor, client() as send:
        assert (await failure(send, vendor.url)).detail.endswith("does not end")


def endless(start, piece):
    async def serves(reader, writer):
        await request_on(reader)
        writer.write(start)
        for _ in range(32 * ANSWER_CAP // len(piece)):
            writer.write(piece)
            await writer.drain()
        writer.write(b"\r\n\r\n")  # so much was read: the test fails

    return serves


@pytest.mark.parametrize(
    "head, piece",
    [
        (OK + b"Content-Length: %d\r\n\r\n" % (ANSWER_CAP + 1), b"x" * 4096),
        (OK + b"Content-Length: 9000000000000000000\r\n\r\n", b"x" * 4096),
        (OK + b"Content-Length: 18446744073709551615\r\n\r\n", b"x" * 4096),
        (OK + b"\r\n", b"x" * 4096),
        (CHUNKED, b"1000\r\n" + b"x" * 4096 + b"\r\n"),
        (CHUNKED, b"1\r\nx\r\n" * 4096),
        (CHUNKED + b"7fffffffffffffff\r\n", b"x" * 4096),
    ],
    ids=["declared", "huge", "hugest", "to the end", "chunks", "small chunks", "one chunk"],
)
@on_either_loop
async def test_a_body_over_the_cap_is_drift_and_no_more_of_it_is_read(head, piece):
    async with serving(endless(head, piece)) as vendor, client() as send:
        failed = await failure(send, vendor.url)
        assert isinstance(failed, VendorDrift)
        assert failed.http == 200
        await until(vendor.connections[0].is_closing)


@pytest.mark.parametrize(
    "encoding, plain_enough", [(b"gzip", False), (b"br", False), (b"Identity", True), (b"identity ", True)]
)
@on_either_loop
async def test_a_compressed_answer_is_drift(encoding, plain_enough):
    answer = plain(b"{}", b"200 OK", b"Content-Encoding: " + encoding)
    async with serving(saying(answer)) as vendor, client() as send:
        if plain_enough:
            assert (await ask(send, vendor.url)).body == b"{}"
        else:
            assert isinstance(await failure(send, vendor.url), VendorDrift)
