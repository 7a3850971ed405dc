"""Pictures that are nearly the same as one asked about before: by PDQ, within one tenant and one provider.

Only pictures that a vendor itself has answered about are kept here, never one that was let pass for another: so nobody
gets from one picture to quite another in small steps.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator

from gateway.dispatch.memory import Key
from gateway.domain import Content, Image, Pdq

LEAST_QUALITY = 50  # as lists of known pictures have it: what shows less is like much else
_KEPT = 1024  # pictures of each tenant and provider, the newest
_SHELVES = 256  # tenants times providers; some 100 kB each


class Prints:
    """Which of the pictures seen before are like this one."""

    def __init__(self) -> None:
        self._shelves: OrderedDict[Key, _Shelf] = OrderedDict()

    def near(self, key: Key, pdq: Pdq, distance: int) -> Iterator[tuple[Key, int]]:
        """Keys of pictures at most so many of 256 bits away, and how many: the nearest first, and the newest."""
        shelf = self._shelves.get(key[:2])
        return iter(()) if shelf is None else shelf.near(_number(pdq), distance)

    def add(self, key: Key, pdq: Pdq) -> None:
        """A vendor has answered about it."""
        shelf = self._shelves.setdefault(key[:2], _Shelf())
        self._shelves.move_to_end(key[:2])
        shelf.add(_number(pdq), key)
        while len(self._shelves) > _SHELVES:
            self._shelves.popitem(last=False)


class _Shelf:
    """The newest pictures, the oldest first."""

    def __init__(self) -> None:
        self._held: deque[tuple[int, Key]] = deque(maxlen=_KEPT)

    def add(self, number: int, key: Key) -> None:
        self._held.append((number, key))

    def near(self, number: int, distance: int) -> Iterator[tuple[Key, int]]:
        """All of them are compared: 0.1 ms, and no library that every process would hold in memory."""
        found = [(key, away) for held, key in reversed(self._held) if (away := (held ^ number).bit_count()) <= distance]
        return iter(sorted(found, key=lambda like: like[1]))


def comparable(content: Content) -> Pdq | None:
    """The hash of a picture asked about alone, if it can be compared: with a caption it means what that makes of it."""
    if len(content.inputs) != 1 or not isinstance(picture := content.inputs[0], Image):
        return None
    return picture.pdq if picture.pdq is not None and picture.pdq.quality >= LEAST_QUALITY else None


def _number(pdq: Pdq) -> int:
    return int.from_bytes(pdq.hash)
