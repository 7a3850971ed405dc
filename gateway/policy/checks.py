"""Whether all that a policy file names is there, and what it says makes sense. Every problem, each at its place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

from gateway.policy.cel.shapes import DECLARABLE, Declared, Kind
from gateway.policy.compile.facts import fit
from gateway.policy.schema import (
    DEFAULT,
    Calibrated,
    CoverageRule,
    FieldSpec,
    PolicyFile,
    RulePatch,
    RuleRow,
    Texts,
    Threshold,
    quorum,
)
from gateway.suggest import did_you_mean
from gateway.taxonomy import Kind as CategoryKind
from gateway.taxonomy import Taxonomy
from gateway.yamlfile import Document, Problem
from gateway.yamlfile.tree import Where

UNKNOWN = "unknown_name"
_ESCALATED = "it goes to a person whatever the policy; write a review threshold, or leave the line out"


def named_thresholds(slugs: Iterable[str]) -> dict[str, str]:
    """`thresholds.<category>.<action>`, as reasons and exemptions call it → the category."""
    return {f"thresholds.{slug}.{action}": slug for slug in slugs for action in ("review", "block")}


class Checks:
    """All checks of one file. `taxonomy` and `providers` are what there is; `providers` None where any may come."""

    def __init__(self, document: Document, read: PolicyFile, taxonomy: Taxonomy, providers: frozenset[str] | None):
        self._document = document
        self._read = read
        self._taxonomy = taxonomy
        self._providers = providers
        self._rules = {row.id: row for row in reversed(read.rules)}

    def all(self) -> Iterator[Problem]:
        read = self._read
        if read.taxonomy != self._taxonomy.version:
            hint = f"the taxonomy in use is version '{self._taxonomy.version}'"
            yield self._error(("taxonomy",), f"written for taxonomy '{read.taxonomy}'", hint)
        yield from self._signals()
        yield from self._thresholds(("thresholds",), read.thresholds, read.messages)
        yield from self._ids(("rules",), [row.id for row in read.rules], "rule")
        yield from self._ids(("exempt",), [row.id for row in read.exempt], "exemption")
        for place, row in enumerate(read.rules):
            yield from self._consequence(("rules", place), row, read.messages)
        yield from self._exemptions()
        yield from self._overlays()

    def declared(self, root: Literal["context", "user"]) -> tuple[dict[str, Declared], list[Problem]]:
        """The declared fields of context or user, and what is wrong with them."""
        fields: dict[str, Declared] = {}
        problems = []
        for name, spec in getattr(self._read, root).items():
            shape = DECLARABLE[spec.type]
            default = None if spec.default is None else fit(shape, spec.default)
            if spec.default is not None and (default is None or spec.type == "list"):
                detail = f"the default is {self._document.shown((root, name, 'default'))}, which is no {spec.type}"
                problems.append(self._error((root, name, "default"), detail))
            problems += self._values((root, name), spec)
            values = None if spec.values is None else frozenset(spec.values)
            fields[name] = Declared(shape, values, default)
        return fields, problems

    def _values(self, where: Where, spec: FieldSpec) -> Iterator[Problem]:
        if spec.values is None:
            return
        if DECLARABLE[spec.type] is not Kind.TEXT:
            yield self._error((*where, "values"), f"a field of type {spec.type} has no list of values", "", key=True)
        elif spec.default is not None and spec.default not in spec.values:
            yield self._error((*where, "default"), f"the default '{spec.default}' is none of the values")

    # signals

    def _signals(self) -> Iterator[Problem]:
        signals = self._read.signals
        for slug, how in signals.combine.items():
            where: Where = ("signals", "combine", slug)
            yield from self._category(where, slug)
            if isinstance(how, Calibrated):
                for provider in how.calibrated:
                    yield from self._provider((*where, "calibrated", provider), provider, key=True)
            else:
                yield from self._quorum(where, how)
        for place, provider in enumerate(signals.providers or ()):
            yield from self._provider(("signals", "providers", place), provider)
            if (signals.providers or ()).index(provider) < place:
                yield self._error(("signals", "providers", place), f"'{provider}' is named twice", "name each once")
        yield from self._coverage(("signals", "coverage"), signals.coverage)

    def _quorum(self, where: Where, how: str) -> Iterator[Problem]:
        many, expected = quorum(how), self._read.signals.providers
        if many is not None and expected is not None and many > len(expected):
            hint = "without them the score is a gap: ask for fewer, or name more providers"
            yield self._error(where, f"{how} needs {many}, but signals.providers names {len(expected)}", hint)

    def _coverage(self, where: Where, rules: Mapping[str, CoverageRule]) -> Iterator[Problem]:
        expected = self._read.signals.providers
        for slug, rule in rules.items():
            yield from self._category((*where, slug), slug)
            if expected is not None and rule.min_providers > len(expected):
                detail = f"min_providers is {rule.min_providers}, but signals.providers names {len(expected)}"
                hint = "those who are expected could never meet it: ask for fewer, or name more providers"
                yield self._error((*where, slug, "min_providers"), detail, hint)

    def _category(self, where: Where, slug: str) -> Iterator[Problem]:
        if slug != DEFAULT or where[-2:-1] not in (("combine",), ("coverage",)):
            yield from self._slug(where, slug)

    def _slug(self, where: Where, slug: str) -> Iterator[Problem]:
        if not self._taxonomy.knows(slug):
            hint = self._taxonomy.suggest(slug)
            yield self._error(where, f"unknown category '{slug}'", hint, key=True, code=UNKNOWN)

    def _provider(self, where: Where, name: str, *, key: bool = False) -> Iterator[Problem]:
        if self._providers is not None and name not in self._providers:
            hint = did_you_mean(name, self._providers) or f"there are {', '.join(sorted(self._providers)) or 'none'}"
            yield self._error(where, f"unknown provider '{name}'", hint, key=key, code=UNKNOWN)

    # thresholds

    def _thresholds(self, where: Where, rows: Mapping[str, Threshold], messages: Texts) -> Iterator[Problem]:
        for slug, row in rows.items():
            yield from self._slug((*where, slug), slug)
            yield from self.contradiction((*where, slug), row)
            yield from self._message((*where, slug), row.message, messages)
            if "review" in row.model_fields_set and row.review is None and self._escalates(slug):
                yield self._error((*where, slug, "review"), f"'{slug}' is never closed without a person", _ESCALATED)

    def contradiction(self, where: Where, row: Threshold) -> Iterator[Problem]:
        """A threshold whose two numbers leave nothing to review."""
        if row.review is not None and row.block is not None and row.review >= row.block:
            hint = "review is the lower of the two; leave it out to block only"
            at = (*where, "review" if self._document.find((*where, "review")) else "block")
            yield self._error(at, "review is not below block", hint)

    def _escalates(self, slug: str) -> bool:
        taxonomy = self._taxonomy
        return slug in taxonomy.categories and taxonomy.categories[slug].kind is CategoryKind.ESCALATE

    def _message(self, where: Where, name: str | None, messages: Texts) -> Iterator[Problem]:
        if name and name not in messages:
            hint = did_you_mean(name, messages) or "write its texts under messages:"
            yield self._error((*where, "message"), f"there is no message '{name}' below", hint, code=UNKNOWN)

    # rules and what changes them

    def _consequence(self, where: Where, row: RuleRow | RulePatch, messages: Texts) -> Iterator[Problem]:
        yield from self._message(where, row.message, messages)
        if row.if_unknown == "ignore" and not row.because.strip():
            hint = "write because: and why nothing is lost when what it asks about is missing"
            yield self._error((*where, "if_unknown"), "if_unknown: ignore needs a reason", hint)

    def _ids(self, where: Where, ids: list[str], what: str) -> Iterator[Problem]:
        first: dict[str, int] = {}
        for place, name in enumerate(ids):
            if first.setdefault(name, place) < place:
                line, column = self._document.at((*where, first[name], "id"))
                detail = f"the {what} '{name}' is already at {line}:{column}"
                yield self._error((*where, place, "id"), detail, "each has an id of its own", code="duplicate_key")

    def _exemptions(self) -> Iterator[Problem]:
        read = self._read
        known = named_thresholds(
            [*read.thresholds, *(slug for overlay in read.overlays for slug in overlay.thresholds)]
        )
        for place, row in enumerate(read.exempt):
            for number, name in enumerate(row.from_):
                where: Where = ("exempt", place, "from", number)
                threshold = known.get(name)
                if threshold is None:
                    yield from self._liftable(where, name.removeprefix("rules."), name)
                elif self._escalates(threshold):
                    detail = f"'{threshold}' is never closed without a person: nothing lifts it"
                    yield self._error(where, detail)

    def _liftable(self, where: Where, rule: str, written: str = "") -> Iterator[Problem]:
        """Whether there is such a rule, and it may be lifted, changed or disabled."""
        if rule not in self._rules:
            thresholds = sorted(named_thresholds(self._read.thresholds)) if written else []
            hint = did_you_mean(written or rule, [*self._rules, *thresholds])
            what = f"nothing here is called '{written}'" if written else f"unknown rule '{rule}'"
            key = where[-2:-1] == ("rules",)
            yield self._error(where, what, hint or self._known_rules(written), key=key, code=UNKNOWN)
        elif self._rules[rule].hard:
            line, column = self._document.at(("rules", self._place_of(rule), "hard"))
            detail = f"the rule '{rule}' is hard ({line}:{column}): nothing lifts, changes or disables it"
            yield self._error(
                where, detail, "take the name away, or hard: from the rule", key=where[-2:-1] == ("rules",)
            )

    def _known_rules(self, written: str) -> str:
        if written:
            return "name thresholds.<category>.review, thresholds.<category>.block, or a rule by its id"
        return f"rules are {', '.join(self._rules)}" if self._rules else "this policy has no rules"

    def _place_of(self, rule: str) -> int:
        return [row.id for row in self._read.rules].index(rule)

    def _overlays(self) -> Iterator[Problem]:
        for place, overlay in enumerate(self._read.overlays):
            where: Where = ("overlays", place)
            messages = {**self._read.messages, **overlay.messages}
            yield from self._thresholds((*where, "thresholds"), overlay.thresholds, messages)
            yield from self._coverage((*where, "coverage"), overlay.coverage)
            for name, patch in overlay.rules.items():
                yield from self._liftable((*where, "rules", name), name)
                yield from self._consequence((*where, "rules", name), patch, messages)
            for number, name in enumerate(overlay.disable):
                yield from self._liftable((*where, "disable", number), name)

    def _error(
        self, where: Where, detail: str, hint: str = "", *, key: bool = False, code: str = "bad_value"
    ) -> Problem:
        return self._document.error(where, detail, hint, key=key, code=code)
