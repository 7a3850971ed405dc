"""Overlays: whom they are for, which has the last word, what they change, and what a decision says of them."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.policy.cel.typed import all_of
from gateway.policy.needs import needs
from gateway.policy.overlays import MOST_AT_ONCE
from gateway.yamlfile import Problem
from tests.policies.saying import ALLOW, BLOCK, REVIEW, decided, policy, rule, said

HATE = said("acme", {"hate": 0.55})
WHEN = 'scores["hate"] >= 0.{} && votes("spam", 0.{}) >= 2'
ROWS = "{hate: {review: 0.5, block: 0.9, reason: HATE}}"


def review_from(rules, context, tenant="default"):
    return rules.under(context, tenant).rules["hate"].review


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0)])
def test_the_most_particular_has_the_last_word_wherever_it_stands(order):
    laid = [
        "  - {match: {surface: post}, thresholds: {hate: {review: 0.1}}}",
        "  - {match: {country: [DE, AT]}, thresholds: {hate: {review: 0.2}}}",
        "  - {match: {tenant: acme}, thresholds: {hate: {review: 0.3}}}",
        "  - {match: {tenant: acme, surface: post}, thresholds: {hate: {review: 0.4}}}",
    ]
    rules = policy("overlays:\n" + "\n".join(laid[place] for place in order), ROWS)
    assert review_from(rules, {}) == 5000
    assert review_from(rules, {"surface": "post"}) == 1000
    assert review_from(rules, {"surface": "post", "country": "AT"}) == 2000
    assert review_from(rules, {"surface": "chat", "country": "AT"}, "acme") == 3000
    assert review_from(rules, {"surface": "post", "country": "AT"}, "acme") == 4000
    assert review_from(rules, {"surface": ["post"], "country": 3}) == 5000


def test_of_equals_the_later_one_counts():
    laid = "overlays:\n" + "".join(
        f"  - {{match: {{surface: {names}}}, thresholds: {{hate: {{review: {cut}}}}}}}\n"
        for names, cut in (("[post, story]", 0.1), ("post", 0.2))
    )
    rules = policy(laid, ROWS)
    assert (review_from(rules, {"surface": "story"}), review_from(rules, {"surface": "post"})) == (1000, 2000)


def test_only_what_is_named_changes():
    rules = policy(
        rule('scores["hate"] >= 0.5', "message: kind\n    priority: 3")
        + """overlays:
  - match: {surface: chat}
    thresholds: {hate: {block: 0.55}}
    rules: {it: {action: review, effects: [slow]}}
    coverage: {spam: {min_providers: 1}}
    messages: {kind: {de: Sei lieb.}}
messages: {kind: {en: Be kind., de: Sei nett.}}
""",
        ROWS,
    )
    before, after = decided(rules, HATE), decided(rules, HATE, context={"surface": "chat"}, locale="de")
    assert [reason.rule for reason in before.reasons] == ["rules.it", "thresholds.hate.review"]
    assert before.action is BLOCK
    assert [reason.rule for reason in after.reasons] == ["thresholds.hate.block", "rules.it", "coverage.spam"]
    assert (after.reasons[0].code, after.reasons[1].message, after.effects) == ("HATE", "Sei lieb.", ("slow",))
    assert after.hits == before.hits == (1,)


def test_a_rule_that_is_switched_off_is_neither_true_nor_unknown():
    rules = policy(
        """rules:
  - {id: first, action: block, when: 'ocr.has_phone'}
  - {id: second, action: block, when: 'scores["hate"] >= 0.5'}
overlays:
  - {match: {surface: chat}, disable: [first]}
"""
    )
    assert decided(rules, HATE).unknown == (0b01,)
    quiet = decided(rules, HATE, context={"surface": "chat"})
    assert (quiet.action, quiet.hits, quiet.unknown) == (BLOCK, (0b10,), ())


def test_a_decision_names_the_policy_and_what_was_laid_over_it():
    rules = policy("overlays:\n  - {match: {tenant: acme, surface: [a, b]}, thresholds: {hate: {review: 0.1}}}", ROWS)
    under = rules.under({"surface": "b"}, "acme")
    assert under.overlays == ("tenant=acme,surface=a|b",)
    assert under.hash == rules.hash == rules.resolved != under.resolved
    assert under is rules.under({"surface": "a", "country": "FR"}, "acme")
    assert rules.under({"surface": "c"}, "acme") is rules.under({}, "x") is rules


def test_an_overlay_may_only_make_known_what_it_changes():
    chat = "overlays:\n  - {match: {surface: chat}, thresholds: {hate: {review: 0.1}}}"
    other = policy(chat.replace("0.1", "0.2"), ROWS)
    assert other.hash != policy(chat, ROWS).hash
    assert other.resolved != other.under({"surface": "chat"}, "").resolved


def test_more_combinations_than_are_made_beforehand_are_made_when_somebody_comes():
    tenants = "\n".join(
        f"  - {{match: {{tenant: t{n}, surface: s{n}, country: c{n}}}, thresholds: {{hate: {{review: 0.{n + 10}}}}}}}"
        for n in range(15)
    )
    assert MOST_AT_ONCE < 16**3
    rules = policy("overlays:\n" + tenants, ROWS)
    assert review_from(rules, {"surface": "s3", "country": "c3"}, "t3") == 1300
    assert review_from(rules, {"surface": "s3", "country": "c4"}, "t3") == 5000


def many(overlay):
    """500 rules, and so many combinations that they are not all made beforehand."""
    rows = "".join(
        f"  - {{id: r{n}, action: review, when: '{WHEN.format(n % 9 + 1, n % 8 + 1)}'}}\n" for n in range(500)
    )
    matches = [f"{{{kind}: {kind}-{n}}}" for kind in ("surface", "country", "tenant") for n in range(12)]
    laid = "".join(f"  - {{match: {match}, {overlay(n)}}}\n" for n, match in enumerate(matches))
    return policy(f"rules:\n{rows}overlays:\n{laid}", ROWS)


@pytest.mark.parametrize(
    "overlay",
    [
        lambda n: f"thresholds: {{hate: {{review: 0.{n % 4 + 1}}}}}",
        lambda n: f"disable: [r{n}]",
        lambda n: f"rules: {{r{n}: {{action: block}}}}",
    ],
    ids=["thresholds", "disable", "rules"],
)
def test_one_that_is_made_while_somebody_waits_takes_over_what_it_does_not_change(overlay):
    """It takes 2 ms of CPU, which are a twentieth of what the policy takes to read; the bound is for a busy machine."""
    rules, took = many(overlay), []
    for n in range(7):
        begun = time.thread_time()
        late = rules.under({"surface": f"surface-{n}", "country": f"country-{11 - n}"}, f"tenant-{n}")
        took.append(time.thread_time() - begun)
        assert sum(one is not other for one, other in zip(rules.clauses, late.clauses, strict=True)) <= 3
        live = [clause.tree.root for clause in late.clauses if not clause.disabled]
        assert late.needs == needs(all_of(live), late.way)
    assert min(took) < 0.02


def test_what_overlays_come_to_is_checked_beforehand_also_where_it_is_not_made():
    rows = "\n".join(f"  - {{id: r{n}, action: review, when: 'context.f == \"{n}\"'}}" for n in range(500))
    names = "".join(
        f"  - {{match: {{{who}: x{n}}}, thresholds: {{hate: {{{action}: {cut}}}}}}}\n"
        for who, action, cut in (("surface", "review", 0.75), ("tenant", "block", 0.7))
        for n in range(9)
    )
    with pytest.raises(Problem, match="review is not below block"):
        policy(f"rules:\n{rows}\noverlays:\n{names}", ROWS)


def test_a_rule_that_is_off_is_neither_true_nor_unknown():
    rules = policy(
        "rules: [{id: it, action: block, when: ocr.has_url}]\noverlays: [{match: {surface: chat}, disable: [it]}]", ROWS
    )
    assert decided(rules, HATE).unknown == (1,)
    assert decided(rules, HATE, context={"surface": "chat"}).unknown == ()


FIELDS = (
    "thresholds: {hate: {review: 0.3}}",
    "thresholds: {spam: {block: 0.4}}",
    "thresholds: {hate: {block: 0.7}}",
    "disable: [it]",
    "messages: {it: {en: No.}}",
    "coverage: {hate: {min_providers: 2}}",
)


@settings(deadline=None, max_examples=40)
@given(st.permutations(FIELDS), st.integers(2, 4), st.floats(0, 1).map(lambda score: round(score, 2)))
def test_overlays_that_touch_different_fields_commute(fields, many, score):
    def laid(chosen):
        rows = "\n".join(f"  - {{match: {{surface: chat}}, {each}}}" for each in chosen)
        return policy(
            rule('scores["hate"] >= 0.6', "message: it") + "messages: {it: {en: Yes.}}\noverlays:\n" + rows, ROWS
        )

    answers = [said("acme", {"hate": score, "spam": score})]
    chosen = fields[:many]
    one, other = (decided(laid(some), *answers, context={"surface": "chat"}) for some in (chosen, chosen[::-1]))
    assert one == other


def test_it_is_the_context_of_the_request_that_counts():
    rules = policy("overlays:\n  - {match: {surface: chat}, thresholds: {hate: {review: '-'}}}", ROWS)
    assert decided(rules, HATE).action is REVIEW
    assert decided(rules, HATE, context={"surface": "chat"}).action is ALLOW
