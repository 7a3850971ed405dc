"""The proxy that the fault matrix relies on does what its toxics are named after."""

import asyncio
import ssl
from contextlib import asynccontextmanager
from time import monotonic

import pytest

from tests.faultproxy import HOST, Certificates, faultproxy

SAID = bytes(range(256)) * 40


async def echo(reader, writer):
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()
    writer.close()


@asynccontextmanager
async def echoing(tls=None):
    """A proxy before a server that says what it hears."""
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with server, faultproxy(server.sockets[0].getsockname()[1], tls) as proxy:
        yield proxy


class Line:
    """A client's connection."""

    def __init__(self, reader, writer):
        self._reader = reader
        self.writer = writer

    async def say(self, data=SAID, wait=30.0):
        """What comes back, whole or until the end, and the seconds it took. TimeoutError after `wait` seconds."""
        started, heard = monotonic(), b""
        self.writer.write(data)
        async with asyncio.timeout(wait):
            while len(heard) < len(data) and (more := await self._reader.read(65_536)):
                heard += more
        return heard, monotonic() - started

    async def end(self):
        """The seconds until the other side closes, after we did."""
        started = monotonic()
        self.writer.write_eof()
        assert await self._reader.read() == b""
        return monotonic() - started


@asynccontextmanager
async def connected(proxy, **tls):
    line = Line(*await asyncio.open_connection("127.0.0.1", proxy.port, **tls))
    try:
        yield line
    finally:
        line.writer.transport.abort()


async def test_what_is_whole_goes_through_whole():
    async with echoing() as proxy, connected(proxy) as line:
        assert (await line.say())[0] == SAID
        assert (proxy.accepted, len(proxy.open)) == (1, 1)


@pytest.mark.parametrize("way", ["upstream", "downstream"])
async def test_latency_of_an_open_connection_comes_and_goes(way):
    async with echoing() as proxy, connected(proxy) as line:
        getattr(proxy, way).latency(0.3, jitter=0.05)
        heard, took = await line.say(b"x")
        assert (heard, took >= 0.25) == (b"x", True)
        getattr(proxy, way).latency(600)
        await proxy.heal()
        assert (await line.say())[0] == SAID


async def test_bandwidth_is_bytes_a_second():
    async with echoing() as proxy, connected(proxy) as line:
        proxy.downstream.bandwidth(10_000)
        heard, took = await line.say(bytes(3000))
        assert (len(heard), took >= 0.25) == (3000, True)


async def test_slicer_sends_pieces_with_a_delay_between_them():
    async with echoing() as proxy, connected(proxy) as line:
        proxy.downstream.slicer(10, variation=5, delay=0.01)
        heard, took = await line.say(SAID[:256])
        assert (heard, took >= 0.15) == (SAID[:256], True)


async def test_timeout_lets_nothing_through_and_closes_or_not():
    async with echoing() as proxy:
        async with connected(proxy) as line:
            proxy.downstream.timeout()
            with pytest.raises(TimeoutError):
                await line.say(wait=0.2)
        async with connected(proxy) as line:
            proxy.downstream.timeout(0.1)
            heard, took = await line.say()
            assert (heard, took >= 0.1) == (b"", True)


async def test_reset_peer_resets_at_once_or_midway():
    async with echoing() as proxy:
        for after in (0, 100):
            async with connected(proxy) as line:
                proxy.downstream.reset_peer(after=after)
                with pytest.raises(ConnectionResetError):
                    await line.say()
                    await line.say()


async def test_limit_data_closes_after_so_many_bytes():
    async with echoing() as proxy, connected(proxy) as line:
        proxy.downstream.limit_data(100)
        assert (await line.say())[0] == SAID[:100]


async def test_slow_close_keeps_the_end_back():
    async with echoing() as proxy, connected(proxy) as line:
        await line.say()
        proxy.downstream.slow_close(0.2)
        assert await line.end() >= 0.2


async def test_down_refuses_and_drops_and_the_same_port_comes_up_again():
    async with echoing() as proxy:
        async with connected(proxy) as line:
            await line.say()
            proxy.down()
            assert (await line.say())[0] == b""
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", proxy.port)
        await proxy.heal()
        async with connected(proxy) as line:
            assert (await line.say())[0] == SAID


@pytest.mark.parametrize(
    ("kind", "why"),
    [("expired", "expired"), ("wrong_host", "Hostname mismatch"), ("self_signed", "self-signed certificate")],
)
async def test_a_certificate_that_is_not_good_is_refused_for_the_right_reason(tmp_path, kind, why):
    certificates = Certificates()
    trusting = ssl.create_default_context(cafile=str(certificates.trusted(tmp_path)))
    async with echoing(getattr(certificates, kind)()) as proxy:
        with pytest.raises(ssl.SSLCertVerificationError, match=why):
            async with connected(proxy, ssl=trusting, server_hostname=HOST):
                pass


async def test_a_good_certificate_is_believed_and_its_connection_can_be_spoiled(tmp_path):
    certificates = Certificates()
    trusting = ssl.create_default_context(cafile=str(certificates.trusted(tmp_path)))
    async with (
        echoing(certificates.good()) as proxy,
        connected(proxy, ssl=trusting, server_hostname=HOST) as line,
    ):
        assert (await line.say())[0] == SAID
        proxy.downstream.limit_data(100)
        assert len((await line.say())[0]) < len(SAID)


async def test_a_handshake_stalls_where_nobody_answers_it():
    async with echoing() as proxy:
        proxy.downstream.timeout()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2), connected(proxy, ssl=ssl.create_default_context(), server_hostname=HOST):
                pass
