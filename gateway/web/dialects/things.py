"""Names of things seen, for the dialects that list them: what providers with such names said, in their own words."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from gateway.domain import Role
from gateway.errors import Overloaded
from gateway.inverse import Inverse
from gateway.record import Record

_THINGS_TOO = {"Alcohol", "Gambling", "Smoking"}  # words of a moderation vocabulary that lists of things use as well


def things(record: Record, spoken: Mapping[str, Inverse]) -> dict[str, int] | None:
    """Name → score 0..10,000 of every thing seen; None where nobody answered who names things."""
    readings = [
        answer.reading
        for answer in record.answers
        if answer.reading and answer.role is not Role.SHADOW and answer.outcome.provider in record.objects
    ]
    if not readings:
        return None
    judgements = moderation_words(spoken)
    seen: dict[str, int] = {}
    for signal in (signal for reading in readings for signal in reading.signals):
        if signal.score is not None and signal.label not in judgements:
            seen[signal.label] = max(signal.score, seen.get(signal.label, 0))
    return seen


def insist_on_things(record: Record, seen: dict[str, int] | None) -> dict[str, int]:
    """What `things` gave. Raises Overloaded for None: an empty list would say that there is nothing in the picture."""
    if seen is None:
        raise Overloaded(
            "nobody_names_things",
            f"Nobody who answered names things; the decision {record.id} is {record.action.value}.",
            hint="Put a provider into the route that does.",
            retry_after=2,
        )
    return seen


def moderation_words(spoken: Mapping[str, Inverse]) -> Collection[str]:
    """The words that judge instead of naming a thing: every dialect's vocabulary, and what falls under it."""
    words = {label for inverse in spoken.values() for label in inverse.labels} - _THINGS_TOO
    for inverse in spoken.values():
        below = [child for parent in inverse.tree if parent in words for child in inverse.tree[parent]]
        words.update(set(below) - _THINGS_TOO)
    return words
