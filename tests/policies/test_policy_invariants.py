"""What must hold of every policy, whatever the vendors say: random rules, overlays, gaps."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.domain import FULL, Modality
from gateway.paths import SHIPPED as SHIPPED_FILES
from gateway.policy.bounds import settled
from gateway.policy.decide import decide
from gateway.policy.monotone import is_monotone
from tests.policies.saying import ALLOW, BLOCK, FILES, REVIEW, TAXONOMY_READ, facts, failed, policy, read, said

holds = settings(deadline=None, max_examples=60)

SLUGS = ("hate", "hate/symbols", "spam")
PROVIDERS = ("a", "b", "c")
ATOMS = (
    'scores["hate"] >= 0.5',
    'scores["spam"] > 0.7',
    'votes("hate", 0.5) >= 2',
    'votes("spam", 0.3) >= 1',
    '"spam" in scores',
    'coverage("hate") >= 2',
    'labels.exists(l, l.name == "x" && l.confidence >= 0.5)',
    "context.flag",
    '!(context.kind in ["k"])',
)
NEGATED = (
    'scores["hate"] < 0.5',
    '!(votes("hate", 0.5) >= 2)',
    '!labels.exists(l, l.name == "x")',
    'coverage("spam") < 2',
)
COMBINE = ("{default: max}", '{default: max, hate: "quorum(2)"}')
ALL = "coverage: {default: {min_providers: 3}}"
ROWS = "{hate: {review: 0.4, block: 0.8}, spam: {review: 0.6}}"


@st.composite
def policies(draw, atoms=ATOMS, combine=COMBINE, coverage="coverage: {hate: {min_providers: 1}}"):
    whens = draw(st.lists(st.lists(st.sampled_from(atoms), min_size=1, max_size=3, unique=True), max_size=3))
    rows = ""
    for number, atom in enumerate(whens):
        joint, action = draw(st.sampled_from([" && ", " || "])), draw(st.sampled_from(["review", "block"]))
        rows += f"  - {{id: r{number}, action: {action}, when: '{joint.join(f'({each})' for each in atom)}'}}\n"
    return policy(f"rules:\n{rows}" if rows else "", ROWS, f"{{combine: {draw(st.sampled_from(combine))}, {coverage}}}")


SCORES = st.sampled_from([0, 0.3, 0.5, 0.7, 0.8, 1.0])
CONTEXTS = st.fixed_dictionaries({}, optional={"flag": st.booleans(), "kind": st.sampled_from(["k", "z"])})


@st.composite
def answers(draw, name, *, whole=False):
    if not whole and draw(st.booleans()):
        return failed(name)
    slugs = SLUGS if whole else draw(st.lists(st.sampled_from(SLUGS), unique=True, min_size=1))
    return said(name, {slug: draw(SCORES) for slug in slugs}, {"x": draw(SCORES)} if draw(st.booleans()) else {})


@st.composite
def inputs(draw, *, whole=False):
    heard = [draw(answers(name, whole=whole)) for name in PROVIDERS]
    sees = {name: set(SLUGS) for name in PROVIDERS}
    return facts(*heard, context=draw(CONTEXTS), objects=PROVIDERS, sees=sees, modality=draw(st.sampled_from(Modality)))


@holds
@given(policies(coverage=ALL), inputs(), st.sampled_from(PROVIDERS))
def test_losing_a_provider_never_turns_anything_into_allow_where_all_are_required(rules, fact, lost):
    poorer = [failed(lost) if answer.outcome.provider == lost else answer for answer in fact.answers]
    before, after = decide(rules, [fact]), decide(rules, [replace(fact, answers=tuple(poorer))])
    assert before.action is ALLOW or after.action is not ALLOW


@holds
@given(policies(), inputs(whole=True), st.data())
def test_raising_a_score_never_lowers_an_action_without_negation(rules, fact, data):
    place = data.draw(st.integers(0, 2))
    answer = fact.answers[place]
    number = data.draw(st.integers(0, len(answer.reading.signals) - 1))
    signals = list(answer.reading.signals)
    signals[number] = replace(signals[number], score=data.draw(st.integers(signals[number].score, FULL)))
    louder = replace(answer, outcome=replace(answer.reading, signals=tuple(signals)))
    raised = replace(fact, answers=(*fact.answers[:place], louder, *fact.answers[place + 1 :]))
    assert decide(rules, [raised]).action.strictness >= decide(rules, [fact]).action.strictness


@holds
@given(policies(atoms=(*ATOMS, *NEGATED)), inputs())
def test_allow_means_that_everything_was_known_and_looked_at(rules, fact):
    decision = decide(rules, [fact])
    assert (decision.action is ALLOW) == (not decision.reasons)
    if decision.action is ALLOW:
        assert (decision.hits, decision.unknown, decision.coverage.missing) == ((), (), ())


@holds
@given(policies(atoms=(*ATOMS, *NEGATED)), inputs())
def test_a_decision_is_the_same_however_often_and_in_whichever_order(rules, fact):
    turned = replace(fact, answers=fact.answers[::-1])
    assert decide(rules, [fact]) == decide(rules, [fact])
    assert decide(rules, [fact]).action is decide(rules, [turned]).action
    assert decide(rules, [fact]).hits == decide(rules, [turned]).hits


# What answers still to come can change


def ends(name, labels):
    """What one more provider may say, at its most extreme."""
    yield failed(name)
    for hate, spam, thing in product((0, 1.0), (0, 1.0), (0, 1.0) if labels else (None,)):
        yield said(name, {"hate": hate, "spam": spam}, {} if thing is None else {"x": thing})


@settings(deadline=None, max_examples=150)
@given(
    policies(atoms=(*ATOMS, *NEGATED)),
    st.lists(
        st.sampled_from(["a", "b"]).flatmap(answers), max_size=2, unique_by=lambda answer: answer.outcome.provider
    ),
    st.lists(st.sampled_from(["y", "z"]), min_size=1, unique=True),
    CONTEXTS,
    st.booleans(),
)
def test_what_is_settled_no_further_answer_changes(rules, heard, remaining, context, labels):
    objects = ("a", "b", "y", "z") if labels else ("a", "b")
    fact = facts(*heard, context=context, objects=objects, sees={name: {"hate", "spam"} for name in "abyz"})
    if settled(rules, fact, {name: frozenset({"hate", "spam"}) for name in remaining}):
        now = decide(rules, [fact]).action
        for end in product(*([None, *ends(name, labels)] for name in remaining)):
            later = replace(fact, answers=(*fact.answers, *(answer for answer in end if answer)))
            assert decide(rules, [later]).action is now


@pytest.mark.parametrize("when", ATOMS)
def test_these_can_only_rise(when):
    assert is_monotone(policy(f"rules: [{{id: r, action: block, when: '{when}'}}]"))


@pytest.mark.parametrize("when", [*NEGATED, 'labels.exists_one(l, l.name == "x")', 'scores["hate"] == 0.5'])
def test_these_can_fall(when):
    assert not is_monotone(policy(f"rules: [{{id: r, action: block, when: '{when}'}}]"))


def test_what_goes_to_a_person_is_settled():
    rules = policy("", "{hate: {block: 0.5}}")
    fact = facts(said("a", {"sexual/minors": 0.9}), sees={"b": {"hate"}})
    assert settled(rules, fact, {"b": frozenset({"hate"})})


# The policies there are

WHOLE = [*sorted(SHIPPED_FILES.glob("policies/*.yaml")), *sorted(FILES.glob("*.yaml"))]
WHOLE = [file for file in WHOLE if not file.name.endswith(".test.yaml")]


@pytest.mark.parametrize("file", WHOLE, ids=lambda file: file.stem)
@pytest.mark.parametrize("modality", Modality)
@pytest.mark.parametrize("answered", [(), ("a",), ("a", "b")])
@pytest.mark.parametrize("status", ["timeout", "drift", "open", "throttled"])
def test_an_outage_is_never_an_allow_under_any_overlay(file, modality, answered, status):
    """Whoever answered said nothing of what has to be looked at; the others failed."""
    base = read(file)
    for rules in [base] if base.variants is None else base.variants.make_all():
        heard = [said(name, {"quality/image": 0.0}) for name in answered]
        down = [failed(name, status) for name in ("a", "b", "c") if name not in answered]
        if rules.required[modality] or not answered:
            assert decide(rules, [facts(*heard, *down, modality=modality)]).action in (REVIEW, BLOCK)


EVERYTHING = sorted(TAXONOMY_READ.categories)


@settings(deadline=None, max_examples=40)
@pytest.mark.parametrize("file", WHOLE, ids=lambda file: file.stem)
@given(
    st.lists(st.dictionaries(st.sampled_from(EVERYTHING), SCORES, max_size=4), min_size=2, max_size=3),
    st.sampled_from(Modality),
    st.data(),
)
def test_losing_an_answer_never_makes_an_allow_where_a_route_needs_all(file, heard, modality, data):
    calm = dict.fromkeys(EVERYTHING, 0.0)
    answered = [said(name, {**calm, **scores}) for name, scores in zip(PROVIDERS, heard, strict=False)]
    lost = data.draw(st.integers(0, len(answered) - 1))
    poorer = [failed(PROVIDERS[place]) if place == lost else answer for place, answer in enumerate(answered)]
    rules = read(file)
    assert decide(rules, [facts(*poorer, modality=modality, need=len(answered))]).action is not ALLOW
