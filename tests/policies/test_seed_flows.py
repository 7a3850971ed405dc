"""Three usual flows as policies: tiers of risk, two cuts with a look at things, a cut for each category."""

from __future__ import annotations

import pytest

from gateway.policy.decide import decide
from tests.policies.saying import ALLOW, BLOCK, FILES, REVIEW, TEXT, codes, decided, facts, failed, read, said

TIERS, PICTURES, CATEGORIES = (read(FILES / f"{name}.yaml") for name in ("tiers", "pictures", "categories"))
CALM = dict.fromkeys(("sexual", "violence", "violence/graphic", "self_harm", "hate", "harassment"), 0.01)


@pytest.mark.parametrize(
    "scores, context, action",
    [
        ({}, {}, ALLOW),
        ({"sexual": 0.4}, {}, REVIEW),
        ({"sexual": 0.84}, {}, REVIEW),
        ({"sexual": 0.85}, {}, BLOCK),
        ({"sexual": 0.94}, {"surface": "avatar"}, REVIEW),
        ({"sexual": 0.95}, {"surface": "avatar"}, BLOCK),
        ({"self_harm": 1.0}, {}, REVIEW),
        ({"harassment": 0.3}, {"user": {"account_age_days": 0}}, REVIEW),
        ({"harassment": 0.3}, {"user": {"account_age_days": 9}}, ALLOW),
        ({"harassment": 0.3}, {}, ALLOW),
    ],
)
def test_tiers_of_risk(scores, context, action):
    assert decided(TIERS, said("a", {**CALM, **scores}), context=context).action is action


def test_one_picture_decides_about_an_album():
    album = [facts(said("a", {**CALM, "violence": score}, at=place)) for place, score in enumerate((0.0, 0.5, 0.95))]
    decision = decide(TIERS, album)
    assert (decision.action, decision.inputs) == (BLOCK, (ALLOW, REVIEW, BLOCK))


CLEAN = {"sexual/nudity": 0.02, "sexual/activity": 0.01, "sexual/suggestive": 0.14, "violence": 0.03, "drugs": 0.0}
CAFE = {"Person": 0.98, "Outdoor": 0.91, "Coffee Cup": 0.77}


@pytest.mark.parametrize(
    "scores, things, action, code",
    [
        ({}, CAFE, ALLOW, None),
        ({"sexual/nudity": 0.5}, CAFE, REVIEW, "nudity"),
        ({"sexual/nudity": 0.9}, CAFE, BLOCK, "nudity"),
        ({"sexual/suggestive": 1.0}, CAFE, REVIEW, "sexual_suggestive"),
        ({}, {**CAFE, "Knife": 0.7}, REVIEW, "prohibited_object"),  # though every score is quiet
        ({}, {**CAFE, "Knife": 0.69}, ALLOW, None),
        ({"drugs": 0.5}, CAFE, REVIEW, "drugs"),
        ({"violence": 0.9}, {**CAFE, "Knife": 0.9}, BLOCK, "violence"),
    ],
)
def test_two_cuts_and_a_look_at_things(scores, things, action, code):
    decision = decided(PICTURES, said("a", {**CLEAN, **scores}), said("b", {}, things), objects=["b"])
    assert (decision.action, codes(decision)[:1]) == (action, [code] if code else [])


def test_when_nobody_looks_at_things_a_person_does():
    assert decided(PICTURES, said("a", CLEAN), failed("b"), objects=["b"]).action is REVIEW
    assert decided(PICTURES, said("a", CLEAN)).action is REVIEW


@pytest.mark.parametrize(
    "one, other, action",
    [
        ({"sexual": 0.79}, {}, ALLOW),
        ({"sexual": 0.8}, {}, REVIEW),
        ({"sexual": 0.8}, {"sexual": 0.9}, BLOCK),
        ({"hate/symbols": 0.7}, {"hate/symbols": 0.69}, REVIEW),
        ({"violence": 0.95}, {}, BLOCK),
        ({"violence/graphic": 0.95}, {}, REVIEW),
    ],
)
def test_a_cut_for_each_category(one, other, action):
    none = dict.fromkeys(("sexual", "violence", "hate/symbols", "self_harm", "drugs"), 0.0)
    assert decided(CATEGORIES, said("a", {**none, **one}), said("b", {**none, **other}), modality=TEXT).action is action
