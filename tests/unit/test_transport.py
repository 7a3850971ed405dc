"""What is sent to a vendor: the request's head, byte for byte, and nothing of it in a failure."""

from __future__ import annotations

import asyncio
import traceback

import pytest

from gateway.dispatch.transport import HttpTransport
from gateway.errors import VendorUnavailable
from gateway.wire import Call
from tests.rawvendor import PATIENCE, client, on_either_loop, plain, serving

KEY = "sk-verysecret-0123456789"


async def heard(call: Call, host: str = "127.0.0.1", path: str = "") -> tuple[str, list[str], bytes, int]:
    """The request line, the headers in order, the body, and the port it came to."""
    requests = []

    async def serves(reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        length = int(head.partition("Content-Length: ")[2].partition("\r\n")[0])
        requests.append((head, await reader.readexactly(length)))
        writer.write(plain(b"{}"))

    async with serving(serves, host=host) as vendor, client() as send:
        await asyncio.wait_for(send(vendor.url + path, call), PATIENCE)
        [(head, body)] = requests
        line, *headers = head.removesuffix("\r\n\r\n").split("\r\n")
        return line, headers, body, vendor.port


@on_either_loop
async def test_a_request_as_it_is_sent():
    call = Call("POST", "/moderations", headers={"Authorization": f"Bearer {KEY}"}, json={"input": "hé"})
    line, headers, body, port = await heard(call, path="/v1")
    assert line == "POST /v1/moderations HTTP/1.1"
    assert headers == [
        f"Host: 127.0.0.1:{port}",
        "Accept: application/json",
        "Accept-Encoding: identity",
        "User-Agent: modgate",
        "Content-Type: application/json",
        f"Authorization: Bearer {KEY}",
        "Content-Length: 15",
    ]
    assert body == '{"input":"hé"}'.encode()


@on_either_loop
async def test_a_header_of_the_calls_own_stands_instead_of_ours():
    own = {"content-type": "text/plain", "ACCEPT": "*/*", "user-agent": "x", "host": "vendor.example"}
    _, headers, body, _ = await heard(Call("PUT", "/", headers=own, data=b"hi"))
    sent = [line.partition(": ") for line in headers]
    assert {name: value for name, _, value in sent} == {**own, "Accept-Encoding": "identity", "Content-Length": "2"}
    assert len(sent) == 6
    assert body == b"hi"


@on_either_loop
async def test_a_call_without_a_body():
    line, headers, body, _ = await heard(Call("GET", "/models"))
    assert (line, body) == ("GET /models HTTP/1.1", b"")
    assert "Content-Length: 0" in headers


@pytest.mark.parametrize(
    "path, query, target",
    [
        ("", None, "/"),
        ("/a b/ü", None, "/a%20b/%C3%BC"),
        ("/a%2Fb", None, "/a%2Fb"),
        ("/x?v=1", None, "/x?v=1"),
        (
            "/x",
            {"url": "https://e.org/?a=1&b=ü#c", "t": "a b+c"},
            "/x?url=https://e.org/?a%3D1%26b%3D%C3%BC%23c&t=a+b%2Bc",
        ),
        ("/x", {"empty": "", "crlf": "a\r\nX: y"}, "/x?empty=&crlf=a%0D%0AX:+y"),
        ("/a\r\nX: y", None, "/aX:%20y"),
    ],
)
@on_either_loop
async def test_what_is_asked_for_is_encoded_and_stays_on_its_line(path, query, target):
    line, headers, _, _ = await heard(Call("POST", path, query=query, data=b"{}"))
    assert line == f"POST {target} HTTP/1.1"
    assert len(headers) == 6


@on_either_loop
async def test_an_ipv6_address_stands_in_brackets():
    _, headers, _, port = await heard(Call("POST", "/"), host="::1")
    assert headers[0] == f"Host: [::1]:{port}"


@pytest.mark.parametrize(
    "address, asked",
    [
        ("http://vendor.example", "vendor.example:80"),
        ("https://vendor.example/v1", "vendor.example:443"),
        ("http://vendor.example:8080", "vendor.example:8080"),
        ("http://bücher.example", "xn--bcher-kva.example:80"),
        ("http://日本.example", "xn--wgv71a.example:80"),
    ],
)
@on_either_loop
async def test_a_name_and_its_port_are_looked_up(address, asked, monkeypatch):
    looked_up = []

    async def getaddrinfo(name, port, *args, **kwargs):
        looked_up.append(f"{name}:{port}")
        raise UnicodeError

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    async with client() as send:
        with pytest.raises(VendorUnavailable):
            await send(address, Call("POST", "/"))
    assert looked_up == [asked]


@pytest.mark.parametrize(
    "address, host",
    [
        ("http://vendor.example", "vendor.example"),
        ("http://vendor.example:80", "vendor.example"),
        ("http://vendor.example:443", "vendor.example:443"),
        ("http://BÜCHER.example", "xn--bcher-kva.example"),
    ],
)
@on_either_loop
async def test_the_host_is_named_in_ascii_and_without_its_usual_port(address, host, monkeypatch):
    heads = []

    async def serves(reader, writer):
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(plain(b"{}"))

    async def getaddrinfo(name, port, *args, **kwargs):
        return await real("127.0.0.1", vendor.port, *args, **kwargs)

    loop = asyncio.get_running_loop()
    real = loop.getaddrinfo
    async with serving(serves) as vendor, client() as send:
        monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)
        await asyncio.wait_for(send(address, Call("POST", "/")), PATIENCE)
    assert heads[0].split(b"\r\n")[1] == b"Host: " + host.encode()


@pytest.mark.parametrize("bad", ["\r\nX: y", "\n", "\r", "\0", "\x1b", "\x7f", "ключ", "\u20ac", "\ud800"])
@on_either_loop
async def test_a_header_that_cannot_be_sent_is_refused_without_being_shown(bad):
    async with client() as send:
        for headers in ({"X-Key": KEY + bad}, {"X-Key" + bad: KEY}):
            with pytest.raises(ValueError) as refused:
                await send("http://127.0.0.1:9", Call("POST", "/", headers=headers))
            told = "".join(traceback.format_exception(refused.value))
            assert "header 'X-Key" in str(refused.value)
            assert KEY not in told


@pytest.mark.parametrize(
    "answer", [b"", b"nonsense\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n[", plain(b"x" * 2_000_000)]
)
@on_either_loop
async def test_no_failure_shows_what_was_sent(answer):
    async def serves(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()

    call = Call("POST", "/", headers={"Authorization": KEY}, query={"api_secret": KEY}, data=KEY.encode())
    async with serving(serves) as vendor, client() as send:
        with pytest.raises(Exception) as failed:
            await asyncio.wait_for(send(vendor.url, call), PATIENCE)
    assert KEY not in "".join(traceback.format_exception(failed.value)) + repr(vars(failed.value))


async def test_it_has_to_be_opened():
    with pytest.raises(RuntimeError, match="not open"):
        await HttpTransport()("http://127.0.0.1:9", Call("POST", "/"))
