"""The one way to a vendor: a shared aiohttp session, no redirects, no cookies, no hidden retry, a cap on the answer."""

from __future__ import annotations

import asyncio
import ssl

import aiohttp
from yarl import URL

from gateway.adapter import Call, Reply, Transport
from gateway.errors import VendorDrift, VendorUnavailable

ANSWER_CAP = 1024 * 1024  # bytes; the longest documented answer of any vendor is some 30 kB

_JSON = {"Content-Type": "application/json", "Accept": "application/json", "Accept-Encoding": "identity"}

# Most specific first: what aiohttp raises, and what we call it
_CAUSES: tuple[tuple[type[Exception], str], ...] = (
    (aiohttp.ClientConnectorDNSError, "dns: its name does not resolve"),
    (aiohttp.ClientConnectorCertificateError, "tls: its certificate is not valid"),
    (aiohttp.ClientSSLError, "tls: no secure connection"),
    (ssl.SSLError, "tls: no secure connection"),
    (aiohttp.ClientConnectorError, "refused: no connection"),
    (aiohttp.ServerDisconnectedError, "reset: it closed the connection without an answer"),
    (aiohttp.ClientPayloadError, "truncated: the answer broke off"),
    (aiohttp.ClientResponseError, "protocol: the answer is not HTTP"),
    (aiohttp.ClientError, "connection"),
    (OSError, "reset: the connection broke"),
)


class HttpTransport:
    """`Transport` over one session for all vendors. Open with `open`, close with `close`."""

    def __init__(self, tls: ssl.SSLContext | None = None):
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None
        self._urls: dict[str, URL] = {}

    async def open(self) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=self._tls or True),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),  # the fan-out keeps the time
            auto_decompress=False,
            headers={"User-Agent": "modgate"},
        )

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def __call__(self, address: str, call: Call) -> Reply:
        if self._session is None:
            raise RuntimeError("the transport is not open")
        where = address + call.path
        url = self._urls.get(where) or self._urls.setdefault(where, URL(where))
        if call.query:
            url = url.with_query(call.query)
        clock = asyncio.get_running_loop().time
        started = clock()
        try:
            async with self._session.request(
                call.method, url, data=call.body, headers={**_JSON, **call.headers}, allow_redirects=False
            ) as response:
                answer = await _capped(response)
        except (aiohttp.ClientError, OSError) as error:
            cause = _cause(error)
            raise VendorUnavailable(cause, again=not cause.startswith("tls")) from error
        if response.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise VendorDrift("the answer is compressed though we asked for it plain", http=response.status)
        return Reply(response.status, response.headers, answer, (clock() - started) * 1000)


class Discreet:
    """A transport that takes one provider's secrets out of what comes back, before anybody reads, logs or keeps it.

    Some vendors repeat the key they refuse.
    """

    def __init__(self, send: Transport, secrets: tuple[bytes, ...]):
        self._send = send
        self._secrets = secrets

    async def __call__(self, address: str, call: Call) -> Reply:
        reply = await self._send(address, call)
        for secret in self._secrets:
            if secret in reply.body:
                reply.body = reply.body.replace(secret, b"***")
        return reply


async def _capped(response: aiohttp.ClientResponse) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > ANSWER_CAP:
            raise VendorDrift(f"the answer is over {ANSWER_CAP} bytes", http=response.status)
        chunks.append(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _cause(error: Exception) -> str:
    return next(text for kind, text in _CAUSES if isinstance(error, kind))
