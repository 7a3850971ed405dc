"""What rules are asked about one input: its scores as they are combined, labels, hashes, and what the caller says.

Where somebody who was asked gave no answer, what they might have said is missing, and never nothing. A text has no
picture in it: of what only a picture can show there is none, and that is known.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from typing import Any, TypeVar, cast

from gateway.domain import Failure, Modality, Reading
from gateway.policy.cel.vocabulary import HASHES, LABELS, OCR, USER
from gateway.policy.compile.facts import Facts, HashHit, Incomplete, Label
from gateway.policy.needs import Asked
from gateway.policy.policy import Policy
from gateway.policy.tally import LISTED, Heard, InputFacts, Seen, absentees, combined, silent

T = TypeVar("T")

_TEXT = Modality.TEXT
_NOTHING: Mapping[str, Any] = {}
_NO_PICTURE: Mapping[str, Any] = {"terms": (), "has_phone": False, "has_email": False, "has_url": False}


def facts_of(policy: Policy, seen: Seen, names: Set[str] | None = None) -> Facts:
    """The evidence in the numbers and texts that the policy's rules compare.

    With `names`, labels are left out where none of them has one of these.
    """
    needs, heard, fact = policy.needs, seen.heard, seen.heard.fact
    apart = needs.categories if seen.reports else seen.outline.apart
    scores, voices, silences = _apart(policy, seen, apart) if apart else (heard.top, _NOTHING, _NOTHING)
    roots, context = needs.roots, fact.context
    return Facts(
        scores,
        voices,
        silences,
        _labels(heard, names) if LABELS in roots else None,
        _hashes(heard) if HASHES in roots else None,
        _read(fact) if OCR in roots else _NOTHING,
        context,
        _given(context, USER) if USER in roots else _NOTHING,
    )


def _apart(
    policy: Policy, seen: Seen, apart: Iterable[Asked]
) -> tuple[dict[str, int], dict[str, Collection[int]], dict[str, int]]:
    """The scores, the voices and the silent, with what counts of these categories in the place of the highest score."""
    heard, modality = seen.heard, seen.heard.fact.modality
    scores = heard.top
    voices: dict[str, Collection[int]] = {}
    silences: dict[str, int] = {}
    absent = absentees(policy, heard) if policy.needs.counted else ()
    least, nowhere = policy.least[modality], policy.nowhere[modality]
    for asked in apart:
        slug = asked.slug
        row, quiet = heard.row(slug), seen.reports.get(slug)
        if quiet:
            row = {**{provider: 0 for provider, below in quiet.items() if below <= asked.lowest}, **row}
        score = None
        if row:
            voices[slug] = row.values()
            if slug not in least or seen.covered(slug) >= least[slug]:
                score, _ = combined(asked.way, row, heard, 0)
        if score is None and slug in nowhere:
            score = 0
        if score != scores.get(slug):
            scores = {each: known for each, known in scores.items() if each != slug}
            scores |= {} if score is None else {slug: score}
        if asked.counted and (absent or quiet):
            silences[slug] = silent(absent, heard.fact, slug) + _undecided(quiet, row)
    return scores, voices, silences


def _undecided(quiet: Mapping[str, int] | None, row: Mapping[str, int]) -> int:
    """How many answered, and report only from a number on that is above what rules ask for."""
    return sum(provider not in row for provider in quiet) if quiet else 0


def _labels(heard: Heard, names: Set[str] | None) -> Sequence[Label] | None:
    """What providers that name things saw; None where none looked."""
    if heard.fact.modality is _TEXT:
        return ()
    found = cast(list[Label], heard.things) if names is None or heard.saw_any(names) else []
    if not heard.silent:
        return found if heard.naming else None
    asked = [answer.outcome for answer in heard.fact.answers if answer.outcome.provider in heard.fact.objects]
    return _known(asked, found)


def _hashes(heard: Heard) -> Sequence[HashHit] | None:
    """The lists of known things it is on; None where no list was asked, or none answered."""
    fact, index = heard.fact, heard.index
    lists = {provider for provider, scores in heard.said.items() if LISTED in scores}
    able = {provider for provider, sees in fact.sees.items() if LISTED in sees} | lists
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
