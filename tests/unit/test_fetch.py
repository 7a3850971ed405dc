"""The guarded fetch against real servers on loopback that redirect, drip, hang, lie, flood and reset."""

import asyncio
import gzip
import socket
import ssl
import struct
import sys
import time
import zlib
from contextlib import asynccontextmanager
from ipaddress import ip_address

import pytest
import trustme
from aiohttp import ClientConnectorError, ClientTimeout
from aiohttp.abc import AbstractResolver
from hypothesis import example, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from gateway.errors import NotAnImage, RequestError, Unreadable
from gateway.media.addresses import Rules
from gateway.media.fetch import Fetcher, Lookup, guarded_session


def png() -> bytes:
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(bytes(4))), chunk(b"IEND", b"")]
    )


PNG = png()
PRIVATE = "10.0.0.1"
LOOPBACK = "127.0.0.1"


def answer(body=b"", status="200 OK", length=True, **headers):
    """A whole HTTP response as bytes."""
    if length:
        headers["Content-Length"] = len(body)
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([f"HTTP/1.1 {status}", "Connection: close", *lines, "", ""]).encode() + body


class Server:
    """Answers each path with bytes, or with a coroutine that is handed the writer; `heard` are the request heads."""

    def __init__(self, routes):
        self.routes = routes
        self.heard = []

    async def __call__(self, reader, writer):
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.heard.append(head)
            said = self.routes[head.split(" ")[1].partition("?")[0]]
            if callable(said):
                await said(writer)
            else:
                writer.write(said)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


class Names(AbstractResolver):
    """A resolver from a table; a name's answers are given one after the other, the last one again and again."""

    def __init__(self, **names):
        self.names = {name.replace("_", "."): list(answers) for name, answers in names.items()}
        self.asked = []
        self.closed = False

    async def resolve(self, host, port=0, family=socket.AF_UNSPEC):
        self.asked.append(host)
        answers = self.names.get(host)
        if answers is None:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        now = answers.pop(0) if len(answers) > 1 else answers[0]
        if now == "slow":
            await asyncio.sleep(60)
        return [
            {
                "hostname": host,
                "host": address,
                "port": port,
                "family": socket.AF_INET6 if ":" in address else socket.AF_INET,
                "proto": socket.IPPROTO_TCP,
                "flags": socket.AI_NUMERICHOST,
            }
            for address in now.split()
        ]

    async def close(self):
        self.closed = True


@asynccontextmanager
async def serving(routes, tls=None, **options):
    """A server and a fetcher that may reach it, and nothing else on this machine."""
    heard = Server(routes)
    server = await asyncio.start_server(heard, LOOPBACK, 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    options = {"max_bytes": 100_000, "deadline": 2.0, "stall": 1.0, **options}
    rules = Rules.of(networks=[f"{LOOPBACK}/32"], ports=[port])
    fetcher = Fetcher(rules, **options)
    await fetcher.open()
    heard.port, heard.url = port, f"http://{LOOPBACK}:{port}"
    try:
        yield heard, fetcher
    finally:
        await fetcher.close()
        server.close()


async def refusal(fetcher, url) -> str:
    with pytest.raises(RequestError) as caught:
        await fetcher.fetch(url)
    return caught.value.code


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
        await asyncio.sleep(30)

    async with serving({"/x": endless}) as (server, fetcher):
        began = time.monotonic()
        assert await refusal(fetcher, f"{server.url}/x") == "not_an_image"
        assert time.monotonic() - began < 0.9


async def test_redirects_are_followed_three_times():
    routes = {f"/{n}": answer(status="302 Found", Location=f"/{n + 1}?n={n}") for n in range(4)} | {"/4": answer(PNG)}
    async with serving(routes) as (server, fetcher):
        assert (await fetcher.fetch(f"{server.url}/1")).data == PNG
        assert len(server.heard) == 4
        assert await refusal(fetcher, f"{server.url}/0") == "fetch_blocked"


@pytest.mark.parametrize(
    "location",
    [
        *("/x", "http://127.0.0.1:1/", "http://127.0.0.2/", "http://[::1]/", "http://10.0.0.1/", "http://2130706433/"),
        *("", "file:///etc/hosts", "http:127.0.0.1", "//localhost/", "\\\\127.0.0.1\\x", "http://u@cdn.example.com/"),
    ],
)
async def test_redirects_lead_nowhere_else(location):
    async with serving({"/x": answer(status="307 Moved", Location=location)}) as (server, fetcher):
        assert await refusal(fetcher, f"{server.url}/x") == "fetch_blocked"
        assert len(server.heard) == 1


async def test_the_session_itself_opens_no_socket_to_an_address_that_is_not_allowed():
    """Without this layer aiohttp would connect to numeric hosts: it asks no resolver about them."""
    async with serving({"/x": answer(PNG)}) as (server, _):
        names = Names(cdn_example_com=[LOOPBACK])
        async with guarded_session(Rules(), resolver=names, timeout=ClientTimeout(total=2)) as session:
            for host in (LOOPBACK, "[::ffff:127.0.0.1]", "cdn.example.com"):
                with pytest.raises(ClientConnectorError):
                    await session.get(f"http://{host}:{server.port}/x", allow_redirects=False)
        assert not server.heard


async def test_a_name_that_turns_is_looked_up_once_and_its_first_answer_used():
    names = Names(flip_example_com=[LOOPBACK, PRIVATE])
    async with serving({"/x": answer(PNG)}, resolver=names) as (server, fetcher):
        assert (await fetcher.fetch(f"http://flip.example.com:{server.port}/x")).data == PNG
        assert names.asked == ["flip.example.com"]
        assert await refusal(fetcher, f"http://flip.example.com:{server.port}/x") == "fetch_blocked"
        assert len(server.heard) == 1


async def test_one_bad_address_poisons_the_answer():
    names = Names(both_example_com=[f"{LOOPBACK} {PRIVATE}"], scope_example_com=["fe80::1%2"], none_example_com=[""])
    async with serving({"/x": answer(PNG)}, resolver=names) as (server, fetcher):
        for host in ("both", "scope", "none"):
            assert await refusal(fetcher, f"http://{host}.example.com:{server.port}/x") == "fetch_blocked"
        assert not server.heard


async def test_a_redirect_to_a_name_is_vetted_too():
    names = Names(inside_example_com=[PRIVATE])
    routes = {"/x": answer(status="302 Found", Location="http://inside.example.com/")}
    async with serving(routes, resolver=names) as (server, fetcher):
        assert await refusal(fetcher, f"{server.url}/x") == "fetch_blocked"


async def test_every_blocked_reason_looks_the_same_and_only_the_log_tells():
    names = Names(inside_example_com=[PRIVATE])
    urls = [
        "http://inside.example.com/a?secret=1",  # private
        "http://nobody.example.com/a?secret=1",  # does not exist
        "http://10.0.0.1/a?secret=1",
        "http://someone:secret@cdn.example.com/",
        "http://localhost/a?secret=1",
        "secret:x",
    ]
    async with serving({}, resolver=names) as (_, fetcher):
        with capture_logs() as lines:
            said = []
            for url in urls:
                with pytest.raises(Unreadable) as caught:
                    await fetcher.fetch(url)
                said.append((caught.value.code, caught.value.detail, caught.value.hint))
    assert set(said) == {
        (
            "fetch_blocked",
            "Images are not fetched from this address.",
            "Give a public http or https address, or send the bytes.",
        )
    }
    assert lines[0]["address"] == PRIVATE
    assert "secret" not in str(lines)
    assert len(lines) == len(urls)


async def test_closing_closes_the_resolver_too():
    names = Names()
    async with serving({}, resolver=names):
        pass
    assert names.closed


async def test_names_that_never_resolve_end_at_the_deadline():
    async with serving({}, resolver=Names(slow_example_com=["slow"]), deadline=0.3) as (_, fetcher):
        assert await refusal(fetcher, "http://slow.example.com/x") == "fetch_timeout"


async def test_our_own_socket_is_refused_although_listed():
    async with serving({"/x": answer(PNG)}) as (server, _):
        rules = Rules.of(networks=["127.0.0.0/8"], ports=[server.port], own=[("0.0.0.0", server.port)])
        itself = Fetcher(rules, max_bytes=1000, resolver=Names(me_example_com=[LOOPBACK]))
        await itself.open()
        for host in (LOOPBACK, "me.example.com", "[::ffff:127.0.0.1]"):
            assert await refusal(itself, f"http://{host}:{server.port}/x") == "fetch_blocked"
        await itself.close()
        assert not server.heard


async def test_a_drip_ends_at_the_deadline():
    async def drip(writer):
        writer.write(answer(length=False) + PNG[:33])
        for _ in range(200):
            writer.write(b"\0" * 10)
            await writer.drain()
            await asyncio.sleep(0.05)

    async with serving({"/x": drip}, deadline=0.6) as (server, fetcher):
        began = time.monotonic()
        assert await refusal(fetcher, f"{server.url}/x") == "fetch_timeout"
        assert time.monotonic() - began < 1.5


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200", answer(length=False), answer(length=False) + PNG[:40]])
async def test_a_server_that_falls_silent_is_left(said):
    async def hang(writer):
        writer.write(said)
        await asyncio.sleep(30)

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


async def test_the_usual_resolver_asks_the_system():
    lookup = Lookup(threads=1)
    assert {found["host"] for found in await lookup.resolve("localhost", 80)} <= {"127.0.0.1", "::1"}
    with pytest.raises(OSError):
        await lookup.resolve("nothing.invalid", 80)
    await lookup.close()


class Watch:
    """Sees every connect of this process and says no to it."""

    def __init__(self):
        self.on = False
        self.seen = []
        sys.addaudithook(self)

    def __call__(self, event, args):
        if self.on and event == "socket.connect" and isinstance(args[1], tuple):
            self.seen.append(args[1])
            raise ConnectionRefusedError("nothing is connected to here")

    @staticmethod
    def aimed_inside(at) -> bool:
        """Judged by packed bytes, without any table of the code under test."""
        host, port = at[0], at[1]
        packed = ip_address(host).packed
        if len(packed) == 16:
            if packed[:12] != bytes(10) + b"\xff\xff":
                return packed[0] >> 5 != 1 or packed[:2] == b"\x20\x02" or packed[:4] == b"\x20\x01\x0d\xb8"
            packed = packed[12:]
        first, second = packed[0], packed[1]
        return (
            port not in (80, 443)
            or first in (0, 10, 127)
            or first >= 224
            or (first, second) in ((169, 254), (192, 168), (198, 18), (198, 19))
            or (first == 172 and 16 <= second < 32)
            or (first == 100 and 64 <= second < 128)
        )


watch = Watch()
hosts = st.one_of(
    st.ip_addresses().map(lambda address: f"[{address}]" if address.version == 6 else str(address)),
    st.ip_addresses(v=4).map(lambda address: f"[::ffff:{address}]"),
    st.integers(0, 2**32).map(str),
    st.text(max_size=12),
    st.sampled_from(["any.example.com", "127.0.0.1", "localhost", "[::1]", "10.0.0.1", "169.254.169.254", "0x7f.1"]),
)
urls = st.builds(
    "{}{}{}{}{}".format,
    st.sampled_from(["http://", "https://", "http:/", "//", "ftp://", "http://x@"]),
    hosts,
    st.sampled_from(["", ":80", ":443", ":22", ":8080", ":"]),
    st.sampled_from(["", "/", "/x", "#@", "?@", "\\@"]),
    st.one_of(st.just(""), hosts),
)


@given(urls, st.lists(st.ip_addresses().map(str), min_size=1, max_size=3))
@example("http://any.example.com/", ["8.8.8.8", "127.0.0.1"])
@example("http://any.example.com/", ["8.8.8.8"])
@settings(max_examples=150, deadline=None)
def test_no_url_ever_leads_to_a_connect_inside(url, addresses):
    async def attempt():
        anything = Names(any_example_com=[" ".join(addresses)])
        fetcher = Fetcher(Rules(), max_bytes=1000, deadline=1.0, resolver=anything)
        await fetcher.open()
        try:
            await refusal(fetcher, url)
        finally:
            await fetcher.close()

    watch.seen.clear()
    watch.on = True
    try:
        asyncio.run(attempt())
    finally:
        watch.on = False
    assert not [at for at in watch.seen if watch.aimed_inside(at)]
    if url == "http://any.example.com/" and addresses == ["8.8.8.8"]:
        assert watch.seen == [("8.8.8.8", 80)]  # the watch does see
