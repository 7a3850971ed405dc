"""A vendor's findings → our signals, by that vendor's table in config/vendors/<vendor>.yaml.

The table says what each word means, on which scale, and what silence means. A word in neither list becomes
`unmapped/<vendor>/<word>`; a number off the scale, a missing word of a vendor that always names every one, and an
answer that looked at nothing are drift: they become a Failure, never a clean result.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Set
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from gateway.domain import FULL, Action, Look, Modality, Signal
from gateway.errors import VendorDrift
from gateway.taxonomy import Taxonomy
from gateway.yamlfile import Document, load

_ROUNDING = 1e-6  # a float32 softmax may end a hair above 1
_MOST_LABELS = 1000  # in one answer; the longest documented vocabulary has some 130


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

    @cached_property
    def scored(self) -> tuple[str, ...]:
        return (self.slug, *self.both)


def _short(written: Any) -> Any:
    return {"slug": written} if isinstance(written, str) else written


class VendorFile(BaseModel):
    """The shape of config/vendors/<vendor>.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    measures: str
    scale: tuple[float, float]
    silence: Silence
    labels: dict[str, Annotated[Meaning, BeforeValidator(_short)]]
    image: tuple[str, ...] | None = None  # labels that can be seen in an image; left out: all
    text: tuple[str, ...] | None = None  # the same for text
    tree: dict[str, tuple[str, ...]] = {}  # label → labels that come only together with it
    unmapped: dict[str, str] = {}  # label → why it means nothing to us
    opinions: dict[str, Action] = {}  # the vendor's own verdicts
    objects: bool = False  # its labels name things seen, worth showing beside the scores


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
        self._low, self._high = file.scale
        self._silence = file.silence
        self._meanings: Mapping[str, Meaning] = file.labels
        self._tree = file.tree
        self._ignored = frozenset(file.unmapped)
        self._seen_in = {Modality.IMAGE: file.image, Modality.TEXT: file.text}
        self._check(document, file, taxonomy)

    def _check(self, document: Document, file: VendorFile, taxonomy: Taxonomy) -> None:
        if not self._low < self._high:
            raise document.error(("scale",), "a scale goes from a lower to a higher number")
        for label, meaning in file.labels.items():
            for slug in (*meaning.scored, *meaning.also):
                if not taxonomy.knows(slug):
                    hint = taxonomy.suggest(slug)
                    raise document.error(("labels", label), f"'{slug}' is not a category of the taxonomy", hint=hint)
        lists: dict[tuple[str, ...], tuple[str, ...]] = {
            **{(modality.value,): names or () for modality, names in self._seen_in.items()},
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

    def covers(self, modality: Modality) -> frozenset[str]:
        """The categories this vendor can give a score for, in content of this modality."""
        return frozenset(
            slug for label, meaning in self._meanings.items() if self._sees(label, modality) for slug in meaning.scored
        )

    def translate(self, look: Look, provider: str, inputs: Mapping[Modality, int]) -> tuple[Signal, ...]:
        """Signals about the inputs that were sent (modality → index in the submission).

        Raises VendorDrift where the findings cannot be what they claim to be.
        """
        self._check_silence({finding.label for finding in look.findings})
        scores = {
            finding.label: self._score(finding.label, finding.value)
            for finding in look.findings
            if finding.value is not None and finding.label not in self._ignored
        }
        signals: list[Signal] = []
        for finding in look.findings:
            label = finding.label
            score = scores.get(label)
            if score is None or (self._tree and self._explained(label, scores)):
                continue
            if finding.looked and finding.looked.isdisjoint(inputs):
                raise VendorDrift(f"'{_harmless(label)}' is said of what was not sent")
            scored, also = self._slugs(label)
            for modality, index in inputs.items():
                if self._sees(label, modality) if finding.looked is None else modality in finding.looked:
                    signals += [Signal(slug, score, provider, label, index) for slug in scored]
                    signals += [Signal(slug, None, provider, label, index) for slug in also]
        return tuple(signals)

    def _slugs(self, label: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The categories a label scores, and those it may be about."""
        meaning = self._meanings.get(label)
        if meaning is None:
            return (f"unmapped/{self.vendor}/{_harmless(label)}",), ()
        return meaning.scored, meaning.also

    def _sees(self, label: str, modality: Modality) -> bool:
        """Whether this label can be about content of this modality. Of a new label nobody knows."""
        names = self._seen_in[modality]
        return names is None or label in names or label not in self._meanings

    def _check_silence(self, labels: Set[str]) -> None:
        if len(labels) > _MOST_LABELS:
            raise VendorDrift(f"the answer names {len(labels)} labels")
        if self._silence is Silence.DRIFT and not self._meanings.keys() <= labels:
            missing = sorted(self._meanings.keys() - labels)
            raise VendorDrift(f"the answer names every label but {', '.join(missing[:5])}")

    def _explained(self, label: str, scores: Mapping[str, int]) -> bool:
        """A label that comes with its ancestors: the ancestor's score says nothing that the child does not say."""
        return any(scores.get(child, -1) >= scores[label] for child in self._tree.get(label, ()))

    def _score(self, label: str, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise VendorDrift(f"the value of '{_harmless(label)}' is {str(value)[:40]!r}, not a number")
        share = (value - self._low) / (self._high - self._low)
        if not -_ROUNDING <= share <= 1 + _ROUNDING:
            raise VendorDrift(f"'{_harmless(label)}' has the value {value:g}, not within {self._low:g}..{self._high:g}")
        return min(FULL, max(0, round(share * FULL)))


def _harmless(label: str) -> str:
    """A vendor's word as part of a slug: cut, and without characters that would break a line or a path."""
    return re.sub(r"[^\w .&()+-]|\s+", "_", label[:80]) or "_"
