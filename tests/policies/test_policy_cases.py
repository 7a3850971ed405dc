"""`policy test`: what a case gives, what may be expected of it, and how much of a policy the cases show."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.paths import MESSAGES, SHIPPED, TAXONOMY
from gateway.policy.making import load_policy
from gateway.policy.messages import Messages
from gateway.policytools.casefile import policy_of
from gateway.policytools.trial import Trial, read_cases, try_cases
from gateway.taxonomy import Taxonomy
from gateway.yamlfile import Problem

TAXONOMY_READ, TEXTS = Taxonomy.from_file(TAXONOMY), Messages.from_file(MESSAGES)
POLICY = """
policy: p
signals:
  providers: [one, two, three]
  coverage: {default: {min_providers: 1}, sexual/nudity: {min_providers: 2}}
lists: {goods: {values: [gun]}}
thresholds:
  sexual/nudity: {review: 0.5, block: 0.9, reason: NUDITY}
  hate: {review: 0.6}
rules:
  - {id: agreed, action: block, reason: HATE, when: 'votes("hate", 0.7) >= 2'}
  - {id: thing, action: review, when: 'labels.exists(l, l.name in lists.goods && l.confidence >= 0.7)'}
  - {id: known, action: block, when: 'hashes.exists(h, h.list == "own")', effects: [quarantine]}
  - {id: phone, action: review, when: 'ocr.has_phone || "call" in ocr.terms'}
  - {id: newcomer, action: review, when: user.age < 7 && context.surface == "market"}
exempt:
  - {id: art, from: [thresholds.sexual/nudity.review], when: context.surface == "art", because: a museum}
overlays:
  - {match: {tenant: shop}, disable: [phone]}
messages:
  NUDITY: {en: No nudes., de: Keine Nackten.}
"""


def tried(tmp_path: Path, given: str, expect: str, more: str = "") -> Trial:
    (tmp_path / "p.yaml").write_text(POLICY, encoding="utf-8")
    tests = tmp_path / "p.test.yaml"
    tests.write_text(f"cases:\n  - name: it\n    given: {given}\n    expect: {expect}\n{more}", encoding="utf-8")
    return try_cases(load_policy(tmp_path / "p.yaml", TAXONOMY_READ, TEXTS), tests)


@pytest.mark.parametrize(
    "given, expect",
    [
        ("{scores: all_clear}", "{action: allow, rules: []}"),
        ("{scores: {one: {sexual/nudity: 0.9}, two: all_clear}}", "{action: block, reason: nudity}"),
        ("{scores: {one: {sexual/nudity: 0.5}, two: {}}}", "{action: review, message: No nudes.}"),
        ("{locale: de-AT, scores: {one: {sexual/nudity: 0.5}, two: {}}}", "{action: review, message: Keine Nackten.}"),
        ("{scores: {one: {}}, missing: [two, three]}", "{action: review, unknown: [sexual/nudity, agreed]}"),
        ("{scores: {one: {}, two: {sexual/nudity: null}}}", "{action: review, reason: COVERAGE_MISSING}"),
        ("{scores: {one: {hate: 0.9}, two: {hate: 0.1}, three: {}}}", "{action: review, not_rules: [agreed]}"),
        ("{scores: {one: {hate: 0.9}, two: {hate: 0.7}}}", "{action: block, reason: HATE, rules: [agreed]}"),
        (
            "{scores: {one: {hate: 0.9}, two: {}}, missing: [three]}",
            "{action: review, rules: [thresholds.hate.review], unknown: [agreed]}",
        ),
        ("{scores: all_clear, labels: [{name: gun, confidence: 0.7}]}", "{action: review, rules: [thing]}"),
        ("{scores: all_clear, labels: [{name: gun, confidence: 0.69}]}", "{action: allow}"),
        ("{scores: all_clear, labels: [{name: gun, provider: two}]}", "{action: review, rules: [thing]}"),
        ("{scores: all_clear, labels: null}", "{action: review, unknown: [thing]}"),
        ("{scores: all_clear, type: text, labels: null}", "{action: allow}"),
        ("{scores: all_clear, hashes: [own]}", "{action: block, rules: [known], effects: [quarantine]}"),
        ("{scores: all_clear, hashes: [{list: other}]}", "{action: allow, not_rules: [known]}"),
        ("{scores: all_clear, hashes: null}", "{action: review, unknown: [known]}"),
        ("{scores: all_clear, ocr: {has_phone: true}}", "{action: review, rules: [phone]}"),
        ("{scores: all_clear, ocr: {terms: [call]}}", "{action: review, rules: [phone]}"),
        ("{scores: all_clear, ocr: null}", "{action: review, unknown: [phone]}"),
        ("{scores: all_clear, ocr: {has_phone: true}, tenant: shop}", "{action: allow, rules: []}"),
        ("{scores: all_clear, user: {age: 3}, context: {surface: market}}", "{action: review, rules: [newcomer]}"),
        ("{scores: all_clear, context: {surface: market}}", "{action: review, unknown: [newcomer]}"),
        ("{scores: {one: {sexual/nudity: 0.6}, two: {}}, context: {surface: art}}", "{action: allow}"),
        ("{scores: {}, missing: [one, two, three]}", "{action: review, reason: coverage_no_answer}"),
        ("{}", "{action: review, reason: coverage_no_answer}"),
        ("{scores: {one: {}, two: {}}, need: 3}", "{action: review, reason: coverage_too_few}"),
    ],
)
def test_what_is_given_and_what_comes_of_it(tmp_path, given, expect):
    if "surface" not in given:  # else what is not known of newcomers is all there is to see
        given = given.replace("{", "{context: {surface: post}, ", 1)
    trial = tried(tmp_path, given, expect)
    assert trial.outcomes[0].wrong == ()
    assert trial.ok


@pytest.mark.parametrize(
    "expect, wrong",
    [
        ("{action: block}", ["expected block, got review"]),
        ("{action: review, reason: OTHER}", ["expected the reason OTHER, got thing"]),
        ("{action: review, rules: [phone]}", ["expected the rule phone to be true"]),
        ("{action: review, rules: []}", ["expected no rule to be true, got thing"]),
        ("{action: review, not_rules: [thing]}", ["expected the rule thing not to be true"]),
        ("{action: review, unknown: [hate]}", ["expected hate to be unknown"]),
        ("{action: review, effects: [burn]}", ["expected the effect burn"]),
        ("{action: allow, reason: NUDITY}", ["expected allow, got review", "expected the reason NUDITY, got thing"]),
    ],
)
def test_what_is_not_as_expected_is_said(tmp_path, expect, wrong):
    given = "{scores: all_clear, labels: [{name: gun, confidence: 0.9}], context: {surface: post}}"
    trial = tried(tmp_path, given, expect)
    assert list(trial.outcomes[0].wrong) == wrong
    assert not trial.ok


@pytest.mark.parametrize(
    "given, expect, place, words",
    [
        ("{scores: {one: {hat: 0.5}}}", "{action: allow}", (3, 28), "unknown category 'hat'"),
        ("{scores: {one: {hate: 1.5}}}", "{action: allow}", (3, 34), "a score is a number from 0 to 1"),
        ("{scores: {one: {}}, missing: [one]}", "{action: allow}", (3, 42), "'one' gives scores and is missing"),
        ("{scores: {}}", "{action: allow, rules: [phoen]}", (4, 37), "unknown rule 'phoen'"),
        ("{scores: {}}", "{action: reject}", (4, 22), "allow, review or block"),
        ("{score: {}}", "{action: allow}", (3, 13), 'unknown key "score"'),
    ],
)
def test_a_mistake_in_a_case_is_told_at_its_place(tmp_path, given, expect, place, words):
    with pytest.raises(Problem) as error:
        tried(tmp_path, given, expect)
    assert words in error.value.detail
    assert (error.value.line, error.value.column) == place


def test_a_name_is_given_once(tmp_path):
    with pytest.raises(Problem, match="the case 'it' is already at 2:11"):
        tried(tmp_path, "{}", "{action: review}", "  - {name: it, given: {}, expect: {action: review}}\n")


def test_how_much_is_shown(tmp_path):
    more = """
  - {name: b, given: {scores: all_clear, ocr: {has_phone: true}, user: {age: 1}}, expect: {action: review}}
coverage: {min_rules: 40%, min_branches: 0.3}
"""
    trial = tried(tmp_path, "{scores: all_clear, context: {surface: market}, user: {age: 3}}", "{action: review}", more)
    shown = trial.shown
    assert shown.true == {"newcomer", "phone"}
    assert shown.false == {"agreed", "thing", "known", "phone"}  # newcomer was true once, and unknown once
    assert shown.rules == 1 / 5
    assert shown.thresholds == 0
    assert trial.short == ("rules: 20% shown, 40% asked for",)
    assert not trial.ok


def test_each_comparison_is_a_branch_and_those_about_elements_too(tmp_path):
    def shown(given: str) -> float:
        return tried(tmp_path, given, "{action: review}").shown.share

    nothing, right_name, both = (
        shown(f"{{scores: all_clear, context: {{surface: x}}, labels: [{label}]}}")
        for label in ("", "{name: gun, confidence: 0.1}", "{name: gun, confidence: 0.9}")
    )
    assert 0 < nothing < right_name
    assert nothing < both < 1


def test_where_the_policy_of_a_test_file_is(tmp_path):
    tests = tmp_path / "forum.test.yaml"
    tests.write_text("cases:\n  - {name: a, expect: {action: review}}\n")
    assert policy_of(tests, read_cases(tests)[1]) == tmp_path / "forum.yaml"
    tests.write_text("policy: ../other.yaml\ncases:\n  - {name: a, expect: {action: review}}\n")
    assert policy_of(tests, read_cases(tests)[1]) == tmp_path / "../other.yaml"


@pytest.mark.parametrize("name", ["social", "marketplace", "kids-avatars"])
def test_the_shipped_policies_pass_their_own_tests(name):
    file = SHIPPED / f"policies/{name}.yaml"
    trial = try_cases(load_policy(file, TAXONOMY_READ, TEXTS), file.with_name(f"{name}.test.yaml"))
    assert [(outcome.case.name, outcome.wrong) for outcome in trial.outcomes if not outcome.ok] == []
    assert trial.short == ()
    assert len(trial.outcomes) >= 10
