"""What rules are asked about: the evidence of one submission, in the numbers and texts that rules compare."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

from msgspec import Struct, field

from gateway.policy.cel.shapes import Kind, Many, Shape

MISSING = -1  # a score nobody gave


class Label(NamedTuple):
    """Something a provider saw. `confidence` is 0..10,000, or MISSING where it gave none."""

    name: str
    confidence: int = MISSING
    provider: str = ""


class HashHit(NamedTuple):
    """A list of known content that the submission is on."""

    list: str


class Incomplete(tuple[Any, ...]):
    """What is known of a list while one that was asked gave no answer: more may be on it."""

    __slots__ = ()


class Facts(Struct, frozen=True):
    """Scores are 0..10,000. What is not in a mapping is missing; a list that is None was not looked for, and
    one that is Incomplete holds what is known of it.

    `scores` are the combined ones. `voices` holds for each category the scores of the providers that answered, `silent`
    how many could have scored it and did not answer. A provider that answered without naming the category counts as 0,
    if it reports from below every number the rules compare the category with (slots.lowest), else as silent.
    """

    scores: Mapping[str, int] = field(default_factory=dict)
    voices: Mapping[str, Collection[int]] = field(default_factory=dict)
    silent: Mapping[str, int] = field(default_factory=dict)
    labels: Sequence[Label] | None = None
    hashes: Sequence[HashHit] | None = None
    ocr: Mapping[str, Any] = field(default_factory=dict)
    context: Mapping[str, Any] = field(default_factory=dict)
    user: Mapping[str, Any] = field(default_factory=dict)


def fit(shape: Shape, value: Any) -> Any:
    """A value the caller sent as what rules expect; None, which is missing, where it is of another kind.

    Never converted: "3" is no number. Text with U+0000 in it is missing too, since databases do not agree about it.
    """
    return fitting(shape)(value)


def fitting(shape: Shape) -> Callable[[Any], Any]:
    """What fits values to this shape."""
    return _texts if isinstance(shape, Many) else _FITTING.get(shape, _nothing)


def _texts(value: Any) -> tuple[str, ...] | None:
    texts = isinstance(value, list | tuple) and all(_text(item) is not None for item in value)
    return tuple(value) if texts else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and "\0" not in value else None


def _bool(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _int(value: Any) -> int | None:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return value if whole and -(2**63) <= value < 2**63 else None


def _double(value: Any) -> float | None:
    if isinstance(value, int):
        return float(value) if abs(value) <= 2**53 and not isinstance(value, bool) else None
    return value if isinstance(value, float) and math.isfinite(value) else None


def _nothing(value: Any) -> None:
    return None


_FITTING: Mapping[Kind, Callable[[Any], Any]] = {
    Kind.TEXT: _text,
    Kind.BOOL: _bool,
    Kind.INT: _int,
    Kind.DOUBLE: _double,
}
