"""Whole policies, as a forum, a bazaar and a place for children would write them: they load, and decide as they say."""

from __future__ import annotations

import pytest

from tests.policies.saying import ALLOW, BLOCK, FILES, IMAGE, REVIEW, TEXT, codes, decided, failed, listed, read, said

FORUM, BAZAAR, YOUNGSTERS = (read(FILES / f"{name}.yaml") for name in ("forum", "bazaar", "youngsters"))
EVERYTHING = ("sexual/nudity", "sexual/activity", "violence/graphic", "hate", "harassment", "hate/symbols", "self_harm")
CLEAR = dict.fromkeys(EVERYTHING, 0.01)
HERE = {"country": "FR", "surface": "post"}


def forum(*answers, context=None, tenant="default", locale=None):
    """Three vendors who saw nothing, unless they say otherwise; acme also names things."""
    heard = {answer.outcome.provider for answer in answers}
    others = [said(name, CLEAR) for name in ("acme", "beta", "cone") if name not in heard]
    given = {**HERE, **(context or {})}
    return decided(FORUM, *answers, *others, context=given, tenant=tenant, locale=locale, objects=["acme"])


def nudity(provider, score):
    return said(provider, {**CLEAR, "sexual/nudity": score})


@pytest.mark.parametrize(
    "answers, context, action, first",
    [
        ([], {}, ALLOW, None),
        ([nudity("acme", 0.97), nudity("beta", 0.91)], {}, BLOCK, "SEXUAL_NUDITY"),
        ([nudity("acme", 0.9)], {}, BLOCK, "SEXUAL_NUDITY"),  # exactly at the threshold is inside
        ([nudity("acme", 0.8999)], {}, REVIEW, "SEXUAL_NUDITY"),
        ([nudity("acme", 0.02), failed("beta"), failed("cone")], {}, REVIEW, "coverage_missing"),
        ([said("acme", CLEAR, {"weapon/handgun": 0.7})], {}, REVIEW, "PROHIBITED_OBJECT"),
        ([said("acme", CLEAR, {"weapon/handgun": 0.69})], {}, ALLOW, None),
        ([said("acme", {**CLEAR, "hate": 0.7}), said("beta", {**CLEAR, "hate": 0.7})], {}, BLOCK, "HATE"),
        ([said("acme", {**CLEAR, "hate": 0.7})], {}, REVIEW, "HATE"),
        ([said("acme", {**CLEAR, "harassment": 0.3})], {"user": {"strikes_90d": 3}}, REVIEW, "ACCOUNT_HISTORY"),
        ([said("acme", {**CLEAR, "harassment": 0.3})], {"user": {"strikes_90d": 2}}, ALLOW, None),
        ([said("acme", {**CLEAR, "harassment": 0.3})], {}, ALLOW, None),  # ignored, and the file says why
        ([said("acme", {**CLEAR, "hate/symbols": 0.6})], {"country": "AT"}, BLOCK, "ILLEGAL_SYMBOL"),
        ([said("acme", {**CLEAR, "hate/symbols": 0.59})], {"country": "AT"}, ALLOW, None),
        ([said("acme", {**CLEAR, "hate/symbols": 0.59})], {"country": "US"}, ALLOW, None),
    ],
)
def test_a_forum_decides_as_it_says(answers, context, action, first):
    decision = forum(*answers, context=context)
    assert (decision.action, codes(decision)[:1]) == (action, [first] if first else [])


def test_who_is_told_what_in_which_language():
    [reason] = forum(nudity("acme", 0.6), locale="de-AT").reasons
    assert reason.message == "Dieses Bild zeigt wohl Nacktheit."
    [reason] = forum(said("acme", {**CLEAR, "self_harm": 0.5})).reasons
    assert reason.message == "If you are going through a hard time, help is available."
    [reason] = forum(said("acme", CLEAR, {"weapon/knife": 0.9}), locale="de").reasons
    assert reason.message == "Das verstößt gegen unsere Regeln."


def test_art_is_let_off_the_review_and_not_the_block():
    art = {"surface": "curated_art"}
    lifted = forum(nudity("acme", 0.6), context=art)
    assert (lifted.action, lifted.exempted) == (ALLOW, ("art-collection: thresholds.sexual/nudity.review",))
    assert lifted.categories["sexual/nudity"].action is ALLOW
    assert forum(nudity("acme", 0.95), context=art).action is BLOCK
    assert forum(said("acme", {**CLEAR, "sexual/nudity": 0.6, "sexual/activity": 0.2}), context=art).action is REVIEW


def test_between_two_people_other_rules_hold():
    alone = {"surface": "direct_message"}
    assert forum(nudity("acme", 0.95), context=alone).action is ALLOW
    assert forum(said("acme", CLEAR, {"weapon/knife": 0.9}), context=alone).action is ALLOW
    assert forum(said("acme", {**CLEAR, "hate": 0.55}), context=alone).action is ALLOW
    assert forum(said("acme", {**CLEAR, "hate": 0.55}), context=alone, tenant="gallery").action is REVIEW


def bazaar(*answers, modality=IMAGE, **context):
    quiet = dict.fromkeys(("sexual/nudity", "weapons", "drugs", "tobacco", "spam"), 0.0)
    heard = {answer.outcome.provider for answer in answers}
    others = [said(name, quiet) for name in ("acme", "beta") if name not in heard]
    given = {"ocr": {"terms": []}, "user": {"account_age_days": 400}, "category": "phones", **context}
    return decided(BAZAAR, *answers, *others, context=given, objects=["acme"], modality=modality)


def goods(provider="acme", labels=None, **scores):
    named = {slug.replace("_", "/"): score for slug, score in scores.items()}
    quiet = dict.fromkeys(("sexual/nudity", "weapons", "drugs", "tobacco", "spam"), 0.0)
    return said(provider, {**quiet, **named}, labels or {})


@pytest.mark.parametrize(
    "answers, context, action, rules",
    [
        ([], {}, ALLOW, []),
        ([goods(labels={"drug/pills": 0.85})], {}, BLOCK, ["rules.banned-goods", "rules.banned-goods-grey"]),
        ([goods(labels={"drug/pills": 0.5})], {}, REVIEW, ["rules.banned-goods-grey"]),
        ([], {"ocr": {"terms": ["whatsapp"]}}, REVIEW, ["rules.off-platform-contact"]),
        ([], {"ocr": {}}, REVIEW, ["rules.off-platform-contact"]),  # nobody read it
        ([goods(spam=0.5)], {"user": {"account_age_days": 6}}, REVIEW, ["rules.new-seller-high-risk"]),
        ([goods(spam=0.5)], {"user": {"account_age_days": 6}, "category": "books"}, ALLOW, []),
        ([goods(labels={"weapon/knife": 0.9})], {"category": "kitchen"}, ALLOW, []),
        ([goods(labels={"weapon/knife": 0.9})], {}, REVIEW, ["rules.knives-ok-in-kitchen"]),
        ([goods(weapons=0.95)], {}, ALLOW, []),  # one voice is not agreement
        ([goods(weapons=0.95), goods("beta", weapons=0.6)], {}, REVIEW, ["thresholds.weapons.review"]),
        ([goods(weapons=0.95), goods("beta", weapons=0.9)], {}, BLOCK, ["thresholds.weapons.block"]),
        ([goods(weapons=0.95), failed("beta")], {}, REVIEW, ["combine.weapons"]),  # nor is half an answer
        ([goods(tobacco=0.95)], {}, REVIEW, ["thresholds.tobacco.review"]),
        ([goods(tobacco=0.95)], {"country": "US"}, BLOCK, ["thresholds.tobacco.block"]),
    ],
)
def test_a_bazaar_decides_as_it_says(answers, context, action, rules):
    decision = bazaar(*answers, **context)
    assert (decision.action, sorted(reason.rule for reason in decision.reasons)) == (action, rules)


def test_a_text_has_neither_things_nor_writing_in_it():
    both = [goods(name, spam=0.6) for name in ("acme", "beta")]
    assert decided(BAZAAR, *both, modality=TEXT).action is REVIEW  # who sells it, and what, nobody said
    assert decided(BAZAAR, *both, modality=TEXT, context={"user": {"account_age_days": 9}}).action is ALLOW


UNLISTED = listed()


def youngsters(*answers, nude=0.0, lists=UNLISTED, labels=None, **context):
    clear = {"sexual/nudity": nude, "violence/graphic": 0.0, "hate": 0.0}
    all_three = [said(name, clear, (labels or {}) if name == "acme" else {}) for name in ("acme", "beta", "cone")]
    given = {"audience": "minors", "ocr": dict.fromkeys(("has_phone", "has_email", "has_url"), False), **context}
    asked = [*all_three, *([lists] if lists else []), *answers]
    sees = {"lists": {"label/listed"}}
    return decided(YOUNGSTERS, *asked, context=given, objects=["acme"], sees=sees)


@pytest.mark.parametrize(
    "how, action, code, effects",
    [
        ({}, ALLOW, None, ()),
        ({"lists": listed("ncmec")}, BLOCK, "LEGAL", ("quarantine", "escalate_legal")),
        ({"lists": listed("own")}, ALLOW, None, ()),
        ({"lists": None}, REVIEW, "coverage_unknown", ()),
        ({"lists": failed("lists")}, REVIEW, "coverage_unknown", ()),
        ({"labels": {"person/face": 0.6}}, REVIEW, "REAL_PERSON", ()),
        ({"ocr": {"has_phone": True}}, BLOCK, "PERSONAL_INFO", ()),
        ({"ocr": {"has_phone": False}}, REVIEW, "coverage_unknown", ()),
        ({"nude": 0.03}, REVIEW, "NOT_SUITABLE", ()),
        ({"nude": 0.03, "audience": "parents"}, ALLOW, None, ()),
        ({"nude": 0.3}, BLOCK, "NOT_SUITABLE", ()),
    ],
)
def test_a_place_for_children_decides_as_it_says(how, action, code, effects):
    decision = youngsters(**how)
    assert (decision.action, codes(decision)[:1], decision.effects) == (action, [code] if code else [], effects)


@pytest.mark.parametrize("lost", ["acme", "beta", "cone", "lists"])
def test_children_are_not_shown_what_one_of_them_could_not_see(lost):
    clear = {"sexual/nudity": 0.0, "violence/graphic": 0.0, "hate": 0.0}
    able = [said(name, clear) for name in ("acme", "beta", "cone")]
    answers = [failed(lost) if answer.outcome.provider == lost else answer for answer in (*able, listed())]
    given = {"audience": "parents", "ocr": dict.fromkeys(("has_phone", "has_email", "has_url"), False)}
    sees = {"lists": {"label/listed"}}
    assert decided(YOUNGSTERS, *answers, context=given, objects=["acme"], sees=sees).action is REVIEW
