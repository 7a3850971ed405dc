"""Pictures cut out of a body: whoever reads it finds what plain parsing would have found, and the same mistakes."""

from __future__ import annotations

import base64
import random

import orjson
import pytest
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as some
from pydantic import BaseModel, ConfigDict

from gateway.errors import BadContent
from gateway.intake import Decoded
from gateway.web import cutting
from gateway.web.bodies import read_json
from gateway.web.cutting import LONG, Inline, cut

URI = "data:image/png;base64,"


def encoded(seed: int = 1, size: int = LONG) -> str:
    return base64.b64encode(random.Random(seed).randbytes(size)).decode()


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid")
    data: Inline | None = None
    url: str | None = None


class Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")
    text: str | None = None
    images: list[Part] = []
    context: dict[str, object] = {}


class Content:
    """A body that is there."""

    def __init__(self, body: bytes):
        self.total_bytes = len(body)
        self._pieces = [body, b""]

    def is_eof(self) -> bool:
        return False

    async def readany(self) -> bytes:
        return self._pieces.pop(0)


async def read(body: bytes) -> Asked:
    """As any endpoint would read it."""
    return await read_json(make_mocked_request("POST", "/", payload=Content(body), client_max_size=1 << 30), Asked)


async def test_a_picture_is_decoded_beside_the_parser():
    first, second = encoded(1), encoded(2)
    body = orjson.dumps({"text": 'say "hi" \\', "images": [{"data": URI + first}, {"data": second}]})
    asked = await read(body)
    pictures = [image.data for image in asked.images]
    assert [str(picture) for picture in pictures] == [URI, ""]
    assert all(isinstance(picture, Decoded) for picture in pictures)
    assert [base64.b64encode(picture.take()).decode() for picture in pictures] == [first, second]
    assert [picture.take() for picture in pictures] == [b"", b""]
    assert asked.text == 'say "hi" \\'


PICTURE = encoded()
ODD = {
    "in a text": {"text": PICTURE},
    "in an address": {"images": [{"url": URI + PICTURE}]},
    "in a context": {"context": {"data": PICTURE}},
    "beside one that is no base64": {"images": [{"data": PICTURE}, {"data": PICTURE + "!"}]},
    "beside one without padding": {"images": [{"data": PICTURE}, {"data": PICTURE + "AAA"}]},
    "as another kind of data": {"images": [{"data": "data:text/plain;base64," + PICTURE}]},
    "beside a long text": {"text": "ü" * LONG, "images": [{"data": PICTURE}]},
}


@pytest.mark.parametrize("body", ODD.values(), ids=ODD)
async def test_elsewhere_it_is_the_string_it_was(body):
    assert (await read(orjson.dumps(body))).model_dump() == Asked.model_validate(body).model_dump()


async def test_of_two_fields_of_one_name_the_last_counts():
    body = b'{"images": [{"data": "%b", "data": "x"}]}' % PICTURE.encode()
    assert (await read(body)).images[0].data == "x"


async def test_slashes_may_be_escaped_as_some_encoders_do():
    body = orjson.dumps({"images": [{"data": PICTURE}]}).replace(b"/", b"\\/")
    assert (await read(body)).images[0].data == PICTURE


GOOD = orjson.dumps({"text": "a", "images": [{"data": URI + PICTURE}]})
BROKEN = {
    "cut off": GOOD[:-1],
    "cut off within": GOOD[: len(GOOD) // 2],
    "something after it": GOOD + b" x",
    "a line break in it": GOOD.replace(PICTURE[:99].encode(), PICTURE[:99].encode() + b"\n"),
    "not UTF-8 in it": GOOD.replace(PICTURE[:99].encode(), PICTURE[:99].encode() + b"\xff"),
    "no quote before it": GOOD.replace(b'"data:', b"data:"),
    "a field nobody knows": orjson.dumps({"images": [{"dota": PICTURE}]}),
    "a picture for a name": orjson.dumps({PICTURE: 1}),
    "another mistake": orjson.dumps({"images": [{"data": PICTURE}], "text": 7}),
    "a picture where an object should be": orjson.dumps({"images": [PICTURE]}),
}


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN)
async def test_mistakes_are_told_as_ever(body, monkeypatch):
    async def refused():
        with pytest.raises(BadContent) as caught:
            await read(body)
        error = caught.value
        return error.code, error.detail, error.hint, error.at

    said = await refused()
    monkeypatch.setattr(cutting, "LONG", 1 << 40)
    assert said == await refused()


@pytest.mark.parametrize("tokens", [b'"', b'"\\"', b'"' + b"\\" * 9])
async def test_a_body_of_nothing_but_quotes_is_left_to_the_parser(tokens):
    assert await cut(tokens * LONG) is None


# Small enough to try many: a string of 8 bytes counts as long

words = some.sampled_from(['"', "\\", "\\\\", '\\"', "AAAA", "AAAABBBB", "a+/=", "ü", "\n", "/", "{", ",", URI])
texts = some.lists(words, max_size=6).map("".join) | some.text(max_size=12)
pictures = some.binary(min_size=6, max_size=40).map(lambda data: base64.b64encode(data).decode())
strings = texts | pictures | pictures.map(lambda written: URI + written)
documents = some.recursive(
    some.none() | some.integers(-9, 9) | strings,
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(strings, inner, max_size=4),
    max_leaves=12,
)


class _Finding:
    """A document with what was cut put back."""

    def __init__(self, cuts):
        self._cuts = cuts

    def whole(self, value):
        match value:
            case str():
                found = self._cuts.find(value)
                if not isinstance(found, Decoded):
                    return found
                return str(found) + base64.b64encode(found.take()).decode()
            case list():
                return [self.whole(each) for each in value]
            case dict():
                return {self.whole(name): self.whole(each) for name, each in value.items()}
        return value


async def cut_short(body):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cutting, "LONG", 8)
        return await cut(body)


async def put_back(body):
    cuts = await cut_short(body)
    return cuts and _Finding(cuts).whole(orjson.loads(cuts.rest)), cuts


@given(documents, some.booleans(), some.booleans())
async def test_a_document_is_the_same_with_its_cuts_put_back(document, escaped, spaced):
    body = orjson.dumps(document, option=orjson.OPT_INDENT_2 if spaced else None)
    body = body.replace(b"/", b"\\/") if escaped else body
    whole, cuts = await put_back(body)
    if cuts:
        assert whole == orjson.loads(body)
        assert cuts.all_found


@given(documents, some.integers(0, 400), some.sampled_from([b'"', b"\\", b"x", b"{", b"\n", b""]), some.booleans())
async def test_a_mistake_is_not_cut_away(document, place, written, instead):
    """What is no JSON is none without its pictures either, and what still is one says the same."""
    body = orjson.dumps(document)
    body = body[:place] + written + body[place + instead :]
    try:
        plain = orjson.loads(body)
    except orjson.JSONDecodeError:
        with pytest.raises(orjson.JSONDecodeError):
            cuts = await cut_short(body)
            orjson.loads(cuts.rest if cuts else body)
    else:
        whole, cuts = await put_back(body)
        assert not cuts or whole == plain
