"""Reading request bodies: capped while they stream, checked against a model, every error with its place."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Collection
from typing import Any, TypeVar, cast

import orjson
from aiohttp import BodyPartReader, MultipartReader, StreamReader, web
from aiohttp.http_exceptions import HttpProcessingError
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from gateway.errors import BadContent, TooLarge
from gateway.suggest import did_you_mean

M = TypeVar("M", bound=BaseModel)

_CHUNK = 64 * 1024


async def read_json(request: web.Request, model: type[M]) -> M:
    """The body as this model. Raises BadContent, and TooLarge once more has come than the application takes."""
    body = await read_body(request)
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
    """All of it. Raises TooLarge as soon as the application's cap is passed, declared or streamed."""
    cap = request.client_max_size
    if request.content_length is not None and request.content_length > cap:
        raise body_too_large(cap)
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise body_too_large(cap) from None


def body_too_large(cap: int) -> TooLarge:
    hint = "Send fewer or smaller images, or use multipart, which needs a quarter less."
    return TooLarge("body_too_large", f"The request body is over {cap} bytes.", hint=hint)


async def read_part(part: BodyPartReader, cap: int, code: str, at: str) -> bytes:
    """One multipart field, refused as soon as it is over the cap."""
    held = bytearray()
    while chunk := await part.read_chunk(_CHUNK):
        held += chunk
        if len(held) > cap:
            raise TooLarge(code, f"The field '{at}' is over {cap} bytes.", hint="Make it smaller.", at=at)
    return bytes(held)


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
    cap = request.client_max_size
    if request.content_length is not None and request.content_length > cap:
        raise body_too_large(cap)
    try:
        return MultipartReader(request.headers, cast(StreamReader, _Capped(request.content, cap)))
    except (ValueError, AssertionError):
        hint = "Content-Type needs a boundary: let your HTTP client set it."
        raise BadContent("malformed_multipart", "The body is not multipart/form-data.", hint=hint) from None


class _Capped:
    """The body as the multipart reader reads it, counted: what stands between fields counts too."""

    def __init__(self, content: StreamReader, cap: int):
        self._content = content
        self._cap = cap

    async def readline(self, **limits: Any) -> bytes:
        try:
            return self._within(await self._content.readline(**limits))
        except (HttpProcessingError, ValueError):  # a line longer than any field's head
            self._within(b"")
            raise ValueError("a line of the body is too long") from None

    async def read(self, size: int = -1) -> bytes:
        return self._within(await self._content.read(size))

    def at_eof(self) -> bool:
        return self._content.at_eof()

    def unread_data(self, data: bytes) -> None:
        self._content.unread_data(data)

    def _within(self, data: bytes) -> bytes:
        if self._content.total_bytes > self._cap:
            raise body_too_large(self._cap)
        return data


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
