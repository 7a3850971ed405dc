"""Where the guarded fetch goes and where it does not: redirects, names that turn, addresses inside."""

import asyncio
import sys
from ipaddress import ip_address

import pytest
from aiohttp import ClientConnectorError, ClientTimeout
from hypothesis import example, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from gateway.errors import Unreadable
from gateway.media.addresses import Rules
from gateway.media.fetch import Fetcher, Lookup, guarded_session
from tests.fetching import LOOPBACK, PNG, PRIVATE, Names, answer, refusal, serving


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
        async with guarded_session(Rules(), resolver=names, timeout=ClientTimeout(total=30)) as session:
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


async def test_our_own_socket_is_refused_although_listed():
    async with serving({"/x": answer(PNG)}) as (server, _):
        rules = Rules.of(networks=["127.0.0.0/8"], ports=[server.port], own=[("0.0.0.0", server.port)])
        itself = Fetcher(rules, max_bytes=1000, resolver=Names(me_example_com=[LOOPBACK]))
        await itself.open()
        for host in (LOOPBACK, "me.example.com", "[::ffff:127.0.0.1]"):
            assert await refusal(itself, f"http://{host}:{server.port}/x") == "fetch_blocked"
        await itself.close()
        assert not server.heard


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
