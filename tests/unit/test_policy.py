"""A policy file: how thresholds are written, what is refused and where, what its hash depends on, what it tells users.

In BROKEN a § stands where the problem is expected; it is taken out before the file is read.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain import FULL, Action, Modality
from gateway.errors import ConfigError
from gateway.paths import MESSAGES, TAXONOMY
from gateway.policy.making import load_policy
from gateway.policy.messages import Messages, keys_for
from gateway.policy.policy import Policy, Rule
from gateway.policy.schema import cut
from gateway.taxonomy import Taxonomy

TAXONOMY_READ = Taxonomy.from_file(TAXONOMY)
SHIPPED = Messages.from_file(MESSAGES)
TEXT, IMAGE = Modality.TEXT, Modality.IMAGE


def load(folder: Path, text: str, messages: Messages = SHIPPED) -> Policy:
    file = folder / "p.yaml"
    file.write_text(text, encoding="utf-8")
    return load_policy(file, TAXONOMY_READ, messages)


@pytest.mark.parametrize(
    "written, score",
    [(0.9, 9000), (0, 0), (1, FULL), (1.0, FULL), (0.05, 500), (0.1234, 1234), (0.29, 2900), (1e-4, 1), ("-", None)],
)
def test_a_threshold_is_a_share_with_four_decimals_or_never(written, score):
    assert cut(written) == score


@pytest.mark.parametrize(
    "written",
    [1.1, -0.1, 0.12345, 0.1 + 0.2, 2, 90, True, False, "0.9", "never", "", None, 1e300, *map(float, ("nan", "inf"))],
)
def test_anything_else_is_not(written):
    with pytest.raises(ValueError, match="a threshold is a number from 0 to 1"):
        cut(written)


@given(st.integers(0, FULL))
def test_every_threshold_that_can_be_written_is_read_exactly(score):
    assert cut(score / FULL) == score


@given(st.integers(0, FULL), st.integers(0, FULL), st.integers(0, FULL))
def test_a_score_at_its_threshold_is_inside(score, one, other):
    review, block = sorted((one, other))
    bound = Rule("hate", review, block, "hate", "", 0).reached(score)
    assert (bound is not None and bound.action is Action.BLOCK) == (score >= block)
    assert (bound is None) == (score < review)


@pytest.mark.parametrize(
    "row, score, action",
    [
        ("{review: 0.5, block: 0.9}", 8999, Action.REVIEW),
        ("{review: 0.5, block: 0.9}", 9000, Action.BLOCK),
        ("{review: 0.5, block: 0.9}", 5000, Action.REVIEW),
        ("{review: 0.5, block: 0.9}", 4999, Action.ALLOW),
        ("{review: 0.5}", FULL, Action.REVIEW),
        ('{review: 0.5, block: "-"}', FULL, Action.REVIEW),
        ("{block: 0.5}", 4999, Action.ALLOW),
        ("{block: 0.5}", 5000, Action.BLOCK),
        ('{review: "-"}', FULL, Action.ALLOW),
        ("{}", FULL, Action.ALLOW),
        ("{review: 0}", 0, Action.REVIEW),
    ],
)
def test_what_a_score_leads_to(tmp_path, row, score, action):
    bound = load(tmp_path, f"policy: p\nthresholds: {{hate: {row}}}\n").rules["hate"].reached(score)
    assert (bound.action if bound else Action.ALLOW) is action


def test_the_nearest_threshold_is_the_one_that_counts(tmp_path):
    policy = load(tmp_path, 'policy: p\nthresholds: {hate: {review: 0.5}, hate/symbols: {review: "-"}}\n')
    owners = {"hate": "hate", "hate/threatening": "hate", "hate/symbols": "hate/symbols"}
    owners |= {"hate/symbols/nazi": "hate/symbols", "spam": None, "unmapped/acme/new": "unmapped"}
    rules = {slug: policy.rule_for(slug) for slug in owners}
    assert {slug: rule and rule.category for slug, rule in rules.items()} == owners


def test_left_out_a_reason_is_called_after_its_category(tmp_path):
    policy = load(tmp_path, "policy: p\nthresholds: {hate/symbols: {review: 0.5}, spam: {review: 0.5, reason: AD}}\n")
    assert [policy.rules[slug].code for slug in ("hate/symbols", "spam")] == ["hate_symbols", "AD"]


def test_a_word_no_table_knows_is_reviewed_unless_the_policy_says_otherwise(tmp_path):
    assert load(tmp_path, "policy: p\nthresholds: {hate: {review: 0.5}}\n").rule_for("unmapped/acme/new").review == 100
    assert load(tmp_path, "policy: p\nthresholds: {hate: {review: 0.5}}\n").rule_for("unsafe").review == 5000
    other = load(tmp_path, "policy: p\nthresholds: {unmapped: {review: 0.8, block: 0.9}}\n")
    assert (other.rule_for("unmapped/acme/new").review, other.rule_for("unmapped/acme/new").block) == (8000, 9000)


HEAD = "policy: p\nthresholds:\n"

BROKEN = [
    # file, words
    (HEAD + "  hate: {review: 0.5, block: §1.1}\n", "a threshold is a number from 0 to 1"),
    (HEAD + "  hate: {review: §-0.1}\n", "a threshold is a number from 0 to 1"),
    (HEAD + "  hate: {review: §0.12345}\n", "at most 4 decimals"),
    (HEAD + "  hate: {review: §true}\n", "a threshold is a number from 0 to 1"),
    (HEAD + '  hate: {review: §"0.5"}\n', '"0.5"'),
    (HEAD + "  hate: {review: §.nan}\n", "a threshold is a number from 0 to 1"),
    (HEAD + "  hate: {review: §0.9, block: 0.5}\n", "review is not below block"),
    (HEAD + "  hate: {review: §0.5, block: 0.5}\n", "review is not below block"),
    (HEAD + "  spam: {review: 0.5}\n  §hatte: {review: 0.5}\n", "did you mean 'hate'?"),
    (HEAD + "  §sexual/nuditty: {review: 0.5}\n", "did you mean 'sexual/nudity'?"),
    (HEAD + "  hate: {§reveiw: 0.5}\n", "did you mean 'review'?"),
    (HEAD + "  hate: {review: 0.5, reason: §two words}\n", "a code is letters, digits and _"),
    (HEAD + "  hate: {review: 0.5, message: §be_kind}\n", "there is no message 'be_kind'"),
    (HEAD + "  hate: §0.5\n", "should be a mapping"),
    ("policy: §Not A Name\nthresholds: {}\n", "small letters, digits"),
    ("§thresholds: {}\n", "'policy' is missing"),
    ("§policy: p\n", "'thresholds' is missing"),
    ("policy: p\ntaxonomy: §'2'\nthresholds: {}\n", "the taxonomy in use is version '1'"),
    ("policy: p\nthresholds: {}\n§treshold: {}\n", "did you mean 'thresholds'?"),
    ("policy: p\nthresholds: {}\nsignals: {coverage: {§hatte: {}}}\n", "did you mean 'hate'?"),
    ("policy: p\nthresholds: {}\nsignals: {coverage: {hate: {min_providers: §0}}}\n", "at least 1"),
    ("policy: p\nthresholds: {}\nsignals: {coverage: {hate: {on_missing: §allow}}}\n", "review or block"),
    ("policy: p\nthresholds: {}\nsignals: {combine: {default: §mode}}\n", "scores are combined by max, mean"),
    ("policy: p\nthresholds: {}\nversion: §-1\n", "at least 0"),
    ("policy: p\nthresholds: {hate: {}, §hate: {}}\n", "already"),
]


@pytest.mark.parametrize("text, words", BROKEN, ids=[f"{number} {words}" for number, (_, words) in enumerate(BROKEN)])
def test_a_broken_policy_is_refused_with_its_place(tmp_path, text, words):
    before = text.split("§")[0]
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text.replace("§", ""))
    assert f"p.yaml:{line}:{column}: " in str(caught.value)
    assert words in str(caught.value)


def test_open_words_may_have_thresholds_beside_a_default_coverage(tmp_path):
    rows = "{hate: {review: 0.5}, unmapped/acme/new: {review: 0.9}, label/knife: {review: 0.7}}"
    policy = load(tmp_path, f"policy: p\nsignals: {{coverage: {{default: {{}}}}}}\nthresholds: {rows}\n")
    assert policy.rule_for("label/knife").review == 7000


def test_the_default_coverage_asks_for_the_thresholds_where_they_can_be_seen(tmp_path):
    coverage = "{default: {min_providers: 2}, spam: {on_missing: block}}"
    rows = "{hate: {review: 0.5}, sexual/nudity: {review: 0.5}, toxicity: {review: 0.5}, unmapped: {review: 0.2}}"
    policy = load(tmp_path, f"policy: p\nsignals: {{coverage: {coverage}}}\nthresholds: {rows}\n")
    assert policy.coverage[TEXT].keys() == {"hate", "toxicity", "spam"}
    assert policy.coverage[IMAGE].keys() == {"hate", "sexual/nudity", "spam"}
    assert (policy.coverage[TEXT]["hate"].min_providers, policy.coverage[TEXT]["spam"].min_providers) == (2, 1)
    assert policy.coverage[TEXT]["spam"].on_missing == Action.BLOCK


def test_without_coverage_no_category_is_asked_for(tmp_path):
    assert load(tmp_path, "policy: p\nthresholds: {hate: {review: 0.5}}\n").coverage == {TEXT: {}, IMAGE: {}}


ONE = """policy: p
version: 3
signals: {coverage: {default: {min_providers: 1}}}
thresholds:
  hate: {review: 0.5, block: 0.9}
  spam: {review: 0.5}
messages: {default: {en: No., de: Nein.}}
"""
SAME = """# the same, as another hand wrote it
messages:
  default: {"de": "Nein.", 'en': No.}   # in words
thresholds:
  spam:
    block: "-"
    review: 0.50
  hate:
    block: 0.9000
    review: 5e-1

signals:
  coverage:
    default: {}
version: 3
policy: p
taxonomy: "1"
"""


def test_the_hash_is_over_what_is_said_not_how(tmp_path):
    assert load(tmp_path, ONE).hash == load(tmp_path, SAME).hash
    assert load(tmp_path, ONE).hash.startswith("sha256:")


@pytest.mark.parametrize(
    "old, new",
    [
        ("block: 0.9", "block: 0.9001"),
        ("spam: {review: 0.5}", "spam: {}"),
        ("spam: {review: 0.5}", "spam: {review: 0.5, reason: ad}"),
        ("min_providers: 1", "min_providers: 2"),
        ("min_providers: 1", "on_missing: block"),
        ("en: No.", "en: Nope."),
        ("version: 3", "version: 4"),
        ("policy: p", "policy: q"),
        ("version: 3", "version: 3\nlocale: de"),
    ],
)
def test_whatever_can_change_a_decision_or_a_message_changes_the_hash(tmp_path, old, new):
    assert load(tmp_path, ONE).hash != load(tmp_path, ONE.replace(old, new)).hash


OWN = Messages(
    {"hate": {"en": "Be kind.", "de": "Sei nett.", "de-AT": "Sei lieb."}, "default": {"de": "Nein."}}, "en", SHIPPED
)


@pytest.mark.parametrize(
    "keys, locale, text",
    [
        (("hate", "default"), "de-AT", "Sei lieb."),
        (("hate", "default"), "de_AT", "Sei lieb."),
        (("hate", "default"), "de-CH", "Sei nett."),
        (("hate", "default"), "DE", "Sei nett."),  # language tags know no case: RFC 5646 §2.1.1
        (("hate", "default"), "it", "Be kind."),
        (("hate", "default"), None, "Be kind."),
        (("spam", "default"), "de", "Nein."),
        (("sexual/suggestive", "sexual"), "en", "This image may be suggestive."),
        (("nowhere", "block"), "fr", "Ce contenu (image) est contraire à nos règles."),
        (("nowhere",), "de", "This content needs a review before it can be published."),
    ],
)
def test_what_the_policy_does_not_say_the_shipped_messages_do(keys, locale, text):
    assert OWN.say(keys, locale, IMAGE) == text


def test_a_policy_in_another_language_speaks_it_unasked(tmp_path):
    policy = load(tmp_path, "policy: p\nlocale: de\nthresholds: {}\nmessages: {hate: {de: Nein., en: No.}}\n")
    assert policy.messages.say(("hate",), None, TEXT) == "Nein."
    assert policy.messages.say(("block",), None, TEXT) == "Das verstößt gegen unsere Richtlinien (Text)."


def test_a_reasons_words_are_looked_for_from_the_most_particular_on():
    assert keys_for("ad", "spam/scam", Action.REVIEW, "my_words") == (
        *("my_words", "ad", "spam/scam", "spam"),
        *("default", "review"),
    )
    assert keys_for("ad", None, Action.BLOCK, "") == ("ad", "default", "block")


@pytest.mark.parametrize("locale", ["en", "de", "fr", "es"])
def test_every_shipped_message_is_there_in_every_language_and_holds_no_number(locale):
    said = [texts[locale] for texts in SHIPPED.texts.values()]
    assert all(said)
    assert not any(char.isdigit() for text in said for char in text)
