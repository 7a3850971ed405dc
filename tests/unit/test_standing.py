"""Versions beside the one in force: whom they stand beside, what they say, and what they can never do."""

from functools import partial
from pathlib import Path

import pytest

from gateway.domain import Action
from gateway.errors import ConfigError
from gateway.policy.canary import Canary
from gateway.policy.decide import decide
from gateway.policy.placing import placed
from gateway.policy.standing import Standing
from tests.policies.saying import TEXT, facts, failed, policy, rule, said

ALLOW, REVIEW, BLOCK = Action.ALLOW, Action.REVIEW, Action.BLOCK
STRICT, MILD = "{hate: {block: 0.2}}", "{hate: {block: 0.9}}"
HATE = facts(said("acme", {"hate": 0.5}), modality=TEXT)
NOTHING = facts(said("acme", {"hate": 0.0}), modality=TEXT)
HARD = rule('scores["hate"] >= 0.4', "hard: true\n    effects: [tell]")


def rolled(rollout, thresholds=STRICT, body="", version=2):
    return policy(f"version: {version}\nrollout: {rollout}\n{body}", thresholds)


def standing(in_force, *beside):
    files = {Path(f"{number}.yaml"): each for number, each in enumerate([in_force, *beside])}
    return placed(files, "p", partial(Canary, told=lambda canary: None))["p"]


def company(stands, subject="u"):
    return stands.company(stands.policy, {}, "default", subject)


def heard(asides):
    return [(aside.role, aside.version, aside.action) for aside in asides]


# shadows


def test_a_shadow_is_heard_and_changes_nothing():
    stands = standing(policy("", MILD), rolled("{shadow: true}"))
    who, decision, asides = company(stands).decide([HATE], None)
    assert (who, decision) == (stands.policy, decide(stands.policy, [HATE]))
    assert heard(asides) == [("shadow", 2, BLOCK)]


class Broken:
    """A bug, wherever one is."""

    def __getattr__(self, name):
        raise ZeroDivisionError(name)


def broken(rolled_out):
    """The same policy with a bug in its rules."""
    copy = policy.__wrapped__(f"version: 2\nrollout: {rolled_out}\n" + rule("ocr.has_url"), STRICT)
    object.__setattr__(copy, "program", Broken())
    return copy


def test_a_shadow_that_breaks_hurts_nobody():
    stands = standing(policy("", MILD), broken("{shadow: true}"), rolled("{shadow: true}", version=3))
    _, decision, asides = company(stands).decide([HATE], None)
    assert decision.action is ALLOW
    assert heard(asides) == [("shadow", 2, None), ("shadow", 3, BLOCK)]


# canaries


@pytest.mark.parametrize(
    "percent, action, other",
    [(99.99, BLOCK, ("in_force", 1, ALLOW)), (0, ALLOW, ("canary", 2, BLOCK))],
    ids=["the canary decides", "the version in force decides"],
)
def test_either_side_decides_and_the_other_is_heard(percent, action, other):
    stands = standing(policy("", MILD), rolled(f"{{canary_percent: {percent}}}"))
    who, decision, asides = company(stands).decide([HATE], None)
    assert who is (stands.policy if action is ALLOW else stands.canary.policy)
    assert decision == decide(who, [HATE])
    assert heard(asides) == [other]


@pytest.mark.parametrize("percent", [99.99, 0])
@pytest.mark.parametrize("whose", ["the new", "the old"])
def test_hard_rules_of_either_side_hold_for_all(percent, whose):
    """A canary that lost a hard rule would lift it for some; one that has a new one would spare the rest."""
    old = policy(HARD if whose == "the old" else "", MILD)
    new = rolled(f"{{canary_percent: {percent}}}", MILD, HARD if whose == "the new" else "")
    _, decision, asides = company(standing(old, new)).decide([HATE], None)
    assert (decision.action, decision.inputs, decision.effects) == (BLOCK, (BLOCK,), ("tell",))
    assert [reason.rule for reason in decision.reasons] == ["rules.it"]
    assert [aside.action for aside in asides] == [BLOCK]  # it would have come to the same there: that is no flip


def test_the_stricter_of_two_hard_rules_of_one_name_holds_for_all():
    softer = policy(HARD.replace("action: block", "action: review"), MILD)
    for percent in (99.99, 0):
        _, decision, _ = company(standing(softer, rolled(f"{{canary_percent: {percent}}}", MILD, HARD))).decide(
            [HATE], None
        )
        assert (decision.action, decision.reasons[0].action) == (BLOCK, BLOCK)


def test_a_hard_rule_that_is_unknown_holds_for_all_too():
    old, new = policy("", MILD), rolled("{canary_percent: 0}", MILD, HARD)
    gap = facts(failed("acme"), said("other"), modality=TEXT, sees={"acme": {"hate"}})
    _, decision, _ = company(standing(old, new)).decide([gap], None)
    assert decision.action is REVIEW
    assert "rules.it" in [reason.rule for reason in decision.reasons]


def test_rules_that_are_not_hard_are_each_sides_own():
    old, new = policy(HARD.replace("hard: true", ""), MILD), rolled("{canary_percent: 99.99}", MILD)
    assert company(standing(old, new)).decide([HATE], None)[1].action is ALLOW


def test_a_canary_that_breaks_hurts_nobody_and_is_halted():
    stands = standing(policy("", MILD), broken("{canary_percent: 99.99}"))
    beside = company(stands)
    who, decision, asides = beside.decide([HATE], None)
    assert (who, decision.action, heard(asides)) == (stands.policy, ALLOW, [("canary", 2, None)])
    beside.count(decision.action, asides)
    assert stands.canary.halted.startswith("it broke")
    assert company(stands).decide([HATE], None) == (stands.policy, decision, ())


@pytest.mark.parametrize("percent", [99.99, 0])
def test_what_each_says_is_counted_whoever_decides(percent):
    stands = standing(policy("", MILD), rolled(f"{{canary_percent: {percent}, halt: {{flips: 0.5, after: 2}}}}"))
    for fact in (NOTHING, HATE):
        beside = company(stands)
        _, decision, asides = beside.decide([fact], None)
        beside.count(decision.action, asides)
    assert not stands.canary.halted
    beside = company(stands)
    _, decision, asides = beside.decide([HATE], None)
    beside.count(decision.action, asides)
    assert stands.canary.halted
    assert beside.decide([HATE], None)[1] == decision  # who was under way keeps its side
    assert company(stands).decide([HATE], None) == (stands.policy, decide(stands.policy, [HATE]), ())


def test_nobody_is_left_unasked_whom_either_side_wants_to_hear():
    stands = standing(policy("", "{hate: {block: 0.9}}"), rolled("{canary_percent: 0}", "{spam: {block: 0.5}}"))
    beside = company(stands)
    blocked = facts(said("acme", {"hate": 1.0}), modality=TEXT)
    assert not beside.settled(blocked, {"other": frozenset({"spam"})})
    assert beside.settled(blocked, {})
    assert company(standing(policy("", MILD), rolled("{shadow: true}"))).settled(NOTHING, {"o": frozenset({"hate"})})


# whom they stand beside


def _renamed(policy, name):
    object.__setattr__(policy, "name", name)
    return policy


def test_a_shadow_of_another_name_stands_beside_the_default():
    strict = _renamed(policy.__wrapped__("rollout: {shadow: true}", STRICT), "strict")
    stands = placed({Path("a.yaml"): policy(""), Path("b.yaml"): strict}, "p", canary_of=None)
    assert stands == {"p": Standing(policy(""), (strict,)), "a": Standing(policy(""), (strict,))}


def test_a_version_beside_another_is_nobodys_to_name():
    stands = placed({Path("p.yaml"): policy(""), Path("next.yaml"): rolled("{shadow: true}")}, "p", canary_of=None)
    assert list(stands) == ["p"]


@pytest.mark.parametrize(
    "files, words",
    [
        ([policy("")] * 2, "1.yaml:1:1: a second policy named 'p'; a version beside the one in force has rollout:"),
        ([rolled("{canary_percent: 10}")], "leaves the rest to another version of 'p', and there is none here"),
        (
            [policy(""), rolled("{canary_percent: 10}"), rolled("{canary_percent: 20}")],
            "2.yaml:1:1: a second canary beside 'p'",
        ),
    ],
    ids=["two in force", "nobody for the rest", "two canaries"],
)
def test_what_does_not_fit_together_is_said(files, words):
    with pytest.raises(ConfigError) as caught:
        standing(*files)
    assert words in str(caught.value)
