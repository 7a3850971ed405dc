"""A policy ready to decide with: thresholds by category, rules, what must be covered, what users are told, and a hash.

A `Policy` is a file as it is for some: `under(context, tenant)` gives it with the overlays they come under.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Set
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from gateway.domain import Action, CategoryVerdict, Coverage, Modality, State
from gateway.policy.cel import TypedTree
from gateway.policy.combine import Way
from gateway.policy.compile.python import Program
from gateway.policy.messages import Messages
from gateway.policy.needs import Asked, Needs
from gateway.policy.outline import Outline, Want
from gateway.policy.overlays import Variants
from gateway.policy.schema import CoverageRule, PolicyFile, Rollout
from gateway.taxonomy import Kind, Taxonomy, kin

NEVER = 1 << 20  # above every score
UNSCORED = {state: CategoryVerdict(None, state, Action.ALLOW, {}) for state in State}
_MOST_LINES = 10_000
_OUTLINES_KEPT = 512  # of one policy; vendors' own words are among the categories, so there is an end


class Bound(NamedTuple):
    """A score from which on something follows, and how reasons and exemptions call that."""

    least: int
    action: Action
    name: str


@dataclass(frozen=True)
class Rule:
    """One threshold of a policy. `order` is its place in the file: it breaks ties between reasons."""

    category: str
    review: int | None
    block: int | None
    code: str
    message: str
    order: int

    @cached_property
    def bounds(self) -> tuple[Bound, ...]:
        """Those that are set, the strictest first."""
        scores = ((self.block, Action.BLOCK), (self.review, Action.REVIEW))
        name = f"thresholds.{self.category}"
        return tuple(Bound(least, action, f"{name}.{action}") for least, action in scores if least is not None)

    def reached(self, score: int, lifted: Container[str] = ()) -> Bound | None:
        """The strictest that this score reaches, but for what is lifted. A score equal to a threshold is inside."""
        for bound in self.bounds:
            if score >= bound.least and bound.name not in lifted:
                return bound
        return None

    @cached_property
    def lowest(self) -> int | None:
        """The lowest score that is not allowed."""
        return min((bound.least for bound in self.bounds), default=None)


@dataclass(frozen=True, eq=False)
class Clause:
    """One of `rules`: what it asks, and what follows. Bit `bit` of a decision's hits is this one.

    `if_unknown` is None where the policy says why an unknown may be ignored. `compared` are the categories it asks for,
    with the number it compares each with, for the reason it gives; `at` is line and column of its expression. It
    `rises` where answers that are more, or higher, never make it less true.
    """

    id: str
    bit: int
    tree: TypedTree
    action: Action
    code: str
    message: str
    if_unknown: Action | None
    hard: bool
    priority: int
    effects: tuple[str, ...]
    shadow: bool
    disabled: bool
    order: int
    compared: tuple[tuple[str, int, int], ...]
    rises: bool
    at: tuple[int, int]

    @property
    def name(self) -> str:
        return f"rules.{self.id}"


@dataclass(frozen=True, eq=False)
class Exemption:
    """What is lifted where `tree` is true. `names` are as reasons call them."""

    id: str
    bit: int
    tree: TypedTree
    names: tuple[str, ...]
    because: str
    at: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Line:
    """Where a category stands: itself and its ancestors, its threshold, and those of them under the same threshold.

    `together` are the latter where the most alarmed provider counts, `rowed` where scores are combined otherwise.
    `lowest` is the lowest score that is not allowed, above all scores where there is none. `way` is how its scores
    combine; of categories with the same score the one with the highest `rank` is named, the most particular.
    """

    kin: tuple[str, ...]
    rule: Rule | None
    together: tuple[str, ...]
    rowed: tuple[str, ...]
    lowest: int
    context: bool
    escalates: bool
    way: Way
    rank: tuple[int, str]


class _Lines(dict[str, Line]):
    """The line of each category, drawn when it is first asked for: a request asks for dozens."""

    def __init__(self, draw: Callable[[str], Line]):
        self._draw = draw

    def __missing__(self, category: str) -> Line:
        line = self._draw(category)
        if len(self) < _MOST_LINES:  # bounded: open slugs hold words of vendors
            self[category] = line
        return line


@dataclass(frozen=True, eq=False)
class Policy:
    """A compiled policy. `hash` is `sha256:` over all that its file and lists say and the taxonomy's version.

    `resolved` is the same of the file with `overlays` laid over it. `rules` are the thresholds by category, `clauses`
    the rules; `program` asks all of them, disabled ones too, and then the exemptions at once. `way` is how a category's
    scores combine, `expected` the providers whose silence counts whatever the route. `files` are the policy's own and
    its lists'.
    `needs` is what must be known to ask its rules. `places` are line and column of each threshold, rule and exemption,
    by the name reasons call it. `monotone` is explained in monotone.py.
    """

    name: str
    version: int
    hash: str
    resolved: str
    overlays: tuple[str, ...]
    locale: str
    taxonomy: Taxonomy
    rules: Mapping[str, Rule]
    clauses: tuple[Clause, ...]
    exemptions: tuple[Exemption, ...]
    program: Program
    needs: Needs
    coverage: Mapping[Modality, Mapping[str, CoverageRule]]
    way: Callable[[str], Way]
    expected: tuple[str, ...]
    messages: Messages
    listed: Mapping[Modality, tuple[str, ...]]
    context: frozenset[str]
    rollout: Rollout
    file: Path
    files: tuple[Path, ...]
    said: PolicyFile
    places: Mapping[str, tuple[int, int]]
    monotone: bool = False
    variants: Variants[Policy] | None = field(default=None, repr=False)

    def under(self, context: Mapping[str, Any], tenant: str) -> Policy:
        """The policy as it is for this submission. One look into a dict."""
        if self.variants is None:
            return self
        return self.variants.of(context.get("surface"), context.get("country"), tenant)

    @cached_property
    def lines(self) -> Mapping[str, Line]:
        """Where any category stands, open slugs included: there is one for every key."""
        return _Lines(self._draw)

    @cached_property
    def outline(self) -> Callable[[Modality, tuple[str, ...]], Outline]:
        """What is known of an input of this modality as soon as it is known which categories were scored on it."""
        return lru_cache(_OUTLINES_KEPT)(self._outline)

    @cached_property
    def required(self) -> Mapping[Modality, tuple[str, ...]]:
        """The categories that must be covered."""
        return {modality: tuple(rules) for modality, rules in self.coverage.items()}

    @cached_property
    def covered(self) -> Mapping[Modality, Coverage]:
        """The coverage where none of them is missing."""
        return {modality: Coverage(slugs) for modality, slugs in self.required.items()}

    @cached_property
    def unseen(self) -> Mapping[Modality, Mapping[str, CategoryVerdict]]:
        """What is said of the listed categories where nobody who was asked can see them."""
        return {modality: dict.fromkeys(slugs, UNSCORED[State.NOT_COVERED]) for modality, slugs in self.listed.items()}

    @cached_property
    def plain(self) -> bool:
        """Whether the most alarmed provider counts everywhere."""
        return all(how == "max" for how in self.said.signals.combine.values())

    @cached_property
    def asks(self) -> bool:
        """Whether there is any rule or exemption."""
        return bool(self.clauses or self.exemptions)

    @cached_property
    def live(self) -> int:
        """The bits of rules that are not switched off."""
        return sum(1 << clause.bit for clause in self.clauses if not clause.disabled)

    @cached_property
    def nowhere(self) -> Mapping[Modality, frozenset[str]]:
        """What rules ask for and no input of this modality can show: that it is not there, nobody has to find out."""
        where = {asked.slug: self.taxonomy.category(asked.slug).modality for asked in self.needs.categories}
        return {
            modality: frozenset(slug for slug, shown_in in where.items() if modality not in shown_in)
            for modality in Modality
        }

    @cached_property
    def least(self) -> Mapping[Modality, Mapping[str, int]]:
        """How many must have looked at a category before it has a score; one where nothing is said here."""
        return {
            modality: {slug: rule.min_providers for slug, rule in rules.items()}
            for modality, rules in self.coverage.items()
        }

    @cached_property
    def wants(self) -> Mapping[Modality, tuple[Want, ...]]:
        """What must be covered, as category, number of providers and what follows where they did not look."""
        return {
            modality: tuple((slug, rule.min_providers, Action(rule.on_missing)) for slug, rule in rules.items())
            for modality, rules in self.coverage.items()
        }

    @cached_property
    def escalating(self) -> frozenset[str]:
        """The categories that always go to a person."""
        kinds = self.taxonomy.categories.items()
        return frozenset(slug for slug, category in kinds if category.kind is Kind.ESCALATE)

    def is_context(self, category: str) -> bool:
        """Whether it only describes the content. An open slug is as its root."""
        return category in self.context or category.split("/", 1)[0] in self.context

    def named(self, slugs: Iterable[str]) -> tuple[str, ...]:
        """Those that can be called the highest, the most particular first: none that only describes the content."""
        lines = [self.lines[slug] for slug in slugs]
        return tuple([slug for _, slug in sorted([line.rank for line in lines if not line.context], reverse=True)])

    def rule_for(self, category: str) -> Rule | None:
        """The threshold a category falls under: its own, else that of its nearest ancestor which has one.

        What merely describes the content falls under its own alone.
        """
        lines = (category,) if self.is_context(category) else kin(category)
        return next((self.rules[slug] for slug in lines if slug in self.rules), None)

    def _outline(self, modality: Modality, slugs: tuple[str, ...]) -> Outline:
        scored = frozenset(slugs)
        return Outline(
            lowest=tuple([self.lines[slug].lowest for slug in slugs]),
            named=self.named(slugs),
            wants=tuple([want for want in self.wants[modality] if want[1] > 1 or want[0] not in scored]),
            apart=tuple([asked for asked in self.needs.categories if self._is_apart(asked, modality, scored)]),
        )

    def _is_apart(self, asked: Asked, modality: Modality, scored: Set[str]) -> bool:
        """Whether the highest score of any provider is not all there is to know for rules that ask for this."""
        nowhere, least = asked.slug in self.nowhere[modality], self.least[modality].get(asked.slug, 1)
        return asked.way.name != "max" or asked.voices or least > 1 or (nowhere and asked.slug not in scored)

    def _draw(self, category: str) -> Line:
        rule = self.rule_for(category)
        under = [slug for slug in kin(category) if rule is not None and self.rule_for(slug) is rule]
        return Line(
            kin=kin(category),
            rule=rule,
            together=tuple(slug for slug in under if self.way(slug).name == "max"),
            rowed=tuple(slug for slug in under if self.way(slug).name != "max"),
            lowest=NEVER if rule is None or rule.lowest is None else rule.lowest,
            context=self.is_context(category),
            escalates=category in self.escalating,
            way=self.way(category),
            rank=(category.count("/"), category),
        )
