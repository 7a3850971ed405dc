"""What rules come to: true, unknown, lifted, watching, hard; and what always goes to a person."""

from __future__ import annotations

import pytest

from gateway.policy.decide import decide, words
from tests.policies.saying import (
    ALLOW,
    BLOCK,
    IMAGE,
    REVIEW,
    TEXT,
    codes,
    decided,
    facts,
    failed,
    listed,
    policy,
    rule,
    said,
)

HATE = said("acme", {"hate": 0.8})


def test_a_true_rule_is_a_reason_with_what_made_it_true():
    [reason] = decided(policy(rule('scores["hate"] >= 0.7', "effects: [hold_payout]")), HATE).reasons
    assert (reason.code, reason.action, reason.rule) == ("IT", BLOCK, "rules.it")
    assert (reason.category, reason.score, reason.threshold) == ("hate", 8000, 7000)
    assert reason.message == "This image appears to attack people for who they are."


@pytest.mark.parametrize(
    "more, action, code",
    [
        ("", REVIEW, "coverage_unknown"),
        ("if_unknown: review", REVIEW, "coverage_unknown"),
        ("if_unknown: block", BLOCK, "coverage_unknown"),
        ("if_unknown: ignore\n    because: nobody sends it yet", ALLOW, None),
    ],
)
@pytest.mark.parametrize(
    "when",
    [
        'context.country == "DE"',
        "user.strikes > 3",
        'scores["spam"] >= 0.7',
        'labels.exists(l, l.name == "x")',
        'hashes.exists(h, h.list == "x")',
        "ocr.has_phone",
        'scores["hate"] >= 0.7 && user.strikes > 3',
        '!(context.category in ["tools"])',
    ],
)
def test_what_is_missing_is_not_false(when, more, action, code):
    decision = decided(policy(rule(when, more)), HATE)
    assert (decision.action, codes(decision)) == (action, [code] if code else [])
    assert (decision.hits, decision.unknown) == ((), (1,))


@pytest.mark.parametrize("where, action", [(TEXT, ALLOW), (IMAGE, REVIEW)])
def test_a_text_has_no_symbols_in_it_and_nobody_has_to_look(where, action):
    rules = policy(rule('context.country == "DE" && scores["hate/symbols"] >= 0.6'))
    assert decided(rules, HATE, modality=where, context={"country": "DE"}).action is action


def test_a_provider_that_failed_may_still_have_voted():
    rules = policy(rule('votes("hate", 0.7) >= 2'))
    assert decided(rules, HATE, said("beta", {"hate": 0.8})).action is BLOCK
    assert decided(rules, HATE, said("beta", {"hate": 0.1})).action is ALLOW
    assert decided(rules, HATE, failed("beta")).action is REVIEW
    assert decided(rules, HATE, failed("beta"), sees={"beta": {"spam"}}).action is ALLOW  # it could not have seen it
    assert decided(rules, said("acme", {"hate": 0.1}), failed("beta")).action is ALLOW  # one more would not be enough
    expecting = policy(rule('votes("hate", 0.7) >= 2'), signals="{providers: [acme, beta]}")
    assert decided(expecting, HATE).action is REVIEW


@pytest.mark.parametrize("below, action", [(0.7, ALLOW), (0.7001, REVIEW)])
def test_who_reports_from_a_higher_number_on_may_still_have_voted(below, action):
    rules = policy(rule('votes("hate", 0.7) >= 2'))
    assert decided(rules, HATE, said("beta", {"hate": None}, below=below)).action is action


@pytest.mark.parametrize("below, action", [(0.3, ALLOW), (0.7, ALLOW), (0.7001, REVIEW), (None, REVIEW)])
def test_nothing_above_a_minimum_is_an_answer_where_the_minimum_is_low_enough(below, action):
    quiet = said("acme", {"hate": None, "spam": 0.0} if below is None else {"hate": None}, below=below)
    assert decided(policy(rule('scores["hate"] >= 0.7')), quiet, modality=TEXT).action is action


@pytest.mark.parametrize("below, action", [(0.5, ALLOW), (0.7, REVIEW)])
def test_a_minimum_is_low_enough_where_no_rule_asks_for_a_number_below_it(below, action):
    rules = policy(rule('scores["hate"] >= 0.5 && context.country == "DE" || scores["hate"] >= 0.9'))
    quiet = said("acme", {"hate": None}, below=below)
    assert decided(rules, quiet, modality=TEXT, context={"country": "DE"}).action is action


@pytest.mark.parametrize(
    "answer, action",
    [(listed("ours"), BLOCK), (listed("theirs"), ALLOW), (listed(), ALLOW), (failed("lists"), REVIEW)],
)
def test_a_list_of_known_things_is_called_by_its_name(answer, action):
    rules = policy(rule('hashes.exists(h, h.list == "ours")'))
    assert decided(rules, HATE, answer, sees={"lists": {"label/listed"}}).action is action


def test_half_of_the_things_in_a_picture_are_not_all_of_them():
    rules = policy(rule('labels.exists(l, l.name == "knife" && l.confidence >= 0.5)'))
    knife, tree = said("acme", {}, {"knife": 0.9}), said("acme", {}, {"tree": 0.9})
    both = {"objects": ["acme", "beta"]}
    assert decided(rules, knife, failed("beta"), **both).action is BLOCK
    assert decided(rules, tree, failed("beta"), **both).action is REVIEW
    assert decided(rules, tree, said("beta", {}, {"sky": 1.0}), **both).action is ALLOW
    none = policy(rule('!labels.exists(l, l.name == "tree")'))
    assert decided(none, said("acme", {}, {"sky": 0.9}), failed("beta"), **both).action is REVIEW


def test_the_strictest_comes_first_then_priority_then_margin_then_the_order_of_the_file():
    rules = policy(
        """rules:
  - {id: late, action: review, reason: LATE, when: 'scores["hate"] >= 0.7', priority: 5}
  - {id: wide, action: review, reason: WIDE, when: 'scores["hate"] >= 0.1'}
  - {id: near, action: review, reason: NEAR, when: 'scores["hate"] >= 0.79'}
  - {id: same, action: review, reason: SAME, when: 'scores["hate"] >= 0.79'}
  - {id: hard, action: block, reason: HARD, when: 'scores["hate"] >= 0.8'}""",
        "{hate: {review: 0.5, reason: ROW}}",
    )
    decision = decided(rules, HATE)
    assert codes(decision) == ["HARD", "LATE", "WIDE", "ROW", "NEAR", "SAME"]
    assert decision.hits == (0b11111,)


def test_a_watching_rule_is_told_and_changes_nothing():
    decision = decided(policy(rule('scores["hate"] >= 0.7', "mode: shadow\n    effects: [ban]")), HATE)
    assert (decision.action, decision.reasons, decision.shadow, decision.effects) == (ALLOW, (), ("it",), ())
    unknown = decided(policy(rule("ocr.has_url", "mode: shadow")), HATE)
    assert (unknown.action, unknown.shadow) == (ALLOW, ())


LIFTED = (
    rule('scores["hate"] >= 0.7', action="review")
    + """exempt:
  - id: museum
    from: [it, thresholds.hate.block]
    when: context.surface == "museum"
    because: T-1
"""
)


@pytest.mark.parametrize(
    "context, action, exempted",
    [
        ({"surface": "museum"}, ALLOW, ("museum: rules.it", "museum: thresholds.hate.block")),
        ({"surface": "street"}, BLOCK, ()),
        ({}, BLOCK, ()),  # unknown does not lift
    ],
)
def test_an_exemption_lifts_what_it_names_and_only_where_it_is_true(context, action, exempted):
    decision = decided(policy(LIFTED, "{hate: {block: 0.75}}"), HATE, context=context)
    assert (decision.action, decision.exempted) == (action, exempted)
    assert decision.hits == (0b1,)  # the rule's: an exemption has no bit there


def test_from_a_lifted_block_it_falls_to_the_review_below():
    decision = decided(policy(LIFTED, "{hate: {review: 0.5, block: 0.75}}"), HATE, context={"surface": "museum"})
    assert [reason.rule for reason in decision.reasons] == ["thresholds.hate.review"]
    assert decision.categories["hate"].action is REVIEW
    just = decided(policy(LIFTED, "{hate: {review: 0.8, block: 0.9}}"), HATE, context={"surface": "museum"})
    assert just.action is REVIEW  # a score at the threshold is inside here too


def test_what_is_lifted_hides_nothing_else():
    rules = policy(LIFTED, "{hate: {block: 0.75}, spam: {block: 0.75}}")
    decision = decided(rules, said("acme", {"hate": 0.8, "spam": 0.9}), context={"surface": "museum"})
    assert [reason.rule for reason in decision.reasons] == ["thresholds.spam.block"]


# What goes to a person

ESCALATES = ("sexual/minors", "child_safety/endangerment", "self_harm/intent")


@pytest.mark.parametrize("slug", ESCALATES)
@pytest.mark.parametrize(
    "rows",
    [
        "{}",
        "{sexual: {block: 0.3}, child_safety: {block: 0.3}, self_harm: {block: 0.3}}",
        '{sexual: {review: "-"}, child_safety: {review: "-"}, self_harm: {review: "-"}}',
        "{sexual: {review: 0.5, block: 0.9}, child_safety: {review: 0.5, block: 0.9}, self_harm: {review: 0.5}}",
    ],
)
def test_what_goes_to_a_person_is_neither_allowed_nor_blocked_behind_their_back(slug, rows):
    decision = decided(policy("", rows), said("acme", {slug: 0.9}))
    assert decision.action is REVIEW
    assert decision.effects == ("escalate",)
    assert decision.reasons[0].rule == f"thresholds.{slug}.review"


@pytest.mark.parametrize("slug", ESCALATES)
def test_a_block_of_its_own_is_told_to_a_person_all_the_same(slug):
    decision = decided(policy("", f"{{{slug}: {{block: 0.5}}}}"), said("acme", {slug: 0.9}))
    assert (decision.action, decision.effects) == (BLOCK, ("escalate",))
    by_rule = decided(policy(rule(f'votes("{slug}", 0.2) >= 1')), said("acme", {slug: 0.3}))
    assert (by_rule.action, by_rule.effects) == (BLOCK, ("escalate",))


def test_what_others_are_blocked_for_does_not_hide_it():
    decision = decided(policy("", "{sexual: {block: 0.5}}"), said("acme", {"sexual/minors": 0.7, "sexual/nudity": 0.9}))
    assert (decision.action, decision.effects) == (BLOCK, ("escalate",))


# Many rules, several inputs


def test_more_rules_than_a_word_has_bits():
    rows = "\n".join(f"  - {{id: r{n}, action: review, when: 'scores[\"hate\"] >= 0.{n + 100}'}}" for n in range(150))
    decision = decided(policy(f"rules:\n{rows}"), said("acme", {"hate": 0.2}))
    mask = sum(word << (64 * place) for place, word in enumerate(decision.hits))
    assert mask == (1 << 101) - 1
    assert len(decision.hits) == 2
    assert all(word < 1 << 64 for word in decision.hits)
    assert words(0) == ()


def test_each_input_is_asked_by_itself_and_the_worst_decides():
    rules = policy(rule('scores["hate"] >= 0.7 && context.country == "DE"'))
    inputs = [
        facts(said("acme", {"hate": 0.1}, at=0), context={"country": "DE"}, modality=TEXT),
        facts(said("acme", {"hate": 0.9}, at=1), context={"country": "DE"}),
    ]
    decision = decide(rules, inputs)
    assert (decision.action, decision.inputs) == (BLOCK, (ALLOW, BLOCK))
    assert [reason.input for reason in decision.reasons] == [1]
    assert (decision.hits, decision.unknown) == ((1,), ())


def test_what_is_found_on_any_input_is_told_of_the_whole():
    rules = policy(
        """rules:
  - {id: it, action: review, when: 'scores["hate"] >= 0.7'}
  - {id: watching, action: block, mode: shadow, when: 'scores["spam"] >= 0.7'}
  - {id: paid, action: block, effects: [hold_payout], when: 'scores["spam"] >= 0.6'}
exempt:
  - {id: museum, from: [it], when: 'context.surface == "museum"', because: T-1}""",
        signals="{coverage: {spam: {}}}",
    )
    inputs = [
        facts(said("acme", {"hate": 0.8, "spam": 0.1}, at=0), context={"surface": "museum"}),
        facts(said("acme", {"hate": 0.1, "spam": 0.8}, at=1), context={"surface": "museum"}),
    ]
    decision = decide(rules, inputs)
    assert (decision.exempted, decision.shadow) == (("museum: rules.it",), ("watching",))
    assert (decision.effects, decision.coverage.required) == (("hold_payout",), ("spam",))


def test_what_is_unknown_of_one_input_is_told_beside_what_is_true_of_another():
    rules = policy(rule('scores["hate"] >= 0.7') + "  - {id: more, action: block, when: 'scores[\"spam\"] >= 0.7'}\n")
    inputs = [facts(said("acme", {"hate": 0.9, "spam": 0.1}, at=0)), facts(said("acme", {"hate": 0.1}, at=1))]
    decision = decide(rules, inputs)
    assert (decision.hits, decision.unknown) == ((0b01,), (0b10,))


def test_the_context_may_come_as_a_command_line_has_it():
    rules = policy(rule("user.strikes >= 3"))
    assert decided(rules, HATE, context={"user.strikes": 3}).action is BLOCK
    assert decided(rules, HATE, context={"user": {"strikes": 3}}).action is BLOCK
    assert decided(rules, HATE, context={"user": {"strikes": "3"}}).action is REVIEW  # never converted
    assert decided(rules, HATE, context={"user": "x"}).action is REVIEW
