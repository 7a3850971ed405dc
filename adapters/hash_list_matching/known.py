"""All hashes of a provider's lists, each with the list it is from."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np

from adapters.hash_list_matching.files import Bytes, HashFile, read_hashes
from adapters.hash_list_matching.index import Index
from gateway.pdq import TURNS


@dataclass(frozen=True)
class Match:
    """That something is on a list: by which hash, how many bits apart, and how the picture is turned against it."""

    list: str
    by: str
    distance: int = 0
    turned: str | None = None


class Known:
    """`version` names these very hashes, in these lists; `perceptual` are the lists that hold PDQ hashes."""

    def __init__(self, lists: Mapping[str, HashFile], distance: int):
        self._names = tuple(lists)
        self._sha256 = _Kind([held.sha256 for held in lists.values()], 0)
        self._pdq = _Kind([held.pdq for held in lists.values()], distance)
        self.perceptual = frozenset(name for name, held in lists.items() if len(held.pdq))
        self.version = _version(lists)

    @classmethod
    def read(cls, files: Mapping[str, Path], good: Set[str], distance: int) -> Known:
        """The files by the names of their lists. ConfigError for the first thing that should not be in them."""
        return cls({name: read_hashes(file, only_same=name in good) for name, file in files.items()}, distance)

    def __len__(self) -> int:
        return len(self._sha256.owners) + len(self._pdq.owners)

    def same(self, digest: str, by: str) -> list[Match]:
        """Every list with this SHA-256 (hex)."""
        asked = np.frombuffer(bytes.fromhex(digest), np.uint8)
        return [Match(self._names[owner], by) for owner, _, _ in self._sha256.near(asked[np.newaxis])]

    def alike(self, turns: Bytes) -> list[Match]:
        """Every list with a PDQ hash near one of these, shape (8, 32), in the order of TURNS; the nearest of each."""
        found = self._pdq.near(turns)
        return [Match(self._names[owner], "pdq", distance, TURNS[turn]) for owner, distance, turn in found]


class _Kind:
    """The hashes of one kind, of all lists; `owners` is the number of the list for each."""

    def __init__(self, lists: list[Bytes], distance: int):
        self.owners = np.repeat(np.arange(len(lists)), [len(held) for held in lists])
        self._index = Index(np.concatenate(lists), distance)

    def near(self, asked: Bytes) -> list[tuple[int, int, int]]:
        """Owner, distance and which of the asked, for each owner with a hash that is near enough."""
        nearest: dict[int, tuple[int, int, int]] = {}
        for hit in self._index.near(asked):  # nearest first
            owner = int(self.owners[hit.row])
            nearest.setdefault(owner, (owner, hit.distance, hit.query))
        return list(nearest.values())


def _version(lists: Mapping[str, HashFile]) -> str:
    whole = sha256()
    for name, held in lists.items():
        for hashes in (held.sha256, held.pdq):
            whole.update(f"{name}:{len(hashes)}:".encode())
            whole.update(hashes.data)
    return whole.hexdigest()[:8]
