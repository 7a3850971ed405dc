"""Answers in the same words after each other: each is translated by its own values."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.domain import FULL, Finding, Look, Modality
from gateway.mapping import VendorTable
from gateway.paths import TAXONOMY
from gateway.taxonomy import Taxonomy
from gateway.yamlfile import loads

WORDS = "labels: {hate: hate, spam: {slug: spam, and: [spam/scam]}, slur: hate}"
SAID = f"measures: confidence\nscale: [0, 1]\nsilence: drift\n{WORDS}\nunmapped: {{other: no matter}}\n"
TABLE = VendorTable("acme", loads(SAID, file="acme.yaml"), Taxonomy.from_file(TAXONOMY))
CATEGORIES = {"hate": ["hate"], "spam": ["spam", "spam/scam"], "slur": ["hate"], "other": []}


@given(st.lists(st.tuples(*[st.sampled_from([None, 0, 0.1, 0.25, 1, 1.0])] * len(CATEGORIES)), min_size=1))
def test_one_may_have_a_value_for_what_another_has_none_for(answers):
    for values in answers:
        look = Look(tuple(map(Finding, CATEGORIES, values)))
        signals = TABLE.translate(look, "acme", {Modality.TEXT: 0})
        assert [(signal.category, signal.score, signal.label) for signal in signals] == [
            (category, round(FULL * value), label)
            for (label, categories), value in zip(CATEGORIES.items(), values, strict=True)
            for category in categories
            if value is not None
        ]
