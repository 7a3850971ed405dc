"""How much of a policy its tests have shown: rules true and false, each comparison in them, each threshold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from gateway.policy.cel.typed import And, Condition, Not, One, Or, Some, opposite
from gateway.policy.compile.python import Program
from gateway.policy.evidence import facts_of
from gateway.policy.policy import Policy
from gateway.policy.tally import InputFacts, hear, tally


@dataclass(frozen=True)
class Branch:
    """One way a rule or an exemption can go: this condition is true."""

    owner: str
    condition: Condition


def branches(policy: Policy) -> list[Branch]:
    """Every comparison of every rule and exemption, true and false; of what is asked of a list's elements likewise."""
    owners = [(clause.name, clause.tree) for clause in policy.clauses]
    owners += [(f"exempt.{exemption.id}", exemption.tree) for exemption in policy.exemptions]
    found = (Branch(owner, way) for owner, tree in owners for way in _ways(tree.root))
    return list(dict.fromkeys(found))


def _ways(node: Condition) -> Iterator[Condition]:
    if isinstance(node, And | Or | One):
        for part in node.parts:
            yield from _ways(part)
    elif isinstance(node, Not):
        yield from _ways(node.part)
    else:
        yield node
        yield opposite(node)
        if isinstance(node, Some):
            yield from (Some(node.over, way) for way in _ways(node.body) if way != node.body)


@dataclass
class Shown:
    """What the cases of one policy have shown so far."""

    policy: Policy
    true: set[str] = field(default_factory=set)
    false: set[str] = field(default_factory=set)
    seen: set[Branch] = field(default_factory=set)
    reached: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.branches = branches(self.policy)
        self._program = Program([branch.condition for branch in self.branches])
        self.bounds = [
            bound.name
            for rule in self.policy.rules.values()
            for bound in reversed(rule.bounds)
            if rule.category in self.policy.said.thresholds
        ]

    def note(self, variant: Policy, fact: InputFacts) -> None:
        """One case, under the overlays it came under. A rule that is off there is neither true nor false."""
        [heard] = hear([fact])
        seen = tally(variant, heard)
        for rule, (score, _) in ((variant.lines[slug].rule, judged) for slug, judged in seen.judged.items()):
            if rule is not None:
                self.reached |= {bound.name for bound in rule.bounds if score >= bound.least}
        if not variant.asks:
            return
        facts = facts_of(variant, seen)
        hits, unknown = variant.program.ask(facts)
        off = {clause.name for clause in variant.clauses if clause.disabled}
        for clause in variant.clauses:
            if not clause.disabled and not unknown >> clause.bit & 1:
                (self.true if hits >> clause.bit & 1 else self.false).add(clause.id)
        ways, _ = self._program.ask(facts)
        self.seen |= {branch for bit, branch in enumerate(self.branches) if ways >> bit & 1 and branch.owner not in off}

    @property
    def rules(self) -> float:
        """The share of rules that were both true and false."""
        both = self.true & self.false
        return len(both) / len(self.policy.clauses) if self.policy.clauses else 1.0

    @property
    def share(self) -> float:
        """The share of branches that were taken."""
        return len(self.seen) / len(self.branches) if self.branches else 1.0

    @property
    def thresholds(self) -> float:
        """The share of the thresholds in the file that were reached."""
        return len(self.reached & set(self.bounds)) / len(self.bounds) if self.bounds else 1.0
