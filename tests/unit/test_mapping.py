"""Vendors' words → ours: the shipped tables, and what a table does with answers nobody should trust.

In BROKEN a § stands where the problem is expected; it is taken out before the file is read.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain import FULL, Action, Finding, Look, Modality, Signal
from gateway.errors import ConfigError, VendorDrift
from gateway.mapping import VendorTable
from gateway.paths import TAXONOMY, VENDORS
from gateway.taxonomy import Taxonomy
from gateway.yamlfile import loads

TAXONOMY_READ = Taxonomy.from_file(TAXONOMY)
SHIPPED = {file.stem: VendorTable.from_file(file, TAXONOMY_READ) for file in sorted(VENDORS.glob("*.yaml"))}
TEXT, IMAGE = Modality.TEXT, Modality.IMAGE

THIRTEEN = {
    "harassment": "harassment",
    "harassment/threatening": "harassment/threatening",
    "hate": "hate",
    "hate/threatening": "hate/threatening",
    "illicit": "illicit",
    "illicit/violent": "illicit/violent",
    "self-harm": "self_harm",
    "self-harm/intent": "self_harm/intent",
    "self-harm/instructions": "self_harm/instructions",
    "sexual": "sexual",
    "sexual/minors": "sexual/minors",
    "violence": "violence",
    "violence/graphic": "violence/graphic",
}
SEEN_IN_IMAGES = {"self-harm", "self-harm/intent", "self-harm/instructions", "sexual", "violence", "violence/graphic"}

ACME = """
measures: confidence
scale: [0, 100]
silence: below_minimum
labels:
  Violence: violence
  Gore: violence/graphic
  Self-Harm: self_harm/depiction
  Cartoon Gun: {slug: weapons/imitation, and: [context/illustration]}
  Hate: {slug: hate, also: [harassment, harassment/bullying]}
  Swearing: profanity
image: [Violence, Gore, Self-Harm, Cartoon Gun, Hate]
text: [Violence, Hate, Swearing]
tree:
  Violence: [Gore, Self-Harm]
unmapped:
  Safe: says that there is nothing
opinions: {ok: allow, hmm: review, bad: block}
"""


def table(text: str) -> VendorTable:
    return VendorTable("acme", loads(text, file="acme.yaml"), TAXONOMY_READ)


ACME_TABLE = table(ACME)
STRICT = table("measures: confidence\nscale: [0, 1]\nsilence: drift\nlabels: {hate: hate, spam: spam}\n")


def signals(of: VendorTable, values: dict[str, float | None], **asked: int) -> list[Signal]:
    """The signals of an answer about one image, or about `text=0, image=1` and the like."""
    look = Look(tuple(Finding(label, value) for label, value in values.items()))
    inputs = {Modality(name): index for name, index in (asked or {"image": 0}).items()}
    return list(of.translate(look, "acme-eu", inputs))


def scored(of: VendorTable, values: dict[str, float | None]) -> dict[str, int | None]:
    return {signal.category: signal.score for signal in signals(of, values)}


@pytest.mark.parametrize("vendor", SHIPPED)
def test_every_shipped_table_speaks_of_known_categories_only(vendor):
    covered = SHIPPED[vendor].covers(TEXT) | SHIPPED[vendor].covers(IMAGE)
    assert covered
    assert [slug for slug in covered if not TAXONOMY_READ.knows(slug)] == []


@pytest.mark.parametrize("vendor", ["openai", "evolink"])
def test_all_thirteen_labels_of_the_openai_dialect_have_a_category(vendor):
    found = signals(SHIPPED[vendor], dict.fromkeys(THIRTEEN, 0.25), text=0)
    assert {signal.label: signal.category for signal in found} == THIRTEEN
    assert {signal.score for signal in found} == {2500}
    assert SHIPPED[vendor].covers(TEXT) == set(THIRTEEN.values())
    assert SHIPPED[vendor].covers(IMAGE) == {THIRTEEN[label] for label in SEEN_IN_IMAGES}


def test_evolinks_own_verdicts_are_known():
    assert SHIPPED["evolink"].opinions == {"low": Action.ALLOW, "medium": Action.REVIEW, "high": Action.BLOCK}


def test_a_signal_says_who_said_what_of_which_input():
    assert signals(ACME_TABLE, {"Gore": 71.5}, image=3) == [Signal("violence/graphic", 7150, "acme-eu", "Gore", 3)]


@pytest.mark.parametrize(
    "value, score",
    [
        (0, 0),
        (1, FULL),
        (0.9, 9000),
        (0.12345, 1234),  # half to even
        (0.12355, 1236),
        (0.00005, 0),
        (0.00004, 0),
        (0.99995, FULL),
        (1.0000001, FULL),  # a float32 softmax
        (-1e-9, 0),
    ],
)
def test_a_score_is_rounded_once_half_to_even(value, score):
    assert scored(STRICT, {"hate": value, "spam": 0.0})["hate"] == score


def test_a_scale_is_stretched_to_ours():
    assert scored(ACME_TABLE, {"Gore": 97.425}) == {"violence/graphic": 9742}
    azure_like = table("measures: severity\nscale: [0, 6]\nsilence: drift\nlabels: {hate: hate}\n")
    assert [scored(azure_like, {"hate": severity})["hate"] for severity in (0, 2, 4, 6)] == [0, 3333, 6667, FULL]


@pytest.mark.parametrize("kind", [int, float])
def test_a_scale_need_not_begin_at_nothing(kind):
    likely = table("measures: likelihood\nscale: [1, 5]\nsilence: drift\nlabels: {hate: hate}\n")
    assert [scored(likely, {"hate": kind(value)})["hate"] for value in (1, 2, 5)] == [0, 2500, FULL]


@given(st.floats(0, 1), st.floats(0, 1))
def test_scores_keep_their_order_and_range(one, other):
    first, second = (scored(STRICT, {"hate": value, "spam": 0.0})["hate"] for value in sorted((one, other)))
    assert 0 <= first <= second <= FULL


@pytest.mark.parametrize(
    "value", [1.01, -0.01, 50, float("nan"), float("inf"), float("-inf"), True, False, "0.5", "high", [0.5], {}]
)
def test_a_value_that_cannot_be_one_is_drift(value):
    with pytest.raises(VendorDrift, match="hate"):
        signals(STRICT, {"hate": value, "spam": 0.0})


@pytest.mark.parametrize("value", ["high", [1], {}, True, float("nan"), 101, -1])
@pytest.mark.parametrize("label", ["Violence", "Gore"])
def test_it_is_drift_in_a_tree_of_labels_too(label, value):
    with pytest.raises(VendorDrift):
        signals(ACME_TABLE, {"Violence": 10.0, "Gore": 20.0, label: value})


def test_none_is_not_zero_but_nothing():
    assert scored(STRICT, {"hate": None, "spam": 0.5}) == {"spam": 5000}
    assert signals(STRICT, {"hate": None, "spam": None}) == []


def test_a_vendor_that_always_names_every_label_may_not_leave_one_out():
    with pytest.raises(VendorDrift, match="every label but spam"):
        signals(STRICT, {"hate": 0.5})
    with pytest.raises(VendorDrift):
        signals(STRICT, {})


def test_a_vendor_that_names_only_what_it_finds_may():
    assert scored(ACME_TABLE, {"Gore": 50}) == {"violence/graphic": 5000}
    assert signals(ACME_TABLE, {}) == []


@pytest.mark.parametrize(
    "values, expected",
    [
        ({"Violence": 80, "Gore": 80}, {"violence/graphic": 8000}),
        ({"Violence": 80, "Self-Harm": 80}, {"self_harm/depiction": 8000}),  # else a scar would be blocked as violence
        ({"Violence": 80, "Gore": 90}, {"violence/graphic": 9000}),
        ({"Violence": 80, "Gore": 30, "Self-Harm": 80}, {"violence/graphic": 3000, "self_harm/depiction": 8000}),
        ({"Violence": 80, "Gore": 79}, {"violence": 8000, "violence/graphic": 7900}),
        ({"Violence": 80}, {"violence": 8000}),
        ({"Violence": 80, "Gore": None}, {"violence": 8000}),
        ({"Violence": 0, "Gore": None}, {"violence": 0}),
    ],
)
def test_a_parent_no_higher_than_its_child_is_explained_by_it(values, expected):
    assert scored(ACME_TABLE, values) == expected


def test_a_label_with_two_facets_scores_both():
    assert scored(ACME_TABLE, {"Cartoon Gun": 60}) == {"weapons/imitation": 6000, "context/illustration": 6000}


def test_what_a_label_may_also_be_about_gets_no_score():
    assert scored(ACME_TABLE, {"Hate": 60}) == {"hate": 6000, "harassment": None, "harassment/bullying": None}
    assert "harassment" not in ACME_TABLE.covers(TEXT)


def test_a_label_set_aside_says_nothing():
    assert signals(ACME_TABLE, {"Safe": 99}) == []


def test_what_a_vendor_covers_depends_on_the_modality():
    assert ACME_TABLE.covers(TEXT) == {"violence", "hate", "profanity"}
    assert "profanity" not in ACME_TABLE.covers(IMAGE)
    assert STRICT.covers(TEXT) == STRICT.covers(IMAGE) == {"hate", "spam"}


@pytest.mark.parametrize(
    "looked, inputs",
    [(None, [0, 1]), ({TEXT}, [0]), ({IMAGE}, [1]), ({TEXT, IMAGE}, [0, 1]), (set(), [])],
)
def test_a_finding_bears_on_the_inputs_that_were_looked_at(looked, inputs):
    finding = Finding("Hate", 50, None if looked is None else frozenset(looked))
    found = ACME_TABLE.translate(Look((finding,)), "acme", {TEXT: 0, IMAGE: 1})
    assert sorted(signal.input for signal in found if signal.score is not None) == inputs


def test_a_finding_about_what_was_not_sent_is_drift():
    with pytest.raises(VendorDrift):
        ACME_TABLE.translate(Look((Finding("Hate", 50, frozenset({TEXT})),)), "acme", {IMAGE: 0})


def test_a_label_that_cannot_be_seen_in_an_image_says_nothing_of_one():
    """A vendor that names all its labels for an image too has not looked for those which are about text."""
    assert [signal.input for signal in signals(ACME_TABLE, {"Swearing": 0}, text=0, image=1)] == [0]
    assert signals(SHIPPED["openai"], dict.fromkeys(THIRTEEN, 0.0), image=0) == [
        Signal(THIRTEEN[label], 0, "acme-eu", label, 0) for label in THIRTEEN if label in SEEN_IN_IMAGES
    ]


@pytest.mark.parametrize(
    "label, category",
    [
        ("Brand New", "unmapped/acme/Brand_New"),
        ("a/b", "unmapped/acme/a_b"),
        ("../../etc", "unmapped/acme/.._.._etc"),
        ("line\nbreak\x00\x1b[31m", "unmapped/acme/line_break___31m"),
        ("x" * 500, "unmapped/acme/" + "x" * 80),
        ("ärger", "unmapped/acme/ärger"),
        ("", "unmapped/acme/_"),
    ],
)
def test_a_word_no_table_knows_becomes_a_harmless_category(label, category):
    assert scored(ACME_TABLE, {label: 40}) == {category: 4000}


@given(st.text(max_size=200))
def test_no_word_of_a_vendor_breaks_a_line_or_a_path(label):
    for signal in signals(ACME_TABLE, {label: 40}):
        assert signal.category.isprintable()
        assert signal.category.count("/") <= 2
        assert len(signal.category) <= 100
        assert TAXONOMY_READ.knows(signal.category)


def test_what_is_said_of_a_bad_value_is_one_short_line():
    with pytest.raises(VendorDrift) as caught:
        signals(ACME_TABLE, {"line\nbreak" + "x" * 5000: "high"})
    assert caught.value.detail.isprintable()
    assert len(caught.value.detail) < 300


def test_an_answer_with_too_many_labels_is_drift():
    assert len(signals(ACME_TABLE, {f"new {number}": 1.0 for number in range(1000)})) == 1000
    with pytest.raises(VendorDrift, match="1001 labels"):
        signals(ACME_TABLE, {f"new {number}": 1.0 for number in range(1001)})


HEAD = "measures: confidence\nscale: [0, 1]\nsilence: drift\n"

BROKEN = [
    # file, words
    (HEAD + "labels:\n  hate: §hatte\n", "did you mean 'hate'?"),
    (HEAD + "labels:\n  gun: §{slug: weapons/imitation, and: [context/drawing]}\n", "'context/drawing'"),
    (HEAD + "labels:\n  hate: §{slug: hate, also: [nope]}\n", "'nope'"),
    (HEAD + "labels: {hate: hate}\nimage: [hate, §spam]\n", "'spam' is not one of the labels"),
    (HEAD + "labels: {hate: hate}\ntext: [§spam]\n", "'spam' is not one of the labels"),
    (HEAD + "labels: {hate: hate}\ntree: {§spam: [hate]}\n", "spam"),
    (HEAD + "labels: {hate: hate}\ntree: {hate: [§spam]}\n", "spam"),
    (HEAD + "labels: {hate: {slug: hate, §nad: [spam]}}\n", "did you mean 'and'?"),
    (HEAD + "labels: {hate: §3}\n", "labels.hate"),
    (HEAD + "labels: {hate: hate}\n§imaeg: [hate]\n", "did you mean 'image'?"),
    (HEAD + "labels: {hate: hate}\nopinions: {bad: §blok}\n", "did you mean 'block'?"),
    (HEAD.replace("drift", "§drfit") + "labels: {hate: hate}\n", "did you mean 'drift'?"),
    (HEAD.replace("[0, 1]", "[0, §one]") + "labels: {hate: hate}\n", "should be a number"),
    (HEAD.replace("[0, 1]", "§[1, 1]") + "labels: {hate: hate}\n", "scale"),
    (HEAD.replace("[0, 1]", "§[1, 0]") + "labels: {hate: hate}\n", "scale"),
    ("§" + HEAD, "'labels' is missing"),
]


@pytest.mark.parametrize("text, words", BROKEN, ids=[f"{number} {words}" for number, (_, words) in enumerate(BROKEN)])
def test_a_broken_table_is_refused_with_its_place(tmp_path, text, words):
    before = text.split("§")[0]
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    file = Path(tmp_path / "acme.yaml")
    file.write_text(text.replace("§", ""), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        VendorTable.from_file(file, TAXONOMY_READ)
    assert f"{file}:{line}:{column}: " in str(caught.value)
    assert words in str(caught.value)


def test_what_is_not_named_is_below_the_minimum_that_was_asked_for():
    quiet = [signal for signal in ACME_TABLE.translate(Look((), minimum=30.0), "acme", {TEXT: 0}) if not signal.label]
    assert {signal.category for signal in quiet} == ACME_TABLE.covers(TEXT)
    assert {(signal.score, signal.below, signal.input) for signal in quiet} == {(None, 3000, 0)}
    assert {signal.provider for signal in quiet} == {"acme"}
    named = ACME_TABLE.translate(Look((Finding("Hate", 50.0),), minimum=30.0), "acme", {TEXT: 0})
    assert [signal.score for signal in named if signal.category == "hate"] == [5000]


def test_where_the_minimum_is_not_known_nothing_is_known_of_what_is_not_named():
    assert ACME_TABLE.translate(Look(()), "acme", {TEXT: 0}) == ()


def test_a_word_of_an_open_vocabulary_names_a_thing_and_alarms_nobody():
    [signal] = STRICT_OPEN.translate(Look((Finding("Bicycle", 0.9, None, True),)), "acme", {IMAGE: 0})
    assert (signal.category, signal.score) == ("label/Bicycle", 9000)


def test_the_same_word_is_a_thing_or_an_alarm_as_each_answer_has_it():
    for open_, category in ((True, "label/Bow"), (False, "unmapped/acme/Bow"), (True, "label/Bow")):
        [signal] = STRICT_OPEN.translate(Look((Finding("Bow", 0.9, None, open_),)), "acme", {IMAGE: 0})
        assert signal.category == category


@given(st.lists(st.tuples(st.sampled_from(["Violence", "Gore", "Hate", "Swearing", "New"]), st.floats(0, 100))))
def test_a_table_that_was_used_says_what_a_new_one_says(said):
    look = Look(tuple(Finding(label, value) for label, value in said), minimum=20.0)
    new = table(ACME)
    for inputs in ({TEXT: 0}, {TEXT: 1, IMAGE: 0}, {TEXT: 0}):
        assert ACME_TABLE.translate(look, "acme", inputs) == new.translate(look, "acme", inputs)


STRICT_OPEN = table("measures: confidence\nscale: [0, 1]\nsilence: below_minimum\nlabels: {hate: hate}\n")


STEPS = table("measures: severity\nscale: {0: 0.0, 2: 0.35, 4: 0.7, 6: 0.95}\nsilence: drift\nlabels: {hate: hate}\n")


@pytest.mark.parametrize("value, score", [(0, 0), (2, 3500), (4, 7000), (6, 9500), (2.0, 3500), (-0.0, 0)])
def test_a_step_of_a_scale_is_worth_what_the_table_says(value, score):
    assert scored(STEPS, {"hate": value}) == {"hate": score}


@pytest.mark.parametrize(
    "value", [1, 7, -2, 2.5, 10**30, float("nan"), float("inf"), float("-inf"), True, False, "2", "", [2], {}]
)
def test_a_value_that_is_no_step_is_drift(value):
    with pytest.raises(VendorDrift, match="'hate'"):
        signals(STEPS, {"hate": value})


def test_no_step_is_not_zero_but_nothing():
    assert signals(STEPS, {"hate": None}) == []


def test_a_label_no_table_knows_is_on_the_same_steps():
    assert scored(STEPS, {"hate": 0, "New": 4}) == {"hate": 0, "unmapped/acme/New": 7000}
    with pytest.raises(VendorDrift, match="'New'"):
        signals(STEPS, {"hate": 0, "New": 0.7})


def test_a_minimum_is_one_of_the_steps():
    quiet = table("measures: s\nscale: {1: 0.3, 2: 0.6}\nsilence: below_minimum\nlabels: {hate: hate}\n")
    assert [signal.below for signal in quiet.translate(Look((), minimum=2), "acme", {TEXT: 0})] == [6000]


def test_steps_may_stand_in_any_order_and_be_worth_the_same():
    loose = table("measures: s\nscale: {2: 0.5, 1: 0.5, 0: 0.0}\nsilence: drift\nlabels: {hate: hate}\n")
    assert [scored(loose, {"hate": step})["hate"] for step in (0, 1, 2)] == [0, 5000, 5000]


BROKEN_STEPS = [
    # what stands after `scale: `, words
    ("{0: 0.0, 1: 0.5, 2: §0.4}", "1 is worth 0.5, 2 only 0.4"),
    ("{2: 0.4, 0: 0.0, 1: 0.5}".replace("0.4", "§0.4"), "2 only 0.4"),
    ("{0: 0.0, 1: §1.5}", "at most 1"),
    ("{0: §-0.5, 1: 1.0}", "at least 0"),
    ("{0: 0.0, 1: §high}", "should be a number"),
    ("{0: 0.0, 1: §}", "should be a number"),
    ("{0: 0.0, §high: 1.0}", "whole number"),
    ("{0: 0.0, §0.5: 1.0}", "whole number"),
    ("§{}", "scale"),
    ("§7", "a list or a mapping"),
]


@pytest.mark.parametrize("scale, words", BROKEN_STEPS, ids=[scale for scale, _ in BROKEN_STEPS])
def test_broken_steps_are_refused_with_their_place(scale, words):
    text = f"measures: severity\nscale: {scale}\nsilence: drift\nlabels: {{hate: hate}}\n"
    with pytest.raises(ConfigError) as caught:
        table(text.replace("§", ""))
    column = text.splitlines()[1].index("§") + 1
    assert str(caught.value).startswith(f"acme.yaml:2:{column}: ")
    assert words in str(caught.value)
