"""The way to a vendor: its name, its addresses, its certificate."""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
import trustme
import uvloop

from gateway.errors import VendorUnavailable
from tests.rawvendor import ask, client, echoing, failure, on_either_loop, plain, request_on, reset, serving

CA = trustme.CA()
PAST = datetime.now(UTC) - timedelta(days=1)
FALSE = {
    "wrong name": CA.issue_cert("vendor.example"),
    "unknown issuer": trustme.CA().issue_cert("127.0.0.1"),
    "expired": CA.issue_cert("127.0.0.1", not_before=PAST - timedelta(days=9), not_after=PAST),
}


def shown(cert: trustme.LeafCert) -> ssl.SSLContext:
    """What a server shows."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    cert.configure_cert(context)
    return context


def trusting(newest: ssl.TLSVersion = ssl.TLSVersion.MAXIMUM_SUPPORTED) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.maximum_version = newest
    CA.configure_trust(context)
    return context


def over_tls(url):
    return url.replace("http:", "https:")


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@on_either_loop
async def test_a_tls_connection_is_used_again(newest):
    async with serving(echoing, shown(CA.issue_cert("127.0.0.1"))) as vendor, client(trusting(newest)) as send:
        for n in range(10):
            assert (await ask(send, vendor.url, f"/{n}", b"x" * 200_000)).body == b"/%d" % n
        await asyncio.sleep(0.02)
        assert (await ask(send, vendor.url, "/late")).body == b"/late"
        assert len(vendor.connections) == 1


@pytest.mark.parametrize("name", FALSE)
@on_either_loop
async def test_a_false_certificate_is_refused_before_anything_is_said(name):
    heard = []

    async def serves(reader, writer):
        heard.append(await reader.read())

    async with serving(serves, shown(FALSE[name])) as vendor, client(trusting()) as send:
        failed = await failure(send, vendor.url)
        assert isinstance(failed, VendorUnavailable)
        assert (failed.detail, failed.again) == ("tls: its certificate is not valid", False)
        await asyncio.sleep(0.02)
        assert not any(heard)


@on_either_loop
async def test_a_server_that_speaks_no_tls():
    async def greets(reader, writer):
        writer.write(plain(b"{}", b"400 Bad Request"))
        await reader.read()

    async with serving(greets) as vendor, client(trusting()) as send:
        failed = await failure(send, over_tls(vendor.url))
        assert isinstance(failed, VendorUnavailable)
        assert (failed.detail, failed.again) == ("tls: no secure connection", False)


@pytest.mark.parametrize("how", ["end", "reset"])
@on_either_loop
async def test_a_connection_lost_in_the_handshake(how):
    async def hangs_up(reader, writer):
        await reader.read(1)
        if how == "reset":
            reset(writer)

    async with serving(hangs_up) as vendor, client(trusting()) as send:
        failed = await failure(send, over_tls(vendor.url))
        assert isinstance(failed, VendorUnavailable)
        assert (failed.detail, failed.again) == ("reset: the connection broke", True)


@on_either_loop
async def test_who_stops_waiting_in_the_handshake_leaves_no_connection():
    async def hangs(reader, writer):
        await reader.read(1)
        greeted.set()
        await reader.read()
        gone.set()

    greeted, gone = asyncio.Event(), asyncio.Event()
    async with serving(hangs) as vendor, client(trusting()) as send:
        asked = asyncio.create_task(ask(send, over_tls(vendor.url)))
        await greeted.wait()
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        await gone.wait()


@on_either_loop
async def test_with_tls_a_body_without_length_ends_with_the_vendors_own_notice():
    async def serves(reader, writer):
        path = await request_on(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n[1,2]")
        if path == b"/cut":
            await asyncio.sleep(0.02)
            writer.transport.abort()

    async with serving(serves, shown(CA.issue_cert("127.0.0.1"))) as vendor, client(trusting()) as send:
        assert (await ask(send, vendor.url)).body == b"[1,2]"
        if isinstance(asyncio.get_running_loop(), uvloop.Loop):  # asyncio's own loop does not tell the two ends apart
            assert (await failure(send, vendor.url, "/cut")).detail == "truncated: the answer broke off"


@contextmanager
def resolving_to(*addresses, port):
    """As if vendor.example had these addresses."""
    loop = asyncio.get_running_loop()
    real = loop.getaddrinfo

    async def getaddrinfo(host, *args, **kwargs):
        if host != "vendor.example":
            return await real(host, *args, **kwargs)
        return [(family(address), socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port)) for address in addresses]

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(loop, "getaddrinfo", getaddrinfo)
        yield


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


@contextmanager
def hanging(address, port):
    """An address where a connection is neither made nor refused: its queue is full."""
    listener, *waiting = sockets = [socket.socket(family(address)) for _ in range(4)]
    listener.bind((address, port))
    listener.listen(0)
    for each in waiting:
        each.setblocking(False)
        each.connect_ex((address, port))
    yield
    for each in sockets:
        each.close()


@pytest.mark.parametrize("first", ["::1", "127.0.0.2"])
@on_either_loop
async def test_where_the_first_address_hangs_the_next_is_tried_beside_it(first):
    async with serving(echoing) as vendor, client() as send:
        with hanging(first, vendor.port), resolving_to(first, "127.0.0.1", port=vendor.port):
            reply = await ask(send, f"http://vendor.example:{vendor.port}", "/1")
        assert reply.body == b"/1"
        assert 200 < reply.latency_ms < 1000


@on_either_loop
async def test_where_the_first_address_refuses_the_next_is_tried_at_once():
    async with serving(echoing) as vendor, client() as send:
        with resolving_to("::1", "127.0.0.1", port=vendor.port):
            reply = await ask(send, f"http://vendor.example:{vendor.port}", "/1")
        assert reply.body == b"/1"
        assert reply.latency_ms < 200


@on_either_loop
async def test_a_vendor_on_ipv6_alone():
    async with serving(echoing, host="::1") as vendor, client() as send:
        assert (await ask(send, vendor.url, "/1")).body == b"/1"
        with resolving_to("::1", port=vendor.port):
            assert (await ask(send, f"http://vendor.example:{vendor.port}", "/2")).body == b"/2"


@pytest.mark.parametrize("addresses", [["127.0.0.1"], ["::1", "127.0.0.1"]])
@on_either_loop
async def test_nobody_listens(addresses):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    async with client() as send:
        with resolving_to(*addresses, port=port):
            failed = await failure(send, f"http://vendor.example:{port}")
    assert isinstance(failed, VendorUnavailable)
    assert (failed.detail, failed.again) == ("refused: no connection", True)


@pytest.mark.parametrize(
    "raised",
    [
        socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
        socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"),
        UnicodeError("label empty or too long"),
    ],
    ids=["unknown", "for now", "no name"],
)
@on_either_loop
async def test_a_name_that_does_not_resolve(raised, monkeypatch):
    async def getaddrinfo(*args, **kwargs):
        raise raised

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    async with client() as send:
        failed = await failure(send, "http://vendor.example")
    assert isinstance(failed, VendorUnavailable)
    assert failed.detail == "dns: its name does not resolve"
