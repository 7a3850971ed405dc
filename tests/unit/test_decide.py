"""Signals and gaps → a decision: thresholds, coverage, gaps, words, and what must hold whatever the vendors say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain import FULL, Action, Answer, Decision, Failure, Modality, Reading, Role, Signal, State
from gateway.paths import MESSAGES, TAXONOMY
from gateway.policy.decide import decide
from gateway.policy.making import load_policy
from gateway.policy.messages import Messages
from gateway.policy.policy import Policy
from gateway.policy.tally import InputFacts
from gateway.taxonomy import Taxonomy, lineage

TAXONOMY_READ = Taxonomy.from_file(TAXONOMY)
SHIPPED = Messages.from_file(MESSAGES)
TEXT, IMAGE = Modality.TEXT, Modality.IMAGE
ALLOW, REVIEW, BLOCK = Action.ALLOW, Action.REVIEW, Action.BLOCK


@cache
def policy(rows: str, coverage: str = "{}", more: str = "") -> Policy:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "p.yaml"
        file.write_text(f"policy: p\nsignals: {{coverage: {coverage}}}\nthresholds: {rows}\n{more}", encoding="utf-8")
        return load_policy(file, TAXONOMY_READ, SHIPPED)


def said(provider: str, scores: Mapping[str, int | None], *, at: int = 0, below: int | None = None) -> Answer:
    """A provider's reading. A score of None is a class that reports nothing under `below`."""
    signals = tuple(
        Signal(slug, score, provider, slug, at, None if score is not None else below) for slug, score in scores.items()
    )
    reading = Reading(
        provider=provider,
        inputs=(at,),
        signals=signals,
        model=None,
        opinion=None,
        exchanges=(),
        attempts=1,
        latency_ms=1.0,
    )
    return Answer(at, Role.ASK, reading)


def failed(provider: str, status: str = "unavailable", http: int | None = None, *, at: int = 0) -> Answer:
    failure = Failure(
        provider=provider, inputs=(at,), status=status, detail="", attempts=1, latency_ms=1.0, http=http, raw=""
    )
    return Answer(at, Role.ASK, failure)


def facts(
    *answers: Answer,
    modality: Modality = IMAGE,
    sees: Mapping[str, set[str]] | None = None,
    need: int = 1,
    unseen: int = 0,
) -> InputFacts:
    able = {provider: frozenset(slugs) for provider, slugs in (sees or {}).items()}
    return InputFacts(modality=modality, answers=answers, sees=able, need=need, unseen=unseen)


def codes(decision: Decision) -> list[str]:
    return [reason.code for reason in decision.reasons]


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


def test_frames_that_nobody_was_shown_are_a_reason_for_review():
    decision = decide(policy(NUDITY), [facts(said("a", {"sexual": 0}), unseen=12)])
    assert (decision.action, codes(decision)) == (REVIEW, ["coverage_unseen_frames"])


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


# What must hold whatever the vendors say

PROVIDERS = ("a", "b", "c")
SLUGS = (
    *("sexual", "sexual/nudity", "sexual/minors", "hate", "hate/symbols", "hate/symbols/nazi", "harassment"),
    *("context/art", "label/knife", "unmapped/acme/new", "spam/scam"),
)
OPEN = policy(
    "{sexual: {review: 0.5, block: 0.9}, sexual/minors: {review: 0.05}, hate: {review: 0.4, block: 0.8},"
    ' hate/symbols/nazi: {review: 0.1}, harassment: {block: 0.7}, context/art: {review: "-"}}'
)
ROWS = (
    "{sexual: {review: 0.5, block: 0.9}, sexual/minors: {review: 0.05}, hate: {review: 0.4, block: 0.8},"
    " harassment: {block: 0.7}}"
)
STRICT = policy(ROWS, "{default: {min_providers: 1}, hate: {min_providers: 2}, sexual: {on_missing: block}}")
ALL_THREE = policy(ROWS, "{default: {min_providers: 3}}")

scores = st.integers(0, FULL) | st.sampled_from([0, 500, 4000, 4999, 5000, 8000, 9000, FULL])
findings = st.dictionaries(st.sampled_from(SLUGS), scores | st.none(), max_size=6)
scored_findings = st.dictionaries(st.sampled_from(SLUGS), scores, min_size=1, max_size=6)


@st.composite
def submissions(draw, *, all_scored: bool = False):
    """One to three inputs, each asked of some providers, each of whom said something or failed."""
    inputs = []
    for index in range(draw(st.integers(1, 3))):
        answers = []
        for provider in draw(st.lists(st.sampled_from(PROVIDERS), unique=True, min_size=all_scored)):
            if all_scored:
                answers.append(said(provider, draw(scored_findings), at=index))
            elif draw(st.booleans()):
                answers.append(said(provider, draw(findings), at=index, below=draw(st.none() | scores)))
            else:
                answers.append(failed(provider, http=draw(st.sampled_from([None, 200, 429, 503])), at=index))
        sees = {provider: set(draw(st.lists(st.sampled_from(SLUGS), max_size=4))) for provider in PROVIDERS}
        modality, unseen = draw(st.sampled_from(Modality)), draw(st.sampled_from([0, 0, 5]))
        inputs.append(facts(*answers, modality=modality, sees=sees, need=draw(st.integers(1, 3)), unseen=unseen))
    return inputs


policies = st.sampled_from([OPEN, STRICT, ALL_THREE])

holds = settings(deadline=None, max_examples=50)  # two busy cores may take their time


@holds
@given(policies, submissions(), st.sampled_from([None, "de", "xx"]))
def test_a_decision_is_always_made_and_is_whole(rules, inputs, locale):
    decision = decide(rules, inputs, locale)
    assert decision == decide(rules, inputs, locale)
    assert decision.action.strictness == max(action.strictness for action in decision.inputs)
    assert len(decision.inputs) == len(inputs)
    assert (decision.action is ALLOW) == (not decision.reasons)
    assert all(reason.message and reason.action is not ALLOW for reason in decision.reasons)
    strictness = [reason.action.strictness for reason in decision.reasons]
    assert strictness == sorted(strictness, reverse=True)
    for slug, verdict in decision.categories.items():
        assert verdict.score is None or verdict.state is State.SCORED
        assert verdict.score is None or verdict.score == max(verdict.providers.values())
        for parent in lineage(slug) if verdict.score is not None else ():
            assert decision.categories[parent].score >= verdict.score


@holds
@given(policies, submissions())
def test_no_category_is_judged_harder_than_the_whole(rules, inputs):
    decision = decide(rules, inputs)
    assert all(verdict.action.strictness <= decision.action.strictness for verdict in decision.categories.values())


@holds
@given(policies, submissions())
def test_allow_means_that_everything_required_was_looked_at(rules, inputs):
    decision = decide(rules, inputs)
    if decision.action is ALLOW:
        assert decision.coverage.missing == ()
        for fact in inputs:
            answered = [answer.reading for answer in fact.answers if answer.reading]
            assert len(answered) >= fact.need
            assert not fact.unseen
            for slug, rule in rules.coverage[fact.modality].items():
                assert sum(_looked(reading, slug) for reading in answered) >= rule.min_providers


def _looked(reading: Reading, slug: str) -> bool:
    return any(
        slug in (signal.category, *lineage(signal.category)) and (signal.score is not None or signal.below is not None)
        for signal in reading.signals
    )


@holds
@given(submissions(), st.sampled_from(PROVIDERS), st.booleans())
def test_losing_a_provider_never_turns_anything_into_allow_where_all_are_required(inputs, lost, fails):
    """Whether it fails or is not heard of at all."""
    instead = [failed(lost)] if fails else []
    poorer = [
        replace(fact, answers=(*(answer for answer in fact.answers if answer.outcome.provider != lost), *instead))
        for fact in inputs
    ]
    assert decide(ALL_THREE, inputs).action is ALLOW or decide(ALL_THREE, poorer).action is not ALLOW


@holds
@given(policies, submissions())
def test_losing_every_provider_is_never_allow(rules, inputs):
    assert decide(rules, [replace(fact, answers=()) for fact in inputs]).action is not ALLOW


@holds
@given(policies, submissions(all_scored=True), st.data())
def test_raising_a_score_never_lowers_an_action(rules, inputs, data):
    fact = data.draw(st.sampled_from(inputs))
    answer = data.draw(st.sampled_from(fact.answers))
    signal = data.draw(st.sampled_from(answer.reading.signals))
    raised = replace(signal, score=data.draw(st.integers(signal.score, FULL)))
    signals = tuple(raised if each is signal else each for each in answer.reading.signals)
    louder = replace(answer, outcome=replace(answer.reading, signals=signals))
    answers = tuple(louder if each is answer else each for each in fact.answers)
    before = decide(rules, inputs)
    after = decide(rules, [replace(fact, answers=answers) if each is fact else each for each in inputs])
    assert after.action.strictness >= before.action.strictness
    assert all(now.strictness >= then.strictness for then, now in zip(before.inputs, after.inputs, strict=True))


@holds
@given(policies, submissions())
def test_the_order_of_the_answers_changes_no_action(rules, inputs):
    before = decide(rules, inputs)
    after = decide(rules, [replace(fact, answers=fact.answers[::-1]) for fact in inputs])
    assert before.inputs == after.inputs
    assert sorted(codes(before)) == sorted(codes(after))
    assert before.categories == after.categories
