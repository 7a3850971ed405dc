"""Our categories: the shipped file, how slugs nest, and what a broken file is told."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain import FULL, Modality
from gateway.errors import ConfigError
from gateway.paths import TAXONOMY
from gateway.taxonomy import Kind, Taxonomy, lineage, roll_up

SHIPPED = Taxonomy.from_file(TAXONOMY)

# The transparency database's schema in force since July 2025, without STATEMENT_CATEGORY_
DSA_2025 = {
    "ANIMAL_WELFARE",
    "CONSUMER_INFORMATION",
    "CYBER_VIOLENCE",
    "CYBER_VIOLENCE_AGAINST_WOMEN",
    "DATA_PROTECTION_AND_PRIVACY_VIOLATIONS",
    "ILLEGAL_OR_HARMFUL_SPEECH",
    "INTELLECTUAL_PROPERTY_INFRINGEMENTS",
    "NEGATIVE_EFFECTS_ON_CIVIC_DISCOURSE_OR_ELECTIONS",
    "NOT_SPECIFIED_NOTICE",
    "OTHER_VIOLATION_TC",
    "PROTECTION_OF_MINORS",
    "RISK_FOR_PUBLIC_SECURITY",
    "SCAMS_AND_FRAUD",
    "SELF_HARM",
    "UNSAFE_AND_PROHIBITED_PRODUCTS",
    "VIOLENCE",
}
NOT_FROM_A_CLASSIFIER = {"CONSUMER_INFORMATION", "CYBER_VIOLENCE_AGAINST_WOMEN", "NOT_SPECIFIED_NOTICE"}

slugs = st.sampled_from(sorted(SHIPPED.categories))
scores = st.dictionaries(slugs, st.integers(0, FULL))


def taxonomy(folder: Path, text: str) -> Taxonomy:
    file = folder / "taxonomy.yaml"
    file.write_text(text, encoding="utf-8")
    return Taxonomy.from_file(file)


def test_it_has_118_categories():
    assert len(SHIPPED.categories) == 118


@pytest.mark.parametrize(
    "slug, kind, modality",
    [
        ("sexual", Kind.HARM, {"text", "image"}),
        ("sexual/nudity", Kind.HARM, {"image"}),
        ("sexual/swimwear_underwear", Kind.SENSITIVE, {"image"}),
        ("harassment", Kind.HARM, {"text"}),
        ("weapons/firearm", Kind.REGULATED, {"image"}),
        ("context/art", Kind.CONTEXT, {"image"}),
        ("violence/war", Kind.CONTEXT, {"text", "image"}),
        ("unmapped", Kind.HARM, {"text", "image"}),
    ],
)
def test_a_category_has_a_kind_and_is_seen_in_something(slug, kind, modality):
    assert SHIPPED.category(slug).kind is kind
    assert SHIPPED.category(slug).modality == {Modality(name) for name in modality}


def test_exactly_three_categories_are_never_closed_automatically():
    escalate = {slug for slug, node in SHIPPED.categories.items() if node.kind is Kind.ESCALATE}
    assert escalate == {"sexual/minors", "child_safety/endangerment", "self_harm/intent"}


@pytest.mark.parametrize("slug", sorted(SHIPPED.categories))
def test_every_category_is_whole(slug):
    node = SHIPPED.categories[slug]
    assert node.modality
    assert node.means.endswith(".")
    assert set(lineage(slug)) <= SHIPPED.categories.keys()
    assert (node.dsa is None) == (node.kind is Kind.CONTEXT)


def test_statements_of_reasons_use_the_schema_of_2025():
    """It has no pornography category any more: nudity is a keyword under OTHER_VIOLATION_TC."""
    named = {node.dsa.category for node in SHIPPED.categories.values() if node.dsa}
    keywords = {keyword for node in SHIPPED.categories.values() if node.dsa for keyword in node.dsa.keywords}
    assert {name.removeprefix("STATEMENT_CATEGORY_") for name in named} <= DSA_2025 - NOT_FROM_A_CLASSIFIER
    assert all(name.startswith("STATEMENT_CATEGORY_") for name in named)
    assert all(keyword.startswith("KEYWORD_") for keyword in keywords)
    assert not any("PORNOGRAPHY" in name for name in named | keywords)


@pytest.mark.parametrize(
    "slug, ancestors",
    [
        ("hate", ()),
        ("hate/symbols", ("hate",)),
        ("hate/symbols/nazi", ("hate/symbols", "hate")),
        ("unmapped/acme/new", ("unmapped/acme", "unmapped")),
    ],
)
def test_the_ancestors_come_nearest_first(slug, ancestors):
    assert lineage(slug) == ancestors


def test_a_parent_is_as_high_as_its_highest_child():
    assert roll_up({"hate": 100, "hate/symbols/nazi": 900, "spam/scam": 5}) == {
        "hate": 900,
        "hate/symbols": 900,
        "hate/symbols/nazi": 900,
        "spam": 5,
        "spam/scam": 5,
    }


def test_a_parent_above_its_children_stays():
    assert roll_up({"hate": 900, "hate/symbols": 100})["hate"] == 900


@given(scores)
def test_roll_up_only_raises_and_only_ancestors(given_scores):
    rolled = roll_up(given_scores)
    assert all(rolled[slug] >= score for slug, score in given_scores.items())
    assert all(rolled[parent] >= score for slug, score in rolled.items() for parent in lineage(slug))
    assert rolled.keys() == {*given_scores, *(parent for slug in given_scores for parent in lineage(slug))}
    assert set(rolled.values()) <= set(given_scores.values())
    assert roll_up(rolled) == rolled


@pytest.mark.parametrize("slug", ["label/knife", "label/kitchen knife", "unmapped/acme/new_word"])
def test_words_under_an_open_root_exist_without_a_line(slug):
    assert SHIPPED.knows(slug)
    assert SHIPPED.category(slug) == SHIPPED.categories[slug.split("/")[0]]


@pytest.mark.parametrize("slug", ["", "sexual/nope", "labels/knife", "sexual/", "Sexual"])
def test_other_words_do_not(slug):
    assert not SHIPPED.knows(slug)


def test_words_that_vendors_invent_are_not_kept_for_ever():
    class Word(str):
        __slots__ = ("__weakref__",)

    word = Word("unmapped/acme/first")
    gone = weakref.ref(word)
    lineage(word)
    del word
    for number in range(5000):
        lineage(f"unmapped/acme/{number}")
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize(
    "slug, hint",
    [
        ("sexual/nuditty", "did you mean 'sexual/nudity'?"),
        ("self-harm", "did you mean 'self_harm'?"),
        ("Violence", "did you mean 'violence'?"),
        ("xyzzy", ""),
    ],
)
def test_a_near_miss_is_suggested(slug, hint):
    assert SHIPPED.suggest(slug) == hint


HATE = 'version: "1"\nopen: []\ncategories:\n  hate: {kind: harm, modality: [text], means: Attack.}\n'

BROKEN = [
    # file, line and column, words
    (HATE + "  sexual/nudity: {kind: harm, modality: [image], means: X.}\n", (5, 3), "has no parent 'sexual'"),
    (HATE + "  hate/a/b: {kind: harm, modality: [text], means: X.}\n", (5, 3), "has no parent 'hate/a'"),
    (HATE.replace("kind: harm", "kind: ham"), (4, 16), "did you mean 'harm'?"),
    (HATE.replace("[text]", "[txt]"), (4, 33), "did you mean 'text'?"),
    (HATE.replace("means: Attack.", "meaning: X."), (4, 3), "'means' is missing"),
    (HATE + "  hate: {kind: harm, modality: [text], means: X.}\n", (5, 3), "already"),
    (HATE.replace('"1"', "1"), (1, 10), "version should be text"),
    (HATE.replace("open: []\n", ""), (1, 1), "'open' is missing"),
    (HATE.replace("open: []", "open: [label]"), (2, 8), "label"),  # its category says what its words are
]


@pytest.mark.parametrize("text, place, words", BROKEN, ids=[words for _, _, words in BROKEN])
def test_a_broken_file_is_refused_with_its_place(tmp_path, text, place, words):
    with pytest.raises(ConfigError, match=r"taxonomy\.yaml:\d+:\d+: ") as caught:
        taxonomy(tmp_path, text)
    problem = caught.value.problems[0]
    assert words in str(caught.value)
    assert (problem.line, problem.column) == place


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        Taxonomy.from_file(tmp_path / "none.yaml")
