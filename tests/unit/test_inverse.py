"""A vendor's table read the other way round: our findings in its words and on its scale."""

import pytest

from gateway import paths
from gateway.domain import (
    FULL,
    Action,
    Answer,
    CategoryVerdict,
    Coverage,
    Decision,
    Reading,
    Role,
    Signal,
    State,
)
from gateway.errors import ConfigError
from gateway.inverse import Inverse
from gateway.taxonomy import Taxonomy, kin
from gateway.web.dialects import VOCABULARIES, learn

TAXONOMY = Taxonomy.from_file(paths.TAXONOMY)
SPOKEN = learn(TAXONOMY)
AZURE, PIXICULAR, REKOGNITION = (SPOKEN[name] for name in ("azure_content_safety", "pixicular", "rekognition"))


def decided(*signals, actions=None, missing=(), role=Role.ASK):
    """Answers with these (category, score, label) and the decision on them; a parent is as high as its child."""
    made = [Signal(category, score, "vendor", label, 0, below) for category, score, label, below in map(full, signals)]
    reading = Reading("vendor", (0,), tuple(made), None, None, (), 1, 1.0)
    verdicts = {}
    for signal in made:
        for slug in kin(signal.category) if signal.score is not None else ():
            score = max(signal.score, verdicts[slug].score if slug in verdicts else 0)
            verdicts[slug] = CategoryVerdict(score, State.SCORED, (actions or {}).get(slug, Action.ALLOW), {})
    decision = Decision(Action.ALLOW, (), verdicts, (), Coverage((), tuple(missing)), None, None)
    return (Answer(0, role, reading),), decision


def full(signal):
    return (*signal, "word", None)[:4] if len(signal) < 4 else signal


def told(inverse, *signals, never=(), **more):
    telling = inverse.tell(*decided(*signals, **more), lambda category: category not in never)
    return {label: said.score for label, said in telling.said.items()}


@pytest.mark.parametrize("name", VOCABULARIES)
def test_every_vocabulary_is_in_its_table_and_upwards_as_the_table_has_it(name):
    inverse, words = SPOKEN[name], VOCABULARIES[name]
    assert inverse.labels == tuple(words)
    for label, above in words.items():
        assert not above or label in inverse.tree[above]


def test_the_model_has_52_labels_on_three_levels():
    levels = [REKOGNITION.level(label) for label in REKOGNITION.labels]
    assert [levels.count(level) for level in (1, 2, 3)] == [10, 20, 22]


@pytest.mark.parametrize("name", VOCABULARIES)
def test_a_label_said_by_its_vendor_comes_back_as_itself(name):
    inverse = SPOKEN[name]
    for label in inverse.labels:
        category = inverse.meaning(label)
        assert label in told(inverse, (category, 7000, label))


def test_steps_come_back_and_what_lies_between_is_floored():
    scale = {0: 0.0, 1: 0.15, 2: 0.35, 3: 0.5, 4: 0.7, 5: 0.8, 6: 0.95, 7: 1.0}
    assert [AZURE.value(round(share * FULL)) for share in scale.values()] == list(scale)
    assert [AZURE.value(round(share * FULL) - 1) for share in list(scale.values())[1:]] == list(scale)[:-1]


def test_percent():
    assert [REKOGNITION.value(score) for score in (0, 9342, FULL)] == [0, 93.42, 100]


@pytest.mark.parametrize(
    ("inverse", "category", "labels"),
    [
        (AZURE, "hate/threatening", {"Hate"}),  # the wider one
        (AZURE, "harassment/insult", {"Hate"}),  # that may be about it
        (AZURE, "sexual/minors", {"Sexual"}),
        (AZURE, "spam", set()),
        (AZURE, "violence/war", set()),  # only describes
        (PIXICULAR, "sexual", {"Nudity", "Sexual Activity", "Suggestive"}),  # the narrower ones
        (PIXICULAR, "drugs", {"Drug Use"}),
        (PIXICULAR, "weapons", set()),
        (REKOGNITION, "sexual/nudity", {"Explicit Nudity", "Explicit"}),  # the one that says least, and those above
        (REKOGNITION, "tobacco", {"Drugs & Tobacco"}),
        (REKOGNITION, "self_harm", {"Self-Harm", "Graphic Violence", "Violence"}),
        (REKOGNITION, "weapons/knife", {"Weapons", "Violence"}),
        (REKOGNITION, "hate", {"Hate Symbols"}),
    ],
)
def test_the_nearest_word(inverse, category, labels):
    assert told(inverse, (category, 6000)) == dict.fromkeys(labels, 6000)


def test_the_highest_of_several_is_told():
    assert told(AZURE, ("hate", 2000), ("harassment", 6000), ("hate/threatening", 4000)) == {"Hate": 6000}


def test_what_the_policy_never_counts_makes_no_wider_word_true():
    swimwear = ("sexual/swimwear_underwear", 9900)
    assert told(AZURE, swimwear) == {"Sexual": 9900}
    assert told(AZURE, ("sexual", 100), swimwear, never={"sexual/swimwear_underwear"}) == {"Sexual": 100}
    assert told(REKOGNITION, swimwear, never={"sexual/swimwear_underwear"}) == {"Swimwear or Underwear": 9900}


def test_words_for_something_else_tell_only_an_alarm():
    assert told(PIXICULAR, ("sexual/partial_nudity", 7000)) == {}
    alarm = {"sexual/partial_nudity": Action.REVIEW}
    flags = told(PIXICULAR, ("sexual/partial_nudity", 9000), actions=alarm)
    assert flags == {"Nudity": 9000, "Sexual Activity": 9000, "Suggestive": 9000}


def test_a_score_is_no_higher_than_what_the_policy_made_of_it():
    answers, decision = decided(("hate", 8000))
    combined = {**decision.categories, "hate": CategoryVerdict(5000, State.SCORED, Action.ALLOW, {})}
    lower = Decision(Action.ALLOW, (), combined, (), Coverage((), ()), None, None)
    assert AZURE.tell(answers, lower, bool).said["Hate"].score == 5000


def test_a_shadow_says_nothing():
    telling = AZURE.tell(*decided(("hate", 8000), role=Role.SHADOW), bool)
    assert (telling.said, telling.not_assessed) == ({}, AZURE.labels)


def test_what_nobody_looked_at_is_not_assessed():
    telling = AZURE.tell(*decided(("violence", 100), ("hate/symbols", 100)), bool)
    assert set(telling.not_assessed) == {"Hate", "Sexual", "SelfHarm"}
    assert telling.said["Hate"].score == 100
    assert set(telling.each) == {"Violence"}


def test_an_alarm_is_told_even_where_the_rest_was_not_looked_at():
    telling = AZURE.tell(*decided(("hate/symbols", 9000), actions={"hate/symbols": Action.BLOCK}), bool)
    assert telling.each["Hate"].score == 9000
    assert telling.alarms
    assert "Hate" in telling.not_assessed


def test_quiet_below_a_minimum_is_nothing_and_not_unknown():
    telling = AZURE.tell(*decided(("violence", None, "", 3000)), bool)
    assert telling.quiet["Violence"].score == 0
    assert "Violence" not in telling.not_assessed


def test_a_quiet_score_where_the_policy_wanted_more_to_look_is_not_assessed():
    telling = AZURE.tell(*decided(("sexual", 100), missing=["sexual"]), bool)
    assert "Sexual" in telling.not_assessed
    assert "Sexual" not in telling.each


def test_a_label_of_its_own_that_no_table_knows_keeps_its_name():
    answers, decision = decided(("unmapped/rekognition/New Harm", 7700, "New Harm"))
    assert {name: said.score for name, said in REKOGNITION.tell(answers, decision, bool).unknown.items()} == {
        "New Harm": 7700
    }
    assert AZURE.tell(answers, decision, bool).unknown == {}


def test_a_table_that_lacks_a_word_is_told_at_its_place(tmp_path):
    file = tmp_path / "azure_content_safety.yaml"
    file.write_text((paths.VENDORS / file.name).read_text().replace("  Hate:", "  Hatred:"))
    with pytest.raises(ConfigError, match=r"azure_content_safety.yaml:\d+:\d+: 'Hate' is missing"):
        Inverse.from_file(file, TAXONOMY, VOCABULARIES["azure_content_safety"])
