"""`policy diff`: what two policies mean differently, whatever their text looks like."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.paths import TAXONOMY
from gateway.policy.reading import read
from gateway.policytools.meaning import differences, one_line
from gateway.taxonomy import Taxonomy

TAXONOMY_READ = Taxonomy.from_file(TAXONOMY)
OLD = """\
policy: p
version: 1
context: {country: string, surface: string}
signals:
  combine: {default: max, hate: median}
  providers: [one, two]
  coverage: {default: {min_providers: 1}}
lists: {goods: {values: [gun, pills]}}
thresholds:
  hate: {review: 0.6, block: 0.9}
  spam: {review: 0.5}
rules:
  - id: thing
    action: review
    when: labels.exists(l, l.name in lists.goods && l.confidence >= 0.7)
  - id: where
    action: block
    when: scores["hate"] >= 0.3 && context.country in ["DE", "AT"]
exempt:
  - {id: art, from: [thing], when: context.surface == "art", because: a museum}
overlays:
  - match: {surface: chat}
    thresholds: {spam: {review: 0.3}}
messages: {default: {en: No., de: Nein.}}
"""


def found(tmp_path: Path, *changes: tuple[str, str]) -> list[tuple[str, str, str, object, object]]:
    new = OLD
    for before, after in changes:
        assert before in new
        new = new.replace(before, after)
    for name, text in (("old", OLD), ("new", new)):
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
    old, changed = (read(tmp_path / f"{name}.yaml", TAXONOMY_READ) for name in ("old", "new"))
    return [(each.where, each.field, each.change, each.before, each.after) for each in differences(old, changed)]


@pytest.mark.parametrize(
    "change",
    [
        ("policy: p\n", "# a comment\npolicy: p   # and another\n"),
        ("[gun, pills]", "[pills, gun]"),
        ("[one, two]", "[two, one]"),
        ("  spam: {review: 0.5}\n", '  spam: {block: "-", review: 0.50}\n'),
        ('["DE", "AT"]', '["AT", "DE"]'),
        (
            'scores["hate"] >= 0.3 && context.country in ["DE", "AT"]',
            "|\n      context.country in ['DE', 'AT'] // there\n      && 0.3 <= scores['hate']",
        ),
        ("{default: {min_providers: 1}}", "{default: {on_missing: review}}"),
        ("    action: review\n    when: labels", "    if_unknown: review\n    action: review\n    when: labels"),
    ],
)
def test_comments_order_and_spelling_are_no_difference(tmp_path, change):
    assert found(tmp_path, change) == []


@pytest.mark.parametrize(
    "change, expected",
    [
        (("review: 0.6", "review: 0.5"), ("thresholds.hate", "review", "stricter", 0.6, 0.5)),
        (("block: 0.9", 'block: "-"'), ("thresholds.hate", "block", "milder", 0.9, None)),
        (("  spam: {review: 0.5}\n", ""), ("thresholds.spam", "", "removed", {"review": 0.5}, None)),
        (
            ("  spam: {", "  weapons: {review: 0.7}\n  spam: {"),
            ("thresholds.weapons", "", "added", None, {"review": 0.7}),
        ),
        (("action: block", "action: review"), ("rules.where", "action", "changed", "block", "review")),
        (
            ('>= 0.3 && context.country in ["DE", "AT"]', ">= 0.3"),
            (
                "rules.where",
                "when",
                "changed",
                'scores["hate"] >= 0.3 && context.country in ["DE", "AT"]',
                'scores["hate"] >= 0.3',
            ),
        ),
        (("[gun, pills]", "[gun]"), ("lists.goods", "words", "changed", ["gun", "pills"], ["gun"])),
        (("hate: median", "hate: mean"), ("combine.hate", "by", "changed", "median", "mean")),
        (("min_providers: 1", "min_providers: 2"), ("coverage.default", "min_providers", "changed", 1, 2)),
        (("de: Nein.", "de: Lieber nicht."), ("messages.default", "de", "changed", "Nein.", "Lieber nicht.")),
        (
            ("spam: {review: 0.3}", "spam: {review: 0.4}"),
            ("overlays[surface=chat].thresholds.spam", "review", "milder", 0.3, 0.4),
        ),
        (
            ("because: a museum", "because: two museums"),
            ("exempt.art", "because", "changed", "a museum", "two museums"),
        ),
        (("version: 1", "version: 2"), ("policy", "version", "changed", 1, 2)),
    ],
)
def test_what_is_meant_differently(tmp_path, change, expected):
    assert found(tmp_path, change) == [expected]


def test_a_new_rule_is_told_with_its_condition(tmp_path):
    more = "exempt:", "  - {id: new, action: block, when: ocr.has_url}\nexempt:"
    [(where, _, change, before, after)] = found(tmp_path, more)
    assert (where, change, before) == ("rules.new", "added", None)
    assert isinstance(after, dict)
    assert (after["action"], after["when"]) == ("block", "ocr.has_url")


def test_an_overlay_that_takes_a_threshold_away(tmp_path):
    change = "spam: {review: 0.3}", 'spam: {review: "-"}'
    assert found(tmp_path, change) == [("overlays[surface=chat].thresholds.spam", "review", "milder", 0.3, "-")]


def test_an_expression_on_one_line():
    assert one_line('a.b  >= 0.5 // so\n  && !("x" in scores)') == 'a.b >= 0.5 && !("x" in scores)'
