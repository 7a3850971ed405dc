"""What a policy speaks of, and no provider that is configured can see."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gateway.policy.cel import TypedTree
from gateway.policy.cel.typed import Coverage, Field, Present, Score, Votes, terms, walk
from gateway.policy.expressions import place
from gateway.policy.reading import Checked
from gateway.policy.schema import DEFAULT, Threshold
from gateway.policy.tally import LISTED
from gateway.policytools.warning import warning_at
from gateway.yamlfile import Problem
from gateway.yamlfile.tree import Where

UNSEEN = "unseen_category"
_MOST_APART = 3


@dataclass(frozen=True)
class Sight:
    """What the providers of a gateway can see together. `objects`: some of them name things in pictures."""

    providers: frozenset[str]
    categories: frozenset[str]
    objects: bool

    def sees(self, slug: str) -> bool:
        """Whether anybody scores it, or something below it."""
        root = slug.split("/", 1)[0]
        return (
            slug in self.categories
            or root == "unmapped"
            or (root == "label" and self.objects)
            or any(seen.startswith(f"{slug}/") for seen in self.categories)
        )


def unseen(checked: Checked, sight: Sight) -> Iterator[Problem]:
    """A warning for each category, once, where the file first names it; for labels, hashes, and providers likewise."""
    told: set[str] = set()
    for slug, at in _named(checked):
        if slug not in told and not sight.sees(slug):
            told.add(slug)
            hint = "add a provider that does; until then it is never more than missing"
            yield warning_at(checked, at, f"no configured provider can see '{slug}'", hint, UNSEEN)
    yield from _lists(checked, sight)
    for number, name in enumerate(checked.said.signals.providers or ()):
        if name not in sight.providers:
            at = checked.document.at(("signals", "providers", number))
            hint = f"configured are {', '.join(sorted(sight.providers)) or 'none'}; one that is not, is always missing"
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
            found = max(tree.text.find(f'"{slug}"'), tree.text.find(f"'{slug}'"), 0)
            yield slug, place(document, where, tree.text, found)


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
