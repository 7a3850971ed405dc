"""Types and defaults of a pydantic model in words for somebody who writes YAML."""

from __future__ import annotations

import types
import typing
from pathlib import Path
from typing import Any, Literal, Union

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, BeforeValidator, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from gateway.policy import schema
from gateway.units import duration, rate, size


def _read_by(alias: Any) -> Any:
    """The function that an annotated type of a policy file is read by."""
    return next(marker.func for marker in typing.get_args(alias) if isinstance(marker, BeforeValidator))


_UNITS: dict[Any, str] = {
    duration: "duration",
    size: "size",
    rate: "rate",
    schema.cut: '0 to 1, or `"-"`',
    _read_by(schema.Words): "text, or list of text",
    _read_by(schema.Spec): "a type, or {" + ", ".join(schema.FieldSpec.model_fields) + "}",
    _read_by(schema.Band): "0 to 1, or [least, most]",
    _read_by(schema.Combiner): "`max` · `mean` · `median` · `quorum(k)` or {calibrated}",
}
_PLAIN = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    SecretStr: "secret",
    Any: "anything",
    Path: "path",
}


def about(model: type[BaseModel]) -> str:
    """What a section is, in Markdown: of what is no code, < is no mark."""
    plain_and_code = " ".join((model.__doc__ or "").split()).split("`")
    plain_and_code[::2] = [part.replace("<", "\\<") for part in plain_and_code[::2]]
    return "`".join(plain_and_code)


def kind(field: FieldInfo) -> str:
    """What a key takes: `whole number, at least 1`."""
    found = _unit(field.metadata) or _plain(field.annotation)
    return ", ".join(filter(None, (found, _bounds(field.metadata))))


def default(field: FieldInfo) -> str:
    """What a key is where it is left out."""
    value = field.default
    if value is PydanticUndefined:
        return "required"
    if value is None or value == ():
        return "none"
    if isinstance(value, BaseModel):
        return _whole(value)
    if isinstance(value, tuple):
        return f"`[{', '.join(map(str, value))}]`"
    unit = _unit(field.metadata)
    if unit == "duration":
        return f"`{value:g}s`"
    if unit == "size":
        return f"`{value // 1_000_000}MB`"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`" if value != "" else '`""`'


def _whole(value: BaseModel) -> str:
    """A section's own defaults; nothing where all of them are."""
    said = {key: getattr(value, key) for key in type(value).model_fields}
    if not any(said.values()):
        return "`{}`"
    return "`{" + ", ".join(f"{key}: {each}".lower() for key, each in said.items()) + "}`"


def _unit(markers: typing.Iterable[Any]) -> str | None:
    return next((_UNITS[m.func] for m in markers if isinstance(m, BeforeValidator) and m.func in _UNITS), None)


def _bounds(markers: typing.Iterable[Any]) -> str:
    said = []
    for marker in markers:
        match marker:
            case Ge(ge=low):
                said.append(f"at least {low}")
            case Gt(gt=low):
                said.append(f"above {low}")
            case Le(le=high):
                said.append(f"at most {high}")
            case Lt(lt=high):
                said.append(f"below {high}")
    return ", ".join(said)


def _plain(annotation: Any) -> str:
    origin, inside = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _unit(inside[1:]) or _plain(inside[0])
    if origin is Literal:
        return " · ".join(f"`{choice}`" for choice in inside)
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(_plain(choice) for choice in inside if choice is not type(None)))
    if origin is dict:
        return "mapping" if inside[1] is Any else f"mapping to {_plain(inside[1])}"
    if origin in (tuple, list):
        return f"list of {_plain(inside[0])}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "{" + ", ".join(field.alias or key for key, field in annotation.model_fields.items()) + "}"
    return _PLAIN.get(annotation, "network" if "Network" in str(annotation) else "text")
