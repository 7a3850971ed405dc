"""Several scores → one: by each way, in whole numbers, and what is said where too few answered."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain import FULL
from gateway.policy.combine import divided, way
from gateway.policy.decide import decide
from gateway.policy.schema import Calibrated
from tests.policies.saying import ALLOW, BLOCK, REVIEW, codes, decided, facts, failed, policy, rule, said

ROWS = "{hate: {review: 0.5, block: 0.9}}"
scores = st.lists(st.integers(0, FULL), min_size=1, max_size=6)


def row(values):
    return {f"p{place}": value for place, value in enumerate(values)}


@pytest.mark.parametrize(
    "how, values, whole",
    [
        ("max", [1, 9, 5], 9),
        ("quorum(1)", [1, 9, 5], 9),
        ("quorum(2)", [1, 9, 5], 5),
        ("quorum(3)", [1, 9, 5], 1),
        ("median", [1, 9, 5], 5),
        ("median", [1, 4], 2),  # 2.5, half to even
        ("median", [3, 4], 4),  # 3.5
        ("mean", [1, 9, 5], 5),
        ("mean", [1, 2], 2),
        ("mean", [0, 1], 0),
    ],
)
def test_the_ways(how, values, whole):
    assert way(how).combined(row(values)) == whole


@given(st.integers(0, 10**6), st.integers(1, 20))
def test_a_mean_is_rounded_half_to_even(total, by):
    assert divided(total, by) == round(Fraction(total, by))


@given(scores)
def test_no_way_leaves_the_range_of_what_was_said(values):
    for how in ("max", "median", "mean", f"quorum({len(values)})"):
        assert min(values) <= way(how).combined(row(values)) <= max(values)


def calibrated(**numbers):
    return way(Calibrated.model_validate({"calibrated": numbers}))


@given(st.integers(1, FULL - 1))
def test_a_slope_of_one_says_the_same(score):
    assert calibrated(p0={"slope": 1}).combined({"p0": score}) == score


def test_calibrated_is_the_weighted_mean_of_log_odds():
    how = calibrated(a={"slope": 2, "intercept": -1, "weight": 3}, b={"slope": 0.5})

    def logit(share):
        return math.log(share / (1 - share))

    odds = (3 * (2 * logit(0.8) - 1) + 0.5 * logit(0.1)) / 4
    assert how.combined({"a": 8000, "b": 1000}) == round(FULL / (1 + math.exp(-odds)))
    assert how.combined({"a": 0, "b": 0}) < 100
    assert how.combined({"a": FULL, "b": FULL}) > FULL - 200
    assert how.combined({"b": 1000, "unheard-of": 9900}) == 9900  # taken at its word
    steep = calibrated(a={"slope": 1000})
    assert (steep.combined({"a": 1}), steep.combined({"a": FULL})) == (0, FULL)


@pytest.mark.parametrize(
    "how, answers, action",
    [
        ("max", [0.95, 0.1, 0.1], BLOCK),
        ('"quorum(2)"', [0.95, 0.1, 0.1], ALLOW),
        ('"quorum(2)"', [0.95, 0.6, 0.1], REVIEW),
        ("median", [0.95, 0.95, 0.1], BLOCK),
        ("median", [0.95, 0.4, 0.1], ALLOW),
        ("mean", [0.95, 0.4, 0.1], ALLOW),
        ("mean", [0.95, 0.6, 0.1], REVIEW),
    ],
)
def test_a_threshold_judges_what_they_come_to_together(how, answers, action):
    rules = policy("", ROWS, f"{{combine: {{hate: {how}}}}}")
    decision = decided(rules, *(said(f"p{place}", {"hate": score}) for place, score in enumerate(answers)))
    assert decision.action is action
    assert decision.categories["hate"].action is action
    assert decision.categories["hate"].providers["p0"] == 9500


def test_the_nearest_relative_says_how():
    rules = policy(
        "", "{weapons: {review: 0.5}}", '{combine: {default: mean, weapons: "quorum(2)", weapons/knife: max}}'
    )
    assert [rules.way(slug).name for slug in ("hate", "weapons", "weapons/firearm", "weapons/knife")] == [
        *("mean", "quorum(2)", "quorum(2)", "max")
    ]


TWO = '{combine: {hate: "quorum(2)"}}'


@pytest.mark.parametrize(
    "answers, action",
    [
        ([said("a", {"hate": 0.95})], REVIEW),  # the other might agree
        ([said("a", {"hate": 0.3})], ALLOW),  # whatever the other says, the second highest is no more
        ([said("a", {"hate": 0.95}), said("b", {"hate": None}, below=0.5)], ALLOW),  # it would have said so
        ([said("a", {"hate": 0.95}), failed("b")], REVIEW),
        ([said("a", {"hate": 0.3}), failed("b"), failed("c")], REVIEW),  # the two might agree
        ([said("a", {"hate": 0.95}), said("b", {"hate": 0.0}), failed("c")], ALLOW),  # enough answered
    ],
)
def test_half_a_quorum_is_unknown_and_not_calm(answers, action):
    decision = decided(policy("", ROWS, TWO), *answers)
    assert (decision.action, codes(decision)) == (action, ["coverage_missing"] if action is REVIEW else [])
    assert decision.coverage.missing == (("hate",) if action is REVIEW else ())


@pytest.mark.parametrize("sees, action", [("hate", REVIEW), ("spam", ALLOW)])
def test_two_who_failed_might_agree_on_what_they_can_see(sees, action):
    able = {"b": {sees}, "c": {sees}}
    rules = policy("", ROWS, TWO)
    assert decided(rules, said("a", {"hate": 0.3}), failed("b"), failed("c"), sees=able).action is action


def test_what_is_unknown_on_two_inputs_has_no_score():
    decision = decide(policy("", ROWS, TWO), [facts(said("a", {"hate": 0.95}, at=at)) for at in (0, 1)])
    assert (decision.action, decision.categories["hate"].score) == (REVIEW, None)


def test_a_list_of_known_things_is_not_averaged_away():
    known = said("lists", {"label/listed": 1.0, "hate": 1.0})
    others = [said(name, {"hate": 0.0}) for name in "abc"]
    for how in ("mean", "median", '"quorum(2)"'):
        assert decided(policy("", ROWS, f"{{combine: {{hate: {how}}}}}"), known, *others).action is BLOCK


def test_rules_ask_for_what_they_come_to_together():
    rules = policy(rule('scores["hate"] >= 0.5'), signals="{combine: {default: mean}}")
    assert decided(rules, said("a", {"hate": 0.9}), said("b", {"hate": 0.05})).action is ALLOW
    assert decided(rules, said("a", {"hate": 0.9}), said("b", {"hate": 0.1})).action is BLOCK


def test_fewer_than_the_policy_asks_for_leave_a_score_unknown():
    rules = policy(rule('scores["hate"] < 0.5'), signals="{coverage: {hate: {min_providers: 2}}}")
    decision = decided(rules, said("a", {"hate": 0.1}))
    assert sorted(codes(decision)) == ["coverage_missing", "coverage_unknown"]
