"""For whom a policy is otherwise: overlays laid over the file, and which of them a request comes under.

The most general first (surface, country, tenant, tenant and surface; of equal ones the order of the file), so that the
most particular has the last word. Fields are set by name and rules switched off by id; no text is joined to another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import product
from typing import Any, Generic, TypeVar

from pydantic import BaseModel

from gateway.policy.schema import Overlay, PolicyFile

T = TypeVar("T")
R = TypeVar("R", bound=BaseModel)

MOST_AT_ONCE = 1000  # combinations made when the policy is read; further ones when somebody comes under them
_WEIGHTS = {"surface": 1, "country": 2, "tenant": 4}

Key = tuple[str | None, ...]


def laid(said: PolicyFile, overlays: Sequence[Overlay]) -> tuple[PolicyFile, frozenset[str]]:
    """The file with these overlays on it, in this order, and the ids of the rules they switch off."""
    disabled: set[str] = set()
    thresholds, coverage, messages = dict(said.thresholds), dict(said.signals.coverage), dict(said.messages)
    rules = {row.id: row for row in said.rules}
    for overlay in overlays:
        for slug, row in overlay.thresholds.items():
            thresholds[slug] = _set(thresholds[slug], row) if slug in thresholds else row
        for slug, rule in overlay.coverage.items():
            coverage[slug] = _set(coverage[slug], rule) if slug in coverage else rule
        for name, patch in overlay.rules.items():
            rules[name] = _set(rules[name], patch)
        for code, texts in overlay.messages.items():
            messages[code] = {**messages.get(code, {}), **texts}
        disabled |= set(overlay.disable)
    changed = {
        "thresholds": thresholds,
        "signals": said.signals.model_copy(update={"coverage": coverage}),
        "rules": tuple(rules.values()),
        "messages": messages,
    }
    return (said.model_copy(update=changed) if overlays else said), frozenset(disabled)


def _set(row: R, otherwise: BaseModel) -> R:
    """The row with those fields of the other that somebody wrote."""
    return row.model_copy(update={name: getattr(otherwise, name) for name in otherwise.model_fields_set})


def told(overlay: Overlay) -> str:
    """How a decision names it: `tenant=acme,surface=post|story`."""
    match = overlay.match
    given = {"tenant": match.tenant, "country": match.country, "surface": match.surface}
    return ",".join(f"{name}={'|'.join(values)}" for name, values in given.items() if values)


class Variants(Generic[T]):
    """One of something for each combination of overlays. `made` makes it, of the overlays' places in the file."""

    def __init__(self, overlays: Sequence[Overlay], made: Callable[[tuple[int, ...]], T]):
        self._matches = [
            {name: frozenset(values) for name, values in overlay.match.model_dump().items() if values is not None}
            for overlay in overlays
        ]
        self._made = made
        self._by_places: dict[tuple[int, ...], T] = {}
        self._by_key: dict[Key, T] = {}
        self._known = tuple(
            frozenset(value for match in self._matches for value in match.get(name, ())) for name in _WEIGHTS
        )

    def of(self, surface: Any, country: Any, tenant: Any) -> T:
        """What this request comes under. Values that no overlay names are all one."""
        surfaces, countries, tenants = self._known
        key = (
            surface if isinstance(surface, str) and surface in surfaces else None,
            country if isinstance(country, str) and country in countries else None,
            tenant if isinstance(tenant, str) and tenant in tenants else None,
        )
        found = self._by_key.get(key)
        return found if found is not None else self._new(key)

    def make_all(self, most: int = MOST_AT_ONCE) -> list[T]:
        """Each there can be, made now; where they are too many, the first of those of one overlay at a time."""
        return list(dict.fromkeys(self._new(key) for key in self._keys(most)))

    def together(self) -> list[tuple[int, ...]]:
        """The places in the file of overlays that there can be at once; where they are too many, of one at a time."""
        return list(dict.fromkeys(self._places(key) for key in self._keys(MOST_AT_ONCE)))

    def _keys(self, most: int) -> Iterable[Key]:
        values = [(None, *sorted(known)) for known in self._known]
        count = 1
        for each in values:
            count *= len(each)
        return product(*values) if count <= most else self._each_alone()[:most]

    def _each_alone(self) -> Sequence[Key]:
        return [tuple(min(match[name]) if name in match else None for name in _WEIGHTS) for match in self._matches]

    def _new(self, key: Key) -> T:
        places = self._places(key)
        made = self._by_places.get(places)
        if made is None:
            made = self._by_places[places] = self._made(places)
        self._by_key[key] = made
        return made

    def _places(self, key: Key) -> tuple[int, ...]:
        given = dict(zip(_WEIGHTS, key, strict=True))
        fitting = [
            place
            for place, match in enumerate(self._matches)
            if all(given[name] in values for name, values in match.items())
        ]
        return tuple(sorted(fitting, key=lambda place: sum(_WEIGHTS[name] for name in self._matches[place])))
