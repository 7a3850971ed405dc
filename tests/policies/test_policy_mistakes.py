"""What is wrong in a policy file: every problem, each at its place, with what would be right.

A § stands where the problem is expected; it is taken out before the file is read.
"""

from __future__ import annotations

import pytest

from gateway.yamlfile import Problem
from tests.policies.saying import read

HEAD = "policy: p\nthresholds: {hate: {review: 0.5, block: 0.9}}\n"
RULES = HEAD + "rules:\n  - {id: first, action: block, when: 'scores[\"hate\"] >= 0.5'}\n"
HARD = RULES.replace("id: first,", "id: first, hard: true,")
EXEMPT = "exempt: [{id: e, from: [%s], when: context.vip, because: T-1}]\n"

ONE = [
    # signals
    (HEAD + "signals: {combine: {default: §average}}", "scores are combined by max, mean, median"),
    (HEAD + "signals: {combine: {default: §quorum(0)}}", "quorum(2)"),
    (HEAD + "signals: {combine: {§hatte: max}}", "did you mean 'hate'?"),
    (HEAD + "signals: {combine: {hate: {calibrated: {§acmee: {slope: 1}}}}}", "did you mean 'acme'?"),
    (HEAD + "signals: {combine: {hate: {calibrated: {acme: {slope: §0}}}}}", "above 0"),
    (HEAD + "signals: {providers: [acme, §betta]}", "did you mean 'beta'?"),
    (
        HEAD + "signals: {providers: [acme], coverage: {hate: {min_providers: §2}}}",
        "min_providers is 2, but signals.providers names 1",
    ),
    (HEAD + "signals: {providers: [acme, beta], combine: {hate: §quorum(3)}}", "signals.providers names 2"),
    (HEAD + "signals: {providers: [acme, §acme]}", "named twice"),
    (HEAD + 'signals: {coverage: {hate: {min_providers: §"2"}}}', "take the quotes away"),
    # lists
    (HEAD + "lists: {few: §[a, b]}", "write the words as {values: […]}"),
    (HEAD + "lists: {few: {file: §nowhere.txt}}", "cannot be read: No such file or directory"),
    (HEAD + "lists: {few: {file: §../secret.txt}}", "outside the policy's folder"),
    (HEAD + "lists: {few: {file: §/etc/passwd}}", "outside the policy's folder"),
    (HEAD + "lists: {few: §{}}", "either values: or file:"),
    # declared fields
    (HEAD + "context: {age: §number}", "one of bool, int, double, string, list"),
    (HEAD + "context: {age: {type: int, default: §old}}", "no int"),
    (HEAD + "user: {tone: {type: string, values: [a, b], default: §c}}", "none of the values"),
    # rules
    (HEAD + "rules:\n  - {id: r, action: §deny, when: 'true'}", "should be review or block"),
    (HEAD + "rules:\n  - §{action: block, when: 'true'}", "'id' is missing"),
    (HEAD + "rules:\n  - {id: r, action: block, when: 'scores[§\"hatte\"] >= 0.5'}", "did you mean 'hate'?"),
    (HEAD + 'rules:\n  - id: r\n    action: block\n    when: |\n      context.a == "x" &&\n      §foo > 1\n', "'foo'"),
    (HEAD + "rules:\n  - id: r\n    action: block\n    when: >-\n      ocr.has_url\n      && §foo > 1\n", "'foo'"),
    (HEAD + 'rules:\n  - {id: r, action: block, when: "scores[\\"hate\\"] §=> 0.5"}', "did you mean >=?"),
    (HEAD + "rules:\n  - {id: r, action: block, when: 'votes(§hate, 0.7) >= 2'}", 'write "hate"'),
    (HEAD + "context: {age: int}\nrules: [{id: r, action: block, when: context.§aeg > 1}]", "did you mean 'age'?"),
    (HEAD + "rules: [{id: r, action: block, when: 'labels.exists(l, l.name in lists.§few)'}]", "has no lists"),
    (RULES + "  - {id: §first, action: block, when: ocr.has_url}\n", "is already at 4:10"),
    (RULES.replace("when:", "if_unknown: §ignore, when:"), "write because:"),
    (RULES.replace("when:", "if_unknown: §ignore, because: ' ', when:"), "write because:"),
    (RULES.replace("when:", "priority: §true, when:"), "should be a whole number"),
    (RULES.replace("when:", "effects: [§tell team], when:"), "a code is letters, digits and _"),
    (HEAD + "rules: [§ocr.has_url]", "write it as {action: …, id: …, when: …}"),
    (HEAD + "rules: §{r: {action: block, when: ocr.has_url}}", "begin each entry with a dash"),
    (RULES.replace("when:", "message: §kind, when:"), "there is no message 'kind'"),
    (RULES.replace("when:", "§priorty: 3, when:"), "did you mean 'priority'?"),
    # exemptions
    (RULES + EXEMPT % "§frist", "did you mean 'first'?"),
    (RULES + EXEMPT % "§thresholds.hate.revieww", "did you mean 'thresholds.hate.review'?"),
    (RULES + EXEMPT % "§coverage.hate", "name thresholds.<category>.review"),
    (HARD + EXEMPT % "§rules.first", "is hard (4:23): nothing lifts"),
    (HEAD + "exempt: [§{id: e, from: [thresholds.hate.block], when: context.vip}]", "'because' is missing"),
    (
        "policy: p\nthresholds: {sexual/minors: {review: 0.1}}\n" + EXEMPT % "§thresholds.sexual/minors.review",
        "never closed without a person",
    ),
    (HEAD + "exempt: [{id: e, from: [thresholds.hate.block], when: context.vip, because: §' '}]", "say why"),
    # what goes to a person
    ('policy: p\nthresholds: {sexual/minors: {review: §"-"}}', "never closed without a person"),
    # overlays
    (HEAD + "overlays: [{match: §{}}]", "for some surface, country or tenant"),
    (HEAD + "overlays: [{match: {tenant: §12}}]", "put quotes round it"),
    (HEAD + "overlays: [{match: {§surfaces: a}}]", "did you mean 'surface'?"),
    (HEAD + "overlays: [{match: {surface: a}, thresholds: {§hatte: {}}}]", "did you mean 'hate'?"),
    (HEAD + "overlays: [{match: {surface: a}, thresholds: {hate: {review: §0.9}}}]", "review is not below block"),
    (HEAD + "overlays: [{match: {surface: a}, thresholds: {hate: {block: §0.5}}}]", "review is not below block"),
    (HEAD + "overlays: [{match: {surface: a}, disable: [§first]}]", "this policy has no rules"),
    (HARD + "overlays: [{match: {surface: a}, disable: [§first]}]", "is hard"),
    (HARD + "overlays: [{match: {surface: a}, rules: {§first: {action: review}}}]", "is hard"),
    (RULES + "overlays: [{match: {surface: a}, rules: {§frist: {action: review}}}]", "did you mean 'first'?"),
    (RULES + "overlays: [{match: {surface: a}, rules: {first: {§when: 'true'}}}]", "unknown key"),
    # messages and rollout
    (HEAD + "messages: {hate: {§english: No.}}", "written like en, de or pt-BR"),
    (HEAD + "messages: {hate: {en: §' '}}", "a text for people"),
    (HEAD + "messages: {hate: §{}}", "at least 1 long"),
    (HEAD + "locale: §english text", "written like en, de or pt-BR"),
    (HEAD + "rollout: {canary_percent: §101}", "at most 100"),
    (HEAD + f"version: §{2**63}", "should be a whole number"),
]


def load(folder, text):
    file = folder / "p.yaml"
    file.write_text(text.replace("§", ""), encoding="utf-8")
    (folder.parent / "secret.txt").write_text("x\n")
    return read(file, frozenset({"acme", "beta"}))


@pytest.mark.parametrize("text, words", ONE, ids=[f"{number} {words}" for number, (_, words) in enumerate(ONE)])
def test_one_mistake_is_one_problem_at_its_place(tmp_path, text, words):
    before = text.split("§")[0]
    place = (before.count("\n") + 1, len(before) - before.rfind("\n"))
    with pytest.raises(Problem) as caught:
        load(tmp_path, text)
    [problem] = caught.value.problems
    assert (problem.line, problem.column) == place, str(problem)
    assert words in str(problem)
    assert problem.severity == "error"


def test_all_of_them_are_told_in_the_order_of_the_file(tmp_path):
    with pytest.raises(Problem) as caught:
        load(
            tmp_path,
            """policy: p
taxonomy: "2"
lists: {few: {file: nowhere.txt}}
thresholds: {hatte: {review: 0.5}, spam: {review: 0.9, block: 0.5}}
rules:
  - {id: a, action: block, when: 'scores["hatte"] > 0.5 && foo'}
  - {id: b, action: block, when: 'labels.exists(l, l.nam == "x")'}
exempt: [{id: e, from: [c], when: bar, because: T-1}]
overlays: [{match: {surface: x}, disable: [d]}]
""",
        )
    problems = caught.value.problems
    assert [problem.line for problem in problems] == [2, 3, 4, 4, 6, 6, 7, 8, 8, 9]
    assert {problem.code for problem in problems} == {"bad_value", "bad_file", "unknown_name"}


def test_what_two_overlays_come_to_together_is_checked_too(tmp_path):
    laid = "overlays:\n  - {match: {surface: a}, thresholds: {hate: {review: 0.7}}}\n"
    laid += "  - {match: {tenant: t}, thresholds: {hate: {block: §0.6}}}\n"
    with pytest.raises(Problem) as caught:
        load(tmp_path, HEAD + laid)
    assert "review is not below block" in str(caught.value)


def test_a_list_is_part_of_what_a_policy_says(tmp_path):
    text = HEAD + "lists: {few: {file: few.txt}}\n"
    (tmp_path / "few.txt").write_text("# words\n\nb\n a \n")
    first = load(tmp_path, text)
    (tmp_path / "few.txt").write_text("a\nb\na\n")
    assert load(tmp_path, text).hash == first.hash
    (tmp_path / "few.txt").write_text("a\nb\nc\n")
    assert load(tmp_path, text).hash != first.hash
    assert first.files[1] == (tmp_path / "few.txt").resolve()


def test_how_a_condition_is_spaced_means_nothing(tmp_path):
    rule = "rules: [{id: r, action: block, when: '%s'}]\n"
    one, same, other = (
        load(tmp_path, HEAD + rule % when).hash
        for when in ('scores["hate"]>=0.5', 'scores["hate"]  >= 0.50', 'scores["hate"] > 0.5')
    )
    assert one == same != other
