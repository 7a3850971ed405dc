"""What a rule says of some facts: true, false or unknown; and what is known of a rule before it is asked."""

from __future__ import annotations

import pytest

from gateway.domain import FULL
from gateway.paths import TAXONOMY
from gateway.policy.cel import ExpressionError, TypedTree, Vocabulary, check, parse
from gateway.policy.cel.shapes import TEXTS, Declared, Kind
from gateway.policy.compile import polars, sql
from gateway.policy.compile.columns import Columns
from gateway.policy.compile.facts import Facts, HashHit, Label, fit
from gateway.policy.compile.python import Program
from gateway.policy.compile.slots import lowest
from gateway.taxonomy import Taxonomy

OPEN = Vocabulary(Taxonomy.from_file(TAXONOMY), lists={"goods": ("gun", "pills"), "none": ()})
T, F, U = True, False, None


def typed(text: str, vocabulary: Vocabulary = OPEN) -> TypedTree:
    return check(parse(text), vocabulary)


def ask(text: str, facts: Facts, vocabulary: Vocabulary = OPEN) -> bool | None:
    hits, unknown = Program([typed(text, vocabulary).root]).ask(facts)
    assert hits & unknown == 0
    return U if unknown else bool(hits)


@pytest.mark.parametrize(
    "one, other, both, either, equal",
    [
        (T, T, T, T, T),
        (T, F, F, T, F),
        (T, U, U, T, U),
        (F, T, F, T, F),
        (F, F, F, F, T),
        (F, U, F, U, U),
        (U, T, U, T, U),
        (U, F, F, U, U),
        (U, U, U, U, U),
    ],
)
def test_unknown_spreads_unless_the_other_side_decides(one, other, both, either, equal):
    facts = Facts(context={name: value for name, value in (("a", one), ("b", other)) if value is not None})
    for text, expected in (
        ("context.a && context.b", both),
        ("!(!context.a || !context.b)", both),
        ("context.a || context.b", either),
        ("(context.a || false) == (context.b || false)", equal),
        ("(context.a || false) != !(context.b || false)", equal),
    ):
        assert ask(text, facts) is expected, text
    assert ask("!(context.a || false)", facts) is (None if one is None else not one)


@pytest.mark.parametrize(
    "text, score, expected",
    [
        ('scores["hate"] >= 0.7', 7000, T),
        ('scores["hate"] >= 0.7', 6999, F),
        ('scores["hate"] >= 0.7', None, U),
        ('scores["hate"] > 0.7', 7000, F),
        ('scores["hate"] < 0.7', 6999, T),
        ('scores["hate"] < 0.7', None, U),
        ('scores["hate"] <= 0.7', 7000, T),
        ('scores["hate"] == 0.7', 7000, T),
        ('scores["hate"] != 0.7', None, U),
        ('scores["hate"] >= 0', 0, T),
        ('scores["hate"] >= 0', None, U),
        ('scores["hate"] >= 1', FULL, T),
        ('scores["hate"] >= 1.0', 9999, F),
        ('0.7 <= scores["hate"]', 7000, T),
        ('scores["hate"] >= 0.0001', 1, T),
        ('"hate" in scores', 0, T),
        ('"hate" in scores', None, F),
        ('scores["hate"] >= scores["spam"]', 5000, U),
    ],
)
def test_a_score_at_its_threshold_is_inside_and_a_missing_one_is_unknown(text, score, expected):
    assert ask(text, Facts(scores={} if score is None else {"hate": score})) is expected


@pytest.mark.parametrize(
    "voices, silent, expected",
    [
        ((8000, 7000), 0, T),
        ((8000, 7000), 1, T),
        ((8000, 6999), 0, F),
        ((8000, 6999), 1, U),  # the silent one could be the second
        ((8000,), 1, U),
        ((6000,), 1, F),  # two can no longer be reached
        ((), 1, F),
        ((), 2, U),
        ((), 0, F),
        ((6000, 9000, 100, 7000), 3, T),
    ],
)
def test_votes_are_unknown_while_the_silent_could_still_decide(voices, silent, expected):
    facts = Facts(voices={"hate": voices}, silent={"hate": silent})
    assert ask('votes("hate", 0.7) >= 2', facts) is expected
    assert ask('votes("hate", 0.7) > 1', facts) is expected
    assert ask('2 <= votes("hate", 0.7)', facts) is expected
    assert ask('votes("hate", 0.7) < 2', facts) is (None if expected is None else not expected)


@pytest.mark.parametrize("certain, silent", [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (1, 2)])
def test_exactly_so_many_votes_is_known_once_no_silent_one_can_change_it(certain, silent):
    facts = Facts(voices={"hate": (9000,) * certain}, silent={"hate": silent})
    reachable = range(certain, certain + silent + 1)
    for count in range(-1, 5):
        expected = len(reachable) == 1 if count in reachable else F
        assert ask(f'votes("hate", 0.7) == {count}', facts) is (U if count in reachable and silent else expected)


def test_coverage_counts_those_that_answered():
    facts = Facts(voices={"hate": (0, 9000)}, silent={"hate": 3})
    assert [ask(f'coverage("hate") >= {n}', facts) for n in (1, 2, 3)] == [T, T, F]
    assert ask('coverage("spam") == 0', facts) is T


@pytest.mark.parametrize(
    "labels, exists, every, once",
    [
        (None, U, U, U),
        ((), F, T, F),
        ((Label("gun", 8000),), T, T, T),
        ((Label("gun", 6999),), F, F, F),
        ((Label("gun"),), U, U, U),
        ((Label("gun", 8000), Label("gun")), T, U, U),  # as CEL has it: exactly one wants all of them known
        ((Label("gun", 8000), Label("pills", 8000)), T, T, F),
        ((Label("gun", 8000), Label("cat", 8000)), T, F, T),
        ((Label("cat"), Label("gun", 8000)), T, F, T),
    ],
)
def test_a_detector_that_did_not_run_is_unknown_and_an_empty_answer_is_not(labels, exists, every, once):
    said = "(l, l.name in lists.goods && l.confidence >= 0.7)"
    facts = Facts(labels=labels)
    outcomes = [ask(f"labels.{macro}{said}", facts) for macro in ("exists", "all", "exists_one")]
    assert outcomes == [exists, every, once]


def test_a_list_written_out_is_an_or_of_its_values():
    over = '["hate", "spam"].{}(c, scores[c] >= 0.5)'
    same = typed('scores["hate"] >= 0.5 || scores["spam"] >= 0.5').root
    assert typed(over.format("exists")).root == same
    facts = Facts(scores={"hate": 6000})
    assert [ask(over.format(macro), facts) for macro in ("exists", "all", "exists_one")] == [T, U, U]
    assert ask("lists.goods.exists(g, context.word == g)", Facts(context={"word": "gun"})) is T


@pytest.mark.parametrize(
    "text, value, expected",
    [
        ("user.x >= 3", 3, T),
        ("user.x >= 3", 3.5, T),
        ("user.x >= 3.5", 3, F),
        ("user.x >= 3", "3", U),
        ("user.x >= 3", True, U),
        ("user.x >= 3", float("nan"), U),
        ("user.x >= 3", 10**30, U),
        ("user.x >= 3", [3], U),
        ('user.x == "a"', "a", T),
        ('user.x == "a"', 1, U),
        ('user.x != "a"', None, U),
        ('user.x == "a"', "a\0", U),
        ('user.x < "b"', "a", T),
        ('user.x in ["a", "b"]', "c", F),
        ("user.x in lists.none", "c", F),
        ("user.x in lists.none", None, U),
        ("user.x", True, T),
        ("user.x", "true", U),
        ('"a" in user.x', ["b", "a"], T),
        ('"a" in user.x', [], F),
        ('"a" in user.x', ["a", 1], U),
        ('"a" in user.x', "a", U),
        ('user.x.startsWith("")', "abc", T),
        ('user.x.startsWith("")', None, U),
    ],
)
def test_a_field_nobody_declared_is_of_the_kind_it_is_compared_with(text, value, expected):
    assert ask(text, Facts(user={"x": value})) is expected


@pytest.mark.parametrize(
    "text, value, expected",
    [
        ("context.age >= 2.5", 3, T),
        ("context.age <= 2.5", 3, F),
        ("context.age < 2.5", 2, T),
        ("context.age == 2.5", 2, F),
        ("context.age != 2.5", 2, T),
        ("context.age != 2.5", None, U),
        ("context.age == 2.0", 2, T),
        ("context.age < 1e300", 2**63 - 1, T),
        ("context.age > -1e300", -(2**63), T),
        ("context.age >= 1e300", 0, F),
        ("context.age in [1.5, 2.0]", 2, T),
        ("context.age in [1.5]", 2, F),
        ("context.age >= 9223372036854775807", 2**63 - 1, T),
        ("context.age >= 3", 3.0, U),
    ],
)
def test_a_whole_number_is_compared_exactly_with_any(text, value, expected):
    vocabulary = Vocabulary(OPEN.taxonomy, context={"age": Declared(Kind.INT)})
    assert ask(text, Facts(context={} if value is None else {"age": value}), vocabulary) is expected


def test_a_default_stands_in_for_what_is_missing():
    vocabulary = Vocabulary(OPEN.taxonomy, context={"audience": Declared(Kind.TEXT, default="adults")})
    assert ask('context.audience == "minors"', Facts(), vocabulary) is F
    assert ask('context.audience == "adults"', Facts(context={"audience": 7}), vocabulary) is T


def test_declaring_a_field_makes_the_list_of_them_complete():
    vocabulary = Vocabulary(OPEN.taxonomy, context={"audience": Declared(Kind.TEXT)})
    assert ask("user.anything > 1", Facts(user={"anything": 2}), vocabulary) is T
    with pytest.raises(ExpressionError, match=r"unknown field 'context\.audiance'; did you mean 'audience'"):
        typed('context.audiance == "minors"', vocabulary)


def test_the_rules_of_a_policy_agree_on_the_kind_of_a_field():
    first = typed("user.age > 3 && user.vip")
    assert first.learnt == {("user", "age"): Declared(Kind.DOUBLE), ("user", "vip"): Declared(Kind.BOOL)}
    with pytest.raises(ExpressionError, match=r"user\.age is a number and is compared with a text"):
        typed('user.age == "3"', OPEN.knowing(first.learnt))


def test_what_is_certain_is_not_asked():
    assert typed('1 < 2 && scores["hate"] >= 0.5').root == typed('scores["hate"] >= 0.5').root
    assert typed("true || user.x > 1").root == typed("true").root
    assert ask("[1, 2.0] == [1.0, 2]", Facts()) is T
    assert ask("'ab' < 'b' && !(2 in [1, 3]) && 'abc'.endsWith('bc')", Facts()) is T


@pytest.mark.parametrize(
    "shape, value, fitted",
    [
        (Kind.TEXT, "a", "a"),
        (Kind.TEXT, b"a", None),
        (Kind.INT, 2**63, None),
        (Kind.INT, True, None),
        (Kind.DOUBLE, 2**53, 2.0**53),
        (Kind.DOUBLE, 2**53 + 1, None),
        (Kind.DOUBLE, float("inf"), None),
        (Kind.BOOL, 0, None),
        (Kind.BOOL, False, False),
        (TEXTS, ["a"], ("a",)),
        (TEXTS, ["a", None], None),
        (TEXTS, {"a": 1}, None),
        (Kind.TEXT, None, None),
    ],
)
def test_what_is_sent_is_never_converted(shape, value, fitted):
    found = fit(shape, value)
    assert (found, type(found)) == (fitted, type(fitted))


def test_all_rules_of_a_policy_are_one_function():
    program = Program([typed(text).root for text in ('scores["hate"] >= 0.5', 'scores["hate"] >= 0.9', "ocr.has_url")])
    assert program.ask(Facts(scores={"hate": 9000})) == (0b011, 0b100)
    assert program.vector(Facts(scores={"hate": 9000})) == [9000, None]
    assert program.run([9000, True]) == (0b111, 0)


def test_more_rules_than_a_word_has_bits():
    program = Program([typed(f'scores["hate"] >= {n / 100}').root for n in range(100)])
    assert program.ask(Facts(scores={"hate": 9000})) == ((1 << 91) - 1, 0)
    assert program.ask(Facts()) == (0, (1 << 100) - 1)
    assert Program([]).ask(Facts()) == (0, 0)


def test_no_text_of_a_user_is_in_the_source():
    text = (
        """user.a == "__import__(0)" || user.__class__ == 1.5 || labels.exists(exec, exec.name in ["eval(1)", "x"])"""
    )
    source = Program([typed(text).root]).source
    assert not any(word in source for word in ("import", "eval", "exec", "class", "1.5", '"', "'"))


def test_what_a_rule_compares_categories_with():
    rules = [typed(text).root for text in ('scores["hate"] >= 0.5 && scores["spam"] < 0.2', 'votes("hate", 0.3) >= 1')]
    assert lowest(rules) == {"hate": 3000, "spam": 2000}
    assert lowest([typed('scores["hate"] > scores["spam"]').root]) == {"hate": 0, "spam": 0}


def test_which_columns_a_rule_reads():
    columns = Columns({"hate": ("acme", "beta")})
    rule = typed('votes("hate", 0.5) >= 1 && scores["spam"] > 0.5 && user.x == "a" && labels.all(l, l.name == "b")')
    assert list(columns.needed([rule.root])) == ["s.acme.hate", "s.beta.hate", "s.spam", "user.x", "labels"]
    assert columns.needed([rule.root])["user.x"] is Kind.TEXT


def test_a_rule_as_sql():
    rules = {"one": typed("""user.x == "it's" && coverage("hate") >= 1""").root, 'o"f': typed("user.y < 0.5").root}
    assert sql.select(rules, Columns({"hate": ('ac"me',)}), sql.Dialect.SQLITE, "stored").split("\n") == [
        "SELECT",
        """  (("user.x" = 'it''s') AND ((CASE WHEN ("s.ac""me.hate" IS NOT NULL) THEN 1 ELSE 0 END) >= 1)) AS "one",""",
        '  ("user.y" < 0.5e0) AS "o""f"',
        'FROM "stored"',
    ]


def test_a_rule_as_polars():
    rule = polars.expression(typed('scores["hate"] >= 0.5').root, Columns())
    assert rule.meta.root_names() == ["s.hate"]


def test_a_hash_hit_is_of_a_list():
    facts = Facts(hashes=(HashHit("ncmec"),))
    assert ask('hashes.exists(h, h.list in ["ncmec", "iwf"])', facts) is T
    assert ask('hashes.exists(h, h.list == "iwf")', facts) is F
    assert ask('hashes.exists(h, h.list == "iwf")', Facts()) is U
