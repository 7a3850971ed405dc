"""A policy ready to decide with: thresholds by category, what must be covered, what users are told, and a hash."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import orjson

from gateway.domain import Action, Modality
from gateway.policy.messages import Messages
from gateway.policy.schema import DEFAULT, CoverageRule, PolicyFile, Threshold
from gateway.taxonomy import Kind, Taxonomy, kin
from gateway.yamlfile import Document, load

UNMAPPED = "unmapped"

# What nobody may overlook, unless a policy says otherwise. A word no table knows goes to a person where the vendor does
# not all but rule it out itself; so does "unsafe", said without a reason.
_UNLESS_SAID = {
    UNMAPPED: Threshold.model_validate({"review": 0.01, "reason": "unmapped_label"}),
    "unsafe": Threshold.model_validate({"review": 0.5}),
}


@dataclass(frozen=True)
class Rule:
    """One threshold of a policy. `order` is its place in the file: it breaks ties between reasons."""

    category: str
    review: int | None
    block: int | None
    code: str
    message: str
    order: int

    def judge(self, score: int) -> Action:
        """What this score leads to. A score equal to a threshold is inside."""
        if self.block is not None and score >= self.block:
            return Action.BLOCK
        if self.review is not None and score >= self.review:
            return Action.REVIEW
        return Action.ALLOW

    def bound(self, action: Action) -> int | None:
        """The threshold that leads to this action."""
        return self.block if action is Action.BLOCK else self.review

    @cached_property
    def lowest(self) -> int | None:
        """The lowest score that is not allowed."""
        bounds = [bound for bound in (self.review, self.block) if bound is not None]
        return min(bounds, default=None)


@dataclass(frozen=True, slots=True)
class Line:
    """Where a category stands: itself and its ancestors, its threshold, and those of them under the same threshold."""

    kin: tuple[str, ...]
    rule: Rule | None
    together: tuple[str, ...]
    context: bool


class _Lines(dict[str, Line]):
    """The line of each category, drawn when it is first asked for: a request asks for dozens."""

    def __init__(self, draw: Callable[[str], Line], known: Container[str]):
        self._draw = draw
        self._known = known

    def __missing__(self, category: str) -> Line:
        line = self._draw(category)
        if category in self._known:  # open slugs come from vendors: they are not kept
            self[category] = line
        return line


@dataclass(frozen=True)
class Policy:
    """A compiled policy. `hash` is `sha256:` over all that its file says and the taxonomy's version."""

    name: str
    version: int
    hash: str
    locale: str
    taxonomy: Taxonomy
    rules: Mapping[str, Rule]
    coverage: Mapping[Modality, Mapping[str, CoverageRule]]
    messages: Messages
    listed: Mapping[Modality, tuple[str, ...]]
    context: frozenset[str]

    @cached_property
    def lines(self) -> Mapping[str, Line]:
        """Where any category stands, open slugs included: there is one for every key."""
        return _Lines(self._draw, self.taxonomy.categories)

    @cached_property
    def required(self) -> Mapping[Modality, tuple[str, ...]]:
        """The categories that must be covered."""
        return {modality: tuple(rules) for modality, rules in self.coverage.items()}

    def is_context(self, category: str) -> bool:
        """Whether it only describes the content. An open slug is as its root."""
        return category in self.context or category.split("/", 1)[0] in self.context

    def rule_for(self, category: str) -> Rule | None:
        """The threshold a category falls under: its own, else that of its nearest ancestor which has one.

        What merely describes the content falls under its own alone.
        """
        lines = (category,) if self.is_context(category) else kin(category)
        return next((self.rules[slug] for slug in lines if slug in self.rules), None)

    def _draw(self, category: str) -> Line:
        rule = self.rule_for(category)
        together = tuple(slug for slug in kin(category) if rule is not None and self.rule_for(slug) is rule)
        return Line(kin(category), rule, together, self.is_context(category))


def load_policy(path: Path, taxonomy: Taxonomy, messages: Messages) -> Policy:
    """Read and check one policy file. Raises ConfigError with file:line:column, the first problem first."""
    document = load(path, env=None)
    read = document.parse(PolicyFile)
    _check(document, read, taxonomy)
    own = Messages(read.messages, read.locale, messages)
    thresholds = {**read.thresholds, **{slug: row for slug, row in _UNLESS_SAID.items() if slug not in read.thresholds}}
    rules = {
        slug: Rule(slug, row.review, row.block, row.reason or slug.replace("/", "_"), row.message or "", order)
        for order, (slug, row) in enumerate(thresholds.items())
    }
    coverage = {modality: _required(read, taxonomy, modality) for modality in Modality}
    return Policy(
        name=read.policy,
        version=read.version,
        hash=_hash(read, taxonomy, own),
        locale=read.locale,
        taxonomy=taxonomy,
        rules=rules,
        coverage=coverage,
        messages=own,
        context=frozenset(slug for slug, node in taxonomy.categories.items() if node.kind is Kind.CONTEXT),
        listed={
            modality: tuple(
                slug
                for slug in dict.fromkeys([*read.thresholds, *coverage[modality]])
                if slug in taxonomy.categories and modality in taxonomy.categories[slug].modality
            )
            for modality in Modality
        },
    )


def _check(document: Document, read: PolicyFile, taxonomy: Taxonomy) -> None:
    if read.taxonomy != taxonomy.version:
        hint = f"the taxonomy in use is version '{taxonomy.version}'"
        raise document.error(("taxonomy",), f"written for taxonomy '{read.taxonomy}'", hint=hint)
    for slug, row in read.thresholds.items():
        if not taxonomy.knows(slug):
            raise document.error(
                ("thresholds", slug), f"unknown category '{slug}'", hint=taxonomy.suggest(slug), key=True
            )
        if row.review is not None and row.block is not None and row.review >= row.block:
            hint = "review is the lower of the two; leave it out to block only"
            raise document.error(("thresholds", slug, "review"), "review is not below block", hint=hint)
        if row.message and row.message not in read.messages:
            raise document.error(("thresholds", slug, "message"), f"there is no message '{row.message}' below")
    for slug in read.signals.coverage:
        if slug != DEFAULT and not taxonomy.knows(slug):
            where = ("signals", "coverage", slug)
            raise document.error(where, f"unknown category '{slug}'", hint=taxonomy.suggest(slug), key=True)


def _required(read: PolicyFile, taxonomy: Taxonomy, modality: Modality) -> dict[str, CoverageRule]:
    """What must be covered on an input: categories named in coverage, and for its default those of the thresholds."""
    stated = read.signals.coverage
    named = {slug: rule for slug, rule in stated.items() if slug != DEFAULT}
    if DEFAULT in stated:
        named = {**dict.fromkeys((slug for slug in read.thresholds if slug != UNMAPPED), stated[DEFAULT]), **named}
    return {slug: rule for slug, rule in named.items() if modality in taxonomy.category(slug).modality}


def _hash(read: PolicyFile, taxonomy: Taxonomy, messages: Messages) -> str:
    said = {**read.model_dump(mode="json"), "taxonomy": taxonomy.version, "messages": messages.texts}
    return "sha256:" + hashlib.sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).hexdigest()
