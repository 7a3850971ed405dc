"""What a sweep asks, and what that means for each file: which policies its rows come under, and what has to be read."""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

from gateway.domain import Modality
from gateway.policy.policy import Policy
from gateway.replay import seen_by
from gateway.sweep.judge import Judge, fields_of
from gateway.sweep.kernel import Case
from gateway.sweep.manifest import Group, Manifest, Part
from gateway.sweep.signals import NotInColumns

Cases = Sequence[Case | None]


@dataclass(frozen=True)
class Question:
    """`old` None asks against what was decided; then `known` are policies by the hash of what they are resolved to.

    `since` is milliseconds since 1970; `share` of all decisions are looked at, always the same ones.
    """

    new: Policy
    old: Policy | None = None
    known: Mapping[str, Policy] = field(default_factory=dict)
    since: int = 0
    share: float = 1.0


@dataclass(frozen=True)
class Asked:
    """What is asked of one file, for each group of it. Sent to a process it is opened there once."""

    cases: Cases
    since: int
    share: float

    def __reduce__(self) -> tuple[Any, ...]:
        return _opened, (self._sealed,)

    @cached_property
    def _sealed(self) -> bytes:
        return pickle.dumps((self.cases, self.since, self.share))


@lru_cache(16)
def _opened(sealed: bytes) -> Asked:
    return Asked(*pickle.loads(sealed))  # noqa: S301 - the process that started this one wrote it


@dataclass(frozen=True)
class Outlook:
    """What will be done, before it is. Counts are inputs of decisions.

    `changed` are the reasons that are not the same under both, where that is known; `columns` how many are read at the
    most. `unkept` are fields that rules ask for and that were not kept of so many, `slow` those decided one by one.
    """

    inputs: int
    changed: tuple[str, ...]
    columns: int
    unkept: Mapping[str, int]
    slow: int


class Plan:
    """A question to the files of a manifest."""

    def __init__(self, manifest: Manifest, question: Question):
        self.manifest = manifest
        self.question = question
        self._made: dict[object, Asked] = {}

    @property
    def parts(self) -> list[Part]:
        """The files that are asked, by day."""
        return sorted((p for p in self.manifest.parts if p.last >= self.question.since), key=lambda p: (p.day, p.name))

    def asked(self, part: Part) -> Asked:
        """What is asked of each group of a file, in their order; None where columns cannot say it."""
        key = (part.columns, part.fields, part.tenant, tuple(group.apart for group in part.groups))
        if key not in self._made:
            self._made[key] = Asked(self._cases(part), self.question.since, self.question.share)
        return self._made[key]

    def outlook(self) -> Outlook:
        """What is to come."""
        changed: set[str] = set()
        columns: set[str] = set()
        unkept: dict[str, int] = {}
        inputs = slow = 0
        for part in self.parts:
            inputs += part.rows
            for name in self._fields - set(part.fields):
                unkept[name] = unkept.get(name, 0) + part.rows
            for group, case in zip(part.groups, self.asked(part).cases, strict=True):
                slow += group.rows if case is None else 0
                changed |= {rule for rule, _ in case.changed} if case else set()
                columns |= case.columns if case else set()
        return Outlook(inputs, tuple(sorted(changed)), len(columns), unkept, slow)

    @property
    def _fields(self) -> set[str]:
        return fields_of(self.question.new) | (fields_of(self.question.old) if self.question.old else set())

    def _cases(self, part: Part) -> Cases:
        made: dict[object, Case | None] = {}
        found = []
        for group in part.groups:
            new, old, stored = self._policies(part, group)
            key = (id(new), id(old), stored, group.modality, group.route)
            if key not in made:
                made[key] = self._case(part, group, new, old, stored)
            found.append(made[key])
        return found

    def _policies(self, part: Part, group: Group) -> tuple[Policy, Policy | None, bool]:
        """The new one, the old one, and whether that is the one which decided."""
        question, context = self.question, {"surface": group.surface, "country": group.country}
        new = question.new.under(context, part.tenant)
        known = question.known.get(group.policy)
        old = question.old.under(context, part.tenant) if question.old is not None else known
        return new, old, old is not None and old.resolved == group.policy

    def _case(self, part: Part, group: Group, new: Policy, old: Policy | None, stored: bool) -> Case | None:
        modality = Modality(group.modality)
        sees = seen_by(self.manifest.sees, group.route, modality)
        try:
            judges = [Judge(policy, part, modality, sees) for policy in (new, old) if policy is not None]
        except NotInColumns:
            return None
        return Case(judges[0], judges[1] if old is not None else None, stored, self.manifest.bits, part.words)


def by_hash(policies: Sequence[Policy]) -> dict[str, Policy]:
    """All they come to under their overlays, by the hash of that."""
    every = [each for one in policies for each in ([one] if one.variants is None else one.variants.make_all())]
    return {policy.resolved: policy for policy in every}
