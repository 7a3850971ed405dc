"""Reading request bodies: capped while they stream, checked against a model, every error with its place."""

from __future__ import annotations

from typing import Any, TypeVar

import orjson
from aiohttp import BodyPartReader, MultipartReader, web
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
        raise _first(error.errors(include_url=False, include_input=False), model) from None


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


async def parts(request: web.Request) -> MultipartReader:
    """The reader of a multipart body. Raises BadContent where there is none."""
    try:
        return await request.multipart()
    except ValueError:
        hint = "Content-Type needs a boundary: let your HTTP client set it."
        raise BadContent("malformed_multipart", "The body is not multipart/form-data.", hint=hint) from None


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


def _first(errors: list[ErrorDetails], model: type[BaseModel]) -> BadContent:
    error = errors[0]
    at = "/" + "/".join(str(step) for step in error["loc"])
    if error["type"] == "extra_forbidden":
        name = str(error["loc"][-1])
        hint = did_you_mean(name, _fields(model)) or f"Fields are {', '.join(sorted(_fields(model)))}."
        return BadContent("unknown_field", f"There is no field '{name}' here.", hint=hint, at=at)
    if error["type"] == "missing":
        return BadContent("missing_field", f"The field '{error['loc'][-1]}' is missing.", hint="See /docs.", at=at)
    said = error["msg"].removeprefix("Value error, ").replace("Input should", "It should")
    return BadContent("invalid_field", f"{at}: {said}.", hint="See /docs for the shape of a request.", at=at)


def _fields(model: type[BaseModel]) -> list[str]:
    """Names of this model and of the models inside it: good enough for a suggestion."""
    names = list(model.model_fields)
    for field in model.model_fields.values():
        for inner in getattr(field.annotation, "__args__", ()):
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                names += inner.model_fields
    return names
