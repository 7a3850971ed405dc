"""The guarded fetch against real servers on loopback that drip, hang, lie, flood and reset."""

import asyncio
import gzip
import socket
import ssl
import struct

import pytest
import trustme

from gateway.errors import NotAnImage
from gateway.media.addresses import Rules
from gateway.media.fetch import Fetcher
from tests.fetching import LOOPBACK, PNG, Names, answer, refusal, serving


async def test_a_picture_arrives_whatever_it_is_called():
    async with serving({"/x": answer(PNG, Content_Type="text/html", Set_Cookie="a=b")}) as (server, fetcher):
        for _ in range(2):
            fetched = await fetcher.fetch(f"{server.url}/x?token=1#part")
        assert (fetched.data, fetched.media_type) == (PNG, "image/png")
    head = server.heard[1].lower()
    assert "get /x?token=1 http/1.1" in head
    assert "accept-encoding: identity" in head
    assert not any(name in head for name in ("cookie:", "authorization:", "referer:"))


@pytest.mark.parametrize(
    "body", [b"", b"\xff", b"<html><body>hello</body></html>" * 9, b"<svg onload='alert(1)'/>", b"BM" * 50]
)
async def test_what_is_no_picture_is_refused_whatever_it_is_called(body):
    async with serving({"/x": answer(body, Content_Type="image/jpeg")}) as (server, fetcher):
        with pytest.raises(NotAnImage):
            await fetcher.fetch(f"{server.url}/x")


async def test_html_is_refused_before_the_rest_of_it_is_read():
    async def endless(writer):
        writer.write(answer(length=False, Content_Type="image/png") + b"<html>" * 20)
        await asyncio.sleep(60)

    async with serving({"/x": endless}) as (server, fetcher):
        assert await refusal(fetcher, f"{server.url}/x") == "not_an_image"  # and no fetch_timeout


async def test_names_that_never_resolve_end_at_the_deadline():
    async with serving({}, resolver=Names(slow_example_com=["slow"]), deadline=0.3) as (_, fetcher):
        assert await refusal(fetcher, "http://slow.example.com/x") == "fetch_timeout"


async def test_a_drip_ends_at_the_deadline():
    async def drip(writer):
        writer.write(answer(length=False) + PNG[:33])
        while True:
            writer.write(b"\0" * 10)
            await writer.drain()
            await asyncio.sleep(0.05)

    async with serving({"/x": drip}, deadline=0.6) as (server, fetcher):
        assert await refusal(fetcher, f"{server.url}/x") == "fetch_timeout"


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200", answer(length=False), answer(length=False) + PNG[:40]])
async def test_a_server_that_falls_silent_is_left(said):
    async def hang(writer):
        writer.write(said)
        await asyncio.sleep(60)

    async with serving({"/x": hang}, stall=0.3) as (server, fetcher):
        assert await refusal(fetcher, f"{server.url}/x") == "fetch_timeout"


async def test_a_gigabyte_is_refused_by_its_header_or_cut_in_the_stream():
    sent = 0

    async def flood(writer):
        nonlocal sent
        writer.write(answer(length=False) + PNG)
        while sent < 1 << 30:
            writer.write(bytes(65_536))
            await writer.drain()
            sent += 65_536

    declared = answer(length=False, Content_Length=1 << 30) + PNG
    async with serving({"/flood": flood, "/declared": declared}) as (server, fetcher):
        assert await refusal(fetcher, f"{server.url}/declared") == "fetch_too_large"
        assert await refusal(fetcher, f"{server.url}/flood") == "fetch_too_large"
        assert sent < 50_000_000


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "br", "identity, gzip"])
async def test_a_content_encoding_is_refused_unopened(encoding):
    bomb = gzip.compress(PNG + bytes(10_000_000))
    async with serving({"/x": answer(bomb, Content_Encoding=encoding)}) as (server, fetcher):
        assert await refusal(fetcher, f"{server.url}/x") == "fetch_failed"


async def test_part_of_a_picture_is_none():
    async def reset(writer):
        writer.write(answer(length=False, Content_Length=5_000) + PNG)
        await writer.drain()
        hard = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, hard)

    short = answer(length=False, Content_Length=5_000) + PNG
    chunked = answer(length=False, Transfer_Encoding="chunked") + b"20\r\n" + PNG[:32] + b"\r\n"
    async with serving({"/reset": reset, "/short": short, "/chunked": chunked}) as (server, fetcher):
        for path in ("reset", "short", "chunked"):
            assert await refusal(fetcher, f"{server.url}/{path}") == "fetch_failed"


async def test_odd_answers_fail():
    routes = {
        "/headers": answer(PNG, X_Large="a" * 20_000),
        "/many": answer(PNG, **{f"X_{n}": "a" for n in range(500)}),
        "/404": answer(PNG, status="404 Not Found"),
        "/206": answer(PNG, status="206 Partial Content"),
        "/garbage": b"\x00\x01\x02\r\n\r\n",
        "/closed": b"",
    }
    async with serving(routes) as (server, fetcher):
        for path in routes:
            assert await refusal(fetcher, server.url + path) == "fetch_failed", path


async def test_nobody_there_fails_like_any_other_failure():
    async with serving({}) as (server, fetcher):
        pass
    fetcher = Fetcher(Rules.of(networks=[f"{LOOPBACK}/32"], ports=[server.port]), max_bytes=1000)
    await fetcher.open()
    assert await refusal(fetcher, f"{server.url}/x") == "fetch_failed"
    await fetcher.close()


async def test_certificates_are_checked_and_tls_is_not_left():
    authority = trustme.CA()
    theirs = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("cdn.example.com").configure_cert(theirs)
    ours = ssl.create_default_context()
    authority.configure_trust(ours)
    names = {"cdn_example_com": [LOOPBACK], "other_example_com": [LOOPBACK]}
    down = answer(status="302 Found", Location="http://cdn.example.com/x")
    routes = {"/x": answer(PNG), "/down": down}
    async with serving(routes, tls=theirs, resolver=Names(**names)) as (server, fetcher):
        assert await refusal(fetcher, f"https://cdn.example.com:{server.port}/x") == "fetch_failed"
        rules = Rules.of(networks=[f"{LOOPBACK}/32"], ports=[server.port])
        trusting = Fetcher(rules, max_bytes=1000, resolver=Names(**names), tls=ours)
        await trusting.open()
        assert (await trusting.fetch(f"https://cdn.example.com:{server.port}/x")).data == PNG
        assert await refusal(trusting, f"https://other.example.com:{server.port}/x") == "fetch_failed"
        assert await refusal(trusting, f"https://cdn.example.com:{server.port}/down") == "fetch_blocked"
        await trusting.close()
