"""Inputs like those that come, drawn for a policy: nearly all calm, and all is known that the policy asks about."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from gateway.domain import Answer, Finding, Look, Modality, Reading, Role, Signal
from gateway.policy.cel.shapes import Kind, Many
from gateway.policy.cel.typed import Field
from gateway.policy.cel.vocabulary import CONTEXT
from gateway.policy.policy import Policy
from gateway.policy.tally import InputFacts
from gateway.policytools.given import asked

INPUTS = 16  # different ones, to be taken in turn: one is alarming in everything, the others are calm
_THINGS = ("person", "sky", "knife")
_CALM, _SURE = 0.01, 0.8  # nearly all scores are below the one, and labels above the other
_NOTHING = {Kind.BOOL: False, Kind.INT: 0, Kind.DOUBLE: 0.0, Kind.TEXT: "nothing"}

Looks = Sequence[tuple[str, Look]]  # what each provider said


def inputs(policy: Policy, many: int) -> list[Looks]:
    """What so many providers say of each input: a value for every category the policy asks about, and three labels."""
    labels = asked(policy, Modality.IMAGE)
    providers = [*policy.expected, *[f"provider-{number}" for number in range(many)]][:many]
    return [[(name, _look(labels, name, turn)) for name in providers] for turn in range(INPUTS)]


def _look(labels: Sequence[str], provider: str, turn: int) -> Look:
    draw = Random(f"{provider} {turn}")  # noqa: S311 - nobody is to guess it, and it is the same each time
    scores = [Finding(label, draw.random() * _CALM if turn else 1.0) for label in labels]
    return Look((*scores, *[Finding(thing, draw.uniform(_SURE, 1), open=True) for thing in _THINGS]))


def context(policy: Policy) -> dict[str, Any]:
    """What the caller says: something about all that rules ask for, which is nothing much."""
    given: dict[str, Any] = {"surface": "post"}
    for slot in policy.program.slots:
        if isinstance(slot, Field) and slot.name:
            root = given if slot.root == CONTEXT else given.setdefault(slot.root, {})
            root.setdefault(slot.name, [] if isinstance(slot.shape, Many) else _NOTHING.get(slot.shape))
    return given


def fact(looks: Looks, signals: Sequence[tuple[Signal, ...]], given: dict[str, Any]) -> InputFacts:
    """The input of which this was said; `signals` are the same in our words. The first provider names things."""
    readings = [
        Reading(name, (0,), said, None, None, (), 1, 0.0) for (name, _), said in zip(looks, signals, strict=True)
    ]
    return InputFacts(
        modality=Modality.IMAGE,
        answers=tuple([Answer(0, Role.ASK, reading) for reading in readings]),
        sees={},
        need=1,
        place=0,
        context=given,
        objects=(looks[0][0],),
    )
