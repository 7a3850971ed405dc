"""A stored record → what the policy was asked, so that another policy can be asked the same."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from gateway.domain import Modality, Reading
from gateway.policy.tally import InputFacts
from gateway.record import Record

TOO_FEW = "coverage.need"  # as the reason is called, under every policy

Sees = Mapping[str, Mapping[str, Mapping[str, Collection[str]]]]  # route → modality → provider → categories


def facts_of(record: Record, sees: Sees) -> list[InputFacts]:
    """One for each input.

    How many had to answer is not kept, but whether enough did, and no policy changes that. Who could have seen what is
    as configured now; of a route that is gone, any provider might have seen anything.
    """
    return [_fact(record, index, sees) for index in range(len(record.content))]


def too_few(record: Record, index: int) -> bool:
    """Whether fewer answered about this input than the route wanted."""
    return any(reason.rule == TOO_FEW and reason.input == index for reason in record.decision.reasons)


def _fact(record: Record, index: int, sees: Sees) -> InputFacts:
    part = record.content[index]
    answers = tuple(answer for answer in record.answers if answer.input == index)
    answered = {answer.outcome.provider for answer in answers if isinstance(answer.outcome, Reading)}
    return InputFacts(
        modality=part.type,
        answers=answers,
        sees=seen_by(sees, record.route, part.type),
        need=len(answered) + too_few(record, index),
        unseen=part.unseen,
        place=index,
        context=record.context,
        objects=record.objects,
    )


def seen_by(sees: Sees, route: str, modality: Modality | str) -> dict[str, frozenset[str]]:
    """What each provider of a route can see."""
    return {name: frozenset(slugs) for name, slugs in sees.get(route, {}).get(str(modality), {}).items()}
