"""Rules that change nothing: never true, true of everything, or true only where another is that is as strict.

See worlds.py for what is judged, and what is not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from heapq import merge
from typing import Any, TypeAlias

from gateway.domain import Action, Modality
from gateway.policy.cel.shapes import Plain
from gateway.policy.cel.typed import Condition, Score
from gateway.policy.policy import Clause, Policy
from gateway.policy.reading import Checked
from gateway.policytools.values import Held, Values
from gateway.policytools.warning import warning
from gateway.policytools.worlds import Known, Worlds, inside, worlds
from gateway.taxonomy import Kind
from gateway.yamlfile import Problem
from gateway.yamlfile.tree import Where

_CONTRADICTS = "its parts contradict each other: one of && may be meant as ||, or a comparison the other way round"
_NEEDLESS = "it gives a second reason and changes no action: take it away, or let it ask for something else"


def dead(checked: Checked, policy: Policy) -> Iterator[Problem]:
    """A warning for each such rule or exemption, at its condition."""
    for place, clause in enumerate(policy.clauses):
        yield from _one(checked, ("rules", place, "when"), f"the rule '{clause.id}'", clause.tree.root)
    yield from _Search(checked, policy).implied()
    for place, exemption in enumerate(policy.exemptions):
        yield from _one(checked, ("exempt", place, "when"), f"the exemption '{exemption.id}'", exemption.tree.root)


def _one(checked: Checked, where: Where, what: str, condition: Condition) -> Iterator[Problem]:
    laid = worlds(condition)
    if laid == ():
        yield warning(checked, where, f"{what} is never true", _CONTRADICTS, "never_true")
    elif laid and {} in laid:
        yield warning(checked, where, f"{what} is true of everything", "", "always_true")


MOST_COMPARED = 40_000  # pairs of rules in a file: with more, some that are needless are not found

_Key: TypeAlias = tuple[int, Plain | None]  # a thing, and a value it has where it can have few


class _Search:
    """Looks for what is as strict wherever a rule holds.

    `steady` are the rules that nothing lifts, changes or disables; with each its worlds, laid out once.
    """

    def __init__(self, checked: Checked, policy: Policy):
        said = policy.said
        changed = {name for overlay in said.overlays for name in (*overlay.rules, *overlay.disable)}
        lifted = {name for exemption in policy.exemptions for name in exemption.names}
        self._checked = checked
        self._policy = policy
        self._things: dict[Any, int] = {}
        self._laid = {clause.id: self._numbered(worlds(clause.tree.root) or ()) for clause in policy.clauses}
        self._judged = [
            clause
            for clause in policy.clauses
            if self._laid[clause.id]
            and {} not in self._laid[clause.id]
            and clause.id not in changed
            and not clause.shadow
        ]
        self._steady = [clause for clause in self._judged if clause.name not in lifted]
        self._index = self._by_rarest()
        self._left = MOST_COMPARED
        self._bounds = dict(self._thresholds(lifted, {slug for each in said.overlays for slug in each.thresholds}))

    def implied(self) -> Iterator[Problem]:
        for clause in self._judged:
            by = self._threshold(clause) or self._rule(clause)
            if by:
                detail = f"where the rule '{clause.id}' is true, {by} is too, and as strict"
                yield warning(self._checked, ("rules", clause.bit, "when"), detail, _NEEDLESS, "implied")

    def _numbered(self, laid: Worlds) -> Worlds:
        """The same with numbers for things, which are compared at once; what is quick to compare comes first."""
        ordered = [sorted(world.items(), key=lambda pair: isinstance(pair[1], Held)) for world in laid]
        return tuple(
            {self._things.setdefault(thing, len(self._things)): known for thing, known in world} for world in ordered
        )

    def _by_rarest(self) -> dict[_Key, list[Clause]]:
        """The steady rules by what is rarest in each of their worlds: whoever implies one knows that too."""
        common = Counter(thing for laid in self._laid.values() for world in laid for thing in world)
        found: dict[_Key, list[Clause]] = {}
        for clause in self._steady:
            rarest = [(min(world, key=common.__getitem__), world) for world in self._laid[clause.id]]
            for key in {key for thing, world in rarest for key in _allowed(thing, world[thing])}:
                found.setdefault(key, []).append(clause)
        return found

    def _candidates(self, clause: Clause) -> Iterator[Clause]:
        """The rules this one may imply, in the order of the file, while any may still be compared."""
        keys = (key for thing, known in self._laid[clause.id][0].items() for key in _looked_up(thing, known))
        found = merge(*(self._index[key] for key in keys if key in self._index), key=lambda other: other.bit)
        for other in found:
            self._left -= 1
            if self._left < 0:
                return
            if other.bit != clause.bit:
                yield other

    def _implies(self, one: Clause, other: Clause) -> bool:
        there = self._laid[other.id]
        return all(any(inside(here, world) for world in there) for here in self._laid[one.id])

    def _rule(self, clause: Clause) -> str | None:
        """The first rule that makes this one needless; of two that are the same, the later one is."""
        for other in self._candidates(clause):
            if not _as_strict(other, clause) or not self._implies(clause, other):
                continue
            same = _as_strict(clause, other) and clause in self._steady and self._implies(other, clause)
            if not same or other.bit < clause.bit:
                return f"'{other.id}' ({other.at[0]}:{other.at[1]})"
        return None

    # thresholds

    def _thresholds(self, lifted: set[str], changed: set[str]) -> Iterator[tuple[str, tuple[tuple[int, Action], ...]]]:
        """Categories whose score, as rules know it, is the one under their threshold; and where that begins."""
        policy = self._policy
        for slug, rule in policy.rules.items():
            if slug not in changed and policy.way(slug).name == "max" and self._undivided(slug):
                yield slug, tuple((least, action) for least, action, name in rule.bounds if name not in lifted)

    def _undivided(self, slug: str) -> bool:
        """Whether all that is below the category falls under its threshold too."""
        taxonomy, below = self._policy.taxonomy, f"{slug}/"
        if slug not in taxonomy.categories or slug in taxonomy.open_roots:
            return False
        described = (each for each, node in taxonomy.categories.items() if node.kind is Kind.CONTEXT)
        return not any(each.startswith(below) for each in (*self._policy.rules, *described))

    def _covered(self, slug: str) -> bool:
        """Whether somebody must have looked at it, in texts and in images, or it is reviewed at least."""
        changed = {each for overlay in self._policy.said.overlays for each in overlay.coverage}
        return slug not in changed and all(slug in self._policy.coverage[modality] for modality in Modality)

    def _threshold(self, clause: Clause) -> str | None:
        """The threshold that makes this rule needless, if one does."""
        if clause.effects or clause.if_unknown is Action.BLOCK:
            return None
        here = self._laid[clause.id]
        for slug, bounds in self._bounds.items():
            if clause.if_unknown and not self._covered(slug):
                continue  # the rule speaks where the score is missing, the threshold does not
            thing = self._things.get(Score(slug), -1)
            for bound, action in bounds:
                over = Values(low=bound)
                if action.strictness >= clause.action.strictness and all(
                    isinstance(known := world.get(thing), Values) and known.within(over) for world in here
                ):
                    return f"thresholds.{slug}.{action.value}"
        return None


def _allowed(thing: int, known: Known) -> Iterator[_Key]:
    """Where a rule is found that needs this: under each value that would do, or else under the thing alone."""
    if isinstance(known, Values) and known.only is not None:
        yield from ((thing, value) for value in known.only)
    else:
        yield thing, None


def _looked_up(thing: int, known: Known) -> Iterator[_Key]:
    """Where to look for rules that hold wherever this does: of all its values, any one leads there."""
    yield thing, None
    if isinstance(known, Values):
        yield thing, known.low if known.only is None else next(filter(known.may_be, known.only), None)


def _as_strict(one: Clause, other: Clause) -> bool:
    """Whether the one leads to all that the other leads to, where they are true and where they are unknown."""
    unsure = min(_unsure(one), one.action.strictness)
    strict = one.action.strictness >= other.action.strictness and unsure >= _unsure(other)
    return strict and set(other.effects) <= set(one.effects)


def _unsure(clause: Clause) -> int:
    """How strict it is where it is unknown."""
    return clause.if_unknown.strictness if clause.if_unknown else 0
