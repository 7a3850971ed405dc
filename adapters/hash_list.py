"""Lists of known things, in files: hashes of pictures and texts that somebody has looked at before.

Wire:    none; SHA-256 of the bytes as they came, and PDQ of each view in its eight turns: 13 ms of the decode pool for
         a megapixel, most of it decoding, and among 1,000,000 known hashes 13 ms of a thread
Reports: `listed`, 1 where any list knows it, else 0; and the name of each list that does, at 1. A list that does not
         know it says nothing: nobody looked at what is new. Under a PDQ quality of 50 a list of PDQ hashes did not look
Source:  hash_list_matching/, and "The TMK+PDQF Video-Hashing Algorithm and the PDQ Image-Hashing Algorithm" for the
         usual distance of 31 and quality of 50, read 2026-11

What a list means stands in its settings. A bad one names the category of what is on it. A good one's name becomes
`label/known_good/<list>`, which only describes: it lifts no threshold, and nothing is allowed for it alone.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from time import perf_counter
from typing import Annotated, ClassVar, Literal

import orjson
import structlog
from pydantic import BaseModel, ConfigDict, Field, model_validator

from adapters.hash_list_matching.known import Known, Match
from adapters.local_text_model.normalise import plain
from gateway.adapter import LocalAdapter, OwnLabel, Transport, VendorSettings, Workshop, decoded
from gateway.domain import Content, Exchange, Finding, Look, Modality
from gateway.errors import ConfigError
from gateway.pdq import hashes
from gateway.units import Located

log = structlog.get_logger("modgate.hash_list")

LISTED = "listed"
NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
LOOK_EVERY = 2.0  # seconds between looks at the files

Stamp = tuple[int, int] | None  # modification time in ns, size; None where there is no such file


class ListSettings(BaseModel):
    """A file of hashes. `name` is what evidence calls it, the file's own unless given; `category` is for a bad one."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    file: Located
    kind: Literal["bad", "good"]
    category: str | None = None
    name: Annotated[str, Field(pattern=NAME)] | None = None

    @model_validator(mode="after")
    def _says_what_it_means(self) -> ListSettings:
        if (self.category is None) == (self.kind == "bad"):
            raise ValueError("a list of kind bad names the category of what is on it, one of kind good names none")
        if not re.fullmatch(NAME, self.label):
            raise ValueError(f"the file's name is no name for a list: give it one of the form {NAME}")
        return self

    @property
    def label(self) -> str:
        return self.name or self.file.stem

    @property
    def means(self) -> str:
        return self.category or f"label/known_good/{self.label}"


class HashListSettings(VendorSettings):
    """`distance` is how many of its 256 bits a PDQ hash may be off; below a PDQ `quality` it is not compared.

    Each list is `{file, kind: bad, category}` or `{file, kind: good}`, with a `name` if it shall not be the file's.
    """

    lists: tuple[ListSettings, ...] = Field(min_length=1)
    distance: int = Field(default=31, ge=0, le=63)
    quality: int = Field(default=50, ge=0, le=100)

    @model_validator(mode="after")
    def _names_differ(self) -> HashListSettings:
        names = [LISTED, *(each.label for each in self.lists)]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"'{twice[0]}' would mean two things: each list needs a name of its own, not '{LISTED}'")
        return self

    def own_labels(self) -> Iterator[OwnLabel]:
        for place, each in enumerate(self.lists):
            yield OwnLabel(each.label, each.means, ("lists", place, "category"))


@dataclass
class _Seen:
    """What was hashed of one question, and what was found: the evidence."""

    sha256: dict[str, str] = field(default_factory=dict)
    pdq: list[dict[str, str | int]] = field(default_factory=list)
    matches: list[Match] = field(default_factory=list)
    dull: bool = False  # a view of too little quality to be compared


class Adapter(LocalAdapter):
    """`open` before `look`."""

    Settings: ClassVar[type[VendorSettings]] = HashListSettings
    settings: HashListSettings
    accepts = frozenset({Modality.TEXT, Modality.IMAGE})
    tier = 0
    _workshop: Workshop
    _known: Known
    _following: asyncio.Task[None] | None = None

    def __init__(self, settings: HashListSettings):
        super().__init__(settings)
        self._files = {each.label: each.file for each in settings.lists}
        self._good = frozenset(each.label for each in settings.lists if each.kind == "good")
        self._stamps: list[Stamp] = []

    async def open(self, workshop: Workshop) -> None:
        """Read the lists in a thread, some 3 s a million hashes, and follow them. ConfigError with file and line."""
        self._workshop = workshop
        self._stamps = await workshop.think(stamps, tuple(self._files.values()))
        self._known = await workshop.think(Known.read, self._files, self._good, self.settings.distance)
        self._following = asyncio.create_task(self._follow())

    async def close(self) -> None:
        if self._following is not None:
            self._following.cancel()
            with suppress(asyncio.CancelledError):
                await self._following

    async def look(self, content: Content, send: Transport) -> Look:
        """Raises VendorRejected for a view nobody can decode, VendorThrottled while too many wait."""
        began, known, seen = perf_counter(), self._known, _Seen()  # one state of the lists for the whole question
        if content.text is not None:
            seen.sha256 |= await self._workshop.think(text_hashes, content.text)
        seen.sha256 |= {f"image {place}": image.digest for place, image in enumerate(content.images)}
        for what, digest in seen.sha256.items():
            seen.matches += known.same(digest, f"sha256 of {what}")
        if known.perceptual:
            for view in (view for image in content.images for view in image.views):
                await self._compare(view.data, known, seen)
        took = (perf_counter() - began) * 1000
        said = orjson.dumps({"sha256": seen.sha256, "pdq": seen.pdq, "matches": seen.matches}).decode()
        return Look(
            findings=tuple(self._findings(known, seen)),
            model=f"lists-{known.version}",
            exchanges=(Exchange(200, said, took),),
        )

    async def _compare(self, view: bytes, known: Known, seen: _Seen) -> None:
        turns, quality = await decoded(self._workshop, hashes, view)
        seen.pdq.append({"hash": turns[0].tobytes().hex(), "quality": quality})
        if quality < self.settings.quality:
            seen.dull = True
        else:
            seen.matches += await self._workshop.think(known.alike, turns)

    def _findings(self, known: Known, seen: _Seen) -> Iterator[Finding]:
        on = {match.list for match in seen.matches}
        yield Finding(LISTED, 1.0 if on else 0.0)
        for name in self._files:
            if name in on:
                yield Finding(name, 1.0)
            elif seen.dull and name in known.perceptual:
                yield Finding(name, None, frozenset())  # did not look. Never 0

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY)
            found = await self._workshop.think(stamps, tuple(self._files.values()))
            if found != self._stamps:
                self._stamps = found
                await self._renew()

    async def _renew(self) -> None:
        """All lists again. One that is broken or gone changes nothing: the last good state of all of them goes on."""
        try:
            self._known = await self._workshop.think(Known.read, self._files, self._good, self.settings.distance)
        except ConfigError as problem:
            log.error("hash_lists_not_renewed", problem=str(problem), version=self._known.version)
        else:
            log.info("hash_lists_renewed", hashes=len(self._known), version=self._known.version)


def stamps(files: Sequence[Path]) -> list[Stamp]:
    """By what a changed file is known."""
    found: list[Stamp] = []
    for file in files:
        try:
            status = file.stat()
            found.append((status.st_mtime_ns, status.st_size))
        except OSError:
            found.append(None)
    return found


def text_hashes(text: str) -> dict[str, str]:
    """SHA-256 of a text as it came; and of what it says: without look-alikes, invisible signs, case and spacing."""
    said = {"text": text, "plain text": " ".join(plain(text).split())}
    return {what: sha256(words.encode("utf-8", "surrogatepass")).hexdigest() for what, words in said.items()}
