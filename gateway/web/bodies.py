"""Reading request bodies: capped and in their turn while they stream, checked against a model, every error with its
place."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from io import BytesIO
from typing import Any, TypeVar, cast

import orjson
from aiohttp import BodyPartReader, MultipartReader, StreamReader, web
from aiohttp.http_exceptions import HttpProcessingError
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from gateway.errors import BadContent, TooLarge
from gateway.patience import within
from gateway.suggest import did_you_mean
from gateway.web.cutting import Cuts, cut
from gateway.web.room import FREE, SHARE

M = TypeVar("M", bound=BaseModel)

_CHUNK = 64 * 1024


async def read_json(request: web.Request, model: type[M]) -> M:
    """The body as this model. Raises BadContent, and TooLarge once more has come than the application takes.

    Large pictures in it are cut out first and decoded in a thread: the loop would stand still for them.
    """
    body = await read_body(request)
    cuts = await cut(body)
    return (cuts and _without(cuts, model)) or _whole(body, model)


def _without(cuts: Cuts, model: type[M]) -> M | None:
    """None where the model does not have pictures in just those places, or there is any mistake."""
    try:
        read = model.model_validate(orjson.loads(cuts.rest), context=cuts)
    except (orjson.JSONDecodeError, ValidationError):
        return None
    return read if cuts.all_found else None


def _whole(body: bytes, model: type[M]) -> M:
    try:
        return checked(model, orjson.loads(body))
    except orjson.JSONDecodeError as error:
        raise BadContent(
            "malformed_json",
            f"The body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}.",
            hint="Send a JSON object in UTF-8 with Content-Type: application/json.",
        ) from None


def checked(model: type[M], data: Any) -> M:
    """The data as this model. Raises BadContent that says where and what would be right."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise _first(error.errors(include_url=False, include_input=False), model, data) from None


async def read_body(request: web.Request) -> bytes:
    """All of it. Raises TooLarge as soon as the application's cap is passed, declared or streamed, and Overloaded."""
    kept: bytes | None = request.pop(_BODY, None)
    if kept is not None:
        return kept
    content = request.content
    if content.is_eof() and content.total_bytes <= min(FREE, request.client_max_size):  # it came whole, with its head
        return content.read_nowait()
    coming, held = _Coming(request), BytesIO()
    await coming.begin()
    while chunk := await coming.readany():
        held.write(chunk)
    return held.getvalue()  # which is no copy


async def peek_body(request: web.Request) -> bytes:
    """All of it, which can then be read once more."""
    body = request[_BODY] = await read_body(request)
    return body


_BODY = web.RequestKey("body", bytes)


def body_too_large(cap: int) -> TooLarge:
    hint = "Send fewer or smaller images, or use multipart, which needs a quarter less."
    return TooLarge("body_too_large", f"The request body is over {cap} bytes.", hint=hint)


async def read_part(part: BodyPartReader, cap: int, code: str, at: str) -> bytes:
    """One multipart field, refused as soon as it is over the cap."""
    held = BytesIO()
    while chunk := await part.read_chunk(_CHUNK):
        held.write(chunk)
        if held.tell() > cap:
            raise TooLarge(code, f"The field '{at}' is over {cap} bytes.", hint="Make it smaller.", at=at)
    return held.getvalue()


async def form_fields(request: web.Request, cap: int, files: Collection[str]) -> AsyncIterator[tuple[str, bytes]]:
    """Name and content of each field of a multipart form, of at most `cap` bytes each; `files` are those with images.

    Raises BadContent and TooLarge.
    """
    reader = await parts(request)
    try:
        while part := await reader.next():
            if not isinstance(part, BodyPartReader):
                raise BadContent(
                    "malformed_multipart", "Multipart inside multipart is not taken.", hint="Send flat fields."
                )
            name = part.name or ""
            yield name, await read_part(part, cap, "image_too_large" if name in files else "field_too_large", name)
    except ValueError:
        hint = "Let your HTTP client write the body."
        raise BadContent("malformed_multipart", "The multipart body breaks off or is malformed.", hint=hint) from None


async def parts(request: web.Request) -> MultipartReader:
    """The reader of a multipart body, of which no more than the application's cap is ever read.

    Raises BadContent where there is none, and while it is read TooLarge.
    """
    coming = _Coming(request)
    await coming.begin()
    try:
        return MultipartReader(request.headers, cast(StreamReader, coming))
    except (ValueError, AssertionError):
        hint = "Content-Type needs a boundary: let your HTTP client set it."
        raise BadContent("malformed_multipart", "The body is not multipart/form-data.", hint=hint) from None


class _Coming:
    """The body as it comes in, also for a multipart reader: no more than the cap, what stands between fields counts
    too; no more than there is room for, and no longer than its caller waits."""

    def __init__(self, request: web.Request):
        self._content = request.content
        self._cap = request.client_max_size
        self._declared = request.content_length or 0
        self._share = request.get(SHARE)

    async def begin(self) -> None:
        """Before the first byte is read."""
        if self._declared > self._cap:
            raise body_too_large(self._cap)
        if self._share:
            await self._share.cover(self._declared)

    async def readline(self, **limits: Any) -> bytes:
        try:
            return await self._within(lambda: self._content.readline(**limits))
        except (HttpProcessingError, ValueError):  # a line longer than any field's head
            await self._within(self._nothing)
            raise ValueError("a line of the body is too long") from None

    async def read(self, size: int = -1) -> bytes:
        return await self._within(lambda: self._content.read(size))

    async def readany(self) -> bytes:
        return await self._within(self._content.readany)

    def at_eof(self) -> bool:
        return self._content.at_eof()

    def unread_data(self, data: bytes) -> None:
        self._content.unread_data(data)

    async def _within(self, read: Callable[[], Awaitable[bytes]]) -> bytes:
        """What is read, if all that came is within its bounds."""
        try:
            if self._share is None or self._content.is_eof():
                data = await read()
            else:
                async with within(self._share.until):
                    data = await read()
        except web.RequestPayloadError:
            hint = "Send the bytes as they are, or whole and as the Content-Encoding says."
            raise BadContent("malformed_encoding", "The body is not encoded as its headers say.", hint=hint) from None
        if self._content.total_bytes > self._cap:
            raise body_too_large(self._cap)
        if self._share:
            await self._share.cover(self._content.total_bytes)
        return data

    @staticmethod
    async def _nothing() -> bytes:
        return b""


def parse_json_field(text: str, at: str) -> dict[str, Any]:
    """A multipart field that holds a JSON object."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        value = None
    if not isinstance(value, dict):
        raise BadContent(
            "malformed_json", f"The field '{at}' is not a JSON object.", hint='Like {"country": "DE"}.', at=at
        )
    return value


_KINDS = {
    "an object": ("model_type", "model_attributes_type", "dict_type"),
    "a string": ("string_type", "string_sub_type"),
    "a list": ("list_type",),
}
_WANTED = {code: kind for kind, codes in _KINDS.items() for code in codes}
_LONGEST_NAME = 64  # of what a caller calls a field, in our answer


def _first(errors: list[ErrorDetails], model: type[BaseModel], data: Any) -> BadContent:
    error = errors[0]
    steps = _steps(error["loc"], data)
    at = "".join("/" + step[:_LONGEST_NAME].replace("~", "~0").replace("/", "~1") for step in steps)
    name = (steps[-1] if steps else "body")[:_LONGEST_NAME]
    if error["type"] == "extra_forbidden":
        hint = did_you_mean(name, _fields(model)) or f"Fields are {', '.join(sorted(_fields(model)))}."
        return BadContent("unknown_field", f"There is no field '{name}' here.", hint=hint, at=at)
    if error["type"] == "missing":
        return BadContent("missing_field", f"The field '{name}' is missing.", hint=_HINT, at=at)
    if error["type"] in _WANTED:
        said = f"should be {_WANTED[error['type']]}"
    else:
        said = re.sub(r"^(Value error, |(Input|String) (?=should))", "", error["msg"])
    return BadContent("invalid_field", f"{at or 'The body'}: {said}.", hint=_HINT, at=at)


_HINT = "See /docs for the shape of a request."


def _steps(location: tuple[int | str, ...], data: Any) -> list[str]:
    """pydantic's location without the names of alternatives, which are in no request."""
    steps: list[str] = []
    here = data
    for place, step in enumerate(location):
        inside = (isinstance(here, dict) and step in here) or (isinstance(here, list) and isinstance(step, int))
        if inside:
            here = here[step] if isinstance(here, dict) or (isinstance(step, int) and step < len(here)) else None
        if inside or (isinstance(here, dict) and place == len(location) - 1):
            steps.append(str(step))
    return steps


def _fields(model: type[BaseModel]) -> list[str]:
    """Names of this model and of the models inside it: good enough for a suggestion."""
    names = list(model.model_fields)
    for field in model.model_fields.values():
        for inner in getattr(field.annotation, "__args__", ()):
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                names += inner.model_fields
    return names
