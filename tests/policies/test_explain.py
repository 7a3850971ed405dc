"""Why a decision is as it is: contributions with their places, what was missing, what was nearly enough."""

from __future__ import annotations

import pytest

from gateway.policy.cel import Vocabulary, check, parse
from gateway.policy.cel.wording import worded
from gateway.policy.explain import explain
from tests.policies.random_rules import LISTS
from tests.policies.saying import FILES, TAXONOMY_READ, decided, facts, failed, policy, read, said

FORUM = read(FILES / "forum.yaml")
CLEAR = {"sexual/nudity": 0.01, "sexual/activity": 0.01, "violence/graphic": 0.0, "hate": 0.0, "self_harm": 0.0}


def why(*answers, tenant="default", **context):
    fact = facts(*answers, context={"country": "DE", **context}, objects=["acme"])
    return explain(FORUM.under(fact.context, tenant), [fact])


def line_of(words):
    lines = (FILES / "forum.yaml").read_text().splitlines()
    [number] = [number for number, line in enumerate(lines, 1) if words in line]
    return number


def test_everything_that_contributed_says_where_it_stands_and_by_which_values():
    told = why(said("acme", {**CLEAR, "hate": 0.52}, {"weapon/handgun": 0.81, "tree": 0.9}), failed("beta"))
    by_rule = {each["rule"]: each for each in told["contributions"]}
    thing = by_rule["rules.prohibited-object"]
    assert thing["at"] == f"forum.yaml:{line_of('labels.exists')}:11"
    [because] = thing["because"]
    assert because["values"] == [{"name": "weapon/handgun", "confidence": 0.81, "provider": "acme"}]
    assert because["expr"].startswith('labels.exists(l, l.name in ["weapon/handgun", "weapon/knife"]')
    unsure = by_rule["rules.hate-agreed"]
    assert (unsure["value"], unsure["because"][0]["values"]) == ("unknown", [{"category": "hate", "scores": [0.52]}])
    assert by_rule["coverage.sexual/nudity"]["value"] == "unknown"
    assert told["unknown"] == [*("sexual/nudity", "rules.hate-agreed", "rules.repeat-offender", "rules.de-symbols")]
    assert told["providers"] == {"answered": ["acme"], "missing": {"beta": "timeout", "cone": "not asked"}}
    assert told["nearest"][0] == {"rule": "thresholds.hate.review", "needs": 0.6, "has": 0.52, "input": 0}


def test_a_threshold_of_an_overlay_is_where_the_overlay_is():
    told = why(said("acme", {**CLEAR, "hate": 0.52}), tenant="gallery")
    [hate] = [each for each in told["contributions"] if each["rule"] == "thresholds.hate.review"]
    assert hate["at"].startswith(f"forum.yaml:{line_of('match: {tenant: gallery}') + 1}:")
    assert told["policy"]["overlays"] == ("tenant=gallery",)


def test_the_parts_of_a_rule_over_several_lines():
    told = why(said("acme", {**CLEAR, "harassment": 0.4}), user={"strikes_90d": 4})
    [history] = [each for each in told["contributions"] if each["rule"] == "rules.repeat-offender"]
    assert history["at"] == f"forum.yaml:{line_of('user.strikes_90d')}:7"
    assert [part["expr"] for part in history["because"]] == ["user.strikes_90d >= 3", 'scores["harassment"] >= 0.3']
    assert history["because"][0]["values"] == [{"field": "user.strikes_90d", "value": 4}]


def test_what_was_lifted_says_why():
    told = why(said("acme", {**CLEAR, "sexual/nudity": 0.6}), surface="curated_art")
    [lifted] = told["exempted"]
    assert (lifted["lifted"], lifted["because"]) == (
        "thresholds.sexual/nudity.review",
        "museum programme, ticket T-118",
    )
    assert lifted["at"].startswith(f"forum.yaml:{line_of('curated_art')}:")


def test_it_says_what_the_decision_says():
    answers = [said("acme", {**CLEAR, "hate": 0.7}), said("beta", {**CLEAR, "hate": 0.8})]
    decision, told = decided(FORUM, *answers, context={"country": "DE"}, objects=["acme"]), why(*answers)
    assert told["action"] == decision.action
    assert [each["reason"] for each in told["contributions"]] == [reason.code for reason in decision.reasons]
    assert (told["reason"], told["message"]) == (decision.reasons[0].code, decision.reasons[0].message)


def test_nothing_is_explained_by_nothing():
    told = explain(policy(""), [facts(said("acme", {"hate": 0.0}))])
    assert (told["action"], told["reason"], told["contributions"]) == ("allow", None, [])


@pytest.mark.parametrize(
    "text",
    [
        'scores["hate"] >= 0.7 && (votes("hate", 0.5) >= 2 || !("spam" in scores))',
        'labels.exists(l, l.name in ["a", "b"] && l.confidence >= 0.05)',
        '!(context.country in ["DE", "AT"])',
        'context.surface.startsWith("chat")',
        'ocr.has_phone && coverage("hate") < 2',
        'hashes.exists_one(h, h.list == "x")',
        'ocr.terms.exists(t, t == "x")',
    ],
)
def test_a_condition_is_worded_so_that_it_means_the_same(text):
    vocabulary = Vocabulary(TAXONOMY_READ, lists=LISTS)
    tree = check(parse(text), vocabulary)
    assert check(parse(worded(tree.root)), vocabulary).root == tree.root
