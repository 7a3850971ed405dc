"""What is told of a condition without any request is so of every request."""

from __future__ import annotations

import pytest

from gateway.paths import TAXONOMY
from gateway.policy.cel import Vocabulary, check, parse
from gateway.policy.cel.typed import Condition
from gateway.policytools.worlds import implies, never, worlds
from gateway.taxonomy import Taxonomy
from tests.policies.agreement import at_random
from tests.policies.back_ends import conditions, python

OPEN = Vocabulary(Taxonomy.from_file(TAXONOMY), lists={"goods": ("gun", "pills"), "none": ()})


def typed(text: str) -> Condition:
    return check(parse(text), OPEN).root


@pytest.mark.parametrize(
    "text",
    [
        'scores["hate"] >= 0.9 && scores["hate"] < 0.5',
        'scores["hate"] > 1',
        'scores["hate"] < 0',
        'scores["hate"] > 0.5 && scores["hate"] < 0.5001',
        'scores["hate"] >= 0.7 && !("hate" in scores)',
        'scores["hate"] in [0.1, 0.2] && scores["hate"] > 0.5',
        'votes("hate", 0.9) >= 2 && votes("hate", 0.7) < 1',
        'votes("hate", 0.7) >= 2 && votes("hate", 0.7) < 2',
        'coverage("hate") < 0',
        'context.country == "DE" && context.country == "AT"',
        'context.country in ["DE", "AT"] && !(context.country in ["AT", "DE", "CH"])',
        'context.country == "DE" && context.country.startsWith("A")',
        "context.age > 3 && context.age < 2",
        "ocr.has_url && !ocr.has_url",
        'labels.exists(l, l.name == "a" && l.name == "b")',
        "labels.exists(l, l.confidence >= 0.7) && labels.all(l, l.confidence < 0.5)",
        "context.x in lists.none",
        '(scores["hate"] > 0.5 || ocr.has_url) && !ocr.has_url && scores["hate"] <= 0.5',
    ],
)
def test_what_contradicts_itself_is_never_true(text):
    assert never(typed(text))


@pytest.mark.parametrize(
    "text",
    [
        'scores["hate"] >= 0.5 && scores["hate"] < 0.9',
        'scores["hate"] >= 0.5 && scores["hate"] <= 0.5',
        'scores["hate"] >= 0.9 || scores["hate"] < 0.5',
        'votes("hate", 0.9) < 2 && votes("hate", 0.7) >= 2',
        'labels.exists(l, l.name == "a") && labels.exists(l, l.name == "b")',
        "context.age > 3 && context.age < 4",  # nobody said that it is a whole number
    ],
)
def test_what_may_be_true_is_not_called_never(text):
    assert not never(typed(text))


@pytest.mark.parametrize(
    "one, other",
    [
        ('scores["hate"] >= 0.9', 'scores["hate"] >= 0.5'),
        ('scores["hate"] > 0.5', 'scores["hate"] >= 0.5'),
        ('scores["hate"] >= 0.5', '"hate" in scores'),
        ('scores["hate"] == 0.7', 'scores["hate"] in [0.7, 0.8]'),
        ('scores["hate"] in [0.7, 0.8]', 'scores["hate"] >= 0.7'),
        ('scores["hate"] >= 0.9 && context.country == "DE"', 'scores["hate"] >= 0.5 || scores["spam"] >= 0.5'),
        ('scores["hate"] >= 0.9 || scores["spam"] >= 0.9', 'scores["spam"] >= 0.5 || scores["hate"] >= 0.5'),
        ('votes("hate", 0.9) >= 2', 'votes("hate", 0.7) >= 1'),
        ('votes("hate", 0.7) < 1', 'votes("hate", 0.9) < 2'),
        ('context.country == "DE"', 'context.country in ["DE", "AT"]'),
        ('context.country == "DE"', 'context.country != "AT"'),
        ('context.country == "DE"', 'context.country.startsWith("D")'),
        ('context.country in ["DE", "DK"]', 'context.country.startsWith("D")'),
        (
            "labels.exists(l, l.name in lists.goods && l.confidence >= 0.85)",
            "labels.exists(l, l.name in lists.goods && l.confidence >= 0.5)",
        ),
        ("labels.all(l, l.confidence < 0.3)", "labels.all(l, l.confidence < 0.5)"),
        ("!labels.exists(l, l.confidence >= 0.3)", "!labels.exists(l, l.confidence >= 0.5)"),
    ],
)
def test_what_implies_another_and_not_the_other_way_round(one, other):
    assert implies(typed(one), typed(other))
    assert not implies(typed(other), typed(one))


@pytest.mark.parametrize(
    "one, other",
    [
        ('scores["hate"] >= 0.9', 'scores["spam"] >= 0.5 || scores["spam"] < 0.5'),  # unknown where spam is missing
        ('scores["hate"] >= 0.9', 'scores["hate"] != 0.95'),
        ('labels.exists(l, l.name == "a")', 'labels.exists(l, l.name == "a" && l.confidence >= 0.1)'),
        ('votes("hate", 0.7) >= 2', 'votes("hate", 0.9) >= 2'),
    ],
)
def test_what_does_not(one, other):
    assert not implies(typed(one), typed(other))


def test_too_much_is_not_judged():
    many = " && ".join(f"(context.a{n} || context.b{n})" for n in range(7))
    assert worlds(typed(many)) is None
    assert not never(typed(many))
    assert not implies(typed(many), typed(many))


def test_it_is_so_of_every_row_whatever_the_rules():
    rules, rows = at_random(150, 250, seed=5)
    made = conditions(rules)
    true = [{place for place, outcome in enumerate(outcomes) if outcome} for outcomes in python(rules, rows)]
    assert any(map(never, made))
    implied = 0
    for one, here in zip(made, true, strict=True):
        if never(one):
            assert here == set(), one
            continue
        for other, there in zip(made, true, strict=True):
            if one is not other and here - there:
                assert not implies(one, other), (one, other)
            elif one is not other and here:
                implied += implies(one, other)
    assert implied > 10
