"""What an answer to a known question says of a provider, and what is kept of it."""

import pytest
from msgspec.structs import replace

from gateway import paths
from gateway.canaries.book import MODELS_KEPT, Book, Mark, State
from gateway.canaries.card import draw_card
from gateway.canaries.probes import PROBES
from gateway.canaries.verdict import Table, judge, worst
from gateway.domain import Failure, Finding, Look, Modality, Reading, Signal
from gateway.mapping import VendorTable
from gateway.media.normalise import normalise
from gateway.taxonomy import Taxonomy

TAXONOMY = Taxonomy.from_file(paths.TAXONOMY)
HARMLESS, THREAT, PICTURE = PROBES
SEES = frozenset({"violence", "hate", "context/scene"})


def reading(**scores):
    """An answer with these scores; `_` in a name is `/`, and `x_below` is a label under its minimum."""
    signals = []
    for name, score in scores.items():
        category, below = name.removesuffix("_below").replace("_", "/"), name.endswith("_below")
        signals.append(Signal(category, None if below else score, "it", category, 0, score if below else None))
    return Reading("it", (0,), tuple(signals), "m1", None, (), 1, 12.0)


def failure(status, detail="HTTP 500"):
    return Failure("it", (0,), status, detail, 1, 12.0)


@pytest.mark.parametrize(
    ("probe", "outcome", "table", "first", "status"),
    [
        (HARMLESS, reading(violence=400, hate=0), Table(), {}, "ok"),
        (HARMLESS, reading(violence=4999), Table(), {}, "ok"),
        (HARMLESS, reading(violence=5000), Table(), {}, "alarmed"),
        (HARMLESS, reading(context_scene=9900), Table(), {}, "ok"),  # where it was taken is no harm
        (HARMLESS, reading(), Table(), {}, "dead"),
        (HARMLESS, failure("unavailable"), Table(), {}, "dead"),
        (HARMLESS, failure("denied", "HTTP 404 model_not_found"), Table(), {}, "dead"),
        (HARMLESS, failure("throttled"), Table(), {}, "unjudged"),
        (HARMLESS, failure("drift"), Table(), {}, "drift"),
        (HARMLESS, failure("drift"), Table(missing=["violence"]), {}, "renamed_label"),
        (HARMLESS, reading(violence=1), Table(unknown=["violence-2"]), {}, "renamed_label"),
        (HARMLESS, reading(violence=3100), Table(), {"violence": 599}, "shifted"),
        (HARMLESS, reading(violence=3100), Table(), {"violence": 600}, "ok"),
        (HARMLESS, reading(hate=3100), Table(), {"violence": 0}, "ok"),  # what was not there cannot have moved
        (THREAT, reading(violence=9000), Table(), {}, "ok"),
        (THREAT, reading(hate=9000, violence=0), Table(), {}, "ok"),  # it is not our place to say which
        (THREAT, reading(violence=4999), Table(), {}, "blind"),
        (THREAT, reading(violence=5200), Table(), {"violence": 9000}, "shifted"),
        (PICTURE, reading(violence_below=3000), Table(), {"violence": 3000}, "ok"),
        (PICTURE, reading(violence_below=3000), Table(), {"violence": 5600}, "shifted"),
        (PICTURE, reading(), Table(), {}, "image_path_dead"),
        (PICTURE, failure("rejected"), Table(), {}, "image_path_dead"),
        (PICTURE, failure("timeout"), Table(), {}, "image_path_dead"),
    ],
)
def test_what_an_answer_says(probe, outcome, table, first, status):
    verdict = judge(probe, outcome, table, SEES, TAXONOMY, first)
    assert verdict.status == status
    assert verdict.status.marks == (status not in ("ok", "unjudged"))
    assert bool(verdict.detail) == (status != "ok")


def test_who_cannot_see_threats_does_not_have_to():
    outcome = reading(sexual=10)
    assert judge(THREAT, outcome, Table(), {"sexual", "label/listed"}, TAXONOMY, {}).status == "ok"
    assert judge(THREAT, outcome, Table(), {"harassment/threatening"}, TAXONOMY, {}).status == "blind"


def test_the_detail_names_what_is_wrong():
    renamed = judge(HARMLESS, failure("drift"), Table(["hate"], ["hate-2"]), SEES, TAXONOMY, {})
    assert renamed.detail == "it does not name hate; it names, and no table knows, hate-2"
    shifted = judge(THREAT, reading(violence=6000), Table(), SEES, TAXONOMY, {"violence": 9700})
    assert shifted.detail == "it says violence 0.60; the same model first said violence 0.97"


def test_the_worst_answer_counts_and_its_word_is_why_there_was_none():
    fine = judge(HARMLESS, reading(violence=1), Table(), SEES, TAXONOMY, {})
    waits = judge(THREAT, failure("throttled"), Table(), SEES, TAXONOMY, {})
    dead = judge(PICTURE, failure("timeout"), Table(), SEES, TAXONOMY, {})
    drift = judge(THREAT, failure("drift"), Table(["hate"]), SEES, TAXONOMY, {})
    assert worst([fine, dead, waits]) is dead
    assert [verdict.word for verdict in (fine, waits, dead, drift)] == ["ok", "throttled", "timeout", "renamed_label"]
    assert replace(dead, answer="ok").word == "image_path_dead"


def look(*labels, open=False):
    return Look(tuple(Finding(label, 0.1, open=open) for label in labels))


def test_a_table_tells_what_is_strange_in_an_answer():
    always = VendorTable.from_file(paths.VENDORS / "google_vision.yaml", TAXONOMY)
    assert always.strange(look("adult", "spoof", "medical", "violent", "racy")) == (["violence"], ["violent"])
    sometimes = VendorTable.from_file(paths.VENDORS / "rekognition.yaml", TAXONOMY)
    assert sometimes.strange(look("Violence", "Violent")) == ([], ["Violent"])
    assert sometimes.strange(look("Aardvark", open=True)) == ([], [])


def test_the_texts_are_plain_and_the_picture_is_one_that_everybody_takes():
    assert [probe.name for probe in PROBES] == ["harmless_text", "threat", "picture"]
    assert all(probe.text.isascii() for probe in PROBES)
    [view] = normalise(draw_card()).views
    assert (view.width, view.height) == (320, 240)
    assert {probe.modality for probe in PROBES} == set(Modality)


def test_what_was_said_first_stays(tmp_path):
    book = Book(tmp_path)
    assert book.read() == State()
    for scores in ({"violence": 10}, {"violence": 9000}):
        book.change(lambda state, scores=scores: state.remember("a", "threat", "m1", scores))
    book.change(lambda state: state.marks.update(a=Mark("blind", "why", 5.5)))
    state = Book(tmp_path).read()
    assert state.said_first("a", "threat", "m1") == {"violence": 10}
    assert state.said_first("a", "threat", "m2") == state.said_first("b", "threat", "m1") == {}
    assert state.marks == {"a": Mark("blind", "why", 5.5)}


def test_a_vendor_with_a_new_version_a_day_does_not_fill_the_disk(tmp_path):
    state = State()
    for day in range(MODELS_KEPT + 5):
        state.remember("a", "threat", f"m{day}", {"violence": day})
    assert len(state.first["a"]["threat"]) == MODELS_KEPT
    assert state.said_first("a", "threat", f"m{MODELS_KEPT + 4}") == {"violence": MODELS_KEPT + 4}
    assert state.said_first("a", "threat", "m0") == {}


@pytest.mark.parametrize("written", [b"", b"{", b"[]", b'{"marks": {"a": 1}}'])
def test_a_broken_file_is_as_good_as_none(tmp_path, written):
    (tmp_path / "canaries.json").write_bytes(written)
    book = Book(tmp_path)
    assert book.read() == State()
    book.change(lambda state: state.remember("a", "threat", "m", {"violence": 1}))
    assert book.read().said_first("a", "threat", "m") == {"violence": 1}


def test_only_one_of_all_who_share_the_folder_asks(tmp_path):
    one, other = Book(tmp_path), Book(tmp_path)
    assert [one.my_turn(), other.my_turn(), one.my_turn()] == [True, False, True]
    one.close()
    assert other.my_turn()
    other.close()
