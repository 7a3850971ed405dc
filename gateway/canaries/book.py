"""What each provider first said of each probe, and how it stands: one small file, shared by all who use the folder."""

from __future__ import annotations

import fcntl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TypeVar

import orjson
from pydantic import TypeAdapter, ValidationError

T = TypeVar("T")

MODELS_KEPT = 20  # of each provider and probe: one that invents a version a day shall not fill the disk


@dataclass(frozen=True, slots=True)
class Mark:
    """How a provider stands since it was last judged. `status` is ok, or what is wrong; `at` seconds since 1970."""

    status: str
    detail: str
    at: float


@dataclass(slots=True)
class State:
    """`first` is provider → probe → model → category → score; `marks` by provider."""

    first: dict[str, dict[str, dict[str, dict[str, int]]]] = field(default_factory=dict)
    marks: dict[str, Mark] = field(default_factory=dict)

    def said_first(self, provider: str, probe: str, model: str) -> dict[str, int]:
        """Empty where nothing was recorded."""
        return self.first.get(provider, {}).get(probe, {}).get(model, {})

    def remember(self, provider: str, probe: str, model: str, scores: dict[str, int]) -> None:
        """Unless something is remembered."""
        models = self.first.setdefault(provider, {}).setdefault(probe, {})
        models.setdefault(model, scores)
        for oldest in list(models)[:-MODELS_KEPT]:
            del models[oldest]


_STATE = TypeAdapter(State)


class Book:
    """The file. All of it blocks: call it from a thread. OSError where the folder cannot be used."""

    def __init__(self, folder: Path):
        self._file = folder / "canaries.json"
        self._lock = folder / "canaries.lock"
        self._turn = folder / "canaries.turn"
        self._held: IO[bytes] | None = None

    def read(self) -> State:
        """As it stands; nothing where there is no file, or one that nobody can read."""
        try:
            return _STATE.validate_json(self._file.read_bytes())
        except (FileNotFoundError, ValidationError):
            return State()

    def change(self, how: Callable[[State], T]) -> T:
        """Read, change and write it, while nobody else does."""
        with self._lock.open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            state = self.read()
            result = how(state)
            fresh = self._file.with_suffix(".new")
            fresh.write_bytes(orjson.dumps(state))
            fresh.rename(self._file)
        return result

    def my_turn(self) -> bool:
        """Whether it is this process that asks, of all that share the folder: the first one, until it ends."""
        if self._held is None:
            held = self._turn.open("wb")
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                held.close()
                return False
            self._held = held
        return True

    def close(self) -> None:
        """Somebody else's turn."""
        if self._held is not None:
            with suppress(OSError):
                self._held.close()
            self._held = None
