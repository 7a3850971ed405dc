"""Every back end says the same of every rule and row as Google's C++ implementation of CEL: true, false and unknown."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from gateway.policy.cel.words import WORDS, Form
from tests.policies.agreement import at_random, disagreements
from tests.policies.back_ends import BACK_ENDS, Outcome, python
from tests.policies.random_rules import Row, as_written, row

# The conditions of the example policies: a platform for adults, a market place, children's avatars
WRITTEN = [
    "labels.exists(l, l.name in lists.prohibited && l.confidence >= 0.7)",
    'votes("hate", 0.7) >= 2',
    'user.strikes_90d >= 3\n&& (scores["hate"] >= 0.3 || scores["spam"] >= 0.3)\n',
    'context.country in ["DE", "AT"] && scores["violence/graphic"] >= 0.6',
    'context.surface == "curated_art" && scores["sexual/nudity"] < 0.2',
    "labels.exists(l, l.name in lists.banned_goods && l.confidence >= 0.85)",
    "labels.exists(l, l.name in lists.banned_goods && l.confidence >= 0.5)",
    "ocr.terms.exists(t, t in lists.contact_terms)",
    'user.account_age_days < 7 && context.category in ["watches", "phones"] && votes("spam", 0.5) >= 1',
    'labels.exists(l, l.name == "weapon/knife" && l.confidence >= 0.7) && !(context.category in ["kitchen", "tools"])',
    'hashes.exists(h, h.list in ["ncmec", "iwf"])',
    'labels.exists(l, l.name == "person/face" && l.confidence >= 0.6)',
    "ocr.has_phone || ocr.has_email || ocr.has_url",
    'votes("sexual/nudity", 0.03) >= 1 && context.audience == "minors"',
]


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    random = Random(20_261_122)
    return [row(random) for _ in range(400)]


def disagreed(texts: list[str], rows: list[Row]) -> list[tuple[str, dict[str, Outcome]]]:
    return [
        (each.rule.ours, each.said) for each in disagreements([as_written(text) for text in texts], rows, Counter())
    ]


def test_the_rules_of_the_examples(rows):
    assert disagreed(WRITTEN, rows) == []
    for text, outcomes in zip(WRITTEN, python([as_written(text) for text in WRITTEN], rows), strict=True):
        assert {True, False} <= set(outcomes), text


def test_every_word_has_an_example_that_all_understand(rows):
    assert [word.name for word in WORDS if word.name not in word.example] == []
    assert disagreed([word.example for word in WORDS], rows) == []


def test_the_words_are_told_apart_by_name_and_form():
    assert len({word.name for word in WORDS}) == len(WORDS)
    assert {word.form for word in WORDS} == set(Form)


def test_rules_at_random():
    """By night the same with 100,000 rules: see agreement.py."""
    rules, rows = at_random(500, 400, seed=1)
    told: Counter[Outcome] = Counter()
    found = list(disagreements(rules, rows, told))
    assert [(each.rule.ours, each.said) for each in found[:3]] == []
    assert BACK_ENDS.keys() == {"python", "polars", "duckdb", "sqlite", "oracle"}
    assert sum(told.values()) == 200_000
    assert all(count > 30_000 for count in told.values())
