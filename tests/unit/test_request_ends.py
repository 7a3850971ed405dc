"""Where a request ends, as the door sees it, is where aiohttp's parser sees it: or one could be hidden in another."""

import asyncio

from aiohttp.http import HttpRequestParser
from aiohttp.http_exceptions import HttpProcessingError
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.web.door import _head, _plain, _to_come

LINES = (
    *(b"X-API-Key: k", b"Content-Type: application/json", b"X: ", b"x-long:" + b"a" * 300),
    *(
        b"Content-Length: %d",
        b"content-length:%d",
        b"CONTENT-LENGTH: \t%d ",
        b"Content-Length: +%d",
        b"Content-Length : %d",
    ),
    *(b"Content-Length: %d, %d", b"X-Content-Length: %d", b" Content-Length: %d", b"Content-Length:\r\n %d"),
    *(b"Transfer-Encoding: chunked", b"transfer-encoding:\tChunked", b"Transfer-Encoding: identity"),
    *(b"Connection: close", b"Connection: keep-alive", b"Upgrade: websocket", b"Expect: 100-continue"),
    *(b"X-A: a\nContent-Length: %d", b"X-B: b\rContent-Length: %d", b"X-C\0: c", b"no colon at all", b"X-D: \xff"),
)
STARTS = (
    b"POST /v1/moderate HTTP/1.1",
    b"POST / HTTP/1.0",
    b"GET /healthz HTTP/1.1",
    b"POST  / HTTP/1.1",
    b"\r\nGET / HTTP/1.1",
)
NEXT = b"GET /next HTTP/1.1\r\nHost: x\r\n\r\n"


class Connection:
    """As much of one as the parser wants."""

    _reading_paused = False

    def pause_reading(self): ...

    def resume_reading(self, resume_parser=True): ...


def parsed(parser, data):
    messages, _, tail = parser.feed_data(data)
    return [(message.path, payload.is_eof()) for message, payload in messages], tail


@settings(max_examples=600, deadline=None)
@given(
    st.sampled_from(STARTS),
    st.sampled_from([[], [b"Host: x"], [b"Host: x", b"Content-Length: %d"], [b"content-length:  %d", b"host:x"]]),
    st.lists(st.sampled_from(LINES), max_size=4, unique=True),  # what is there twice is 400, wherever it ends
    st.sampled_from([b"\r\n", b"\r\n", b"\r\n", b"\n"]),
    st.sampled_from([b"", b"{}", b"x" * 31, b"\r\n\r\n", NEXT]),
    st.sampled_from([0, 0, 0, -2, -1, 1]),
)
def test_a_request_ends_where_the_parser_says(start, usual, lines, ends, body, off):
    length = max(0, len(body) + off)
    lines = [line.replace(b"%d", str(length).encode()) for line in usual + lines]
    data = ends.join([start, *lines, b"", b""]) + body
    head = _head(data)
    if _to_come(data, head) != 0:
        return

    async def follow():
        parser = HttpRequestParser(Connection(), asyncio.get_running_loop(), 65_536)
        first, tail = parsed(parser, data)
        assert (len(first), first[0][1], tail) == (1, True, b"")
        assert parsed(parser, NEXT) == ([("/next", True)], b"")

    try:
        asyncio.run(follow())
    except HttpProcessingError:  # answered 400, and the connection ends
        assert not _plain(data, head)
