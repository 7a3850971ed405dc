"""A vendor's table of config/vendors, read backwards: from what is true to the labels it would name, on its own scale.

A category is told by the label that means it, by one that may be about it (`also`), by the labels of its ancestors as
far as those are no graver, and where there is none of these by its first finer one. What a vendor has no word for it
does not say: a coverage gap, as with the real one.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from functools import cached_property

from adapters.simulator.truth import Oracle, Truth
from gateway.domain import Modality
from gateway.mapping import Meaning, VendorFile
from gateway.paths import VENDORS
from gateway.yamlfile import load


class Words:
    """What one vendor says. `among` narrows it to the labels of one of its services."""

    def __init__(self, vendor: str, oracle: Oracle):
        self.vendor = vendor
        self._oracle = oracle
        self._chosen: dict[tuple[str, Modality, frozenset[str] | None], tuple[str, ...]] = {}

    @cached_property
    def _file(self) -> VendorFile:
        return load(VENDORS / f"{self.vendor}.yaml", env=None).parse(VendorFile)

    def named(self, truth: Truth, seen: Modality, among: frozenset[str] | None = None) -> dict[str, float]:
        """The labels that are raised, each with its value on the vendor's scale; those of its own come as told."""
        shares: dict[str, float] = {}
        for category, score in truth.scores.items():
            for label in self._labels(category, seen, among):
                shares[label] = max(score, shares.get(label, 0.0))
        values = {label: self.on_scale(share, truth) for label, share in shares.items()}
        return values | {k: v for k, v in truth.own.get(self.vendor, {}).items() if among is None or k in among}

    def all(self, truth: Truth, seen: Modality, labels: Iterable[str]) -> dict[str, float]:
        """Every one of these labels, the small numbers of what is not there included; and those of its own."""
        quiet = {label: self.on_scale(truth.nothing(f"{self.vendor}:{label}"), truth) for label in labels}
        return quiet | self.named(truth, seen, frozenset(quiet)) | dict(truth.own.get(self.vendor, {}))

    def on_scale(self, share: float, truth: Truth) -> float:
        """A share of 0..1 as this vendor writes it: the nearest step where its scale has steps."""
        share, scale = min(1.0, max(0.0, share + truth.shift)), self._file.scale
        if isinstance(scale, Mapping):
            return min(scale, key=lambda step: (abs(scale[step] - share), step))
        low, high = scale
        return low + share * (high - low)

    def _labels(self, category: str, seen: Modality, among: frozenset[str] | None) -> tuple[str, ...]:
        key = (category, seen, among)
        if key not in self._chosen:
            if len(self._chosen) > 4096:  # open categories hold anybody's words
                self._chosen.clear()
            self._chosen[key] = tuple(self._choose(category, self._usable(seen, among)))
        return self._chosen[key]

    def _usable(self, seen: Modality, among: Container[str] | None) -> dict[str, Meaning]:
        visible = self._file.image if seen is Modality.IMAGE else self._file.text
        labels = self._file.labels.items()
        return {k: v for k, v in labels if (among is None or k in among) and (visible is None or k in visible)}

    def _choose(self, category: str, usable: Mapping[str, Meaning]) -> Iterator[str]:
        found = [label for slug in self._oracle.upwards(category) if (label := _first(slug, usable))]
        finer = (label for label, meaning in usable.items() if meaning.slug.startswith(f"{category}/"))
        yield from dict.fromkeys(found or list(finer)[:1])


def _first(slug: str, usable: Mapping[str, Meaning]) -> str | None:
    """The label that means this most plainly."""
    meant = [k for k, v in usable.items() if v.slug == slug]
    both = [k for k, v in usable.items() if slug in v.both]
    perhaps = [k for k, v in usable.items() if slug in v.also]
    return next(iter(meant + both + perhaps), None)
