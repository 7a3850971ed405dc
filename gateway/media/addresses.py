"""Which addresses this gateway connects to on a stranger's word, and how a URL has to be written.

`Rules.target` reads a URL before any library does, strictly: what parsers could understand in two ways is refused.
`Rules.check` judges a numeric address with its port, and has to be asked about every socket that is really opened.

The rule for a connection: public addresses on ports 80 and 443; besides these an address in `networks` on a port in
`ports`, both of them listed. So `ports` opens nothing on public addresses unless their network is listed too. `hosts`
lifts no address rule: it lets a name pass that looks internal (`minio`, `files.internal`); its address must still be
allowed. Our own listening sockets are refused in any case.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote, urljoin

from yarl import URL

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

MAX_URL = 2_048
PUBLIC_PORTS = {"http": 80, "https": 443}

# RFC 6890 and the IANA registries of special-purpose addresses, read 2026-11; is_global is asked besides.
_NOT_PUBLIC_4 = tuple(
    ipaddress.IPv4Network(block)
    for block in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT
        "127.0.0.0/8",
        "168.63.129.16/32",  # a cloud's host, on a public address
        "169.254.0.0/16",  # link-local, metadata services
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
_PUBLIC_6 = ipaddress.IPv6Network("2000::/3")
_NOT_PUBLIC_6 = tuple(  # of 2000::/3; everything outside is refused unnamed, as is any address that embeds an IPv4 one
    ipaddress.IPv6Network(block)
    for block in (
        "2001::/23",  # Teredo, ORCHID, benchmarks
        "2001:db8::/32",
        "2002::/16",  # 6to4
        "3fff::/20",
    )
)
_INTERNAL = {"localhost", "localdomain", "local", "internal", "intranet", "private", "lan", "home", "corp"}
_INTERNAL |= {"svc", "cluster", "arpa", "onion"}
_WRITTEN = re.compile(r"(https?)://([^/?#]*)([^#]*)", re.ASCII | re.IGNORECASE)
_AUTHORITY = re.compile(r"(\[[0-9a-f.]*:[0-9a-f:.]*\]|[a-z0-9._-]+)(?::([0-9]{1,5}))?", re.ASCII)
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)", re.ASCII)
_NUMERIC = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f\\]")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:", re.ASCII | re.IGNORECASE)
_ASCII = "".join(map(chr, range(0x21, 0x7F)))


class AddressError(OSError):
    """An address or URL that is not connected to. An OSError, as aiohttp passes these on from resolver and socket.

    `reason` and `address` are for our log alone: told to a caller they would map our network.
    """

    def __init__(self, reason: str, address: str = ""):
        super().__init__(reason)
        self.reason = reason
        self.address = address


@dataclass(frozen=True, slots=True)
class Target:
    """A URL that passed: `url` is built from the parts that were checked, so nobody parses an authority again."""

    scheme: str
    host: str
    port: int
    url: URL


@dataclass(frozen=True, slots=True)
class Rules:
    """The exceptions an operator made, and the addresses this gateway listens on itself."""

    networks: tuple[Network, ...] = ()
    hosts: frozenset[str] = frozenset()
    ports: frozenset[int] = frozenset()
    own: frozenset[tuple[str, int]] = frozenset()

    @classmethod
    def of(
        cls,
        networks: Iterable[str] = (),
        hosts: Iterable[str] = (),
        ports: Iterable[int] = (),
        own: Iterable[tuple[str, int]] = (),
    ) -> Rules:
        """From what is written in a configuration; ValueError for a network that is none. `own` is numeric."""
        return cls(
            tuple(ipaddress.ip_network(network) for network in networks),
            frozenset(host.lower() for host in hosts),
            frozenset(ports),
            frozenset(own),
        )

    def target(self, written: str) -> Target:
        """The parts of an absolute http or https URL, or AddressError. Numeric hosts are checked at once."""
        scheme, authority, rest = _split(written)
        matched = _AUTHORITY.fullmatch(authority.lower())
        if not matched or not authority.isascii():  # a Kelvin sign is a k in lower case
            raise AddressError("the authority is not host or host:port")
        host, port = matched[1], int(matched[2] or PUBLIC_PORTS[scheme])
        if port not in PUBLIC_PORTS.values() and port not in self.ports:
            raise AddressError(f"port {port}")
        if host[0] == "[" or _NUMERIC.fullmatch(host.rpartition(".")[2]):
            self.check(host.strip("[]"), port)
        else:
            self._check_name(host)
        path, _, query = rest.partition("?")
        url = URL.build(scheme=scheme, host=host, port=port, path=path or "/", query_string=query, encoded=True)
        return Target(scheme, host, port, url)

    def redirected(self, target: Target, location: str) -> Target:
        """Where a Location header leads from `target`, or AddressError. A step down from https to http is refused."""
        if not location or _FORBIDDEN.search(location):
            raise AddressError("an unreadable redirect")
        try:
            onward = location if _SCHEME.match(location) else urljoin(str(target.url), location)
        except ValueError:
            raise AddressError("an unreadable redirect") from None
        further = self.target(onward)
        if target.scheme == "https" and further.scheme == "http":
            raise AddressError("a redirect from https to http")
        return further

    def check(self, written: str, port: int) -> None:
        """AddressError unless a socket to this numeric address and port may be opened."""
        address = _address(written)
        if self._is_own(address, port):
            raise AddressError("our own listening socket", written)
        if is_public(address) and port in PUBLIC_PORTS.values():
            return
        if port in self.ports and any(address in network for network in self.networks):
            return
        raise AddressError("address and port are neither public nor listed", written)

    def _check_name(self, host: str) -> None:
        labels = host.split(".")
        if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
            raise AddressError("the host is no plain name")
        if host not in self.hosts and (len(labels) < 2 or labels[-1] in _INTERNAL):
            raise AddressError("an internal name")

    def _is_own(self, address: Address, port: int) -> bool:
        if all(port != listening for _, listening in self.own):
            return False
        return (str(address), port) in self.own or _is_of_this_machine(address)


def is_public(address: Address) -> bool:
    """Whether an address belongs to the open internet; an IPv4 address within an IPv6 one never does."""
    if isinstance(address, ipaddress.IPv4Address):
        return address.is_global and not any(address in block for block in _NOT_PUBLIC_4)
    return address.is_global and address in _PUBLIC_6 and not any(address in block for block in _NOT_PUBLIC_6)


def _split(written: str) -> tuple[str, str, str]:
    """Scheme, authority, and the rest without its fragment and with what is not ASCII percent-encoded."""
    if len(written) > MAX_URL or _FORBIDDEN.search(written):
        raise AddressError("too long, or with spaces, control characters or backslashes")
    matched = _WRITTEN.match(written)
    if not matched:
        raise AddressError("neither http:// nor https://")
    try:
        return matched[1].lower(), matched[2], quote(matched[3], safe=_ASCII)
    except UnicodeEncodeError:
        raise AddressError("not text") from None


def _address(written: str) -> Address:
    """The address, IPv4-mapped ones unwrapped; AddressError unless written in full and without a scope."""
    try:
        address = ipaddress.ip_address(written)
    except ValueError:
        raise AddressError("not a plain numeric address", written) from None
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.scope_id is not None:
        raise AddressError("an address with a scope", written)
    return address.ipv4_mapped or address


def _is_of_this_machine(address: Address) -> bool:
    """Whether an interface here has this address: then, and only then, can a socket be bound to it."""
    if address.is_loopback or address.is_unspecified:
        return True
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((str(address), 0))
        except OSError:
            return False
    return True
