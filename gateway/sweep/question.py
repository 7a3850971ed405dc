"""What a sweep asks, and which policies that means for the rows of a part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.domain import Modality
from gateway.policy.policy import Policy
from gateway.sweep.judge import Judge
from gateway.sweep.kernel import Case
from gateway.sweep.manifest import Group, Manifest, Part
from gateway.sweep.replay import seen_by
from gateway.sweep.signals import NotInColumns


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

    def cases(self, part: Part, manifest: Manifest) -> dict[Group, Case | None]:
        """Which rows of a part are asked what; None where columns cannot say it."""
        made: dict[object, Case | None] = {}
        found: dict[Group, Case | None] = {}
        for group in part.groups:
            new, old, stored = self._policies(part, group)
            key = (id(new), id(old), stored, group.modality, group.route)
            if key not in made:
                made[key] = _case(part, group, manifest, new, old, stored)
            found[group] = made[key]
        return found

    def _policies(self, part: Part, group: Group) -> tuple[Policy, Policy | None, bool]:
        """The new one, the old one, and whether that is the one which decided."""
        context = {"surface": group.surface, "country": group.country}
        new = self.new.under(context, part.tenant)
        old = self.old.under(context, part.tenant) if self.old is not None else self.known.get(group.policy)
        return new, old, old is not None and old.resolved == group.policy


def by_hash(policies: list[Policy]) -> dict[str, Policy]:
    """All they come to under their overlays, by the hash of that."""
    every = [each for one in policies for each in ([one] if one.variants is None else one.variants.make_all())]
    return {policy.resolved: policy for policy in every}


def _case(part: Part, group: Group, manifest: Manifest, new: Policy, old: Policy | None, stored: bool) -> Case | None:
    modality = Modality(group.modality)
    sees = seen_by(manifest.sees, group.route, modality)
    try:
        judges = [Judge(policy, part, modality, sees) for policy in (new, old) if policy is not None]
    except NotInColumns:
        return None
    return Case(judges[0], judges[1] if old is not None else None, stored, manifest.bits, part.words)
