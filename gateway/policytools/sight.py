"""What a policy speaks of, and no provider that is configured can see."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from gateway.policy.cel import TypedTree
from gateway.policy.cel.typed import (
    Constant,
    Constants,
    Coverage,
    Field,
    Holds,
    Not,
    Part,
    Present,
    Score,
    Votes,
    terms,
    walk,
)
from gateway.policy.expressions import place
from gateway.policy.reading import Checked
from gateway.policy.schema import DEFAULT, Threshold
from gateway.policy.tally import LISTED
from gateway.policytools.warning import warning_at
from gateway.suggest import did_you_mean
from gateway.taxonomy import kin
from gateway.yamlfile import Problem
from gateway.yamlfile.tree import Where

UNSEEN = "unseen_category"
_MOST_APART = 3


@dataclass(frozen=True)
class Sight:
    """Which categories each provider can see whom a route asks. `objects`: some of them name things in pictures.

    `unheard` is what those see who are no route's `ask` or `fallback`, perhaps its shadow: it never counts.
    """

    by_provider: Mapping[str, frozenset[str]]
    objects: bool
    unheard: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @cached_property
    def categories(self) -> frozenset[str]:
        """What they see together, and what that is part of."""
        return frozenset(above for slugs in self.by_provider.values() for slug in slugs for above in kin(slug))

    def sees(self, slug: str) -> bool:
        """Whether anybody scores it, or something below it."""
        root = slug.split("/", 1)[0]
        return slug in self.categories or root == "unmapped" or (root == "label" and self.objects)

    def voters(self, slug: str) -> int:
        """How many score it, or something below it."""
        return len(_seeing(slug, self.by_provider))

    def unheard_of(self, slug: str) -> list[str]:
        """Who would see it, but does not count."""
        return _seeing(slug, self.unheard)


def _seeing(slug: str, by_provider: Mapping[str, Iterable[str]]) -> list[str]:
    return sorted(name for name, slugs in by_provider.items() if any(slug in kin(seen) for seen in slugs))


def unseen(checked: Checked, sight: Sight) -> Iterator[Problem]:
    """A warning for each category, once, where the file first names it; for labels, hashes, and providers likewise."""
    told: set[str] = set()
    for slug, at in _named(checked):
        if slug not in told and not sight.sees(slug):
            told.add(slug)
            detail = f"no configured provider can see '{slug}'"
            hint = "add a provider that does; until then it is never more than missing"
            if able := sight.unheard_of(slug):
                detail = f"nobody whom a route asks can see '{slug}'"
                hint = (
                    f"{', '.join(able)} could, as ask or fallback of a route; until then it is never more than missing"
                )
            yield warning_at(checked, at, detail, hint, UNSEEN)
    yield from _lists(checked, sight)
    yield from _votes(checked, sight)
    for name, at in _providers(checked):
        if name not in (known := {*sight.by_provider, *sight.unheard}):
            there = f"configured are {', '.join(sorted(known)) or 'none'}"
            hint = did_you_mean(name, known) or f"{there}; one that is not, is always missing"
            yield warning_at(checked, at, f"the provider '{name}' is not configured", hint, "unknown_provider")


def _named(checked: Checked) -> Iterator[tuple[str, tuple[int, int]]]:
    """Every category, and where it stands."""
    said, document = checked.said, checked.document
    keys: list[tuple[Where, str]] = [(("signals", "coverage", slug), slug) for slug in said.signals.coverage]
    keys += [(("thresholds", slug), slug) for slug, row in said.thresholds.items() if _ever(row)]
    for number, overlay in enumerate(said.overlays):
        keys += [
            (("overlays", number, "thresholds", slug), slug)
            for slug in overlay.thresholds
            if _ever(overlay.thresholds[slug])
        ]
        keys += [(("overlays", number, "coverage", slug), slug) for slug in overlay.coverage]
    yield from ((slug, document.at(where, key=True)) for where, slug in keys if slug != DEFAULT)
    for where, tree in conditions(checked):
        for slug in dict.fromkeys(_asked(tree)):
            yield slug, place(document, where, tree.text, _written(tree.text, slug))


def _written(text: str, word: str) -> int:
    """Where a word stands in quotes."""
    return max(text.find(f'"{word}"'), text.find(f"'{word}'"), 0)


def _providers(checked: Checked) -> Iterator[tuple[str, tuple[int, int]]]:
    """Every provider that is named, and where."""
    for number, name in enumerate(checked.said.signals.providers or ()):
        yield name, checked.document.at(("signals", "providers", number))
    for where, tree in conditions(checked):
        for name in dict.fromkeys(_said_of_labels(tree)):
            yield name, place(checked.document, where, tree.text, _written(tree.text, name))


def _said_of_labels(tree: TypedTree) -> Iterator[str]:
    """The providers whose labels an expression asks for."""
    for node in walk(tree.root):
        match node:
            case Holds(word, (Part("provider"), Constant(value))) if word.name in ("==", "!="):
                yield str(value)
            case Holds(_, (Part("provider"), Constants(values))):
                yield from map(str, values)


def _votes(checked: Checked, sight: Sight) -> Iterator[Problem]:
    """Votes that need more providers than can see the category."""
    for where, tree in conditions(checked):
        nodes = list(walk(tree.root))
        denied = {node.part for node in nodes if isinstance(node, Not)}  # fewer votes than that may well be
        for node in nodes:
            if (
                isinstance(node, Votes)
                and node not in denied
                and 0 < (able := sight.voters(node.category)) < node.least
            ):
                at = place(checked.document, where, tree.text, _written(tree.text, node.category))
                who = "1 provider sees" if able == 1 else f"{able} providers see"
                detail = f"{node.least} votes on '{node.category}' never come together: {who} it that a route asks"
                hint = f"ask for {able} at most, or add a provider that does; shadows do not vote"
                yield warning_at(checked, at, detail, hint, "too_many_votes")


def _ever(row: Threshold) -> bool:
    return row.review is not None or row.block is not None


def conditions(checked: Checked) -> Iterator[tuple[Where, TypedTree]]:
    """The conditions of rules and exemptions, and where they stand."""
    for number, rule in enumerate(checked.said.rules):
        yield ("rules", number, "when"), checked.rules[rule.id]
    for number, exempt in enumerate(checked.said.exempt):
        yield ("exempt", number, "when"), checked.exemptions[exempt.id]


def _asked(tree: TypedTree) -> Iterator[str]:
    for node in walk(tree.root):
        if isinstance(node, Votes | Present):
            yield node.category
        yield from (term.category for term in terms(node) if isinstance(term, Score | Coverage))


def gathered(problems: Sequence[Problem]) -> list[Problem]:
    """For people: where nobody sees many categories of a file, one warning at the first of them names them all."""
    blind = [each for each in problems if each.code == UNSEEN]
    if len(blind) <= _MOST_APART:
        return list(problems)
    first = blind[0]
    names = ", ".join(each.detail.split("'")[1] for each in blind)
    detail = f"no configured provider can see {len(blind)} of the categories: {names}"
    one = Problem(
        detail,
        code=UNSEEN,
        file=first.file,
        line=first.line,
        column=first.column,
        hint=first.hint,
        severity=first.severity,
    )
    return [one if each is first else each for each in problems if each is first or each.code != UNSEEN]


def _lists(checked: Checked, sight: Sight) -> Iterator[Problem]:
    wanted = {"labels": sight.objects, "hashes": LISTED in sight.categories}
    for where, tree in conditions(checked):
        for root in sorted({term.root for node in walk(tree.root) for term in terms(node) if isinstance(term, Field)}):
            if not wanted.get(root, True):
                wanted[root] = True
                at = place(checked.document, where, tree.text, max(tree.text.find(root), 0))
                detail = f"no configured provider gives {root}"
                yield warning_at(checked, at, detail, "the rule is always unknown", f"unseen_{root}")
