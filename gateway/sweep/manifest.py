"""What has been exported: which files there are, what is in each, how far it got. One JSON file, replaced whole.

A file counts from the moment it stands here. What a crash left behind beside that is swept away by the next export.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import orjson
from pydantic import TypeAdapter, ValidationError

from gateway.errors import ConfigError
from gateway.sweep.layout import Voice

VERSION = 3
INDEX = ".index"
LASTING = (".parquet", INDEX, ".found.parquet")
CACHE = ".mapped"


@dataclass(frozen=True)
class Group:
    """Rows of a file that are alike in what chooses the policy they come under, and how many there are."""

    policy: str
    modality: str
    route: str
    surface: str | None
    country: str | None
    rows: int

    @property
    def apart(self) -> tuple[str | None, ...]:
        """What it is told apart by, as GROUPED has it."""
        return self.policy, self.modality, self.route, self.surface, self.country


@dataclass(frozen=True)
class Part:
    """One file. `fields` are those of context that were kept; `words` how many of hits; `several` rows of decisions
    with more than one input; times are milliseconds since 1970. `unsure`: labels without a confidence are in it."""

    name: str
    day: str
    tenant: str
    rows: int
    decisions: int
    first: int
    last: int
    several: int
    words: int
    unsure: bool
    scores: tuple[Voice, ...]
    quiet: tuple[Voice, ...]
    providers: tuple[str, ...]
    fields: tuple[str, ...]
    columns: tuple[str, ...]
    groups: tuple[Group, ...]


@dataclass
class Manifest:
    """`until` is per tenant: everything created before is exported. `bits` are rule and action by their number.

    `sees` is route → modality → provider → what it can see, as it was configured at the newest export.
    """

    version: int = VERSION
    next: int = 1
    parts: list[Part] = field(default_factory=list)
    until: dict[str, float] = field(default_factory=dict)
    bits: list[tuple[str, str]] = field(default_factory=list)
    sees: dict[str, dict[str, dict[str, tuple[str, ...]]]] = field(default_factory=dict)
    unreadable: int = 0


_SHAPE = TypeAdapter(Manifest)


class Store:
    """The folder. Hold `locked` while writing to it."""

    def __init__(self, folder: Path):
        self.folder = folder

    def load(self) -> Manifest:
        """Empty where there is none. ConfigError where it is not ours."""
        file = self.folder / "manifest.json"
        if not file.is_file():
            return Manifest()
        try:
            found = _SHAPE.validate_json(file.read_bytes())
        except ValidationError:
            found = Manifest(version=0)
        if found.version != VERSION:
            hint = "--rebuild exports all decisions again"
            raise ConfigError("it was not written by this version", file=str(file), hint=hint)
        return found

    def save(self, manifest: Manifest) -> None:
        """Either the old one or the new one is there, whatever happens."""
        replace(self.folder / "manifest.json", orjson.dumps(manifest))

    def file(self, part: Part | str, suffix: str = ".parquet") -> Path:
        name = part if isinstance(part, str) else part.name
        return self.folder / f"{name}{suffix}"

    def forget(self) -> None:
        """All that was exported, and what came of it. The decisions themselves are elsewhere."""
        (self.folder / "manifest.json").unlink(missing_ok=True)
        shutil.rmtree(self.folder / "runs", ignore_errors=True)  # its files are named after parts: names begin anew
        self.tidy(Manifest())

    def tidy(self, manifest: Manifest) -> None:
        """Remove files that no manifest names: of a crash, or merged into others."""
        known = {self.file(part, suffix) for part in manifest.parts for suffix in (*LASTING, CACHE)}
        for file in self.folder.glob("days/*/*/*"):
            if file not in known:
                file.unlink()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One export at a time: a second one waits."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def replace(file: Path, content: bytes) -> None:
    """Write it beside, then rename."""
    beside = file.with_name(f".{file.name}.new")
    file.parent.mkdir(parents=True, exist_ok=True)
    with beside.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    beside.rename(file)
