"""A vendor's findings → our signals, by that vendor's table in config/vendors/<vendor>.yaml.

The table says what each word means, on which scale, and what silence means. A word in neither list becomes
`unmapped/<vendor>/<word>`; a number off the scale, a missing word of a vendor that always names every one, and an
answer that looked at nothing are drift: they become a Failure, never a clean result.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence, Set
from copy import copy
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from itertools import pairwise, repeat
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal

from msgspec import Struct
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from gateway.domain import FULL, Action, Look, Modality, Needs, Signal
from gateway.errors import VendorDrift
from gateway.taxonomy import Taxonomy
from gateway.units import Size
from gateway.yamlfile import Document, load

_ROUNDING = 1e-6  # a float32 softmax may end a hair above 1
_MOST_LABELS = 1000  # in one answer; the longest documented vocabulary has some 130
_SHARES = (0, 1)  # a scale that needs no division, which is a tenth of a translation
_PLAIN = {float, NoneType}  # an answer with a value of another type is looked at value by value


_SPOTS_KEPT, _PATTERNS_KEPT = 4096, 512  # of one table; vendors' own words are among them, so there is an end

Sent = tuple[tuple[Modality, int], ...]  # what was asked about, and where it stands in the submission
Steps = Annotated[dict[int, Annotated[float, Field(ge=0, le=1)]], Field(min_length=1)]  # value → share of our scale


class Silence(StrEnum):
    """What it means when a vendor does not name a label."""

    DRIFT = "drift"  # it always names every label
    BELOW_MINIMUM = "below_minimum"  # it names those above the minimum it was asked for


class Meaning(BaseModel):
    """What one label means: `slug` and `and` get the score; it may also be about `also`, which get none."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    slug: str
    both: tuple[str, ...] = Field(default=(), alias="and")
    also: tuple[str, ...] = ()

    @property
    def scored(self) -> tuple[str, ...]:
        return (self.slug, *self.both)


def _short(written: Any) -> Any:
    return {"slug": written} if isinstance(written, str) else written


class MediaFile(BaseModel):
    """What the vendor takes of a picture; left out is no limit. `bytes` are those before base64.

    `sides` are the least and the most pixels a side may have. `by: address`: it takes no bytes, it downloads them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    formats: tuple[Literal["image/jpeg", "image/png", "image/webp", "image/gif", "image/bmp", "image/tiff"], ...] = ()
    bytes: Size | None = None
    sides: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]] | None = None
    pixels: Annotated[int, Field(ge=1)] | None = None
    by: Literal["bytes", "address"] = "bytes"

    @model_validator(mode="after")
    def _can_be_met(self) -> MediaFile:
        least, most = self.sides or (1, 1)
        if least > most:
            raise ValueError("sides are the least and the most pixels a side may have")
        if self.pixels is not None and least * least > self.pixels:
            raise ValueError(f"no picture with sides of {least} has {self.pixels} pixels or fewer")
        if self.formats and not {"image/jpeg", "image/png", "image/webp"} & set(self.formats):
            raise ValueError("of these formats none is written here: JPEG, PNG and WebP are")
        return self

    @property
    def needs(self) -> Needs:
        return Needs(self.formats, self.bytes, self.sides, self.pixels)


class VendorFile(BaseModel):
    """The shape of config/vendors/<vendor>.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    measures: str
    scale: tuple[float, float] | Steps  # from lowest to highest; or, where it has steps, what each is worth
    silence: Silence
    labels: dict[str, Annotated[Meaning, BeforeValidator(_short)]]
    image: tuple[str, ...] | None = None  # labels that can be seen in an image; left out: all
    text: tuple[str, ...] | None = None  # the same for text
    tree: dict[str, tuple[str, ...]] = {}  # label → labels that come only together with it
    unmapped: dict[str, str] = {}  # label → why it means nothing to us
    opinions: dict[str, Action] = {}  # the vendor's own verdicts
    objects: bool = False  # its labels name things seen, worth showing beside the scores
    media: MediaFile | None = None  # left out where it sees no pictures


@dataclass(frozen=True, slots=True)
class _Word:
    """A label as translating needs it."""

    scored: tuple[str, ...]
    also: tuple[str, ...]
    seen_in: frozenset[Modality]


_Spot = tuple[str, int, bool]  # a category, on which input, and whether it gets the score or merely may be meant


class _Pattern(Struct, frozen=True):
    """What findings come to, whatever their values are: a column for each thing that a signal is told.

    `heard` are the places of those that count, `places` which of their scores a signal gets: of -1 none. `one_each`:
    every score makes one signal, in their order.
    """

    heard: tuple[int, ...]
    one_each: bool
    categories: tuple[str, ...] = ()
    places: tuple[int, ...] = ()
    labels: tuple[str, ...] = ()
    inputs: tuple[int, ...] = ()


def _word(label: str, meaning: Meaning, file: VendorFile) -> _Word:
    lists = {Modality.IMAGE: file.image, Modality.TEXT: file.text}
    seen_in = frozenset(modality for modality, names in lists.items() if names is None or label in names)
    return _Word(meaning.scored, meaning.also, seen_in)


class VendorTable:
    """One vendor's table, ready to translate.

    Raises ConfigError with file:line:column for a slug that is not in the taxonomy or a label named nowhere.
    """

    def __init__(self, vendor: str, document: Document, taxonomy: Taxonomy):
        file = document.parse(VendorFile)
        self.vendor = vendor
        self.measures = file.measures
        self.opinions = file.opinions
        self.objects = file.objects
        self.media = file.media
        self._steps: dict[float, int] | None = None
        if isinstance(file.scale, dict):
            self._steps = {step: round(share * FULL) for step, share in file.scale.items()}
            self._low, self._high = math.inf, -math.inf  # between them lies no value: each is looked up
        else:
            self._low, self._high = file.scale
        self._silence = file.silence
        self._words = {label: _word(label, meaning, file) for label, meaning in file.labels.items()}
        self._tree = file.tree
        self._ignored = frozenset(file.unmapped)
        self._check(document, file, taxonomy)
        self._prepare()

    def _prepare(self) -> None:
        """What is worked out of the words once, or when it is first asked for."""
        self._always = frozenset(self._words) if self._silence is Silence.DRIFT else frozenset()
        words = self._words.values()
        self._covered = {
            modality: frozenset(slug for word in words if modality in word.seen_in for slug in word.scored)
            for modality in Modality
        }
        self._sorted = {modality: sorted(slugs) for modality, slugs in self._covered.items()}
        self._spots = lru_cache(_SPOTS_KEPT)(self._find_spots)
        self._pattern = lru_cache(_PATTERNS_KEPT)(self._make_pattern)

    def _check(self, document: Document, file: VendorFile, taxonomy: Taxonomy) -> None:
        _check_scale(document, file.scale)
        for label, meaning in file.labels.items():
            for slug in (*meaning.scored, *meaning.also):
                if not taxonomy.knows(slug):
                    hint = taxonomy.suggest(slug)
                    raise document.error(("labels", label), f"'{slug}' is not a category of the taxonomy", hint=hint)
        lists: dict[tuple[str, ...], tuple[str, ...]] = {
            ("image",): file.image or (),
            ("text",): file.text or (),
            **{("tree", parent): children for parent, children in file.tree.items()},
        }
        for where, names in lists.items():
            for place, name in enumerate(names):
                if name not in file.labels:
                    raise document.error((*where, place), f"'{name}' is not one of the labels")
        for parent in file.tree:
            if parent not in file.labels:
                raise document.error(("tree", parent), f"'{parent}' is not one of the labels", key=True)

    @classmethod
    def from_file(cls, path: Path, taxonomy: Taxonomy) -> VendorTable:
        """Read the table of the vendor that the file is named after."""
        return cls(path.stem, load(path, env=None), taxonomy)

    def with_labels(self, labels: Mapping[str, str]) -> VendorTable:
        """The same with more labels, each with its category, on whatever content they are found."""
        more = copy(self)
        everywhere = frozenset(Modality)
        more._words = {**self._words, **{label: _Word((slug,), (), everywhere) for label, slug in labels.items()}}
        more._prepare()
        return more

    def covers(self, modality: Modality) -> frozenset[str]:
        """The categories this vendor can give a score for, in content of this modality."""
        return self._covered[modality]

    def translate(self, look: Look, provider: str, inputs: Mapping[Modality, int]) -> tuple[Signal, ...]:
        """Signals about the inputs that were sent (modality → index in the submission).

        Raises VendorDrift where the findings cannot be what they claim to be.
        """
        findings = look.findings
        labels = tuple([each.label for each in findings])
        looked, is_open = tuple([each.looked for each in findings]), tuple([each.open for each in findings])
        values = [each.value for each in findings]
        kinds = set(map(type, values))
        empty = tuple([value is None for value in values]) if NoneType in kinds else ()
        pattern = self._pattern(labels, looked, is_open, empty, tuple(inputs.items()))
        found: list[Any] = self._scores(labels, values, kinds, pattern.heard)
        if not pattern.one_each:
            found = [found[place] if place >= 0 else None for place in pattern.places]
        signals = tuple(map(Signal, pattern.categories, found, repeat(provider), pattern.labels, pattern.inputs))
        if self._tree:
            signals = self._unexplained(signals)
        if self._silence is Silence.BELOW_MINIMUM:
            signals += tuple(self._quiet(look, provider, inputs, signals))
        return signals

    def _scores(
        self, labels: Sequence[str], values: Sequence[Any], kinds: Set[type], heard: Sequence[int]
    ) -> list[int]:
        """Of each that counts, 0..10,000. What is not plainly a number on the scale is looked at one by one."""
        if len(heard) < len(values):
            labels, values = [labels[place] for place in heard], [values[place] for place in heard]
        low, span = self._low, self._high - self._low
        plain = values and kinds <= _PLAIN and low <= min(values) and max(values) <= self._high
        if plain and math.isfinite(sum(values)):  # one that is not a number is neither less nor more
            shares = values if (low, span) == _SHARES else [(value - low) / span for value in values]
            return list(map(float.__round__, [share * FULL for share in shares]))
        return list(map(self._score, labels, values))

    def _make_pattern(
        self,
        labels: tuple[str, ...],
        looked: tuple[frozenset[Modality] | None, ...],
        is_open: tuple[bool, ...],
        empty: tuple[bool, ...],
        sent: Sent,
    ) -> _Pattern:
        """`empty` says of each whether it has no value; nothing where all have one."""
        self._check_silence(set(labels))
        ignored = [label in self._ignored for label in labels]
        heard = tuple([place for place in range(len(labels)) if not (ignored[place] or (empty and empty[place]))])
        rows = [
            (category, number if scored else -1, labels[place], index)
            for number, place in enumerate(heard)
            for category, index, scored in self._spots(labels[place], looked[place], is_open[place], sent)
        ]
        one_each = [number for _, number, _, _ in rows] == list(range(len(heard)))
        return _Pattern(heard, one_each, *zip(*rows, strict=True))

    def _find_spots(
        self, label: str, looked: frozenset[Modality] | None, is_open: bool, sent: Sent
    ) -> tuple[_Spot, ...]:
        """What a finding says something of; categories of `also` get no score."""
        if looked and looked.isdisjoint([modality for modality, _ in sent]):
            raise VendorDrift(f"'{_harmless(label)}' is said of what was not sent")
        word = self._words.get(label) or self._new_word(label, is_open)
        seen = word.seen_in if looked is None else looked
        return tuple(
            [
                (slug, index, scored)
                for modality, index in sent
                if modality in seen
                for slugs, scored in ((word.scored, True), (word.also, False))
                for slug in slugs
            ]
        )

    def strange(self, look: Look) -> tuple[list[str], list[str]]:
        """Labels that this vendor always names and here did not; and labels it names that no table knows."""
        named = {finding.label for finding in look.findings}
        fixed = {finding.label for finding in look.findings if not finding.open}
        missing = self._missing(named) if self._silence is Silence.DRIFT else []
        return missing, sorted(_harmless(label) for label in fixed - self._words.keys() - self._ignored)

    def _quiet(
        self, look: Look, provider: str, inputs: Mapping[Modality, int], signals: Sequence[Signal]
    ) -> Iterator[Signal]:
        """For every category without a score: that it is below the minimum this answer names labels from.

        Where nobody said from which value on, nothing is known of them.
        """
        if look.minimum is None:
            return
        below = self._score("minimum", look.minimum)
        for modality, index in inputs.items():
            scored = {signal.category for signal in signals if signal.input == index}
            for slug in self._sorted[modality]:
                if slug not in scored:
                    yield Signal(slug, None, provider, "", index, below)

    def _score(self, label: str, value: Any) -> int:
        """0..10,000, rounded half to even. Raises VendorDrift for what is no number or off the scale."""
        if type(value) is not float and type(value) is not int:
            raise VendorDrift(f"the value of '{_harmless(label)}' is {str(value)[:40]!r}, not a number")
        if self._steps is not None:
            if value in self._steps:
                return self._steps[value]
            raise VendorDrift(f"'{_harmless(label)}' has the value {str(value)[:40]}, no step of the scale")
        share = (value - self._low) / (self._high - self._low)
        if 0 <= share <= 1:
            return round(share * FULL)
        if -_ROUNDING <= share <= 1 + _ROUNDING:
            return FULL if share > 1 else 0
        raise VendorDrift(f"'{_harmless(label)}' has the value {value:g}, off {self._low:g}..{self._high:g}")

    def _new_word(self, label: str, is_open: bool) -> _Word:
        """A label no table knows: where it can be seen nobody knows."""
        root = "label" if is_open else f"unmapped/{self.vendor}"
        return _Word((f"{root}/{_harmless(label)}",), (), frozenset(Modality))

    def _check_silence(self, labels: Set[str]) -> None:
        if len(labels) > _MOST_LABELS:
            raise VendorDrift(f"the answer names {len(labels)} labels")
        if not self._always <= labels:
            raise VendorDrift(f"the answer names every label but {', '.join(self._missing(labels)[:5])}")

    def _missing(self, labels: Set[str]) -> list[str]:
        return sorted(self._words.keys() - labels)

    def _unexplained(self, signals: tuple[Signal, ...]) -> tuple[Signal, ...]:
        """Without the labels that came only as ancestors: their score says nothing that a child's does not say."""
        scores = {signal.label: signal.score for signal in signals if signal.score is not None}

        def explained(label: str) -> bool:
            return any(scores.get(child, -1) >= scores[label] for child in self._tree.get(label, ()))

        return tuple([signal for signal in signals if not explained(signal.label)])


def _check_scale(document: Document, scale: tuple[float, float] | dict[int, float]) -> None:
    if isinstance(scale, dict):
        for (lower, less), (step, share) in pairwise(sorted(scale.items())):
            if share < less:
                detail = f"a higher step is worth no less: {lower} is worth {less:g}, {step} only {share:g}"
                raise document.error(("scale", str(step)), detail)
    elif not scale[0] < scale[1]:
        raise document.error(("scale",), "a scale goes from a lower to a higher number")


def _harmless(label: str) -> str:
    """A vendor's word as part of a slug: cut, and without characters that would break a line or a path."""
    return re.sub(r"[^\w .&()+-]|\s+", "_", label[:80]) or "_"
