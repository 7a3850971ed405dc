"""Reading request bodies: what is refused, where it says the mistake is, and that no more is read than is taken.

Everything goes through a real server, over a socket.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import BodyPartReader, FormData, web
from aiohttp.test_utils import TestClient, TestServer
from pydantic import BaseModel, ConfigDict, Field, model_validator

from gateway import registry
from gateway.config import load_config
from gateway.errors import RequestError
from gateway.web.app import make_app
from gateway.web.bodies import parse_json_field, parts, read_json, read_part
from gateway.web.problems import as_problem

CAP = 1000  # bytes a body may have here
PART_CAP = 300


class Picture(BaseModel):
    model_config = ConfigDict(extra="forbid")
    url: str | None = None
    data: str | None = None

    @model_validator(mode="after")
    def _one(self) -> Picture:
        if (self.url is None) == (self.data is None):
            raise ValueError("a picture has exactly one of url and data")
        return self


class Submission(BaseModel):
    model_config = ConfigDict(extra="forbid")
    text: str | None = Field(default=None, max_length=900)
    images: list[Picture] = []
    policy: str = Field(pattern="^[a-z]+$")


async def take_json(request: web.Request) -> web.Response:
    return await told(request, read_json(request, Submission))


async def take_parts(request: web.Request) -> web.Response:
    async def sizes() -> dict[str, int]:
        held = {}
        reader = await parts(request)
        while part := await reader.next():
            assert isinstance(part, BodyPartReader)
            held[part.name or ""] = len(await read_part(part, PART_CAP, "image_too_large", part.name or ""))
        return held

    return await told(request, sizes())


async def told(request: web.Request, reading: Any) -> web.Response:
    try:
        read = await reading
    except RequestError as error:
        return as_problem(error, "req_1")
    return web.json_response(read.model_dump() if isinstance(read, BaseModel) else read)


@pytest.fixture
async def client() -> AsyncIterator[TestClient]:
    app = web.Application(client_max_size=CAP)
    app.router.add_post("/json", take_json)
    app.router.add_post("/parts", take_parts)
    async with TestClient(TestServer(app)) as client:
        yield client


async def sent(client: TestClient, body: Any, path: str = "/json", **headers: str) -> tuple[int, dict[str, Any]]:
    async with client.post(path, data=body, headers=headers) as response:
        return response.status, await response.json(content_type=None)


async def test_a_good_body_is_read(client):
    status, read = await sent(client, b'{"policy": "social", "text": "\xc3\xbc", "images": [{"url": "u"}]}')
    assert (status, read["text"], read["images"]) == (200, "ü", [{"url": "u", "data": None}])


@pytest.mark.parametrize(
    "body, place",
    [
        (b"", "line 1, column 1"),
        (b"{", "line 1, column 2"),
        (b'{"policy": "a",\n "text": }', "line 2, column 10"),
        (b"{'policy': 'a'}", "line 1, column 2"),
        (b'{"policy": NaN}', "line 1, column 12"),
        (b'{"policy": "a"} x', "line 1, column 17"),
        (b'{"policy": "\xff"}', "line 1, column"),
        (b"\xef\xbb\xbf{}", "line 1, column 1"),
        (b"[" * CAP, "line 1, column"),
    ],
)
async def test_what_is_not_json_is_refused_with_its_place(client, body, place):
    status, problem = await sent(client, body)
    assert (status, problem["code"]) == (400, "malformed_json")
    assert place in problem["detail"]
    assert "Content-Type: application/json" in problem["hint"]


@pytest.mark.parametrize(
    "body, code, at, words",
    [
        ({"policy": "a", "txet": "x"}, "unknown_field", "/txet", "did you mean 'text'?"),
        ({"policy": "a", "images": [{"urll": "x"}]}, "unknown_field", "/images/0/urll", "did you mean 'url'?"),
        ({"policy": "a", "zzz": 1}, "unknown_field", "/zzz", "Fields are data, images, policy, text, url."),
        ({"policy": "a", "a/b~c": 1}, "unknown_field", "/a~1b~0c", "Fields are"),  # RFC 6901
        ({"text": "x"}, "missing_field", "/policy", "'policy' is missing"),
        ({"policy": 3}, "invalid_field", "/policy", "string"),
        ({"policy": "A B"}, "invalid_field", "/policy", "match"),
        ({"policy": "a", "images": "x"}, "invalid_field", "/images", "list"),
        ({"policy": "a", "images": [{}]}, "invalid_field", "/images/0", "exactly one of url and data"),
        ({"policy": "a", "images": [{"url": "u"}, {"url": "u", "data": "d"}]}, "invalid_field", "/images/1", "one of"),
        ({"policy": "a", "text": "x" * 901}, "invalid_field", "/text", "at most 900 characters"),
    ],
)
async def test_a_wrong_field_is_refused_with_its_pointer(client, body, code, at, words):
    status, problem = await sent(client, json.dumps(body).encode())
    assert (status, problem["code"], problem["at"]) == (400, code, at)
    assert words in problem["detail"] + problem["hint"]


@pytest.mark.parametrize("body", [[], "text", None, {"policy": "a", "images": [7]}, {"policy": {}}])
async def test_what_should_be_an_object_or_text_is_told_without_the_names_of_our_code(client, body):
    status, problem = await sent(client, json.dumps(body).encode())
    assert (status, problem["code"]) == (400, "invalid_field")
    said = problem["detail"] + problem["hint"]
    assert not any(name in said for name in ("Submission", "Picture", "dictionary", "instance", "pydantic"))


async def test_a_senseless_field_name_is_not_repeated_at_length(client):
    _, problem = await sent(client, json.dumps({"policy": "a", "x" * 900: 1}).encode())
    assert problem["code"] == "unknown_field"
    assert len(problem["detail"]) < 200


def padded(size: int) -> bytes:
    return b'{"policy": "a"}'.ljust(size)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("size, status", [(CAP, 200), (CAP + 1, 413), (CAP * 50, 413)])
async def test_a_body_may_have_as_many_bytes_as_the_cap_and_no_more(client, streamed, size, status):
    async def stream() -> AsyncIterator[bytes]:
        body = padded(size)
        for start in range(0, size, 250):
            yield body[start : start + 250]

    got, answer = await sent(client, stream() if streamed else padded(size))
    assert got == status
    assert status == 200 or (answer["code"], answer["title"]) == ("body_too_large", "Too large")


async def raw(client: TestClient, request: bytes, then: bytes = b"") -> tuple[bytes, int]:
    """What the server answers to these bytes, and how many times `then` could be sent until it had."""
    reader, writer = await asyncio.open_connection(client.host, client.port)
    writer.write(request)
    answer = asyncio.create_task(reader.readuntil(b"\r\n"))
    sent_again = 0
    while then and not answer.done() and sent_again < 1000:
        writer.write(then)
        sent_again += 1
        await asyncio.wait([answer], timeout=0.01)
    status = await answer
    writer.close()
    return status.strip(), sent_again


async def test_a_body_declared_too_large_is_refused_before_it_comes(client):
    declared = b"POST /json HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999\r\n\r\n"
    assert (await raw(client, declared))[0].startswith(b"HTTP/1.1 413")


async def test_an_endless_body_is_cut_off_at_the_cap(client):
    head = b"POST /json HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    status, chunks = await raw(client, head, then=b"64\r\n" + b" " * 100 + b"\r\n")
    assert status.startswith(b"HTTP/1.1 413")
    assert chunks < 50


# Multipart


def form(**fields: bytes) -> FormData:
    data = FormData()
    for name, value in fields.items():
        data.add_field(name, value, filename=f"{name}.bin")
    return data


async def test_fields_are_read_up_to_their_cap(client):
    assert await sent(client, form(image=b"x" * PART_CAP, text=b""), "/parts") == (200, {"image": PART_CAP, "text": 0})


async def test_a_field_over_its_cap_is_refused_by_name(client):
    status, problem = await sent(client, form(text=b"ok", image=b"x" * (PART_CAP + 1)), "/parts")
    assert (status, problem["code"], problem["at"]) == (413, "image_too_large", "image")


async def test_an_endless_field_is_cut_off_at_its_cap(client):
    head = (
        b"POST /parts HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\n"
        b"Content-Length: 999999999\r\n\r\n"
        b'--b\r\nContent-Disposition: form-data; name="image"\r\n\r\n'
    )
    status, chunks = await raw(client, head, then=b"x" * 8192)
    assert status.startswith(b"HTTP/1.1 413")
    assert chunks < 100


FIELD = b'--b\r\nContent-Disposition: form-data; name="text"\r\n\r\n'

TOO_LONG = {
    "one long field": FIELD + b"x" * 3000,
    "many empty fields": (FIELD + b"\r\n") * 300,
    "a long line before the first field": b"x" * 700_000 + b"\r\n" + FIELD,
    "many lines before the first field": b"x\r\n" * 9000 + FIELD,
}


async def test_the_cap_is_for_the_whole_of_a_multipart_submission(tmp_path):
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "social.yaml").write_text("policy: social\nthresholds: {}\n")
    (tmp_path / "gateway.yaml").write_text(
        "providers: {t: {adapter: local_text}}\n"
        "routes: {default: {text: {ask: [t]}}}\n"
        "limits: {image_bytes: 2KB, body_bytes: 2KB}\n"
    )
    config = load_config(tmp_path / "gateway.yaml", {}, registry.settings_for, registry.names())
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    async with TestClient(TestServer(make_app(config))) as client:
        answers = {
            what: (await sent(client, body + b"\r\n--b--\r\n", "/v1/moderate", **headers))[0]
            for what, body in TOO_LONG.items()
        }
    assert answers == dict.fromkeys(TOO_LONG, 413)


async def test_a_multipart_body_without_a_boundary_is_refused(client):
    status, problem = await sent(client, b"--x\r\n", "/parts", **{"Content-Type": "multipart/form-data"})
    assert (status, problem["code"]) == (400, "malformed_multipart")
    assert "boundary" in problem["hint"]


@pytest.mark.parametrize("text", ["", "{", "[]", "7", "null", '"x"', "{'a': 1}"])
def test_a_json_field_holds_an_object(text):
    with pytest.raises(RequestError) as caught:
        parse_json_field(text, "context")
    assert (caught.value.code, caught.value.at) == ("malformed_json", "context")


def test_a_json_field_is_read():
    assert parse_json_field('{"country": "DE"}', "context") == {"country": "DE"}
