"""Source of ours → a function. No text of anybody else is in it: values are bound by names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def binder(names: Iterable[str], lines: Iterable[str]) -> str:
    """The source of `bind`, which takes these values and gives what the lines return."""
    return "\n".join([f"def bind({', '.join(names)}):", *(f"    {line}" for line in lines)])


def bind(source: str, values: Mapping[str, Any]) -> Any:
    """What a binder gives for these values."""
    namespace: dict[str, Any] = {}
    exec(compile(source, "<rules>", "exec"), {}, namespace)  # noqa: S102 - our own words, see above
    return namespace["bind"](*values.values())
