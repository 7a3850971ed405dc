"""What was said of a category, as expressions over the columns of one part: as tally.py and evidence.py count it.

Null is unknown in all of them. Where nobody in the part ever spoke of a category there is no column, and none is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, reduce
from operator import add, or_
from typing import Any

import polars as pl

from gateway.domain import FULL, Modality
from gateway.policy.policy import NEVER, Policy, Rule
from gateway.policy.schema import quorum
from gateway.policy.tally import LISTED, can_see
from gateway.sweep.layout import Voice
from gateway.sweep.manifest import Part
from gateway.sweep.where import Either, High, Made, Where, among

FALSE, TRUE = pl.lit(False), pl.lit(True)


class NotInColumns(Exception):
    """Something a policy may say that columns cannot: these rows are decided one by one."""


class Signals:
    """The signals of a part under one policy. `sees` is what each provider of the route can see."""

    def __init__(self, policy: Policy, part: Part, modality: Modality, sees: Mapping[str, frozenset[str]]):
        self._policy = policy
        self._part = part
        self._sees = sees
        self._modality = modality
        self.categories = tuple(dict.fromkeys(voice.category for voice in (*part.scores, *part.quiet)))
        self.providers = tuple(dict.fromkeys((*part.providers, *policy.expected)))
        self._scores, self._quiet = frozenset(part.scores), frozenset(part.quiet)
        self._lowest = {asked.slug: asked.lowest for asked in policy.needs.categories}

    # which categories

    def below(self, slug: str) -> list[str]:
        """The category and what is under it."""
        return [each for each in self.categories if each == slug or each.startswith(f"{slug}/")]

    def under(self, slug: str) -> list[str]:
        """Those of them that fall under the same threshold."""
        rule = self._policy.rule_for(slug)
        return [] if rule is None else [each for each in self.below(slug) if self._policy.rule_for(each) is rule]

    # thresholds

    def at_least(self, slug: str, bound: int) -> Made | None:
        """Whether what falls under its threshold comes to so much; None where it never does."""
        way, under = self._policy.way(slug), self._scored(self.under(slug))
        where = Either(tuple(High(each, bound) for each in under))
        if way.name == "max":
            over = any_of((pl.col(f"t.{each}") >= bound).fill_null(False) for each in under)
            return Made(over, where) if under else None
        rows, heard = self._heard(slug)
        if not rows:
            return None
        k = quorum(way.name)
        over = heard & (k_of([row >= bound for row in rows], k) if k is not None else _value(way.name, rows) >= bound)
        return Made(over.fill_null(False), among([where]))

    def undecided(self, slug: str) -> pl.Expr | None:
        """Whether too few answered to combine, and what they said might be over; None where that cannot be."""
        rule, k = self._policy.rule_for(slug), quorum(self._policy.way(slug).name)
        rows, heard = self._heard(slug) if k is not None else ([], FALSE)
        if k is None or rule is None or rule.lowest is None or not rows:
            return None
        over = how_many(row >= rule.lowest for row in rows)
        said = how_many(row.is_not_null() for row in rows)
        needed = pl.min_horizontal(pl.lit(k, dtype=pl.Int32) - how_many(self.silent(slug)), said)
        return heard & (said < k) & (over >= needed)

    def _heard(self, slug: str) -> tuple[list[pl.Expr], pl.Expr]:
        """Each provider's score for its threshold, 0 where it looked and was quiet; and whether any gave one."""
        under = self.under(slug)
        rows, heard = [], []
        for provider in self.providers:
            said = self._said(provider, under)
            quiet = self._quiet_enough(provider, slug)
            heard += [] if said is None else [said.is_not_null()]
            rows += _or_zero(said, quiet)
        return (rows, any_of(heard)) if heard else ([], FALSE)

    # coverage

    def covered(self, slug: str, least: int) -> pl.Expr:
        """Whether so many looked at it well enough to count."""
        if least == 1:
            looked = [pl.col(f"t.{each}").is_not_null() for each in self._scored(self.below(slug))]
            lows = [(each, self._enough(each)) for each in self.below(slug) if self._hushed(each)]
            return any_of([*looked, *(_low(f"u.{each}", most) for each, most in lows)])
        who = []
        for provider in self.providers:
            said, quiet = self._said(provider, self.below(slug)), self._quiet_enough(provider, slug)
            either = [] if said is None else [said.is_not_null()]
            who += [any_of([*either, quiet])] if either or quiet is not FALSE else []
        return k_of(who, least)

    def _quiet_enough(self, provider: str, slug: str) -> pl.Expr:
        there = [each for each in self.below(slug) if Voice(provider, each) in self._quiet]
        return any_of(_low(Voice(provider, each).quiet, self._enough(each)) for each in there)

    def _enough(self, slug: str) -> int:
        """Who reports nothing under at most so much has answered the policy's question."""
        rule: Rule | None = self._policy.rule_for(slug)
        return FULL if rule is None or rule.lowest is None else min(rule.lowest, NEVER)

    # what rules ask for

    def voices(self, slug: str) -> list[pl.Expr]:
        """Each provider's score as rules count it, 0 where it says that it is lower than they ask for."""
        found: list[pl.Expr] = []
        for provider in self.providers:
            said = self._said(provider, self.below(slug))
            found += _or_zero(said, self._report(provider, slug, lambda low: low <= self._lowest[slug]))
        return found

    def high(self, slug: str, bound: int) -> Where | None:
        """Where somebody says so much of the category or of what is under it: elsewhere they come to less together."""
        return None if bound < 1 else Either(tuple(High(each, bound) for each in self._scored(self.below(slug))))

    def reached(self, slug: str, bound: int) -> Where | None:
        """Where the combined score comes to so much."""
        highest = self._policy.way(slug).name == "max" and slug not in self._policy.coverage[self._modality]
        return self.high(slug, bound) if highest else among([self.high(slug, bound)])

    def score(self, slug: str) -> pl.Expr:
        """The combined score; null where it is unknown."""
        name = self._policy.way(slug).name
        if name == "max":
            made = self._highest(slug)
        else:
            rows = self.voices(slug)
            made = _value(name, rows) if rows else None
        if made is None:
            made = pl.lit(None, dtype=pl.UInt16)
        if slug in self._policy.nowhere[self._modality]:
            return made.fill_null(0)
        rule = self._policy.coverage[self._modality].get(slug)
        return made if rule is None else pl.when(self.covered(slug, rule.min_providers)).then(made)

    def _highest(self, slug: str) -> pl.Expr | None:
        below = self.below(slug)
        said = [pl.col(f"t.{each}") for each in self._scored(below)]
        low = any_of(_low(f"u.{each}", self._lowest[slug]) for each in below if self._hushed(each))
        found = _or_zero(pl.max_horizontal(said) if len(said) > 1 else said[0] if said else None, low)
        return found[0] if found else None

    def silent(self, slug: str) -> list[pl.Expr]:
        """Of each that can score it, whether it gave no answer."""
        return [self._absent(name) for name in self.providers if can_see(self._sees.get(name), slug)]

    def unsure(self, slug: str) -> list[pl.Expr]:
        """Of each, whether it answered, and reports only from a number on that is above what rules ask for."""
        found = []
        for provider in self.providers:
            reports = self._report(provider, slug, lambda low: low.is_not_null())
            if reports is not FALSE:
                rows = _or_zero(
                    self._said(provider, self.below(slug)),
                    self._report(provider, slug, lambda low: low <= self._lowest[slug]),
                )
                found.append(reports & rows[0].is_null())
        return found

    def _absent(self, provider: str) -> pl.Expr:
        known = provider in self._part.providers
        column = pl.col(f"p.{provider}")
        if provider in self._policy.expected:
            return column.is_null() | (column == 1) if known else TRUE
        return (column == 1).fill_null(False)

    def _report(self, provider: str, slug: str, ask: Callable[[pl.Expr], pl.Expr]) -> pl.Expr:
        lows = [Voice(provider, each) for each in self.below(slug) if Voice(provider, each) in self._quiet]
        return any_of(ask(pl.col(voice.quiet)).fill_null(False) for voice in lows)

    # what is better decided one by one

    @cached_property
    def beyond(self) -> pl.Expr:
        """Rows with something that columns hold together and this policy tells apart."""
        odd = [voice for voice in self._part.scores if self._apart(voice.category)]
        hushed = [voice for voice in self._part.quiet if self._apart(voice.category)]
        known = [pl.col(voice.score).is_not_null() for voice in odd]
        return any_of([*known, *(pl.col(voice.quiet).is_not_null() for voice in hushed)])

    def _apart(self, category: str) -> bool:
        policy = self._policy
        if category == LISTED:
            return not policy.plain
        if not category.endswith("/*"):
            return False
        root = category[:-1]
        named = (*policy.rules, *self._lowest, *policy.said.signals.combine, *policy.coverage[self._modality])
        return not policy.plain or any(slug.startswith(root) and slug != LISTED for slug in named)

    # columns

    def _scored(self, slugs: Sequence[str]) -> list[str]:
        there = {voice.category for voice in self._scores}
        return [slug for slug in slugs if slug in there]

    def _hushed(self, slug: str) -> bool:
        return any(voice.category == slug for voice in self._quiet)

    def _said(self, provider: str, slugs: Sequence[str]) -> pl.Expr | None:
        columns = [Voice(provider, each).score for each in slugs if Voice(provider, each) in self._scores]
        return pl.max_horizontal(columns) if len(columns) > 1 else pl.col(columns[0]) if columns else None


def any_of(outcomes: Any) -> pl.Expr:
    """Whether one of them is true."""
    made = [each for each in outcomes if each is not FALSE]
    return reduce(or_, made) if made else FALSE


def k_of(outcomes: Sequence[pl.Expr], k: int) -> pl.Expr:
    """Whether at least k of them are true; null is not. Of bits alone: numbers would take ten times as long.

    With no "not" in it, what is true is true whatever the nulls are, so they count as false at the end alone.
    """
    if k > len(outcomes):
        return FALSE
    reached: list[pl.Expr] = []  # place n: at least n + 1 of those so far
    for outcome in outcomes:
        more = [outcome, *(before & outcome for before in reached)][:k]
        reached = [*(a | b for a, b in zip(reached, more, strict=False)), *more[len(reached) :]]
    return reached[k - 1].fill_null(False)


def how_many(outcomes: Any) -> pl.Expr:
    """How many are true; null is not."""
    return reduce(add, (each.fill_null(False).cast(pl.Int32) for each in outcomes), pl.lit(0, dtype=pl.Int32))


def _low(column: str, most: int) -> pl.Expr:
    return (pl.col(column) <= most).fill_null(False)


def _or_zero(said: pl.Expr | None, quiet: pl.Expr) -> list[pl.Expr]:
    """A score, or 0 where that is what silence means; nothing where there can be neither."""
    if quiet is FALSE:
        return [] if said is None else [said]
    zero = pl.when(quiet).then(pl.lit(0, dtype=pl.UInt16))
    return [zero if said is None else pl.coalesce(said, zero)]


def _value(name: str, rows: Sequence[pl.Expr]) -> pl.Expr:
    """What the scores of one category come to, as combine.py has it."""
    k = quorum(name)
    listed = pl.concat_list([row.cast(pl.Int64) for row in rows]).list.drop_nulls()
    if k is not None:
        return listed.list.sort(descending=True).list.get(k - 1, null_on_oob=True)
    if name == "mean":
        return _divided(listed.list.sum(), listed.list.len().cast(pl.Int64))
    if name == "median":
        ordered, many = listed.list.sort(), listed.list.len().cast(pl.Int64)
        middle = [ordered.list.get(place, null_on_oob=True) for place in ((many - 1) // 2, many // 2)]
        return _divided(middle[0] + middle[1], pl.lit(2, dtype=pl.Int64) + 0 * many)
    raise NotInColumns(f"scores combined by {name}")


def _divided(total: pl.Expr, by: pl.Expr) -> pl.Expr:
    """Rounded half to even; null for none."""
    whole, rest = total // by, total % by
    up = (2 * rest > by) | ((2 * rest == by) & (whole % 2 == 1))
    return pl.when(by > 0).then(whole + up.cast(pl.Int64))
