"""What an answer to a known question says of who gave it. Pure: no clock, no file, nobody is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from enum import StrEnum

from msgspec import Struct

from gateway.canaries.probes import Probe
from gateway.domain import FULL, Failure, Modality, Reading
from gateway.taxonomy import Kind, Taxonomy, kin

LOW = FULL // 2  # below it a provider finds nothing
DRIFT = FULL // 4  # further than that from what was first said is another answer


class Status(StrEnum):
    """How a provider stands with one question, or with all of them; later in this list is worse."""

    OK = "ok"
    UNJUDGED = "unjudged"  # it was not asked, or asked us to wait: that says nothing
    SHIFTED = "shifted"  # not what it first said of the same thing, by the same model
    ALARMED = "alarmed"  # it finds harm in what is harmless
    BLIND = "blind"  # it finds nothing in a plain threat
    RENAMED_LABEL = "renamed_label"  # a label is missing, or there is one that no table knows
    DRIFT = "drift"  # an answer of another shape or scale
    IMAGE_PATH_DEAD = "image_path_dead"  # no usable answer about a picture, or one that did not look at it
    DEAD = "dead"  # no usable answer about a text

    @property
    def marks(self) -> bool:
        """Whether somebody has to look at this provider."""
        return self not in (Status.OK, Status.UNJUDGED)


class Verdict(Struct, frozen=True):
    """One question and what came of it. `answer` is the word of the answer itself, `scores` are of harm, 0..10,000."""

    probe: str
    status: Status
    detail: str
    answer: str
    latency_ms: float
    model: str
    scores: Mapping[str, int]

    @property
    def word(self) -> str:
        """Where there was no answer, why not; else how the provider stands."""
        unanswered = self.status in (Status.DEAD, Status.IMAGE_PATH_DEAD, Status.UNJUDGED) and self.answer != "ok"
        return self.answer if unanswered else self.status.value


class Table(Struct, frozen=True):
    """What a provider's own table says of its answer: labels missing from it, labels it does not know."""

    missing: Sequence[str] = ()
    unknown: Sequence[str] = ()


def judge(
    probe: Probe, outcome: Reading | Failure, table: Table, sees: Set[str], taxonomy: Taxonomy, first: Mapping[str, int]
) -> Verdict:
    """`sees` are the categories the provider can score in this; `first` what it first said of it, empty if nothing."""
    if isinstance(outcome, Failure):
        status, detail = _of_failure(probe, outcome, table)
        return Verdict(probe.name, status, detail, outcome.status, outcome.latency_ms, "", {})
    scores = harms(outcome, taxonomy)
    status, detail = _of_reading(probe, outcome, table, sees, scores, first)
    return Verdict(probe.name, status, detail, "ok", outcome.latency_ms, outcome.model or "", scores)


def worst(verdicts: Sequence[Verdict]) -> Verdict:
    """The one that counts for the provider."""
    return max(verdicts, key=lambda verdict: list(Status).index(verdict.status))


def harms(reading: Reading, taxonomy: Taxonomy) -> dict[str, int]:
    """The highest score of each category that is not mere context.

    Where a label was not named, the score below which the vendor names none: the least that it can have moved.
    """
    found: dict[str, int] = {}
    for signal in reading.signals:
        score = signal.below if signal.score is None else signal.score
        if score is not None and taxonomy.category(signal.category).kind is not Kind.CONTEXT:
            found[signal.category] = max(score, found.get(signal.category, 0))
    return found


def _of_failure(probe: Probe, failure: Failure, table: Table) -> tuple[Status, str]:
    detail = f"{failure.status}: {failure.detail}"
    if failure.status == "throttled":
        return Status.UNJUDGED, detail
    if table.missing or table.unknown:
        return Status.RENAMED_LABEL, _labels(table)
    if failure.status == "drift":
        return Status.DRIFT, detail
    return _no_use(probe), detail


def _of_reading(
    probe: Probe, reading: Reading, table: Table, sees: Set[str], scores: Mapping[str, int], first: Mapping[str, int]
) -> tuple[Status, str]:
    if table.unknown:
        return Status.RENAMED_LABEL, _labels(table)
    if not reading.signals:
        return _no_use(probe), f"it answered, and did not look at the {probe.modality.value}"
    high = {category: score for category, score in scores.items() if score >= LOW}
    if not probe.rouses and high:
        return Status.ALARMED, f"it finds {_told(high)} in what is harmless"
    if not high and any(set(kin(category)) & set(probe.rouses) for category in sees):
        return Status.BLIND, f"it finds nothing in a plain threat: {_told(scores) or 'no score at all'}"
    moved = {name: score for name, score in scores.items() if abs(score - first.get(name, score)) > DRIFT}
    if moved:
        before = {name: first[name] for name in moved}
        return Status.SHIFTED, f"it says {_told(moved)}; the same model first said {_told(before)}"
    return Status.OK, ""


def _no_use(probe: Probe) -> Status:
    return Status.IMAGE_PATH_DEAD if probe.modality is Modality.IMAGE else Status.DEAD


def _labels(table: Table) -> str:
    said = (("does not name", table.missing), ("names, and no table knows,", table.unknown))
    return "it " + "; it ".join(f"{what} {', '.join(labels[:5])}" for what, labels in said if labels)


def _told(scores: Mapping[str, int]) -> str:
    """The highest few."""
    highest = sorted(scores.items(), key=lambda item: -item[1])[:3]
    return ", ".join(f"{category} {score / FULL:.2f}" for category, score in highest)
