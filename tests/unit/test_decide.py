"""Signals and gaps → a decision: thresholds, coverage, gaps, words."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from gateway.domain import FULL, State
from gateway.policy.decide import decide
from tests.deciding import ALLOW, BLOCK, IMAGE, REVIEW, TEXT, codes, facts, failed, policy, said

NUDITY = "{sexual: {review: 0.5, block: 0.9}, sexual/nudity: {review: 0.5, block: 0.9, reason: nudity}}"


@pytest.mark.parametrize(
    "score, action", [(0, ALLOW), (4999, ALLOW), (5000, REVIEW), (8999, REVIEW), (9000, BLOCK), (FULL, BLOCK)]
)
def test_a_score_at_a_threshold_is_inside(score, action):
    decision = decide(policy(NUDITY), [facts(said("a", {"sexual/nudity": score}))])
    assert decision.action is action
    assert decision.inputs == (action,)


def test_a_reason_says_what_was_found_and_which_line_of_the_policy_it_met():
    [reason] = decide(policy(NUDITY), [facts(said("a", {"sexual/nudity": 7000}))]).reasons
    assert (reason.code, reason.category, reason.action) == ("nudity", "sexual/nudity", REVIEW)
    assert (reason.score, reason.threshold, reason.input) == (7000, 5000, 0)
    assert reason.rule == "thresholds.sexual/nudity.review"
    assert reason.message == "This image appears to contain sexual content."


def test_of_a_block_it_is_the_threshold_of_the_block():
    [reason] = decide(policy(NUDITY), [facts(said("a", {"sexual/nudity": 9500}))]).reasons
    assert (reason.action, reason.score, reason.threshold) == (BLOCK, 9500, 9000)
    assert reason.rule == "thresholds.sexual/nudity.block"


CHILD = '{sexual: {review: 0.5, block: 0.9}, sexual/minors: {review: 0.05}, sexual/kissing: {review: "-"}}'


@pytest.mark.parametrize(
    "scores, action, reasons",
    [
        ({"sexual/minors": FULL}, REVIEW, ["sexual_minors"]),  # not blocked as its parent would be
        ({"sexual/kissing": FULL}, ALLOW, []),
        ({"sexual/toys": 9000}, BLOCK, ["sexual"]),  # no line of its own: the parent's
        ({"sexual/toys": 9000, "sexual/minors": 9500}, BLOCK, ["sexual", "sexual_minors"]),
        ({"sexual": 6000, "sexual/kissing": FULL}, REVIEW, ["sexual"]),
    ],
)
def test_a_childs_threshold_wins_over_its_parents(scores, action, reasons):
    decision = decide(policy(CHILD), [facts(said("a", scores))])
    assert (decision.action, codes(decision)) == (action, reasons)


def test_a_parent_is_as_high_as_its_highest_child():
    categories = decide(policy(NUDITY), [facts(said("a", {"sexual/nudity": 7000, "sexual": 100}))]).categories
    assert categories["sexual"].score == categories["sexual/nudity"].score == 7000
    assert categories["sexual"].providers == {"a": 7000}


def test_a_parent_is_not_judged_by_what_its_child_was_let_off():
    decision = decide(policy(CHILD), [facts(said("a", {"sexual/kissing": FULL}))])
    assert decision.categories["sexual"].action is ALLOW


def test_nor_is_a_category_between_the_two():
    nazi = policy("{hate: {review: 0.5, block: 0.9}, hate/symbols/nazi: {review: 0.1}}")
    decision = decide(nazi, [facts(said("a", {"hate/symbols/nazi": FULL}))])
    assert decision.action is REVIEW
    assert {slug: verdict.action for slug, verdict in decision.categories.items()} == {
        "hate": ALLOW,
        "hate/symbols": ALLOW,
        "hate/symbols/nazi": REVIEW,
    }


def test_the_most_alarmed_provider_counts():
    decision = decide(policy(NUDITY), [facts(said("a", {"sexual/nudity": 100}), said("b", {"sexual/nudity": 9500}))])
    assert decision.action is BLOCK
    assert decision.categories["sexual/nudity"].providers == {"a": 100, "b": 9500}


@pytest.mark.parametrize("scores", [(9500, 100), (100, 9500)])
def test_of_two_answers_of_one_provider_the_higher_counts(scores):
    decision = decide(policy(NUDITY), [facts(*(said("a", {"sexual": score}) for score in scores))])
    assert decision.action is BLOCK
    assert decision.categories["sexual"].providers == {"a": 9500}


@pytest.mark.parametrize(
    "scores, top",
    [
        ({"sexual/nudity": 7000}, ("sexual/nudity", 7000)),
        ({"hate/symbols/nazi": 300, "spam": 300}, ("hate/symbols/nazi", 300)),
        ({"sexual/nudity": 100, "spam": 300}, ("spam", 300)),
        ({"context/art": FULL, "label/knife": FULL, "spam": 1}, ("spam", 1)),
        ({"context/art": FULL}, (None, None)),
        ({"unmapped/acme/new": 5000, "spam": 1}, ("unmapped/acme/new", 5000)),
    ],
)
def test_the_top_category_is_the_most_particular_of_the_highest_and_never_mere_context(scores, top):
    decision = decide(policy(NUDITY), [facts(said("a", scores))])
    assert (decision.max_category, decision.max_score) == top


# What has to be looked at

LOOKED = policy("{hate: {review: 0.5}}", "{hate: {}}")
TWICE = policy("{hate: {review: 0.5}}", "{hate: {min_providers: 2}}")
OR_BLOCK = policy("{hate: {review: 0.5}}", "{hate: {on_missing: block}}")


@pytest.mark.parametrize(
    "rules, answers, action",
    [
        (LOOKED, [said("a", {"hate": 0})], ALLOW),
        (LOOKED, [said("a", {"spam": 0})], REVIEW),
        (LOOKED, [said("a", {"hate/symbols": 0})], ALLOW),
        (LOOKED, [failed("a"), said("b", {"hate": 0})], ALLOW),
        (LOOKED, [failed("a"), said("b", {"spam": 0})], REVIEW),
        (LOOKED, [said("a", {"hate": None, "spam": 0})], REVIEW),  # its class may also be about hate: no look
        (TWICE, [said("a", {"hate": 0})], REVIEW),
        (TWICE, [said("a", {"hate": 0}), said("a", {"hate": 0})], REVIEW),
        (TWICE, [said("a", {"hate": 0}), failed("b")], REVIEW),
        (TWICE, [said("a", {"hate": 0}), said("b", {"hate": 0})], ALLOW),
        (OR_BLOCK, [said("a", {"spam": 0})], BLOCK),
    ],
)
def test_nothing_is_allowed_that_too_few_looked_at(rules, answers, action):
    decision = decide(rules, [facts(*answers, modality=TEXT)])
    assert decision.action is action
    assert decision.coverage.required == ("hate",)
    assert decision.coverage.missing == (() if action is ALLOW else ("hate",))
    assert codes(decision) == ([] if action is ALLOW else ["coverage_missing"])
    assert tuple(reason.category for reason in decision.reasons) == decision.coverage.missing


@pytest.mark.parametrize(
    "below, action, state",
    [
        (3000, ALLOW, State.SCORED),
        (5000, ALLOW, State.SCORED),  # what is at the threshold would have been reported
        (5001, REVIEW, State.NOT_COVERED),
        (None, REVIEW, State.NOT_COVERED),
    ],
)
def test_nothing_above_a_minimum_counts_where_the_minimum_is_low_enough(below, action, state):
    decision = decide(LOOKED, [facts(said("a", {"hate": None}, below=below), modality=TEXT)])
    assert decision.action is action
    assert (decision.categories["hate"].score, decision.categories["hate"].state) == (None, state)


def test_the_default_coverage_is_about_each_threshold_where_it_can_be_seen():
    rules = policy("{sexual/nudity: {review: 0.5}, harassment: {review: 0.5}}", "{default: {}}")
    text, image = said("a", {"harassment": 0}, at=0), said("a", {"harassment": 0}, at=1)
    decision = decide(rules, [facts(text, modality=TEXT), facts(image, modality=IMAGE)])
    assert decision.inputs == (ALLOW, REVIEW)
    assert decision.coverage.missing == ("sexual/nudity",)
    assert [(reason.rule, reason.input) for reason in decision.reasons] == [("coverage.sexual/nudity", 1)]


@pytest.mark.parametrize(
    "answers, need, expected",
    [
        ([], 1, ["coverage_no_answer"]),
        ([failed("a", "timeout")], 1, ["coverage_no_answer"]),
        ([failed("a", "unavailable", 503), failed("b", "denied", 401)], 1, ["coverage_no_answer", 401, 503]),
        ([failed("a", "drift", 200)], 1, ["coverage_no_answer"]),
        ([said("a", {"spam": 0}), failed("b", "throttled", 429)], 2, ["coverage_too_few", 429]),
        ([said("a", {"spam": 0}), failed("b", "throttled", 429)], 1, []),
        ([said("a", {"spam": 0}), said("a", {"spam": 0})], 2, ["coverage_too_few"]),
        ([said("a", {"spam": 0}), said("b", {"spam": 0})], 2, []),
    ],
)
def test_too_few_answers_are_a_reason_for_review(answers, need, expected):
    decision = decide(policy(NUDITY), [facts(*answers, modality=TEXT, need=need)])
    assert decision.action is (REVIEW if expected else ALLOW)
    assert codes(decision) == [f"api_error_{code}" if isinstance(code, int) else code for code in expected]
    assert {reason.rule for reason in decision.reasons} <= {"coverage.need"}


def test_frames_that_nobody_was_shown_are_a_reason_for_review():
    decision = decide(policy(NUDITY), [facts(said("a", {"sexual": 0}), unseen=12)])
    assert (decision.action, codes(decision)) == (REVIEW, ["coverage_unseen_frames"])
    assert [reason.rule for reason in decision.reasons] == ["coverage.frames"]


# Words no table knows


@pytest.mark.parametrize("score, action", [(99, ALLOW), (100, REVIEW), (FULL, REVIEW)])
def test_a_word_no_table_knows_goes_to_review(score, action):
    decision = decide(policy(NUDITY), [facts(said("a", {"unmapped/acme/new": score}))])
    assert (decision.action, codes(decision)) == (action, ["unmapped_label"] if action is REVIEW else [])


@pytest.mark.parametrize(
    "row, action",
    [
        ('unmapped: {review: "-"}', ALLOW),
        ("unmapped: {block: 0.3}", BLOCK),
        ("unmapped/acme/new: {block: 0.3}", BLOCK),
        ('unmapped/acme: {review: "-"}', ALLOW),
    ],
)
def test_unless_the_policy_says_otherwise(row, action):
    assert decide(policy(f"{{{row}}}"), [facts(said("a", {"unmapped/acme/new": 5000}))]).action is action


# What is known of a category

SEES = {"a": {"hate", "spam"}, "b": {"hate/symbols"}, "c": {"sexual/nudity"}}


@pytest.mark.parametrize(
    "answers, states",
    [
        (
            [said("a", {"hate": 0, "spam": 0})],
            {"hate": "scored", "spam": "scored", "sexual/nudity": "skipped", "weapons": "not_covered"},
        ),
        (
            [failed("a"), said("c", {"sexual/nudity": 0})],
            {"hate": "errored", "spam": "errored", "sexual/nudity": "scored", "weapons": "not_covered"},
        ),
        (
            [failed("a"), said("b", {"hate/symbols": 0})],
            {"hate": "scored", "spam": "errored", "sexual/nudity": "skipped", "weapons": "not_covered"},
        ),
        (
            [said("a", {"spam": 0})],  # it did not look for hate this time; b can see hate/symbols and was not asked
            {"hate": "skipped", "spam": "scored", "sexual/nudity": "skipped", "weapons": "not_covered"},
        ),
        (
            [said("a", {"spam": 0}), failed("b")],
            {"hate": "errored", "spam": "scored", "sexual/nudity": "skipped", "weapons": "not_covered"},
        ),
    ],
)
def test_a_category_without_a_score_says_why(answers, states):
    rows = "{hate: {}, spam: {}, sexual/nudity: {}, weapons: {}}"
    categories = decide(policy(rows), [facts(*answers, sees=SEES)]).categories
    assert {slug: categories[slug].state for slug in states} == states
    assert all((verdict.score is None) == (verdict.state is not State.SCORED) for verdict in categories.values())


# Several inputs


def test_the_worst_input_decides():
    inputs = [
        facts(said("a", {"sexual": 0}, at=0), modality=TEXT),
        facts(said("a", {"sexual/nudity": 9500}, at=1)),
        facts(said("a", {"sexual/nudity": 6000}, at=2)),
    ]
    decision = decide(policy(NUDITY), inputs)
    assert decision.action is BLOCK
    assert decision.inputs == (ALLOW, BLOCK, REVIEW)
    assert [(reason.input, reason.action) for reason in decision.reasons] == [(1, BLOCK), (2, REVIEW)]
    assert decision.categories["sexual/nudity"].score == decision.max_score == 9500
    assert decision.max_category == "sexual/nudity"
    verdict = decision.categories["sexual/nudity"]
    assert (verdict.action, verdict.state, verdict.providers) == (BLOCK, State.SCORED, {"a": 9500})


def test_the_top_category_of_several_inputs_is_the_highest_on_any_of_them():
    inputs = [facts(said("a", {"spam": 300}, at=0), modality=TEXT), facts(said("a", {"sexual/nudity": 700}, at=1))]
    decision = decide(policy(NUDITY), inputs)
    assert (decision.max_category, decision.max_score) == ("sexual/nudity", 700)


def test_an_answer_counts_only_for_the_input_it_is_about():
    about_the_other = replace(said("a", {"sexual/nudity": FULL}, at=1), input=0)
    decision = decide(policy(NUDITY), [facts(about_the_other, modality=TEXT)])
    assert decision.action is ALLOW


def test_the_gravest_reason_comes_first():
    rules = policy(
        "{hate: {review: 0.5}, spam: {review: 0.5}, weapons: {block: 0.9}, drugs: {review: 0.5}}", "{sexual: {}}"
    )
    scores = {"hate": 5000, "spam": 9000, "weapons": 9000, "drugs": 5000}
    decision = decide(rules, [facts(said("a", scores), unseen=1)])
    assert codes(decision)[:2] == ["weapons", "spam"]
    thresholds = [code for code in codes(decision) if not code.startswith("coverage_")]
    assert thresholds == ["weapons", "spam", "hate", "drugs"]  # equal margins: the order of the file


# Words for the user

WORDED = policy(
    "{hate: {review: 0.1234, block: 0.8765, message: kind}, sexual: {review: 0.5}, spam: {review: 0.5, reason: ad}}",
    "{default: {}}",
    "messages: {kind: {en: Be kind., de: Sei nett.}, ad: {en: No ads.}}\n",
)


@pytest.mark.parametrize(
    "slug, locale, message",
    [
        ("hate", "de-AT", "Sei nett."),
        ("hate", "it", "Be kind."),
        ("hate", None, "Be kind."),
        ("spam", "de", "No ads."),  # the policy's own words, rather than more general ones in German
        ("sexual", "fr-CA", "Ce contenu (texte) semble être à caractère sexuel."),
    ],
)
def test_the_user_is_told_in_their_language(slug, locale, message):
    scores = {"hate": 0, "sexual": 0, "spam": 0, slug: 8000}
    [reason] = decide(WORDED, [facts(said("a", scores), modality=TEXT)], locale).reasons
    assert reason.message == message


@pytest.mark.parametrize("locale", ["en", "de-AT", "fr", "es", "xx", None])
def test_the_user_is_told_no_number(locale):
    scores = {"hate": 8765, "hate/symbols": 1234, "sexual/nudity": 7777, "unmapped/vendor9/word9": 4321}
    decision = decide(WORDED, [facts(said("a", scores), failed("b", http=503), unseen=3, need=2)], locale)
    assert len(decision.reasons) >= 6
    assert all(reason.message for reason in decision.reasons)
    assert not any(char.isdigit() for reason in decision.reasons for char in reason.message)


def test_a_gap_is_told_as_a_check_to_come_even_where_the_policy_has_words_for_all_else():
    rules = policy("{hate: {review: 0.5}}", "{hate: {}}", "messages: {default: {en: Pick something different!}}\n")
    [reason] = decide(rules, [facts(said("a", {"spam": 0}), modality=TEXT)]).reasons
    assert reason.message == "This text needs a review before it can be published."


def test_a_calm_verdict_is_nobody_elses():
    """The same score by the same provider is an alarm under another policy, and then not calm again."""
    strict, mild = policy("{hate: {review: 0.01}}"), policy("{hate: {review: 0.5}}")
    fact = facts(said("a", {"hate": 150}))
    for rules, action in ((mild, ALLOW), (strict, REVIEW), (mild, ALLOW), (strict, REVIEW)):
        verdict = decide(rules, [fact]).categories["hate"]
        assert (verdict.action, verdict.score, verdict.providers) == (action, 150, {"a": 150})


def test_what_merely_describes_is_never_the_highest():
    scores = {"label/knife": FULL, "hate": 100, "sexual/toys": 200}
    for answers in ([said("a", scores)], [said("a", scores), said("b", {"hate": 50})]):
        assert decide(policy(NUDITY), [facts(*answers)]).max_category == "sexual/toys"
    assert decide(policy(NUDITY), [facts(said("a", {"label/knife": FULL}))]).max_category is None


def test_answers_of_one_shape_after_another_are_each_decided_by_their_own_scores():
    rules = policy("{hate: {review: 0.5}}", "{hate: {min_providers: 2}, sexual: {min_providers: 1}}")
    for score, found in ((9000, ["hate", "coverage_missing", "coverage_missing"]), (10, ["coverage_missing"] * 2)):
        assert codes(decide(rules, [facts(said("a", {"hate": score}))])) == found
    assert codes(decide(rules, [facts(said("a", {"hate": 10}), said("b", {"hate": 10, "sexual": 0}))])) == []
