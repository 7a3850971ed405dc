"""What must hold of every decision, whatever the vendors say."""

from __future__ import annotations

import dataclasses

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.domain import FULL, Modality, Reading, State
from gateway.policy.decide import action, decide, decided
from gateway.policy.tally import hear
from gateway.taxonomy import lineage
from tests.deciding import ALLOW, codes, facts, failed, policy, said

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
def test_what_is_left_out_where_nothing_is_alarming_changes_nothing(rules, inputs):
    thorough = dataclasses.replace(rules)
    vars(thorough)["plain"] = False  # so every score is combined, and held against every threshold
    assert decide(rules, inputs) == decide(thorough, inputs)


@holds
@given(policies, policies, submissions())
def test_a_policy_comes_to_the_same_on_what_another_was_asked_about(rules, others, inputs):
    heard = hear(inputs)
    decided(others, heard)
    decision = decide(rules, inputs)
    assert action(rules, heard) is decision.action
    assert decided(rules, heard) == decision


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
