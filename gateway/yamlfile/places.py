"""Where in the file, and in the model, a pydantic error is.

pydantic reports a location through the *model*: it names the alternative of a union it tried, and marks a bad key.
`locate` walks model and location side by side, so that what is left is a path in the file, and the types expected at
its end.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import AliasChoices, BaseModel, RootModel
from pydantic.fields import FieldInfo

from gateway.yamlfile.tree import Where

_KEY = "[key]"  # how pydantic says that a mapping's key is meant, and not its value


@dataclass(frozen=True, slots=True)
class Place:
    """A path in the file, whether the key there is meant, and the types that would fit."""

    where: Where
    key: bool = False
    kinds: tuple[Any, ...] = ()

    @property
    def known_keys(self) -> list[str]:
        """The keys a mapping here may have, where it is a model; aliases too."""
        return list(dict.fromkeys(name for field in self._fields for name in _names(*field)))

    @property
    def first_keys(self) -> list[str]:
        """The keys to show of a mapping here: those it must have, or else its first two."""
        needed = [field.alias or name for name, field in self._fields if field.is_required()]
        return needed or self.known_keys[:2]

    def described(self, key: str) -> str:
        """What the model says of one of its keys, if anything: it is the hint where the key is missing."""
        said = (field.description for name, field in self._fields if key in _names(name, field))
        return next((words for words in said if words), "")

    @property
    def _fields(self) -> list[tuple[str, FieldInfo]]:
        models = [kind for kind in self.kinds if _is_model(kind)]
        return [item for model in models for item in model.model_fields.items()]


def locate(base: Where, model: type[BaseModel], location: Sequence[str | int]) -> Place:
    """The place of one pydantic error location."""
    path: list[str | int] = list(base)
    kinds: list[Any] = [model]
    named = False  # this union's alternative is already named
    for part in location:
        choices = [choice for kind in kinds for choice in _choices(kind)]
        if part == _KEY:
            return Place(tuple(path), key=True)
        if len(choices) > 1 and isinstance(part, str) and not named:
            fitting = [choice for choice in choices if _is_called(choice, part)]
            kinds, named = fitting or choices, len(fitting) != 1
        else:
            kinds, named = [kind for choice in choices for kind in _inside(choice, part)], False
            path.append(part)
    return Place(tuple(path), kinds=tuple(_bare(choice) for kind in kinds for choice in _choices(kind)))


def _choices(kind: Any) -> list[Any]:
    """The alternatives of a union, None left out; what a RootModel stands for; of anything else, itself."""
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    if isinstance(kind, type) and issubclass(kind, RootModel):
        return _choices(kind.model_fields["root"].annotation)
    if get_origin(kind) in (Union, UnionType):
        choices = [choice for choice in get_args(kind) if choice is not NoneType]
        return choices if len(choices) > 1 else _choices(choices[0])
    return [kind]


def _bare(kind: Any) -> Any:
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _is_called(choice: Any, label: str) -> bool:
    """Whether pydantic's name for an alternative means this one: the class's name, or its tag."""
    kind = _bare(choice)
    if not _is_model(kind):
        return False
    hints = (field.annotation for field in kind.model_fields.values())
    return kind.__name__ == label or any(get_origin(hint) is Literal and label in get_args(hint) for hint in hints)


def _inside(kind: Any, part: str | int) -> list[Any]:
    """The types of what is found under `part` in something of this kind."""
    kind = _bare(kind)
    if _is_model(kind):
        return [field.annotation for name, field in kind.model_fields.items() if part in set(_names(name, field))]
    origin, inner = get_origin(kind), get_args(kind)
    if not isinstance(origin, type) or not inner:
        return []
    if issubclass(origin, Mapping):
        return [inner[1]]
    if issubclass(origin, tuple) and inner[-1] is not Ellipsis:
        return [inner[part]] if isinstance(part, int) and part < len(inner) else []
    return [inner[0]]


def _names(name: str, field: FieldInfo) -> Iterator[str]:
    yield name
    for alias in (field.alias, field.validation_alias):
        choices = alias.choices if isinstance(alias, AliasChoices) else [alias]
        yield from (choice for choice in choices if isinstance(choice, str))
