"""Fetching a picture from an address that a stranger wrote.

Ten layers, each of which stopped something the others let through: a strict reading of the URL; one lookup a hop whose
every answer must be allowed; the same rules once more on the address of each socket really opened (aiohttp never asks
the resolver about numeric hosts); redirects by hand, at most 3, each judged like a first URL; no cookies, credentials
or proxies of ours; no content encodings; size capped on header and stream; magic bytes instead of the declared type;
one deadline over all of it; and one answer for whatever is refused, the reason in our log only.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import aiohttp
import structlog
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_exceptions import ClientConnectorDNSError

from gateway.errors import NotAnImage, Unreadable
from gateway.media.addresses import AddressError, Rules, Target
from gateway.media.inspect import SNIFFED, sniff

log = structlog.get_logger("modgate.fetch")

MAX_REDIRECTS = 3
LOOKUP_THREADS = 8
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_HEADERS = {"Accept": "image/*", "Accept-Encoding": "identity", "User-Agent": "modgate"}


@dataclass(frozen=True, slots=True)
class Fetched:
    """A whole body and what its first bytes say it is."""

    data: bytes
    media_type: str


class Lookup(AbstractResolver):
    """getaddrinfo in threads of its own: names that never answer must not take the threads others work in."""

    def __init__(self, threads: int = LOOKUP_THREADS):
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="lookup")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        ask = partial(socket.getaddrinfo, host, port, family=family, type=socket.SOCK_STREAM)
        answers = await asyncio.get_running_loop().run_in_executor(self._threads, ask)
        return [
            ResolveResult(
                hostname=host, host=str(at[0]), port=port, family=kind, proto=proto, flags=socket.AI_NUMERICHOST
            )
            for kind, _, proto, _, at in answers
        ]

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


class VettedResolver(AbstractResolver):
    """Passes on an answer only if every address in it is allowed: one bad address poisons the rest."""

    def __init__(self, rules: Rules, inner: AbstractResolver):
        self._rules = rules
        self._inner = inner

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        answers = await self._inner.resolve(host, port, family)
        for answer in answers:
            self._rules.check(answer["host"], port)
        if not answers:
            raise AddressError("a name without addresses")
        return answers

    async def close(self) -> None:
        await self._inner.close()


def guarded_session(
    rules: Rules, *, resolver: AbstractResolver, tls: ssl.SSLContext | None = None, timeout: aiohttp.ClientTimeout
) -> aiohttp.ClientSession:
    """A session that opens sockets to allowed addresses only, and brings nothing of ours along.

    Requests on it must say allow_redirects=False, and their URL must come from `rules.target`.
    """

    def vetted_socket(at: tuple[Any, ...]) -> socket.socket:
        family, kind, proto, _, address = at
        rules.check(address[0], address[1])
        return socket.socket(family, kind, proto)

    connector = aiohttp.TCPConnector(
        resolver=VettedResolver(rules, resolver),
        use_dns_cache=False,
        force_close=True,
        socket_factory=vetted_socket,
        ssl=tls or True,
    )
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        auto_decompress=False,
        timeout=timeout,
    )


class Fetcher:
    """Fetches pictures under `rules`, at most `max_bytes` each, within `deadline` seconds over all hops.

    `connect` and `stall` are seconds for one connection and between two reads; `resolver` and `tls` replace the usual.
    """

    def __init__(
        self,
        rules: Rules,
        *,
        max_bytes: int,
        deadline: float = 5.0,
        connect: float = 2.0,
        stall: float = 2.0,
        resolver: AbstractResolver | None = None,
        tls: ssl.SSLContext | None = None,
    ):
        self._rules = rules
        self._max_bytes = max_bytes
        self._deadline = deadline
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=connect, sock_read=stall)
        self._resolver = resolver
        self._tls = tls
        self._session: aiohttp.ClientSession  # from `open` to `close`

    async def open(self) -> None:
        """Log the exceptions in force. Has to run on the loop that fetches."""
        if self._rules.networks or self._rules.hosts or self._rules.ports:
            log.warning(
                "fetch_exceptions",
                networks=sorted(map(str, self._rules.networks)),
                hosts=sorted(self._rules.hosts),
                ports=sorted(self._rules.ports),
            )
        self._resolver = self._resolver or Lookup()
        self._session = guarded_session(self._rules, resolver=self._resolver, tls=self._tls, timeout=self._timeout)

    async def close(self) -> None:
        """Give back sockets and threads."""
        await self._session.close()
        if self._resolver is not None:  # a session closes no resolver it was handed
            await self._resolver.close()

    async def fetch(self, url: str) -> Fetched:
        """The picture at this address.

        Raises Unreadable with the code fetch_blocked, fetch_timeout, fetch_too_large or fetch_failed, and NotAnImage.
        """
        hops: list[Target] = []
        try:
            async with asyncio.timeout(self._deadline):
                return await self._follow(url, hops)
        except (aiohttp.ClientError, OSError, ValueError) as failure:  # a TimeoutError is an OSError
            raise _refusal(*_meaning(failure), hops) from None

    async def _follow(self, url: str, hops: list[Target]) -> Fetched:
        hops.append(self._rules.target(url))
        while True:
            here = hops[-1]
            async with self._session.get(here.url, allow_redirects=False, headers=_HEADERS) as response:
                if response.status not in _REDIRECTS:
                    return await self._read(response, here)
                further = self._rules.redirected(here, response.headers.get("Location", ""))
            if len(hops) > MAX_REDIRECTS or further in hops:
                raise AddressError("too many redirects")
            hops.append(further)

    async def _read(self, response: aiohttp.ClientResponse, here: Target) -> Fetched:
        if response.status != 200:
            raise _refusal("fetch_failed", f"HTTP {response.status}", "", [here])
        if response.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise _refusal("fetch_failed", "a content encoding nobody asked for", "", [here])
        if (response.content_length or 0) > self._max_bytes:
            raise _refusal("fetch_too_large", "by its header", "", [here])
        data = bytearray()
        sniffed = False
        async for chunk in response.content.iter_any():
            data += chunk
            if len(data) > self._max_bytes:
                raise _refusal("fetch_too_large", "by its stream", "", [here])
            if not sniffed and len(data) >= SNIFFED:
                _sniff(data, here)
                sniffed = True
        return Fetched(bytes(data), _sniff(data, here))


def _sniff(data: bytearray, here: Target) -> str:
    try:
        return sniff(bytes(data[:SNIFFED]))
    except NotAnImage:
        log.info("not_an_image", host=here.host, port=here.port)
        raise


# What the caller hears: what is wrong, and what would be right
_TOLD = {
    "fetch_blocked": (
        "Images are not fetched from this address.",
        "Give a public http or https address, or send the bytes.",
    ),
    "fetch_timeout": ("The address did not answer in time.", "Send the bytes instead."),
    "fetch_too_large": ("The image at the address is too large.", "Scale it down or compress it more."),
    "fetch_failed": ("The address did not answer with an image.", "It has to answer 200 with the image, uncompressed."),
}


def _meaning(failure: Exception) -> tuple[str, str, str]:
    """Code for the caller; reason and address for the log. A name without addresses must look like a forbidden one."""
    cause = failure.__cause__ if isinstance(failure.__cause__, AddressError) else failure
    if isinstance(cause, AddressError):
        return "fetch_blocked", cause.reason, cause.address
    if isinstance(cause, ClientConnectorDNSError):
        return "fetch_blocked", "a name without addresses", ""
    return "fetch_timeout" if isinstance(cause, TimeoutError) else "fetch_failed", type(cause).__name__, ""


def _refusal(code: str, reason: str, address: str, hops: list[Target]) -> Unreadable:
    """What the caller hears, the same for all of one code, and a line in the log which says why.

    Neither holds the URL: what follows the host may be a secret of somebody.
    """
    last = hops[-1] if hops else None
    log.info(
        code,
        reason=reason,
        address=address,
        host=last.host if last else "",
        port=last.port if last else 0,
        hops=len(hops),
    )
    detail, hint = _TOLD[code]
    return Unreadable(code, detail, hint=hint)
