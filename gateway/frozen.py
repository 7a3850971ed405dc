"""Two things of the standard library that cost more than what is done with them, made cheaper."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, dataclass_transform, overload

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(cls: type[T]) -> type[T]:
    """A dataclass that the type checker keeps anybody from changing.

    `@dataclass(frozen=True)` sets each field through `object.__setattr__`, which takes three times as long: too long
    for the nodes of a rule's tree.
    """
    return dataclass(cls)


class kept(Generic[T]):  # noqa: N801 - it stands where `property` stands
    """A property that is worked out once, when it is first asked for: functools' without its lock.

    Python 3.12 took that lock away; before, it costs as much as what is worked out here (1 µs, measured 2026-11).
    """

    def __init__(self, work: Callable[[Any], T]):
        self._work = work
        self.__doc__ = work.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, it: None, owner: type) -> kept[T]: ...
    @overload
    def __get__(self, it: object, owner: type) -> T: ...
    def __get__(self, it: Any, owner: type) -> T | kept[T]:
        if it is None:
            return self
        value = it.__dict__[self._name] = self._work(it)
        return value
