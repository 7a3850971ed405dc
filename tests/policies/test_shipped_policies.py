"""The policies that come with modgate keep their promises. What a policy language can say is tested elsewhere."""

from __future__ import annotations

import pytest

from gateway.domain import FULL, Action, Answer, Decision, Failure, Modality, Reading, Role, Signal
from gateway.paths import MESSAGES, SHIPPED, TAXONOMY
from gateway.policy.book import PolicyBook
from gateway.policy.decide import decide
from gateway.policy.messages import Messages, keys_for
from gateway.policy.tally import InputFacts
from gateway.taxonomy import Kind, Taxonomy

TAXONOMY_READ = Taxonomy.from_file(TAXONOMY)
BOOK = PolicyBook(SHIPPED / "policies", "social", TAXONOMY_READ, Messages.from_file(MESSAGES))
BOOK.load()

NAMES = ["kids-avatars", "marketplace", "social"]
TEXT, IMAGE = Modality.TEXT, Modality.IMAGE
ALLOW, REVIEW, BLOCK = Action.ALLOW, Action.REVIEW, Action.BLOCK
STATUSES = [("timeout", None), ("throttled", 429), ("unavailable", 503), ("denied", 401), ("rejected", 400)]
STATUSES += [("drift", 200), ("open", None)]


def reading(scores: dict[str, int], provider: str = "a") -> Answer:
    signals = tuple(Signal(slug, score, provider, slug, 0) for slug, score in scores.items())
    outcome = Reading(
        provider=provider,
        inputs=(0,),
        signals=signals,
        model=None,
        opinion=None,
        exchanges=(),
        attempts=1,
        latency_ms=1.0,
    )
    return Answer(0, Role.ASK, outcome)


def failure(provider: str, status: str, http: int | None) -> Answer:
    outcome = Failure(provider=provider, inputs=(0,), status=status, detail="", attempts=1, latency_ms=1.0, http=http)
    return Answer(0, Role.ASK, outcome)


def decided(name: str, *answers: Answer, modality: Modality = IMAGE, locale: str | None = None) -> Decision:
    return decide(BOOK.get(name), [InputFacts(modality=modality, answers=answers, sees={}, need=1)], locale)


def calm(name: str, modality: Modality) -> dict[str, int]:
    """Everything this policy wants looked at, looked at and found clean."""
    return dict.fromkeys(BOOK.get(name).coverage[modality], 0)


def action_of(name: str, slug: str, score: int, modality: Modality = IMAGE) -> Action:
    return decided(name, reading({**calm(name, modality), slug: score}), modality=modality).action


def test_these_are_all_of_them():
    assert BOOK.names == NAMES
    assert BOOK.problems == {}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("modality", Modality)
def test_what_is_clean_and_was_looked_at_is_allowed(name, modality):
    assert decided(name, reading(calm(name, modality)), modality=modality).action is ALLOW


@pytest.mark.parametrize("slug", ["sexual/nudity", "sexual/activity", "violence/graphic"])
@pytest.mark.parametrize("score, action", [(4999, ALLOW), (5000, REVIEW), (8999, REVIEW), (9000, BLOCK), (FULL, BLOCK)])
def test_social_blocks_the_explicit_from_point_nine_and_reviews_from_a_half(slug, score, action):
    assert action_of("social", slug, score) is action


@pytest.mark.parametrize("slug", ["weapons", "weapons/firearm", "weapons/knife", "drugs/paraphernalia"])
@pytest.mark.parametrize("score, action", [(6999, ALLOW), (7000, REVIEW), (FULL, REVIEW)])
def test_social_reviews_prohibited_objects_from_point_seven(slug, score, action):
    assert action_of("social", slug, score) is action


@pytest.mark.parametrize(
    "slug", ["sexual/swimwear_underwear", "sexual/kissing", "context/art", "context/medical", "weapons/culinary_knife"]
)
def test_social_lets_beaches_kisses_art_doctors_and_kitchens_be(slug):
    assert action_of("social", slug, FULL) is ALLOW


@pytest.mark.parametrize("slug", ["sexual/swimwear_underwear", "weapons/culinary_knife"])
def test_a_marketplace_sells_clothes_and_kitchen_knives(slug):
    assert action_of("marketplace", slug, FULL) is ALLOW


@pytest.mark.parametrize("slug", ["sexual/activity", "weapons/firearm", "drugs/products"])
def test_a_marketplace_blocks_what_may_not_be_sold(slug):
    assert action_of("marketplace", slug, 9000) is BLOCK


@pytest.mark.parametrize("slug", ["sexual/nudity", "sexual/activity", "violence/graphic", "hate", "alcohol", "weapons"])
def test_childrens_avatars_are_the_strictest(slug):
    strictness = {name: BOOK.get(name).rule_for(slug) for name in NAMES}
    kids = strictness.pop("kids-avatars")
    assert kids.block is not None
    assert all(other is None or other.lowest is None or kids.lowest <= other.lowest for other in strictness.values())


@pytest.mark.parametrize("name", NAMES)
def test_mere_context_never_blocks(name):
    """It describes the content and is never a violation alone: taxonomy.yaml."""
    context = [slug for slug, node in TAXONOMY_READ.categories.items() if node.kind is Kind.CONTEXT]
    assert {slug for slug in context if action_of(name, slug, FULL) is BLOCK} == set()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("score", [500, 5000, 9000, FULL])
def test_suspicion_about_minors_always_goes_to_a_person(name, score):
    assert action_of(name, "sexual/minors", score) is REVIEW
    assert action_of(name, "sexual/minors", score, TEXT) is REVIEW


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "slug", sorted(s for s, node in TAXONOMY_READ.categories.items() if node.kind is Kind.ESCALATE)
)
def test_what_must_never_be_closed_automatically_is_not(name, slug):
    assert action_of(name, slug, FULL) is REVIEW


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("modality", Modality)
@pytest.mark.parametrize("status, http", STATUSES, ids=[status for status, _ in STATUSES])
def test_an_outage_is_never_an_allow(name, modality, status, http):
    everybody_down = [failure("a", status, http), failure("b", status, http)]
    for answers in ([], everybody_down):
        decision = decided(name, *answers, modality=modality)
        assert decision.action is REVIEW
        assert decision.reasons[0].code.startswith("coverage_")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("modality", Modality)
def test_nor_is_an_answer_about_something_else(name, modality):
    decision = decided(name, reading({"spam": 0, "quality/image": 0}), modality=modality)
    assert decision.action is REVIEW
    assert decision.coverage.missing


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("modality", Modality)
def test_what_must_be_looked_at_is_said_in_numbers_and_one_of_two_is_enough_for_one(name, modality):
    """A route that needs both says so with `need`; then half an outage is no allow either."""
    half = [reading(calm(name, modality)), failure("b", "timeout", None)]
    for need, action in ((1, ALLOW), (2, REVIEW)):
        fact = InputFacts(modality=modality, answers=tuple(half), sees={}, need=need)
        assert decide(BOOK.get(name), [fact]).action is action


def test_the_local_picture_model_alone_is_enough_for_social_and_not_for_children():
    """It sees that a picture is not safe for work, and nothing else."""
    assert decided("social", reading({"sexual": 0})).action is ALLOW
    assert decided("marketplace", reading({"sexual": 0})).action is ALLOW
    assert decided("kids-avatars", reading({"sexual": 0})).action is REVIEW


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("locale", ["en", "de"])
def test_every_reason_has_words(name, locale):
    policy = BOOK.get(name)
    fallback = "This content needs a review before it can be published."
    for rule in policy.rules.values():
        for action in (REVIEW, BLOCK):
            keys = keys_for(rule.code, rule.category, action, rule.message)
            message = policy.messages.say(keys, locale, TEXT)
            assert message
            assert message != fallback
            assert not any(char.isdigit() for char in message)


@pytest.mark.parametrize("name", NAMES)
def test_german_readers_read_german(name):
    policy = BOOK.get(name)
    for rule in policy.rules.values():
        keys = keys_for(rule.code, rule.category, REVIEW, rule.message)
        assert policy.messages.say(keys, "de-AT", TEXT) != policy.messages.say(keys, "en", TEXT)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("locale, words", [("en", "needs a review"), ("de", "sieht sich das jemand an")])
def test_an_outage_is_told_as_a_check_to_come_and_not_as_a_fault_of_the_content(name, locale, words):
    decision = decided(name, failure("a", "timeout", None), locale=locale)
    assert all(words in reason.message for reason in decision.reasons)
