"""Rules about labels are not asked of labels that none of them names; and come to the same."""

from __future__ import annotations

import pytest

from gateway.policy.evidence import facts_of
from gateway.policy.tally import hear, tally
from tests.policies.saying import facts, failed, policy, rule, said

BODIES = {
    'l.name == "gun"': {"gun"},
    'l.name in ["gun", "knife"] && l.confidence >= 0.5': {"gun", "knife"},
    'l.confidence >= 0.5 && l.name == "gun"': {"gun"},
    '(l.name == "gun" && l.confidence >= 0.5) || l.name == "knife"': {"gun", "knife"},
    'l.name == "gun" || l.confidence >= 0.5': None,
    'l.name != "gun"': None,
    '!(l.name == "gun")': None,
    'l.confidence >= 0.5 && l.provider == "acme"': None,
}
SEEN = ({}, {"sky": 0.9}, {"gun": 0.9}, {"gun": 0.3, "sky": 0.9}, {"gun": 0.9, "knife": 0.9})
OTHERS = ([], [failed("beta")], [said("beta", {}, {"sea": 0.7})])


@pytest.mark.parametrize("body", BODIES)
def test_it_is_known_which_names_a_rule_asks_for(body):
    for macro in ("exists", "exists_one"):
        assert policy(rule(f"labels.{macro}(l, {body})")).needs.names == BODIES[body]


def test_one_rule_that_asks_for_any_name_asks_for_all():
    two = 'labels.exists(l, l.name == "gun") && labels.exists(l, l.confidence >= 0.9)'
    assert policy(rule(two)).needs.names is None
    assert policy(rule('labels.all(l, l.name != "gun")')).needs.names is None
    assert policy(rule('scores["hate"] >= 0.5')).needs.names == set()


@pytest.mark.parametrize("macro", ["exists", "exists_one", "all"])
@pytest.mark.parametrize("body", BODIES)
def test_what_is_left_out_changes_nothing(body, macro):
    for when in (f"labels.{macro}(l, {body})", f"!labels.{macro}(l, {body})"):
        rules = policy(rule(when))
        for labels in SEEN:
            for others in OTHERS:
                [heard] = hear([facts(said("acme", {}, labels), *others, objects=["acme", "beta"])])
                seen = tally(rules, heard)
                all_of_it, named = facts_of(rules, seen), facts_of(rules, seen, rules.needs.names)
                assert rules.program.ask(named) == rules.program.ask(all_of_it)
