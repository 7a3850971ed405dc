"""A TCP proxy that spoils what goes through it, with the names of toxiproxy's toxics, and TLS where a test wants it.

`async with faultproxy(port) as proxy` stands before the server on that port of loopback. What is set holds at once,
for open connections too: `proxy.downstream.latency(0.2)`, `proxy.upstream.bandwidth(1000)`, `proxy.down()`. Seconds
and bytes. Downstream is from the server to its client.
"""

import asyncio
import socket
import ssl
import struct
from collections.abc import Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import trustme

HOST = "localhost"  # as certificates name it
_LOOPBACK = "127.0.0.1"
_CHUNK = 65_536
_BEATS = 10  # pieces a second that a narrow bandwidth is cut into


@dataclass(frozen=True)
class _End:
    """How a connection ends after `most` bytes: `wait` seconds later, None for never; `hard` is a reset."""

    most: int
    wait: float | None = 0.0
    hard: bool = False


class Stream:
    """What happens to the bytes that go one way. Of timeout, reset_peer and limit_data the last that was set holds."""

    def __init__(self) -> None:
        self._chance = Random(0)
        self.heal()

    def heal(self) -> None:
        """Nothing happens to them."""
        self._delay, self._jitter = 0.0, 0.0
        self._rate: float | None = None
        self._size, self._variation, self._between = _CHUNK, 0, 0.0
        self.linger = 0.0
        self.end: _End | None = None

    def latency(self, seconds: float, jitter: float = 0.0) -> None:
        """Each chunk comes so much later, give or take the jitter."""
        self._delay, self._jitter = seconds, jitter

    def bandwidth(self, rate: float) -> None:
        """So many bytes a second."""
        self._rate = rate

    def slicer(self, size: int, variation: int = 0, delay: float = 0.0) -> None:
        """In pieces of about this size, with a delay before each."""
        self._size, self._variation, self._between = size, variation, delay

    def slow_close(self, seconds: float) -> None:
        """The end of the connection comes so much later."""
        self.linger = seconds

    def timeout(self, seconds: float = 0.0) -> None:
        """Nothing comes through any more, and the connection is closed so much later; 0 for never."""
        self.end = _End(0, seconds or None)

    def reset_peer(self, seconds: float = 0.0, after: int = 0) -> None:
        """A TCP reset so long after the first byte that came, or after those that are let through."""
        self.end = _End(after, seconds, hard=True)

    def limit_data(self, most: int) -> None:
        """The connection is closed after so many bytes."""
        self.end = _End(most)

    def pieces(self, data: bytes) -> Iterator[bytes]:
        while data:
            size = max(1, self._size + self._chance.randint(-self._variation, self._variation))
            size = size if self._rate is None else min(size, max(1, int(self._rate / _BEATS)))
            yield data[:size]
            data = data[size:]

    def late(self) -> float:
        """Seconds that a chunk waits."""
        return max(0.0, self._delay + self._chance.uniform(-self._jitter, self._jitter))

    def pause(self, size: int) -> float:
        """Seconds that a piece of this size takes."""
        return self._between + (size / self._rate if self._rate else 0.0)


class FaultProxy:
    """`accepted` counts the connections so far, `open` are those there are."""

    def __init__(self, target: int, tls: ssl.SSLContext | None = None):
        self.upstream, self.downstream = Stream(), Stream()
        self.port = 0
        self.accepted = 0
        self.open: set[asyncio.Task[None]] = set()
        self._target = target
        self._tls = tls
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://{HOST}:{self.port}"

    async def up(self) -> None:
        """Listen; the second time on the same port."""
        if self._server is None:
            self._server = await asyncio.start_server(self._connected, _LOOPBACK, self.port, ssl=self._tls)
            self.port = self._server.sockets[0].getsockname()[1]

    def down(self) -> None:
        """Refuse connections, and drop those there are."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for task in self.open:
            task.cancel()

    async def heal(self) -> None:
        """As if nothing had been set."""
        self.upstream.heal()
        self.downstream.heal()
        await self.up()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        self.open.add(task)
        self.accepted += 1
        try:
            with suppress(OSError, asyncio.CancelledError):
                await self._joined(reader, writer)
        finally:
            self.open.discard(task)
            _abort(writer, hard=False)

    async def _joined(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        beyond, onward = await asyncio.open_connection(_LOOPBACK, self._target)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(_Way(self.upstream, reader, onward).run())
                both.create_task(_Way(self.downstream, beyond, writer).run())
        except* _Ended as ended:
            _abort(writer, hard=any(error.hard for error in ended.exceptions))
        except* OSError:  # one side broke off, so does the other
            _abort(writer, hard=True)
        finally:
            _abort(onward, hard=False)


class _Ended(Exception):
    """A toxic ends the connection."""

    def __init__(self, hard: bool):
        self.hard = hard


class _Way:
    """One direction of one connection."""

    def __init__(self, stream: Stream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        self._stream, self._reader, self._writer = stream, reader, writer
        self._passed = 0

    async def run(self) -> None:
        while data := await self._reader.read(_CHUNK):
            await asyncio.sleep(self._stream.late())
            for piece in self._stream.pieces(data):
                await self._carry(piece)
        await asyncio.sleep(self._stream.linger)
        if self._writer.can_write_eof():
            self._writer.write_eof()
        else:  # TLS has no half of a close
            self._writer.close()

    async def _carry(self, piece: bytes) -> None:
        end = self._stream.end
        room = len(piece) if end is None else max(0, end.most - self._passed)
        self._passed += len(piece)
        await asyncio.sleep(self._stream.pause(len(piece)))
        self._writer.write(piece[:room])
        await self._writer.drain()
        if end is not None and self._passed >= end.most and end.wait is not None:
            await asyncio.sleep(end.wait)
            raise _Ended(end.hard)


def _abort(writer: asyncio.StreamWriter, *, hard: bool) -> None:
    """Close: hard with a reset, else after what was written."""
    if hard:
        raw = writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
    else:
        writer.close()


@asynccontextmanager
async def faultproxy(target: int, tls: ssl.SSLContext | None = None):
    """Before the server on this port of loopback, without a fault."""
    proxy = FaultProxy(target, tls)
    await proxy.up()
    try:
        yield proxy
    finally:
        proxy.down()
        await asyncio.gather(*proxy.open, return_exceptions=True)


class Certificates:
    """Servers' TLS contexts: a good one, and ways not to be. Clients that trust the file `trusted` believe the first.

    A handshake that stalls is a proxy without TLS under an https address, with `downstream.timeout()`.
    """

    def __init__(self) -> None:
        self._ca = trustme.CA()

    def trusted(self, folder: Path) -> Path:
        """Whom to trust, for SSL_CERT_FILE."""
        file = folder / "trusted.pem"
        self._ca.cert_pem.write_to_path(str(file))
        return file

    def good(self) -> ssl.SSLContext:
        return _context(self._ca.issue_cert(HOST))

    def expired(self) -> ssl.SSLContext:
        now = datetime.now(UTC)
        return _context(self._ca.issue_cert(HOST, not_before=now - timedelta(9), not_after=now - timedelta(1)))

    def wrong_host(self) -> ssl.SSLContext:
        return _context(self._ca.issue_cert("elsewhere.example"))

    def self_signed(self) -> ssl.SSLContext:
        own, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with trustme.Blob(own.private_key_pem.bytes() + own.cert_pem.bytes()).tempfile() as file:
            context.load_cert_chain(file)
        return context


def _context(cert: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    cert.configure_cert(context)
    return context
