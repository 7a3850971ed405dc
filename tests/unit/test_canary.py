"""A version that decides for some: who they are, and when it stops by itself."""

import pytest

from gateway.domain import Action
from gateway.policy.canary import Canary
from tests.policies.saying import policy

ALLOW, REVIEW, BLOCK = Action.ALLOW, Action.REVIEW, Action.BLOCK


def canary(rollout, told=lambda canary: None, version=1):
    return Canary(policy(f"version: {version}\nrollout: {rollout}"), told)


def taken(canary, many=20_000):
    return {subject for subject in map(str, range(many)) if canary.takes(subject)}


@pytest.mark.parametrize("percent, least, most", [(0, 0, 0), (0.5, 60, 140), (10, 1850, 2150), (99.99, 19_980, 19_999)])
def test_it_decides_for_its_share_of_subjects(percent, least, most):
    assert least <= len(taken(canary(f"{{canary_percent: {percent}}}"))) <= most


def test_the_same_subject_is_always_on_the_same_side():
    assert taken(canary("{canary_percent: 10}")) == taken(canary("{canary_percent: 10}"))


def test_a_larger_share_is_the_same_subjects_and_more():
    assert taken(canary("{canary_percent: 10}")) < taken(canary("{canary_percent: 20}"))


def test_another_version_is_tried_on_others():
    first, second = taken(canary("{canary_percent: 10}")), taken(canary("{canary_percent: 10}", version=2))
    assert len(first & second) < len(first) / 5


@pytest.mark.parametrize("subject", ["", "ü ∅", "\ud800", "u" * 100_000])
def test_any_subject_will_do(subject):
    assert canary("{canary_percent: 99.99}").takes(subject)
    assert not canary("{canary_percent: 0}").takes(subject)


def run(halt, decisions):
    """Whether it is halted after each decision, and why at last. A decision is the canary's action and the other's."""
    told = []
    tried = canary(f"{{canary_percent: 10, halt: {halt}}}", told.append)
    course = []
    for new, in_force in decisions:
        tried.count(new, in_force)
        course.append(bool(tried.halted))
    assert told == ([tried] if tried.halted else [])
    return course, tried.halted


SAME, FLIP, BLOCKED = (ALLOW, ALLOW), (REVIEW, ALLOW), (BLOCK, BLOCK)


def test_too_many_flips_halt_it():
    course, why = run("{flips: 0.25, after: 4}", [SAME, FLIP, SAME, SAME, FLIP])
    assert course == [False, False, False, False, True]
    assert why == "flips: 2 of the last 4 decisions came out otherwise, 0.25 is the most"


def test_it_is_not_judged_by_too_few():
    assert run("{flips: 0, after: 4}", [FLIP, FLIP, FLIP]) == ([False] * 3, "")


def test_only_the_last_decisions_count():
    course, _ = run("{flips: 0.25, after: 4}", [FLIP, SAME, SAME, SAME, FLIP, SAME, SAME, SAME, FLIP])
    assert course == [False] * 9


def test_a_block_rate_above_its_most_halts_it():
    course, why = run("{block_rate: 0.5, after: 2}", [BLOCKED, SAME, BLOCKED, BLOCKED])
    assert course == [False, False, False, True]
    assert why == "block_rate: 2 of the last 2 were blocked, 0 to 0.5 is expected"


def test_a_block_rate_below_its_least_halts_it():
    """A version that blocks nothing any more may have lost a rule."""
    course, _ = run("{block_rate: [0.25, 0.75], after: 4}", [BLOCKED, SAME, SAME, SAME, SAME])
    assert course == [False, False, False, False, True]


def test_what_is_halted_stays_so_and_is_told_once():
    assert run("{flips: 0, after: 1}", [FLIP, SAME, FLIP])[0] == [True, True, True]


def test_without_a_band_nothing_halts_it():
    tried = canary("{canary_percent: 10}")
    for _ in range(1000):
        tried.count(BLOCK, ALLOW)
    assert tried.halted == ""
