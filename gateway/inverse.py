"""Our findings → a vendor's own words and numbers: its table in config/vendors, read the other way round.

A category is told by the label that means it; where there is none by one that may also be about it, then by the labels
of the nearest wider category, then by those of the nearest narrower ones. What a vendor said in this very vocabulary
keeps its word. No alarm is lost for want of an exact word unless the vocabulary has nothing in that direction at all.

What nobody looked at is told as not assessed, never as 0; and so is a quiet score where the policy wanted more to look.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from gateway.domain import FULL, Action, Answer, Decision, Role, Signal, State, worst
from gateway.mapping import VendorFile
from gateway.taxonomy import Kind, Taxonomy, kin, lineage
from gateway.yamlfile import load


@dataclass(frozen=True, slots=True)
class Said:
    """What is told of one label: a score 0..10,000, what the policy makes of it, and the category that alarms most."""

    score: int
    action: Action
    category: str


@dataclass(frozen=True, slots=True)
class Telling:
    """One decision in a vendor's words.

    `quiet` are labels that somebody looked for and of which there is nothing to say: 0. `unknown` are labels of this
    vendor's that its own table does not know.
    """

    said: Mapping[str, Said]
    quiet: Mapping[str, Said]
    unknown: Mapping[str, Said]
    not_assessed: tuple[str, ...]

    @property
    def each(self) -> dict[str, Said]:
        """For a vendor that names every label every time, where a low score says that there is nothing.

        So of what was not assessed as a whole only alarms are in it.
        """
        blind = [label for label in self.not_assessed if label in self.said]
        calm = {label for label in blind if self.said[label].action is Action.ALLOW}
        said = {label: said for label, said in self.said.items() if label not in calm}
        return {**self.quiet, **said, **self.unknown}

    @property
    def alarms(self) -> bool:
        """Whether any of it is more than the policy allows."""
        return any(said.action is not Action.ALLOW for said in (*self.said.values(), *self.unknown.values()))


class Inverse:
    """A vendor's table as its dialect speaks it. `parents` is its vocabulary: label → the label above it, or nothing.

    A label is always told together with those above it.
    """

    def __init__(self, vendor: str, file: VendorFile, taxonomy: Taxonomy, parents: Mapping[str, str]):
        self.labels = tuple(parents)
        self.tree = file.tree
        self._unmapped = f"unmapped/{vendor}/"
        self._scale = file.scale
        self._means = {label: file.labels[label] for label in parents}
        self._parents = parents
        self._taxonomy = taxonomy
        self._exact = {slug: self._told_by(slug) for slug in taxonomy.categories}
        self._words = {slug: tuple(self._exactly(slug) or self._nearly(slug)) for slug in taxonomy.categories}
        self._wider = {slug for slug in taxonomy.categories if not self._exactly(slug) and self._above(slug)}
        self._beside = {slug for slug in taxonomy.categories if not (self._above(slug) or self._narrower(slug))}
        self._rests_on = {label: set(self._known_by(label)) for label in parents}

    @classmethod
    def from_file(cls, path: Path, taxonomy: Taxonomy, parents: Mapping[str, str]) -> Inverse:
        """Read the table of the vendor that the file is named after. Raises ConfigError."""
        document = load(path, env=None)
        file = document.parse(VendorFile)
        for label in parents:
            if label not in file.labels:
                raise document.error(("labels",), f"'{label}' is missing, which its dialect tells")
        return cls(path.stem, file, taxonomy, parents)

    def value(self, score: int) -> float:
        """A score on the vendor's own scale; of steps the highest that is worth no more."""
        if isinstance(self._scale, dict):
            reached = [step for step, share in self._scale.items() if round(share * FULL) <= score]
            return max(reached, default=min(self._scale))
        low, high = self._scale
        return low + (high - low) * score / FULL

    def words(self, category: str) -> tuple[str, ...]:
        """The labels that tell this category; none where the vocabulary knows nothing like it."""
        return self._words.get(category, ())

    def meaning(self, label: str) -> str:
        """The category that this label tells first of all."""
        return self._means[label].slug

    def level(self, label: str) -> int:
        """1 for a label with none above it."""
        return len(list(self.upwards(label)))

    def upwards(self, label: str) -> Iterator[str]:
        """The label and those above it, nearest first."""
        while label:
            yield label
            label = self._parents.get(label, "")

    def tell(self, answers: Iterable[Answer], decision: Decision, counts: Callable[[str], bool]) -> Telling:
        """A decision and what it rests on, in this vocabulary.

        `counts` says whether the policy draws anything from a category. What it never counts, like swimwear where that
        is fine, makes no wider word true; and where there is none but words for something else of the same kind, only
        an alarm is told by them.
        """
        signals = [
            signal
            for answer in answers
            if answer.reading and answer.role is not Role.SHADOW
            for signal in answer.reading.signals
            if signal.input == answer.input
        ]
        blind = self._blind(signals, decision)
        said: dict[str, Said] = {}
        unknown: dict[str, Said] = {}
        for signal in signals:
            if signal.score is None:
                continue
            verdict = decision.categories[signal.category]
            score = min(signal.score, verdict.score if verdict.score is not None else FULL)
            here = Said(score, verdict.action, signal.category)
            if signal.category.startswith(self._unmapped):
                unknown[signal.label] = _higher(unknown.get(signal.label), here)
            for label in self._labels(signal, here.action, counts):
                for name in self.upwards(label):
                    said[name] = _higher(said.get(name), here)
        quiet = {label: Said(0, Action.ALLOW, self._means[label].slug) for label in self._tops if label not in blind}
        return Telling(said, quiet, unknown, tuple(label for label in self._tops if label in blind))

    def _blind(self, signals: Iterable[Signal], decision: Decision) -> set[str]:
        """The labels of which nobody can say that there is nothing."""
        looked = {signal.category for signal in signals if _looked(signal, decision)}
        missing = {label for slug in decision.coverage.missing for label in self.words(slug)}
        return missing | {label for label, categories in self._rests_on.items() if looked.isdisjoint(categories)}

    def _labels(self, signal: Signal, action: Action, counts: Callable[[str], bool]) -> tuple[str, ...]:
        own, slug = self._means.get(signal.label), signal.category
        if own and slug in own.scored:
            return (signal.label,)
        unlike = (slug in self._wider and not counts(slug)) or (slug in self._beside and action is Action.ALLOW)
        return () if unlike else self.words(slug)

    @cached_property
    def _tops(self) -> tuple[str, ...]:
        return tuple(label for label, above in self._parents.items() if not above)

    def _known_by(self, label: str) -> Iterator[str]:
        """The categories of which one looked at is enough to tell the label: its own, and a wider one that it tells."""
        own = self._means[label].slug
        yield own
        yield from (wider for wider in lineage(own) if label in self.words(wider))

    def _nearly(self, slug: str) -> Iterable[str]:
        if self._taxonomy.category(slug).kind is Kind.CONTEXT:
            return ()  # it only describes: no alarm of a wider category
        return self._above(slug) or next(filter(None, map(self._narrower, kin(slug))), ())

    def _above(self, slug: str) -> tuple[str, ...]:
        """The word for this category, else for the nearest wider one that has a word."""
        return next(filter(None, map(self._exactly, kin(slug))), ())

    def _exactly(self, slug: str) -> tuple[str, ...]:
        return self._exact[slug]

    def _told_by(self, slug: str) -> tuple[str, ...]:
        """The label that means this category or else may be about it: the one that says least, nearest to the top."""
        means = [label for label, meaning in self._means.items() if slug in meaning.scored]
        about = [label for label, meaning in self._means.items() if slug in meaning.also]
        return tuple(sorted(means or about, key=self.level)[:1])

    def _narrower(self, slug: str) -> tuple[str, ...]:
        nodes = self._taxonomy.categories.items()
        harms = (other for other, node in nodes if slug in lineage(other) and node.kind is not Kind.CONTEXT)
        below = [other for other in harms if self._exactly(other)]
        nearest = [other for other in below if not set(lineage(other)) & set(below)]
        return tuple(dict.fromkeys(label for other in nearest for label in self._exactly(other)))


def _looked(signal: Signal, decision: Decision) -> bool:
    """Whether this answers if there is something of the category: by a score, or by silence the policy relies on."""
    if signal.score is not None:
        return True
    verdict = decision.categories.get(signal.category)
    return signal.below is not None and (verdict is None or verdict.state is State.SCORED)


def _higher(one: Said | None, other: Said) -> Said:
    """Both of them: the higher score, and the category that alarms more."""
    if one is None:
        return other
    action = worst([one.action, other.action])
    most = max(one, other, key=lambda said: (said.action.strictness, said.score))
    return Said(max(one.score, other.score), action, most.category)
