"""A checked file → the policy it is, and the policies it is under its overlays."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from orjson import Fragment

from gateway.domain import FULL, Action, Modality
from gateway.policy.cel import TypedTree
from gateway.policy.cel.typed import Constant, Holds, Score, Votes, walk
from gateway.policy.checks import Checks, named_thresholds
from gateway.policy.combine import Way, ways
from gateway.policy.compile.python import Program
from gateway.policy.expressions import place
from gateway.policy.identity import fingerprint, written
from gateway.policy.messages import Messages
from gateway.policy.monotone import is_monotone, rising
from gateway.policy.needs import Needs, joined, needs
from gateway.policy.overlays import Variants, laid, told
from gateway.policy.policy import Clause, Exemption, Policy, Rule
from gateway.policy.reading import Checked, read
from gateway.policy.schema import DEFAULT, CoverageRule, PolicyFile, RuleRow, Threshold
from gateway.taxonomy import Kind, Taxonomy, lineage
from gateway.yamlfile import Problem, together

UNMAPPED = "unmapped"
_ROWS_AT_ONCE, _LEAST_AT_ONCE = 20_000, 20  # as many variants are made beforehand as take 0.1 s
_SUSPICION = FULL // 2  # reviewed from here on, where nothing is said of a category that always goes to a person

# What nobody may overlook, unless a policy says otherwise. A word no table knows goes to a person where the vendor does
# not all but rule it out itself; so does "unsafe", said without a reason.
_UNLESS_SAID = {
    UNMAPPED: Threshold.model_validate({"review": 0.01, "reason": "unmapped_label"}),
    "unsafe": Threshold.model_validate({"review": 0.5}),
}


def load_policy(path: Path, taxonomy: Taxonomy, messages: Messages, providers: frozenset[str] | None = None) -> Policy:
    """Read, check and compile one policy file. Raises Problem (a ConfigError) with all that is wrong, in file order.

    `providers` are the names a policy may speak of; None where any may come.
    """
    return make(read(path, taxonomy, providers), path, taxonomy, messages)


def make(checked: Checked, path: Path, taxonomy: Taxonomy, messages: Messages) -> Policy:
    """The policy for those who come under no overlay; the others are made at the same time, and found by `under`."""
    ground, said = _Ground(checked, path, taxonomy, messages), checked.said
    if not said.overlays:
        return _variant(ground, ())
    variants: Variants[Policy] = Variants(
        said.overlays, lambda places: replace(_variant(ground, places), variants=variants)
    )
    for places in variants.together():
        _check_laid(checked, taxonomy, laid(said, [said.overlays[number] for number in places])[0], places)
    variants.make_all(max(_LEAST_AT_ONCE, _ROWS_AT_ONCE // (len(said.rules) + len(said.overlays) + 1)))
    return variants.of(None, None, None)


@dataclass(frozen=True)
class _Ground:
    """What stands in a file under whatever overlays, worked out once: a variant may be made while somebody waits."""

    checked: Checked
    path: Path
    taxonomy: Taxonomy
    messages: Messages
    clauses: dict[tuple[int, int], Clause] = field(default_factory=dict)  # by bit, and how many thresholds go before
    needed: dict[frozenset[str], Needs] = field(default_factory=dict)  # by the rules that are switched off

    @cached_property
    def conditions(self) -> Fragment:
        checked = self.checked
        return written(
            {
                **{f"rules.{name}": tree.root for name, tree in checked.rules.items()},
                **{f"exempt.{name}": tree.root for name, tree in checked.exemptions.items()},
            }
        )

    @cached_property
    def whole(self) -> str:
        return self.fingerprint(self.checked.said)

    @cached_property
    def program(self) -> Program:
        trees = (*self.checked.rules.values(), *self.checked.exemptions.values())
        return Program([tree.root for tree in trees])

    def fingerprint(self, said: PolicyFile, **beside: Any) -> str:
        return fingerprint(said, self.checked.lists, self.conditions, taxonomy=self.taxonomy.version, **beside)

    def clause(self, row: RuleRow, bit: int, disabled: frozenset[str], before: int) -> Clause:
        """The same one for all variants in which the row is as it was written."""
        if row is not self.checked.said.rules[bit] or row.id in disabled:
            return _clause(self.checked, row, bit, disabled, before)
        known = self.clauses.get((bit, before))
        if known is None:
            known = self.clauses[bit, before] = _clause(self.checked, row, bit, disabled, before)
        return known

    @cached_property
    def way(self) -> Callable[[str], Way]:
        """How scores combine: no overlay changes that."""
        return ways(self.checked.said.signals.combine)

    @cached_property
    def _asked(self) -> tuple[dict[str, Needs], list[Needs]]:
        """What each rule asks for, and each exemption."""
        rules, exemptions = self.checked.rules, self.checked.exemptions.values()
        by_rule = {name: needs(tree.root, self.way) for name, tree in rules.items()}
        return by_rule, [needs(tree.root, self.way) for tree in exemptions]

    def needs(self, disabled: frozenset[str]) -> Needs:
        """What is asked for where these rules are switched off."""
        found = self.needed.get(disabled)
        if found is None:
            rules, exempting = self._asked
            live = [each for name, each in rules.items() if name not in disabled]
            found = self.needed[disabled] = joined([*live, *exempting])
        return found


def _variant(ground: _Ground, places: tuple[int, ...]) -> Policy:
    checked, taxonomy = ground.checked, ground.taxonomy
    overlays = [checked.said.overlays[number] for number in places]
    said, disabled = laid(checked.said, overlays)
    _check_laid(checked, taxonomy, said, places)
    own = Messages(said.messages, said.locale, ground.messages)
    rules = _thresholds(said, taxonomy)
    clauses = tuple(ground.clause(row, bit, disabled, len(rules)) for bit, row in enumerate(said.rules))
    exemptions = tuple(_exemptions(checked, said, rules))
    coverage = {modality: _required(said, taxonomy, modality) for modality in Modality}
    policy = Policy(
        name=said.policy,
        version=said.version,
        hash=ground.whole,
        resolved=ground.fingerprint(said, off=sorted(disabled)) if places else ground.whole,
        overlays=tuple(told(overlay) for overlay in overlays),
        locale=said.locale,
        taxonomy=taxonomy,
        rules=rules,
        clauses=clauses,
        exemptions=exemptions,
        program=ground.program,
        needs=ground.needs(disabled),
        coverage=coverage,
        way=ground.way,
        expected=said.signals.providers or (),
        messages=own,
        context=frozenset(slug for slug, node in taxonomy.categories.items() if node.kind is Kind.CONTEXT),
        listed={
            modality: tuple(
                slug
                for slug in dict.fromkeys([*said.thresholds, *coverage[modality]])
                if slug in taxonomy.categories and modality in taxonomy.categories[slug].modality
            )
            for modality in Modality
        },
        rollout=said.rollout,
        file=ground.path,
        files=(ground.path, *checked.files),
        said=said,
        places=_places(checked, places, clauses, exemptions),
    )
    return replace(policy, monotone=is_monotone(policy))


def _check_laid(checked: Checked, taxonomy: Taxonomy, said: PolicyFile, places: tuple[int, ...]) -> None:
    """What no overlay is wrong in by itself, and all of them come to together."""
    checks = Checks(checked.document, checked.said, taxonomy, None)
    problems: list[Problem] = []
    for number in places:
        for slug in checked.said.overlays[number].thresholds:
            problems += checks.contradiction(("overlays", number, "thresholds", slug), said.thresholds[slug])
    if problems:
        raise together(problems)


def _places(
    checked: Checked, places: tuple[int, ...], clauses: Sequence[Clause], exemptions: Sequence[Exemption]
) -> dict[str, tuple[int, int]]:
    """Where everything stands that a reason may name; a threshold where the last overlay set it."""
    said, found = checked.said, {}
    for where, thresholds in (
        (("thresholds",), said.thresholds),
        *((("overlays", number, "thresholds"), said.overlays[number].thresholds) for number in places),
    ):
        for slug, row in thresholds.items():
            for action in {"review", "block"} & row.model_fields_set:
                found[f"thresholds.{slug}.{action}"] = checked.document.at((*where, slug, action))
    found.update({clause.name: clause.at for clause in clauses})
    return {**found, **{f"exempt.{exemption.id}": exemption.at for exemption in exemptions}}


def _thresholds(said: PolicyFile, taxonomy: Taxonomy) -> dict[str, Rule]:
    rows = {**said.thresholds, **{slug: row for slug, row in _UNLESS_SAID.items() if slug not in said.thresholds}}
    rules = {slug: _threshold(slug, row, order) for order, (slug, row) in enumerate(rows.items())}
    for slug, node in taxonomy.categories.items():
        if node.kind is Kind.ESCALATE and (slug not in rules or rules[slug].review is None):
            rules[slug] = _escalating(slug, rules)
    return rules


def _threshold(slug: str, row: Threshold, order: int) -> Rule:
    return Rule(slug, row.review, row.block, row.reason or slug.replace("/", "_"), row.message or "", order)


def _escalating(slug: str, rules: Mapping[str, Rule]) -> Rule:
    """What a policy does not say of a category that always goes to a person: review, where what is above it begins."""
    own = rules.get(slug)
    above = next((rules[parent] for parent in lineage(slug) if parent in rules), None)
    review = _SUSPICION if above is None or above.lowest is None else above.lowest
    if own is not None and own.block is not None:
        return replace(own, review=min(review, own.block))
    if above is None:
        return Rule(slug, review, None, slug.replace("/", "_"), "", len(rules))
    return replace(above, category=slug, review=review, block=None)


def _clause(checked: Checked, row: RuleRow, bit: int, disabled: frozenset[str], before: int) -> Clause:
    tree = checked.rules[row.id]
    return Clause(
        id=row.id,
        bit=bit,
        tree=tree,
        action=Action(row.action),
        code=row.reason or row.id.replace("-", "_").replace(".", "_"),
        message=row.message or "",
        if_unknown=None if row.if_unknown == "ignore" else Action(row.if_unknown),
        hard=row.hard,
        priority=row.priority,
        effects=row.effects,
        shadow=row.mode == "shadow",
        disabled=row.id in disabled,
        order=before + bit,
        compared=tuple(dict.fromkeys(_compared(tree))),
        rises=rising(tree.root),
        at=place(checked.document, ("rules", bit, "when"), row.when, 0),
    )


def _compared(tree: TypedTree) -> Iterator[tuple[str, int, int]]:
    """Category, number and how many providers: 0 where it is the combined score that is compared."""
    for node in walk(tree.root):
        if isinstance(node, Votes):
            yield node.category, node.threshold, node.least
        if isinstance(node, Holds) and node.word.name in (">=", ">"):
            match node.terms:
                case (Score(category), Constant(value=int(bound))):
                    yield category, bound, 0


def _exemptions(checked: Checked, said: PolicyFile, rules: Mapping[str, Rule]) -> Iterator[Exemption]:
    thresholds = named_thresholds(rules)
    for number, row in enumerate(said.exempt):
        names = tuple(name if name in thresholds else f"rules.{name.removeprefix('rules.')}" for name in row.from_)
        at = place(checked.document, ("exempt", number, "when"), row.when, 0)
        yield Exemption(row.id, len(said.rules) + number, checked.exemptions[row.id], names, row.because, at)


def _required(said: PolicyFile, taxonomy: Taxonomy, modality: Modality) -> dict[str, CoverageRule]:
    """What must be covered on an input: categories named in coverage, and for its default those of the thresholds."""
    stated = said.signals.coverage
    names = {slug: rule for slug, rule in stated.items() if slug != DEFAULT}
    if DEFAULT in stated:
        names = {**dict.fromkeys((slug for slug in said.thresholds if slug != UNMAPPED), stated[DEFAULT]), **names}
    return {slug: rule for slug, rule in names.items() if modality in taxonomy.category(slug).modality}
