"""A policy as columns over one part: everything that can be a reason, each as an expression, as judging.py finds it.

Two policies differ, for a part, in those reasons whose expressions differ; only these have to be asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import polars as pl

from gateway.domain import Action, Modality
from gateway.policy.cel.typed import Field, Some, walk
from gateway.policy.cel.typed import terms as terms_of
from gateway.policy.policy import Clause, Policy
from gateway.replay import TOO_FEW
from gateway.sweep.conditions import Asked, Conditions, digest
from gateway.sweep.layout import SHORT, UNSEEN, is_alike
from gateway.sweep.manifest import Part
from gateway.sweep.signals import Signals, any_of
from gateway.sweep.where import Made, Where, among
from gateway.taxonomy import kin

Key = tuple[str, Action]  # the rule as reasons call it, and what it leads to

FRAMES = "coverage.frames"
_GIVEN = ("context", "user", "ocr")


@dataclass(frozen=True)
class Possible:
    """One reason there may be. `made` and `found` are columns its expression needs first (conditions.py).

    `outcome` is true nowhere but in the rows of `where`, and where that is exact in all of them. Where `stricter` holds
    it is no reason, since that one is: which changes no action.
    """

    outcome: pl.Expr
    made: Mapping[str, Made] = field(default_factory=dict)
    found: Mapping[str, Some] = field(default_factory=dict)
    where: Where | None = None
    stricter: Possible | None = None

    @property
    def holds(self) -> pl.Expr:
        """Whether it is one."""
        return self.outcome if self.stricter is None else self.outcome & ~self.stricter.outcome

    @cached_property
    def print(self) -> bytes:
        """The same for two that are the same in every row."""
        return self.holds.meta.serialize()

    @cached_property
    def columns(self) -> frozenset[str]:
        """What is read for it, beside what is made and found."""
        asked = set(self.holds.meta.root_names()) - self.made.keys() - self.found.keys()
        return frozenset(asked | {n.over.root for n in self.found.values()})

    @property
    def reads(self) -> frozenset[str]:
        """All columns that may be read for it."""
        return self.columns.union(root for made in self.made.values() for root in made.expr.meta.root_names())

    @cached_property
    def is_of_kinds(self) -> bool:
        """Whether it asks for nothing but what rows are alike in (alike.py)."""
        return not self.found and all(map(is_alike, self.reads))


class Judge:
    """One policy, already resolved for whom it is, over inputs of one modality of one part. Raises NotInColumns."""

    def __init__(self, policy: Policy, part: Part, modality: Modality, sees: Mapping[str, frozenset[str]]):
        self.policy = policy
        self._modality = modality
        self._signals = Signals(policy, part, modality, sees)
        conditions = Conditions(self._signals, part.columns, part.fields)
        self._lifts: dict[str, list[Asked]] = {}
        for exemption in policy.exemptions:
            asked = conditions.asked(exemption.tree.root, certain=True)
            for name in exemption.names:
                self._lifts.setdefault(name, []).append(asked)
        self._conditions = conditions
        self.reasons: dict[Key, Possible] = dict(self._all())

    @property
    def beyond(self) -> pl.Expr:
        """Rows that are to be decided one by one."""
        return self._signals.beyond

    def _all(self) -> Iterator[tuple[Key, Possible]]:
        for name, bit in ((TOO_FEW, SHORT), (FRAMES, UNSEEN)):
            yield (name, Action.REVIEW), Possible(pl.col(name), {name: Made((pl.col("gap") & bit) > 0)})
        yield from self._thresholds()
        for slug in dict.fromkeys(each for category in self._signals.categories for each in kin(category)):
            undecided = self._signals.undecided(slug)
            if undecided is not None:
                yield (f"combine.{slug}", Action.REVIEW), Possible(undecided)
        for slug, least, action in self.policy.wants[self._modality]:
            yield (f"coverage.{slug}", action), Possible(~self._signals.covered(slug, least))
        yield from self._rules()

    def _thresholds(self) -> Iterator[tuple[Key, Possible]]:
        """A score that blocks is no reason for review as well; where its block is lifted, it is."""
        for slug, rule in self.policy.rules.items():
            blocks: Possible | None = None
            for least, action, name in rule.bounds:
                over = self._signals.at_least(slug, least)
                if over is not None:
                    own = f"over.{slug}#{digest(over.expr)}"
                    made = {own: over} if blocks is None else {own: over, **blocks.made}
                    found = {} if blocks is None else blocks.found
                    plain = Possible(pl.col(own), made, found, over.where, blocks)
                    blocks = self._spared(name, plain)
                    yield (name, action), blocks

    def _rules(self) -> Iterator[tuple[Key, Possible]]:
        for clause in self.policy.clauses:
            if clause.shadow or clause.disabled:
                continue
            asked = self._conditions.asked(clause.tree.root, certain=clause.if_unknown is None)
            true = Possible(asked.outcome.fill_null(False), asked.made, asked.found, asked.where)
            unknown = Possible(asked.outcome.is_null(), asked.made, asked.found)
            if clause.if_unknown is clause.action:
                yield self._clause(clause, clause.action, replace(unknown, outcome=true.outcome | unknown.outcome))
                continue
            yield self._clause(clause, clause.action, true)
            if clause.if_unknown is not None:
                yield self._clause(clause, clause.if_unknown, unknown)

    def _clause(self, clause: Clause, action: Action, possible: Possible) -> tuple[Key, Possible]:
        return (clause.name, action), possible if clause.hard else self._spared(clause.name, possible)

    def _spared(self, name: str, possible: Possible) -> Possible:
        """Not where an exemption lifts it for certain."""
        lifts = self._lifts.get(name, ())
        if not lifts:
            return possible
        lifted = any_of(each.outcome.fill_null(False) for each in lifts)
        made = {**possible.made, **{name: one for each in lifts for name, one in each.made.items()}}
        found = {**possible.found, **{name: node for each in lifts for name, node in each.found.items()}}
        outcome, where = possible.outcome & ~lifted, among([possible.where])
        return replace(possible, outcome=outcome, made=made, found=found, where=where)


def changed(old: Judge, new: Judge) -> set[Key]:
    """The reasons that are not the same under both."""
    keys = old.reasons.keys() | new.reasons.keys()
    return {key for key in keys if _print(old, key) != _print(new, key)}


def _print(judge: Judge, key: Key) -> bytes | None:
    return judge.reasons[key].print if key in judge.reasons else None


def fields_of(policy: Policy) -> set[str]:
    """What its rules ask of context, user and ocr, under every overlay."""
    trees = [*(clause.tree for clause in policy.clauses), *(exemption.tree for exemption in policy.exemptions)]
    asked = (term for tree in trees for node in walk(tree.root) for term in terms_of(node))
    return {f"{term.root}.{term.name}" for term in asked if isinstance(term, Field) and term.root in _GIVEN}
