"""Which URLs and addresses pass: a table of refusals, the edges of the ranges, and the exceptions an operator makes."""

import ipaddress
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.media.addresses import AddressError, Rules, is_public

PUBLIC = [
    "https://cdn.example.com/a.jpg",
    "http://cdn.example.com/a.png?x=1&y=%2F#part",
    "https://cdn.example.com:443/",
    "https://CDN.Example.COM",
    "https://xn--bcher-kva.example/cover.jpg",
    "https://a_b.example.com/x",
    "https://8.8.8.8/a.jpg",
    "https://[2606:4700::1111]/a.jpg",
    "https://[::ffff:8.8.8.8]/mapped",
]
SYNTAX = [
    "",
    "cdn.example.com/a.jpg",
    "//cdn.example.com/a.jpg",
    "http:cdn.example.com/a",
    "http:/cdn.example.com/a",
    "http:///a.jpg",
    "https://",
    "file:///etc/hosts",
    "gopher://cdn.example.com/_x",
    "ftp://cdn.example.com/a",
    "data:image/png;base64,AAAA",
    "javascript:alert(1)",
    "ws://cdn.example.com/",
    "http+unix://%2Frun%2Fx.sock/a",
    "https://cdn.example.com/" + "a" * 2_048,
]
NUMERIC = [
    "http://127.0.0.1/",
    "http://127.1/",
    "http://127.0.1/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0x7f.0.0.1/",
    "http://0x7f.1/",
    "http://0177.0.0.1/",
    "http://127.0.0.01/",
    "http://0/",
    "http://0.0.0.0/",
    "http://127.99.1.2/",
    "http://1.2.3.4.5/",
    "http://8.8.8.8./",
    "http://[::1]/",
    "http://[0:0:0:0:0:0:0:1]/",
    "http://[::]/",
    "http://[::127.0.0.1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[::1%25lo]/",
    "http://[fe80::1%25eth0]/",
    "http://[8.8.8.8]/",
]
NAMES = [
    "http://localhost/",
    "http://LOCALHOST/",
    "http://localhost./",
    "http://x.localhost/",
    "http://localhost.localdomain/",
    "http://minio/",
    "http://metadata/",
    "http://metadata.google.internal/",
    "http://kubernetes.default.svc/",
    "http://api.default.svc.cluster.local/",
    "http://printer.local/",
    "http://router.lan/",
    "http://1.0.0.127.in-addr.arpa/",
    "http://hidden.onion/",
    "http://a..example.com/",
    "http://-a.example.com/",
    "http://a-.example.com/",
    "http://.example.com/",
    "http://" + "a" * 64 + ".example.com/",
    "http://" + "a." * 130 + "example.com/",
]
CONFUSION = [
    "http://cdn.example.com@127.0.0.1/",
    "http://127.0.0.1@cdn.example.com/",
    "http://user:secret@cdn.example.com/",
    "http://cdn.example.com:80@127.0.0.1:80/",
    "http://127.0.0.1#@cdn.example.com/",
    "http://127.0.0.1?@cdn.example.com/",
    "http://cdn.example.com\\@127.0.0.1/",
    "http://127.0.0.1\\.cdn.example.com/",
    "http://cdn.example.com%00.example.net/",
    "http://127%2e0%2e0%2e1/",
    "http://%31%32%37.0.0.1/",
    "http://①②⑦.⓪.⓪.①/",
    "http://127。0。0。1/",
    "http://ⓛocalhost/",
    "http://exa\u00admple.com/",
    "http://\u212aelvin.example.com/",
    "http://bücher.example/",
    "http://[::1]cdn.example.com/",
    "http://[::1/",
    "http://::1/",
    "http://cdn.example.com/a b",
    "http://cdn.example.com/\ta",
    "http://cdn.example.com/\r\nHost: 127.0.0.1",
    " http://cdn.example.com/",
    "http://cdn.example.com/\x7f",
    "http://cdn.example.com/\ud800",
]
PORTS = [f"http://cdn.example.com:{port}/" for port in ("22", "0", "8080", "65536", "99999", "-1", "", "80:80", "８0")]

SPECIAL = [
    *("10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.0.1", "127.255.255.255", "0.1.2.3"),
    *("100.64.0.1", "100.127.255.254", "169.254.169.254", "169.254.170.2", "100.100.100.200", "168.63.129.16"),
    *("192.0.0.192", "192.0.2.1", "198.18.0.1", "198.51.100.7", "203.0.113.7", "192.88.99.1", "224.0.0.1"),
    *("239.255.255.250", "240.0.0.1", "255.255.255.255", "fe80::1", "fc00::1", "fd00:ec2::254", "ff02::1", "fec0::1"),
    *("2001:db8::1", "64:ff9b::808:808", "64:ff9b:1::a00:1", "2002:7f00:1::", "2002:808:808::1", "100::1", "3fff::1"),
    *("2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:10::1", "2001:20::1", "5f00::1", "::ffff:0:8.8.8.8", "::1"),
]
EDGES = [
    *("9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.1", "169.253.255.255"),
    *("172.15.255.255", "172.32.0.0", "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0"),
    *("223.255.255.255", "2001:4860:4860::8888", "2001:db7::1", "2003::1"),
]


@pytest.mark.parametrize("url", PUBLIC)
def test_public_urls_pass(url):
    assert Rules().target(url).host in url.lower()


@pytest.mark.parametrize("url", SYNTAX + NUMERIC + NAMES + CONFUSION + PORTS)
def test_everything_doubtful_is_refused_before_a_lookup(url):
    with pytest.raises(AddressError):
        Rules().target(url)


@pytest.mark.parametrize("address", SPECIAL)
def test_special_addresses_are_refused(address):
    with pytest.raises(AddressError):
        Rules().check(address, 80)


@pytest.mark.parametrize("address", EDGES)
def test_neighbours_of_special_ranges_pass(address):
    Rules().check(address, 443)


@pytest.mark.parametrize("address", ["fe80::1%2", "2606:4700::1111%1", "cdn.example.com", "", "127.1", "8.8.8.8 "])
def test_only_plain_numeric_addresses_can_be_checked(address):
    with pytest.raises(AddressError):
        Rules().check(address, 80)


@given(st.ip_addresses())
def test_whatever_passes_is_global_to_the_standard_library_too(address):
    if is_public(address):
        assert address.is_global
        assert not (address.is_private or address.is_loopback or address.is_link_local or address.is_multicast)
        assert address.version == 4 or address in ipaddress.ip_network("2000::/3")


@given(st.text(max_size=60), st.sampled_from(["http://", "https://", ""]))
def test_a_target_is_rebuilt_from_what_was_checked(tail, scheme):
    try:
        target = Rules().target(scheme + tail)
    except AddressError:
        return
    again = Rules().target(str(target.url))
    assert (again.scheme, again.host, again.port) == (target.scheme, target.host, target.port)
    assert target.url.raw_host == target.host.strip("[]")
    assert target.url.explicit_port in (None, target.port)


def test_signed_queries_stay_as_they_are_written():
    url = Rules().target("https://cdn.example.com/a%2e%2e/b%7E.png?sig=a%2Fb+c%3D&x=é#frag").url
    assert str(url) == "https://cdn.example.com/a%2e%2e/b%7E.png?sig=a%2Fb+c%3D&x=%C3%A9"


def test_an_exception_needs_the_network_and_the_port():
    rules = Rules.of(networks=["127.0.0.1/32"], ports=[8000])
    assert rules.target("http://127.0.0.1:8000/x.png").port == 8000
    for url in ("http://127.0.0.1/x", "http://127.0.0.2:8000/x", "http://127.0.0.1:8001/x", "http://[::1]:8000/x"):
        with pytest.raises(AddressError):
            rules.target(url)


def test_listed_ports_open_nothing_on_public_addresses():
    rules = Rules.of(networks=["127.0.0.1/32"], ports=[8000])
    rules.target("http://cdn.example.com:8000/")  # the name may pass,
    with pytest.raises(AddressError):
        rules.check("8.8.8.8", 8000)  # its address does not
    Rules.of(networks=["8.8.8.0/24"], ports=[8000]).check("8.8.8.8", 8000)


def test_a_mapped_address_is_the_address_it_maps():
    Rules.of(networks=["127.0.0.1/32"], ports=[8000]).check("::ffff:127.0.0.1", 8000)


def test_listed_hosts_lift_the_rule_for_names_only():
    rules = Rules.of(hosts=["MinIO"])
    assert rules.target("http://minio/x").host == "minio"
    with pytest.raises(AddressError):
        rules.check("10.0.0.7", 80)
    with pytest.raises(AddressError):
        rules.target("http://redis/x")


@pytest.mark.parametrize("own", [("0.0.0.0", 8000), ("::", 8000), ("127.0.0.1", 8000)])
def test_our_own_socket_is_refused_even_if_listed(own):
    rules = Rules.of(networks=["127.0.0.0/8", "::1/128"], ports=[8000, 8001], own=[own])
    for address in ("127.0.0.1", "::ffff:127.0.0.1", "::1"):
        with pytest.raises(AddressError, match="our own"):
            rules.check(address, 8000)
    rules.check("127.0.0.1", 8001)


def test_our_own_socket_is_known_by_any_address_of_this_machine():
    here = socket.gethostbyname(socket.gethostname())
    rules = Rules.of(networks=[f"{here}/32", "192.0.2.7/32"], ports=[8000], own=[("0.0.0.0", 8000)])
    with pytest.raises(AddressError, match="our own"):
        rules.check(here, 8000)
    rules.check("192.0.2.7", 8000)  # no interface has it


def test_redirects_are_read_as_strictly_as_urls():
    start = Rules().target("https://cdn.example.com/a/b?c")
    assert str(Rules().redirected(start, "/x").url) == "https://cdn.example.com/x"
    assert str(Rules().redirected(start, "x.png").url) == "https://cdn.example.com/a/x.png"
    assert str(Rules().redirected(start, "//img.example.com/x").url) == "https://img.example.com/x"
    for location in (
        "",
        "\\\\127.0.0.1\\x",
        "//127.0.0.1/",
        "//[::1/",
        "//１２７.0.0.1/",
        "https:x",
        "a b",
        "file:///x",
    ):
        with pytest.raises(AddressError):
            Rules().redirected(start, location)


def test_a_redirect_may_not_drop_tls():
    start = Rules().target("https://cdn.example.com/")
    with pytest.raises(AddressError, match="https to http"):
        Rules().redirected(start, "http://cdn.example.com/")
