"""The local text model: its numbers are scikit-learn's, its files the shipped ones, and it knows what it cannot see."""

from __future__ import annotations

import asyncio
import math
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import hstack
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from adapters.local_text import Adapter
from adapters.local_text_model.features import Block, pieces, words
from adapters.local_text_model.heads import Heads
from adapters.local_text_model.model import FOLDER, LEXICON, SUMS, WEIGHTS, TextModel, windows
from adapters.local_text_model.normalise import fold, plain
from gateway.adapter import VendorSettings
from gateway.domain import Content, Look, Text
from gateway.errors import ConfigError, VendorRejected
from gateway.wire import Call, Reply

ENGLISH_LABELS = {"sexual", "hate", "harassment", "violence", "self-harm", "toxicity"}
DERIVED = {"hate/threatening", "harassment/threatening"}
THREATS = [
    "I will kill you",
    "I'm going to come to your house and beat you to death",
    "If I ever meet you I will break your neck",
    "your family will be dead by Friday",
]
EVERYDAY = [
    "A walk on the beach with my dog",
    "Check out this killer recipe",
    "I love this photo!",
    "Happy birthday grandma",
    "Fresh bread, butter and a cup of tea",
    "My parents are immigrants from Poland",
    "The Muslim community centre is open to visitors on Saturday",
]


class Workshop:
    """Threads, and which of them worked."""

    def __init__(self) -> None:
        self.threads: set[int] = set()

    async def think(self, work: Callable[..., Any], /, *args: Any) -> Any:
        def noted() -> Any:
            self.threads.add(threading.get_ident())
            return work(*args)

        return await asyncio.to_thread(noted)

    async def decode(self, work: Callable[[bytes], Any], data: bytes, /) -> Any:
        raise AssertionError("there is no image")


async def no_network(address: str, call: Call, /) -> Reply:
    raise AssertionError("a local model asks nobody")


@pytest.fixture(scope="module")
def model() -> TextModel:
    return TextModel.load()


async def looked_at(text: str, workshop: Workshop | None = None) -> Look:
    adapter = Adapter(VendorSettings(adapter="local_text"))
    await adapter.open(workshop or Workshop())
    return await adapter.look(Content((Text(text),)), no_network)


def highest(model: TextModel, text: str) -> float:
    return max(model.judge(text).values[label] or 0.0 for label in ENGLISH_LABELS)


def test_numpy_scores_are_those_of_scikit_learn(tmp_path: Path) -> None:
    texts = [
        f"{who} {does} the {what}" for who in ("she", "he") for does in ("feeds", "kicks") for what in ("dog", "cat")
    ]
    fitted = [TfidfVectorizer(analyzer=analyse, sublinear_tf=True).fit(texts) for analyse in (words, pieces)]
    matrix = hstack([vectoriser.transform(texts) for vectoriser in fitted]).tocsr()
    kicks, dog = (LogisticRegression(C=8).fit(matrix, [word in text for text in texts]) for word in ("kicks", "dog"))
    Heads(
        labels=("kicks", "dog"),
        blocks=tuple(
            Block(analyse, {str(term): row for row, term in enumerate(v.get_feature_names_out())}, v.idf_)
            for analyse, v in zip((words, pieces), fitted, strict=True)
        ),
        weights=np.stack([kicks.coef_[0], dog.coef_[0]], axis=1).astype(np.float32),
        bias=np.array([kicks.intercept_[0], dog.intercept_[0]], np.float32),
        slope=np.ones(2, np.float32),
        threshold=np.zeros(2, np.float32),
    ).save(tmp_path / "heads.npz")
    heads = Heads.load(tmp_path / "heads.npz")
    for text in ("she kicks the dog", "dog dog dog he feeds a horse", "the cat sees the cat"):
        row = hstack([vectoriser.transform([text]) for vectoriser in fitted])
        expected = {name: head.predict_proba(row)[0, 1] for name, head in (("kicks", kicks), ("dog", dog))}
        assert heads.values(text) == pytest.approx(expected, abs=1e-3)


def test_saving_twice_gives_the_same_bytes(model: TextModel, tmp_path: Path) -> None:
    model.heads.save(tmp_path / WEIGHTS)
    assert (tmp_path / WEIGHTS).read_bytes() == (FOLDER / WEIGHTS).read_bytes()


@pytest.mark.parametrize("name", [WEIGHTS, LEXICON])
def test_another_file_than_the_shipped_one_is_refused(name: str, tmp_path: Path) -> None:
    for file in (WEIGHTS, LEXICON, SUMS):
        shutil.copy(FOLDER / file, tmp_path)
    (tmp_path / name).write_bytes((FOLDER / name).read_bytes() + b"\n")
    with pytest.raises(ConfigError, match=rf"{name}: SHA-256 is [0-9a-f]{{64}}, expected [0-9a-f]{{64}}"):
        TextModel.load(tmp_path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"{SUMS}: the text model is not complete"):
        TextModel.load(tmp_path)


def test_the_package_stays_small() -> None:
    assert (FOLDER / WEIGHTS).stat().st_size + (FOLDER / LEXICON).stat().st_size < 2_000_000


@pytest.mark.parametrize("text", THREATS)
def test_direct_threats_are_seen(model: TextModel, text: str) -> None:
    values = model.judge(text).values
    assert max(values["violence"] or 0, values["harassment"] or 0) > 0.7
    assert values["harassment/threatening"] == min(values["violence"] or 0, values["harassment"] or 0)


@pytest.mark.parametrize("text", EVERYDAY)
def test_everyday_captions_are_left_alone(model: TextModel, text: str) -> None:
    assert highest(model, text) < 0.3
    assert model.judge(text).values["profanity"] == 0.0


@pytest.mark.parametrize("written", ["I will k1ll you", "I will k i l l you", "I will ki\u200bll you",
                                     "I will kіll уоu", "I will ＫＩＬＬ you", "I will kiiiill you",
                                     "I will 𝓴𝓲𝓵𝓵 you"])  # fmt: skip
def test_disguises_change_nothing(model: TextModel, written: str) -> None:
    assert fold(written, model.known) == "i will kill you"


@pytest.mark.parametrize("written", ["the mp3 of the 1st take", "from 9 to 5", "u s b", "example.org/a1b2"])
def test_what_only_looks_like_a_disguise_stays(model: TextModel, written: str) -> None:
    assert fold(written, frozenset({"i", "a", "take"})) == written


@pytest.mark.parametrize(
    "text",
    ["Die Katze schläft auf dem Sofa und träumt.", "Le chat dort sur le canapé du salon.", "Кошка спит на диване",
     "猫在沙发上睡觉", "القطة نائمة على الأريكة", "Kot śpi na kanapie w salonie."],
)  # fmt: skip
def test_in_another_language_only_profanity_is_looked_for(model: TextModel, text: str) -> None:
    judgement = model.judge(text)
    assert judgement.language != "en"
    assert {label for label, value in judgement.values.items() if value is not None} == {"profanity"}


@pytest.mark.parametrize("text", ["ok", "lol", "Amsterdam!", "déjà vu", "Thx luv, c u l8r", "SO MUCH FUN", *EVERYDAY])
def test_english_is_not_taken_for_another_language(model: TextModel, text: str) -> None:
    assert model.judge(text).language == "en"


def test_a_threat_inside_a_long_text_of_another_language_is_seen(model: TextModel) -> None:
    filler = "Die Katze schläft auf dem Sofa und träumt von der Maus im Garten. " * 20
    assert highest(model, filler + f"{THREATS[1]}. " * 12 + filler) > 0.5


@pytest.mark.parametrize(
    "text",
    [
        "what a load of sh1t",
        "merde alors",
        "Scheiße!",
        "hijo de puta",
        "che stronzo",
        "так, блядь",
        "这是他妈的",
        "씨발놈아",
    ],
)
def test_profanity_in_many_languages(model: TextModel, text: str) -> None:
    assert (model.judge(text).values["profanity"] or 0) >= 0.4


@pytest.mark.parametrize(
    "text", ["Scunthorpe", "the class assessed it", "en retard", "Moby Dick", "妈妈的手", "ein Fuchs"]
)
def test_words_within_words_and_harmless_phrases_are_none(model: TextModel, text: str) -> None:
    assert model.judge(text).values["profanity"] == 0.0


@pytest.mark.parametrize("text", ["", " \n\t", "\u200b\u200b"])
def test_a_blank_text_was_not_looked_at(model: TextModel, text: str) -> None:
    assert set(model.judge(text).values.values()) == {None}


def test_signs_alone_are_no_evidence_for_the_heads(model: TextModel) -> None:
    values = model.judge("⠿⠿⠿").values
    assert values["violence"] is None
    assert values["profanity"] == 0.0


@pytest.mark.parametrize(("length", "count"), [(0, 1), (2000, 1), (2001, 2), (3800, 2), (3801, 3)])
def test_windows_cover_all_and_overlap(length: int, count: int) -> None:
    text = "".join(chr(97 + index % 26) for index in range(length))
    cut = list(windows(text))
    assert len(cut) == count
    assert max(map(len, cut)) <= 2000
    assert cut[0] + "".join(window[200:] for window in cut[1:]) == text


def test_the_worst_window_counts(model: TextModel) -> None:
    filler = "The garden is full of flowers and the children play by the lake. " * 60
    assert highest(model, filler) < 0.5 < highest(model, filler + " ".join(THREATS * 10) + filler)


@settings(max_examples=150, deadline=None)
@given(text=st.text(max_size=300))
def test_any_text_gives_values_between_0_and_1(model: TextModel, text: str) -> None:
    values = model.judge(text).values
    assert set(values) == ENGLISH_LABELS | DERIVED | {"profanity"}
    assert all(value is None or (math.isfinite(value) and 0 <= value <= 1) for value in values.values())


@pytest.mark.parametrize("part", ["a", "a ", "a!", "a*", "k1", "\u0316\u0300", "ab", "'", "a.", "씨", "\ud800"])
def test_hostile_texts_take_linear_time(model: TextModel, part: str) -> None:
    began = process_time()
    model.judge(part * (50_000 // len(part)))
    assert process_time() - began < 2


def test_plain_keeps_what_other_languages_need() -> None:
    assert plain("Señor Größe Й หมา") == "señor grösse й หมา"


async def test_the_adapter_reports_and_keeps_no_text() -> None:
    look = await looked_at("I will kill you, said the wolf in the wanker costume")
    [said] = look.exchanges
    assert {finding.label for finding in look.findings} == ENGLISH_LABELS | DERIVED | {"profanity"}
    assert look.model is not None
    assert look.model.startswith("local-text-")
    assert set(orjson.loads(said.body)) == {"language", "scores"}
    assert "wolf" not in said.body
    assert "wanker" not in said.body


async def test_the_work_is_done_off_the_event_loop() -> None:
    workshop = Workshop()
    await looked_at("hello", workshop)
    assert threading.get_ident() not in workshop.threads
    assert workshop.threads


async def test_no_text_is_a_rejection() -> None:
    adapter = Adapter(VendorSettings(adapter="local_text"))
    await adapter.open(Workshop())
    with pytest.raises(VendorRejected):
        await adapter.look(Content(()), no_network)
