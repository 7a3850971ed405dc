"""Llama Guard: what a verdict says of which hazard, and how sure it is."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from adapters.llama_guard import HAZARDS, UNSAFE, Adapter, LlamaGuardSettings, findings, probability, verdict
from gateway.domain import Content, Image, Modality, Text, View
from gateway.errors import VendorRejected
from gateway.mapping import VendorTable
from gateway.paths import TAXONOMY, VENDORS
from gateway.taxonomy import Taxonomy

TABLE = VendorTable.from_file(VENDORS / "llama_guard.yaml", Taxonomy.from_file(TAXONOMY))
VIEWS = (View(b"one", "image/png", 1, 1), View(b"two", "image/jpeg", 1, 1))
PICTURE = Image("0" * 64, VIEWS, "image/gif")
KNOWN = (*HAZARDS, UNSAFE)


def adapter(**written) -> Adapter:
    given_ = {"adapter": "llama_guard", "base_url": "http://127.0.0.1:8000/v1", "model": "guard"}
    return Adapter(LlamaGuardSettings.model_validate(given_ | written))


def token(written, logprob, *others):
    named = [{"token": word, "logprob": value} for word, value in others]
    return {"token": written, "logprob": logprob, "top_logprobs": named}


# What is asked


def test_a_text_goes_as_a_part_for_one_template_reads_nothing_else():
    [call] = adapter().ask(Content((Text("hello"),)))
    assert call.json["messages"] == [{"role": "user", "content": [{"type": "text", "text": "hello"}]}]
    assert (call.path, call.json["temperature"], call.json["logprobs"]) == ("/chat/completions", 0, True)


def test_each_view_of_a_picture_is_a_call_with_the_text_beside_it():
    calls = list(adapter(images=True).ask(Content((Text("look"), PICTURE))))
    assert [[part["type"] for part in call.json["messages"][0]["content"]] for call in calls] == [
        ["text", "image_url"]
    ] * 2
    addresses = [call.json["messages"][0]["content"][1]["image_url"]["url"] for call in calls]
    assert addresses == ["data:image/png;base64,b25l", "data:image/jpeg;base64,dHdv"]


@pytest.mark.parametrize("parts", [(PICTURE,), (Text("look"), PICTURE)], ids=["alone", "with a text"])
def test_a_model_that_may_not_see_is_asked_about_no_image(parts):
    with pytest.raises(VendorRejected, match="images: true"):
        list(adapter().ask(Content(parts)))


def test_a_server_that_refuses_the_question_is_not_asked_for_probabilities():
    [call] = adapter(logprobs=False).ask(Content((Text("hello"),)))
    assert not call.json.keys() & {"logprobs", "top_logprobs"}


def test_a_key_is_sent_where_there_is_one():
    [without], [with_key] = (adapter(**key).ask(Content((Text("x"),))) for key in ({}, {"api_key": "test-key"}))
    assert without.headers == {}
    assert with_key.headers == {"Authorization": "Bearer test-key"}


@pytest.mark.parametrize("written", [{"base_url": None}, {"model": None}, {"hazards": 12}, {"hazards": 15}], ids=str)
def test_settings_that_cannot_be_are_refused(written):
    with pytest.raises(ValidationError):
        adapter(**written)


# What is a verdict


@pytest.mark.parametrize(
    "said, read",
    [
        ("safe", ("safe", [])),
        ("\n\nsafe\n", ("safe", [])),
        ("SAFE", ("safe", [])),
        ("unsafe", ("unsafe", [])),
        ("unsafe\nS1", ("unsafe", ["S1"])),
        ("\n\nunsafe\nS1,S10", ("unsafe", ["S1", "S10"])),
        ("Unsafe\r\ns1 , s14 ", ("unsafe", ["S1", "S14"])),
        ("unsafe S99", ("unsafe", ["S99"])),
    ],
)
def test_a_verdict_is_a_word_and_codes(said, read):
    assert verdict(said) == read


@pytest.mark.parametrize(
    "said",
    [
        *(
            "",
            "\n",
            "unsafely",
            "not safe",
            "safe.",
            "safe\nS1",
            "unsafe\nS1,",
            "unsafe\nS",
            "unsafeS1",
            "S1",
            "unsafe\nS1 S2",
        ),
        *(
            "unsafe\nS100",
            "unsafe\n1",
            "unsafe\nViolence",
            "safe safe",
            "unsafe\nS1\nsafe",
            "un safe",
            "un\u017fafe",
            "unsafe\nS\u0661",
        ),
    ],
)
def test_anything_else_is_none(said):
    with pytest.raises(ValueError, match="neither safe nor unsafe"):
        verdict(said)


@given(st.text())
def test_whatever_is_said_is_safe_unsafe_or_drift(said):
    try:
        word, codes = verdict(said)
    except ValueError:
        return
    assert word == "unsafe" or (word, codes) == ("safe", [])


# Of which hazard it says what


def said_of(word, codes=(), sure=None, known=KNOWN):
    return {finding.label: finding.value for finding in findings(word, list(codes), sure, known)}


def test_a_safe_verdict_bounds_every_hazard():
    assert said_of("safe", sure=0.2) == dict.fromkeys(KNOWN, 0.2)
    assert said_of("safe") == dict.fromkeys(KNOWN, 0.0)


def test_an_unsafe_verdict_is_about_what_it_lists():
    assert said_of("unsafe", ["S1"], sure=0.9) == dict.fromkeys(KNOWN) | {"S1": 0.9}
    assert said_of("unsafe", ["S1"]) == dict.fromkeys(KNOWN, 0.0) | {"S1": 1.0}
    assert said_of("unsafe", ["S33"], sure=0.9) == dict.fromkeys(KNOWN) | {"S33": 0.9}


@pytest.mark.parametrize("sure", [None, 0.9])
def test_where_it_lists_nothing_it_clears_nothing(sure):
    assert said_of("unsafe", sure=sure) == dict.fromkeys(KNOWN) | {"unsafe": sure or 1.0}


@pytest.mark.parametrize("word, codes, value", [("safe", [], None), ("unsafe", ["S1"], None), ("unsafe", ["S14"], 1.0)])
def test_a_hazard_that_the_model_does_not_know_is_not_looked_at_unless_it_is_listed(word, codes, value):
    assert said_of(word, codes, known=(*HAZARDS[:13], UNSAFE))["S14"] == value


def test_every_hazard_has_a_meaning_and_the_last_is_about_texts():
    texts, images = TABLE.covers(Modality.TEXT), TABLE.covers(Modality.IMAGE)
    assert (len(texts), texts - images) == (len(KNOWN), {"illicit/cyber"})


# How sure it is


@given(st.floats(0.5, 1), st.floats(0, 1))
def test_the_two_words_share_what_they_have_and_the_verdict_has_more_of_it(mine, part):
    other = min(mine, 1 - mine) * part
    for word, against in (("safe", "unsafe"), ("unsafe", "safe")):
        sure = probability(word, [token("\n\n", 0.0), token(word, log(mine), (against, log(other)))])
        expected = (mine if word == "unsafe" else other) / (mine + other)
        assert sure == pytest.approx(expected)
        assert sure >= 0.5 if word == "unsafe" else sure <= 0.5


def log(share):
    return math.log(share) if share else -9999.0


@pytest.mark.parametrize("mine, sure", [(1.0, 0.0), (0.9, 0.1), (0.6, 0.4), (0.3, 0.5)])
def test_a_word_that_is_not_named_has_at_most_what_is_left(mine, sure):
    assert probability("safe", [token("safe", math.log(mine))]) == pytest.approx(sure)


@pytest.mark.parametrize(
    "tokens",
    [
        [],
        [token("\n", 0.0)],
        [token("un", -0.1), token("safe", -0.1)],
        [token("unsafe", -0.1)],
        [token("safe", -3.0, ("unsafe", -0.1))],
        [token("safe", -9999.0)],
        [token("safe", 0.1)],
        [token("safe", -0.1, ("unsafe", 1.0))],
        [token("safe", math.nan)],
        [token("safe", False)],
        [token("safe", "-0.1")],
        [token("safe", None)],
    ],
    ids=str,
)
def test_what_is_not_the_probability_of_this_verdict_is_drift(tokens):
    with pytest.raises(ValueError):
        probability("safe", tokens)
