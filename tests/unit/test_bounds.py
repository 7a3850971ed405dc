"""What answers still to come could change: against every extreme answer there can be, and in a cascade."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.domain import FULL, Action, Answer, Finding, Look
from gateway.errors import VendorUnavailable
from gateway.policy.bounds import holes, settled
from gateway.policy.decide import decide
from gateway.policy.policy import Policy
from gateway.policy.tally import InputFacts
from tests.deciding import failed, policy, said
from tests.scripted import CLEAN, HATE, TEXT, Scripted, answered, leg, provider, told
from tests.virtualtime import virtual

# Against all there can be

RULES = (
    "{hate: {review: 0.5, block: 0.9}}",
    "{hate: {review: 0.5}, spam: {block: 0.8}}",
    "{hate: {block: 0.5}, hate/symbols: {review: 0.2}}",
    "{spam: {review: 0.3}}",
)
COVERAGE = (
    "{}",
    "{hate: {}}",
    "{hate: {min_providers: 2}}",
    "{spam: {on_missing: block}}",
    "{default: {}, hate: {min_providers: 2, on_missing: block}}",
)
CATEGORIES = ("hate", "hate/symbols", "spam")
SCORES = st.sampled_from([0, 3000, 6000, FULL])
SEES = st.frozensets(st.sampled_from(CATEGORIES), max_size=2)


def extremes(name: str, sees: frozenset[str]) -> Iterator[Answer]:
    """All that one provider may answer, at its most extreme: it fails, or each category has nothing, 0 or all."""
    yield failed(name)
    for values in product(("nothing", 0, FULL), repeat=len(sees)):
        given = dict(zip(sorted(sees), values, strict=True))
        found = said(name, {slug: score for slug, score in given.items() if isinstance(score, int)})
        quiet = said(name, {slug: None for slug, score in given.items() if score == "nothing"}, below=0)
        signals = (*found.reading.signals, *quiet.reading.signals)
        yield replace(found, outcome=replace(found.reading, signals=signals))


def possible(rules: Policy, fact: InputFacts, remaining: Mapping[str, frozenset[str]]) -> set[Action]:
    """Every action there may be in the end, whoever of them is asked."""
    each = [[(), *((answer,) for answer in extremes(*who))] for who in remaining.items()]
    ends = [tuple(answer for some in choice for answer in some) for choice in product(*each)]
    return {decide(rules, [replace(fact, answers=(*fact.answers, *end))]).action for end in ends}


@given(
    rules=st.sampled_from(RULES),
    coverage=st.sampled_from(COVERAGE),
    heard=st.dictionaries(st.sampled_from("ab"), st.none() | st.dictionaries(st.sampled_from(CATEGORIES), SCORES)),
    remaining=st.dictionaries(st.sampled_from("yz"), SEES),
    need=st.integers(1, 3),
    unseen=st.integers(0, 1),
)
@settings(max_examples=300, deadline=None)
def test_it_is_settled_exactly_when_no_extreme_answer_changes_the_action(
    rules, coverage, heard, remaining, need, unseen
):
    judging = policy(rules, coverage)
    answers = tuple(failed(name) if scores is None else said(name, scores) for name, scores in heard.items())
    fact = InputFacts(modality=TEXT, answers=answers, sees=remaining, need=need, unseen=unseen)
    assert settled(judging, fact, remaining) == (len(possible(judging, fact, remaining)) == 1)


def test_holes_are_what_had_to_be_looked_at_and_was_not():
    rules = policy("{hate: {review: 0.5}, spam: {review: 0.5}}", "{hate: {min_providers: 2}, spam: {}}")
    fact = InputFacts(modality=TEXT, answers=(said("a", {"hate": 0}),), sees={}, need=1)
    assert holes(rules, fact) == {"hate", "spam"}
    fact = replace(fact, answers=(*fact.answers, said("b", {"hate/symbols": FULL, "spam": 0})))
    assert holes(rules, fact) == set()


# In a cascade

SPAM = Look((Finding("spam", 1.0),))
CLEAR = Look((Finding("hate", 0.0), Finding("spam", 0.0)))


async def cascade(
    rules: Policy, *looks: tuple[Any, set[str]], need: int = 1, fallback: Any = (), tier: int = 1
) -> list[str]:
    """Who is asked; each provider is what it says and what it sees, the first of this tier."""
    cast = [
        provider(Scripted(say, tier=1 if place else tier, retry={"attempts": 1}), name, sees)
        for place, (name, (say, sees)) in enumerate(zip("abcd", looks, strict=False))
    ]
    spare = [provider(Scripted(say), f"x{place}", sees) for place, (say, sees) in enumerate(fallback)]
    to = leg(cast, spare, strategy="cascade", need=need)

    def fact(answers: Sequence[Answer]) -> InputFacts:
        sees = {who.name: who.sees[TEXT] for who in to.providers}
        return InputFacts(modality=TEXT, answers=tuple(answers), sees=sees, need=need)

    answers = await answered(
        to,
        settled=lambda index, answers, remaining: settled(
            rules, fact(answers), {who.name: who.sees[TEXT] for who in remaining}
        ),
        holes=lambda index, answers: holes(rules, fact(answers)),
    )
    return [name for name, _, _ in told(answers)]


HATE_AND_SPAM, LOOKED = "{hate: {review: 0.5, block: 0.9}, spam: {review: 0.5}}", "{hate: {}}"
DOWN = VendorUnavailable("down")


@pytest.mark.parametrize(
    "rules, looks, need, asked",
    [
        # blocked: nothing is stricter
        (policy(HATE_AND_SPAM), [(HATE, {"hate"}), (CLEAN, {"hate"}), (CLEAN, {"hate"})], 1, "a"),
        # reviewed: the next may still block
        (policy(HATE_AND_SPAM), [(SPAM, {"spam"}), (CLEAN, {"hate"})], 1, "ab"),
        # reviewed: the next can do no more
        (policy(HATE_AND_SPAM), [(SPAM, {"spam"}), (CLEAN, {"spam"})], 1, "a"),
        # allowed: the next sees nothing that is judged, the one after it does
        (policy(HATE_AND_SPAM), [(CLEAN, {"hate"}), (CLEAN, {"sexual"})], 1, "a"),
        (policy(HATE_AND_SPAM), [(CLEAN, {"hate"}), (CLEAN, {"sexual"}), (CLEAN, {"hate"})], 1, "abc"),
        # nobody looked yet at what has to be looked at: the next does, though it can say nothing bad
        (policy("{spam: {review: 0.5}}", LOOKED), [(SPAM, {"spam"}), (CLEAN, {"hate"})], 1, "a"),
        (
            policy("{spam: {review: 0.5}}", LOOKED),
            [(Look((Finding("spam", 0.0),)), {"spam"}), (CLEAN, {"hate"})],
            1,
            "ab",
        ),
        # too few have answered, and the next would do
        (policy("{spam: {review: 0.5}}"), [(CLEAN, {"hate"}), (CLEAN, {"hate"}), (CLEAN, {"hate"})], 2, "ab"),
        # failed
        (policy(HATE_AND_SPAM), [(DOWN, {"hate"}), (HATE, {"hate"}), (CLEAN, {"hate"})], 1, "ab"),
    ],
)
@virtual
async def test_a_cascade_asks_whoever_could_change_the_action_and_nobody_else(rules, looks, need, asked):
    assert await cascade(rules, *looks, need=need) == list(asked)


@virtual
async def test_what_a_list_of_known_things_forbids_nobody_else_is_asked_about():
    """A route with a list needs one answer more than it has lists: the list itself sees nothing that is new."""
    rules, others = policy(HATE_AND_SPAM), [(CLEAN, {"hate"}), (CLEAN, {"hate"})]
    assert await cascade(rules, (HATE, {"hate"}), *others, need=2, tier=0) == ["a"]
    assert await cascade(rules, (CLEAN, {"hate"}), *others, need=2, tier=0) == ["a", "b", "c"]


@virtual
async def test_a_fallback_of_a_cascade_is_for_who_failed_and_for_holes():
    rules = policy(HATE_AND_SPAM, "{hate: {}}")
    spare = [(CLEAN, {"sexual"}), (CLEAN, {"hate"})]
    assert await cascade(rules, (CLEAN, {"hate"}), fallback=spare) == ["a"]
    assert await cascade(rules, (DOWN, {"hate"}), fallback=spare) == ["a", "x0"]
    assert await cascade(rules, (SPAM, {"spam"}), fallback=spare) == ["a", "x1"]
