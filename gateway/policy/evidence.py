"""What rules are asked about one input: its scores as they are combined, labels, hashes, and what the caller says.

Where somebody who was asked gave no answer, what they might have said is missing, and never nothing. A text has no
picture in it: of what only a picture can show there is none, and that is known.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeVar, cast

from gateway.domain import Failure, Modality, Reading
from gateway.policy.cel.vocabulary import OCR, USER
from gateway.policy.combine import MAX
from gateway.policy.compile.facts import Facts, HashHit, Incomplete, Label
from gateway.policy.policy import Policy
from gateway.policy.tally import LISTED, InputFacts, Seen, absentees, combined, silent

T = TypeVar("T")

_NOTHING: Mapping[str, Any] = {}
_NO_PICTURE: Mapping[str, Any] = {"terms": (), "has_phone": False, "has_email": False, "has_url": False}


def facts_of(policy: Policy, index: int, fact: InputFacts, seen: Seen) -> Facts:
    """The evidence in the numbers and texts that the policy's rules compare."""
    needs = policy.needs
    scores: dict[str, int] = {}
    voices: dict[str, Collection[int]] = {}
    silences: dict[str, int] = {}
    absent = absentees(policy, fact, seen) if needs.counted else ()
    least, nowhere = policy.least[fact.modality], policy.nowhere[fact.modality]
    for (slug, lowest), way in zip(needs.categories, needs.ways, strict=True):
        row = seen.scores.get(slug)
        quiet = seen.reports.get(slug) if seen.reports else None
        if quiet:
            row = {**{provider: 0 for provider, below in quiet.items() if below <= lowest}, **(row or {})}
        if row:
            voices[slug] = row.values()
            if slug not in least or seen.covered(slug) >= least[slug]:
                score = max(row.values()) if way is MAX else combined(way, row, seen, 0)[0]
                if score is not None:
                    scores[slug] = score
        if slug in nowhere:
            scores.setdefault(slug, 0)
        if (absent or quiet) and slug in needs.counted:
            silences[slug] = silent(absent, fact, slug) + _undecided(quiet, row)
    context = fact.context
    return Facts(
        scores,
        voices,
        silences,
        _labels(index, fact) if needs.labels else None,
        _hashes(index, fact, seen) if needs.hashes else None,
        _read(fact) if OCR in needs.roots else _NOTHING,
        context,
        _given(context, USER) if USER in needs.roots else _NOTHING,
    )


def _undecided(quiet: Mapping[str, int] | None, row: Mapping[str, int] | None) -> int:
    """How many answered, and report only from a number on that is above what rules ask for."""
    return sum(provider not in (row or ()) for provider in quiet) if quiet else 0


def _labels(index: int, fact: InputFacts) -> Sequence[Label] | None:
    """What providers that name things saw; None where none looked."""
    if fact.modality is Modality.TEXT:
        return ()
    asked = [answer.outcome for answer in fact.answers if answer.outcome.provider in fact.objects]
    found = [
        (signal.label, signal.score, reading.provider)  # a Label; as a plain tuple it is made in a third of the time
        for reading in asked
        if isinstance(reading, Reading)
        for signal in reading.signals
        if signal.score is not None and signal.input == index
    ]
    return _known(asked, cast(list[Label], found))


def _hashes(index: int, fact: InputFacts, seen: Seen) -> Sequence[HashHit] | None:
    """The lists of known things it is on; None where no list was asked, or none answered."""
    lists = seen.scores.get(LISTED, _NOTHING)
    able = {provider for provider, sees in fact.sees.items() if LISTED in sees} | lists.keys()
    asked = [answer.outcome for answer in fact.answers if answer.outcome.provider in able]
    found = [
        HashHit(signal.label)
        for reading in asked
        if isinstance(reading, Reading) and reading.provider in lists
        for signal in reading.signals
        if signal.score and signal.input == index and signal.category != LISTED
    ]
    return _known(asked, found)


def _known(asked: Collection[Reading | Failure], found: list[T]) -> Sequence[T] | None:
    """All that was listed; incomplete where one of several failed, None where nobody answered."""
    failures = sum(not isinstance(outcome, Reading) for outcome in asked)
    if failures == len(asked):
        return None
    return Incomplete(found) if failures else found


def _read(fact: InputFacts) -> Mapping[str, Any]:
    """What the caller read in the picture: nobody else reads it. In a text there is none."""
    return _given(fact.context, OCR) or (_NO_PICTURE if fact.modality is Modality.TEXT else _NOTHING)


def _given(context: Mapping[str, Any], root: str) -> Mapping[str, Any]:
    """`user` and `ocr` come inside the context: as a mapping, or from a command line as `user.strikes`."""
    given = context.get(root)
    if isinstance(given, dict):
        return given
    start = f"{root}."
    return {name.removeprefix(start): value for name, value in context.items() if name.startswith(start)}
