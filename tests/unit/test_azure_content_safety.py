"""Azure AI Content Safety: what is asked, how parts become one answer, and what severities come to be worth."""

from base64 import b64decode

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from adapters.azure_content_safety import CATEGORIES, OVERLAP, TEXT_LENGTH, Adapter, AzureSettings, split
from gateway.domain import Content, Finding, Image, Modality, Text, View
from gateway.errors import (
    VendorDenied,
    VendorDrift,
    VendorError,
    VendorRejected,
    VendorThrottled,
    VendorTimeout,
    VendorUnavailable,
)
from gateway.mapping import VendorTable
from gateway.paths import TAXONOMY, VENDORS
from gateway.taxonomy import Taxonomy
from gateway.wire import Reply

TABLE = VendorTable.from_file(VENDORS / "azure_content_safety.yaml", Taxonomy.from_file(TAXONOMY))
HIT = [{"blocklistName": "slurs", "blocklistItemId": "1", "blocklistItemText": "x"}]
SLURS = {"blocklists": ["slurs"]}
HALTING = {**SLURS, "halt_on_blocklist_hit": True}


def adapter(**written) -> Adapter:
    given_ = {"adapter": "azure_content_safety", "endpoint": "https://acme.example.com/", "api_key": "test-key"}
    return Adapter(AzureSettings.model_validate(given_ | written))


def text(written: str) -> Content:
    return Content((Text(written),))


def image(*views: bytes) -> Content:
    return Content((Image("0" * 64, tuple(View(view, "image/jpeg", 64, 64) for view in views), "image/jpeg"),))


def answer(*severities, **more) -> dict:
    """What the vendor says with these four severities."""
    named = [{"category": label, "severity": said} for label, said in zip(CATEGORIES, severities, strict=False)]
    return {"blocklistsMatch": [], "categoriesAnalysis": named, **more}


def vendor(*answers, status=200, **headers):
    """A transport that gives these answers in turn; what it was sent is in its `heard`."""
    left = list(answers)

    async def send(address, call):
        send.heard.append((address, call))
        return Reply(status, headers, orjson.dumps(left.pop(0)))

    send.heard = []
    return send


async def findings(content, *answers, **settings) -> dict:
    look = await adapter(**settings).look(content, vendor(*answers))
    return {finding.label: finding.value for finding in look.findings}


async def scores(content, modality, *answers, **settings) -> dict:
    look = await adapter(**settings).look(content, vendor(*answers))
    signals = TABLE.translate(look, "azure", {modality: 0})
    return {signal.category: signal.score for signal in signals}


# What is asked


async def test_a_text_is_asked_about_in_eight_levels():
    send = vendor(answer(0, 0, 0, 0))
    look = await adapter().look(text("hello"), send)
    [(address, call)] = send.heard
    assert (address, call.method, call.path) == ("https://acme.example.com", "POST", "/contentsafety/text:analyze")
    assert call.query == {"api-version": "2024-09-01"}
    assert call.headers == {"Ocp-Apim-Subscription-Key": "test-key"}
    assert call.json == {"text": "hello", "outputType": "EightSeverityLevels"}
    assert look.model == "2024-09-01"


async def test_an_image_is_sent_as_its_bytes_and_asked_about_in_four_levels():
    send = vendor(answer(0, 0, 0, 0))
    await adapter(**HALTING).look(image(b"\xff\xd8picture"), send)
    [(_, call)] = send.heard
    assert call.path == "/contentsafety/image:analyze"
    assert call.json.keys() == {"image", "outputType"}  # blocklists are of words
    assert call.json["outputType"] == "FourSeverityLevels"
    assert b64decode(call.json["image"]["content"]) == b"\xff\xd8picture"


async def test_another_version_of_the_interface_is_asked_and_told():
    send = vendor(answer(0, 0, 0, 0))
    look = await adapter(api_version="2023-10-01").look(text("hello"), send)
    assert send.heard[0][1].query == {"api-version": "2023-10-01"}
    assert look.model == "2023-10-01"


def test_a_text_and_an_image_in_one_question_are_refused():
    both = Content((*text("a caption").inputs, *image(b"x").inputs))
    with pytest.raises(VendorRejected, match="never at both"):
        list(adapter().ask(both))
    assert not Adapter.together


@pytest.mark.parametrize(
    "written",
    [
        {"endpoint": "acme.example.com"},
        {"api_version": "latest"},
        {"api_version": ""},
        {"blocklists": ["with space"]},
        {"blocklists": ["x" * 65]},
        {"blocklists": [""]},
        {"blocklist": ["slurs"]},
    ],
    ids=str,
)
def test_settings_that_cannot_be_are_refused(written):
    with pytest.raises(ValidationError):
        adapter(**written)


def test_the_key_is_not_shown():
    assert "test-key" not in repr(adapter().settings)


# A long text


@pytest.mark.parametrize(
    "length, lengths",
    [
        (0, [0]),
        (1, [1]),
        (TEXT_LENGTH, [TEXT_LENGTH]),
        (TEXT_LENGTH + 1, [TEXT_LENGTH, OVERLAP + 1]),
        (2 * TEXT_LENGTH - OVERLAP, [TEXT_LENGTH, TEXT_LENGTH]),
        (25_000, [10_000, 10_000, 5_400]),
    ],
)
def test_a_long_text_goes_in_parts(length, lengths):
    assert [len(part) for part in split("x" * length)] == lengths


@given(st.integers(0, 60_000), st.integers(0, 60_000))
def test_all_of_it_is_seen_and_what_stands_across_a_cut_is_whole_somewhere(length, at):
    whole = "".join(chr(0x4E00 + place % 20_000) for place in range(length))
    parts = split(whole)
    assert parts[0] + "".join(part[OVERLAP:] for part in parts[1:]) == whole
    assert all(len(part) <= TEXT_LENGTH for part in parts)
    phrase = whole[at : at + OVERLAP]
    assert any(phrase in part for part in parts)


def test_code_points_are_counted_and_none_is_cut():
    parts = split("😀" * (TEXT_LENGTH + 1))
    assert [len(part) for part in parts] == [TEXT_LENGTH, OVERLAP + 1]
    assert set("".join(parts)) == {"😀"}


LONG = text("x" * 25_000)


async def test_of_several_parts_the_highest_severity_of_each_label_counts():
    said = await findings(LONG, answer(0, 2, 0, 1), answer(5, 0, 0, 0), answer(0, 0, 7, 1))
    assert said == {"Hate": 5, "SelfHarm": 2, "Sexual": 7, "Violence": 1}


async def test_of_several_views_of_an_image_too():
    said = await findings(image(b"one", b"two"), answer(0, 2, 0, 4), answer(6, 0, 0, 0))
    assert said == {"Hate": 6, "SelfHarm": 2, "Sexual": 0, "Violence": 4}


@pytest.mark.parametrize(
    "second",
    [
        answer(),
        answer(0, 0, 0),
        answer(0, 0, 0, None),
        answer(0, 0, 0, -1),
        answer(0, 0, 0, "0"),
        answer(0, 0, 0, True),
    ],
    ids=str,
)
async def test_a_part_that_was_not_judged_is_not_hidden_by_the_others(second):
    with pytest.raises(VendorDrift):
        await findings(LONG, answer(0, 0, 0, 5), second, answer(0, 0, 0, 0))


async def test_a_hit_in_one_part_is_a_hit():
    said = await findings(
        LONG, answer(0, 0, 0, 0), answer(0, 0, 0, 0, blocklistsMatch=HIT), answer(0, 0, 0, 0), **SLURS
    )
    assert said == {"Hate": 0, "SelfHarm": 0, "Sexual": 0, "Violence": 0, "blocklist/slurs": 7}


# What a severity is worth


@pytest.mark.parametrize("severity, score", list(enumerate([0, 1500, 3500, 5000, 7000, 8000, 9500, 10_000])))
async def test_each_severity_of_a_text_has_its_score(severity, score):
    said = await scores(text("x"), Modality.TEXT, answer(severity, 0, 0, 0))
    assert (said["hate"], said["sexual"], said["violence"], said["self_harm"]) == (score, 0, 0, 0)


async def test_what_a_label_may_also_be_about_is_named_without_a_score():
    said = await scores(text("x"), Modality.TEXT, answer(7, 7, 7, 7))
    assert {category for category, score in said.items() if score is None} == {
        *("harassment", "sexual/minors", "weapons", "extremism", "self_harm/eating_disorder")
    }


@pytest.mark.parametrize("severity, score", [(0, 0), (2, 3500), (4, 7000), (6, 9500)])
async def test_each_severity_of_an_image_has_its_score(severity, score):
    said = await scores(image(b"x"), Modality.IMAGE, answer(0, 0, severity, 0))
    assert said["sexual"] == score


@pytest.mark.parametrize("severity", [1, 3, 5, 7])
async def test_an_odd_severity_of_an_image_is_drift(severity):
    with pytest.raises(VendorDrift, match="severity of 'Sexual'"):
        await findings(image(b"x"), answer(0, 0, severity, 0))


@pytest.mark.parametrize("severity", [None, -1, 8, 0.5, 2.0, True, False, "2", "", [], {}], ids=repr)
@pytest.mark.parametrize("content", [text("x"), image(b"x")], ids=["text", "image"])
async def test_a_severity_that_cannot_be_one_is_drift(content, severity):
    with pytest.raises(VendorDrift):
        await findings(content, answer(0, 0, 0, severity))


@pytest.mark.parametrize("missing", CATEGORIES)
async def test_an_answer_has_to_name_all_four(missing):
    said = answer(0, 0, 0, 0)
    said["categoriesAnalysis"] = [entry for entry in said["categoriesAnalysis"] if entry["category"] != missing]
    with pytest.raises(VendorDrift, match=f"every label but {missing}"):
        await findings(text("x"), said)


@pytest.mark.parametrize(
    "said",
    [{}, [], None, 0, "x", {"categoriesAnalysis": None}, {"categoriesAnalysis": {}}, {"categoriesAnalysis": [1]}],
)
async def test_what_is_no_answer_is_drift(said):
    with pytest.raises(VendorDrift):
        await findings(text("x"), said)


# Blocklists


async def test_a_hit_is_a_label_of_its_own_beside_the_severities():
    send = vendor(answer(0, 0, 0, 2, blocklistsMatch=[*HIT, *HIT, {"blocklistName": "house-rules"}]))
    look = await adapter(blocklists=["slurs", "house-rules"]).look(text("x"), send)
    assert send.heard[0][1].body == orjson.dumps(
        {
            **{"text": "x", "outputType": "EightSeverityLevels"},
            **{"blocklistNames": ["slurs", "house-rules"], "haltOnBlocklistHit": False},
        }
    )
    said = {signal.category: signal.score for signal in TABLE.translate(look, "azure", {Modality.TEXT: 0})}
    assert said["violence"] == 3500
    assert said["unmapped/azure_content_safety/blocklist_slurs"] == 10_000
    assert said["unmapped/azure_content_safety/blocklist_house-rules"] == 10_000


async def test_a_hit_that_halted_the_rest_leaves_the_four_unseen():
    look = await adapter(**HALTING).look(text("x"), vendor(answer(blocklistsMatch=HIT)))
    assert list(look.findings) == [
        *(Finding(label, None, frozenset()) for label in CATEGORIES),
        Finding("blocklist/slurs", 7),
    ]
    signals = TABLE.translate(look, "azure", {Modality.TEXT: 0})
    assert [signal.category for signal in signals] == ["unmapped/azure_content_safety/blocklist_slurs"]


async def test_a_halted_answer_that_names_the_four_is_taken_at_its_word():
    assert (await findings(text("x"), answer(0, 0, 0, 4, blocklistsMatch=HIT), **HALTING))["Violence"] == 4


@pytest.mark.parametrize(
    "settings, said",
    [
        (SLURS, answer(blocklistsMatch=HIT)),  # it was not to halt
        (HALTING, answer()),  # nothing was hit
        (HALTING, answer(0, 0, 0, blocklistsMatch=HIT)),  # half of it
        (HALTING, {"blocklistsMatch": HIT}),
        (HALTING, {"blocklistsMatch": HIT, "categoriesAnalysis": None}),
    ],
    ids=str,
)
async def test_nothing_but_a_hit_that_halts_excuses_silence(settings, said):
    with pytest.raises(VendorDrift):
        await findings(text("x"), said, **settings)


async def test_a_text_in_parts_is_never_halted():
    send = vendor(*[answer(0, 0, 0, 0)] * 3)
    await adapter(**HALTING).look(LONG, send)
    assert [call.json["haltOnBlocklistHit"] for _, call in send.heard] == [False] * 3
    with pytest.raises(VendorDrift):
        await findings(LONG, answer(blocklistsMatch=HIT), answer(0, 0, 0, 0), answer(0, 0, 0, 0), **HALTING)


@pytest.mark.parametrize("matches", [None, {}, "x", 0, [1], [{}], [{"blocklistName": None}]], ids=repr)
async def test_hits_of_another_shape_are_drift(matches):
    with pytest.raises(VendorDrift):
        await findings(text("x"), answer(0, 0, 0, 0, blocklistsMatch=matches))


async def test_who_asked_about_blocklists_has_to_be_told():
    said = answer(0, 0, 0, 0)
    del said["blocklistsMatch"]
    assert await findings(text("x"), said) == dict.fromkeys(CATEGORIES, 0)
    assert await findings(image(b"x"), said, **SLURS) == dict.fromkeys(CATEGORIES, 0)
    with pytest.raises(VendorDrift, match="blocklistsMatch"):
        await findings(text("x"), said, **SLURS)


# Errors


@pytest.mark.parametrize(
    "status, code, kind",
    [
        (400, "InvalidRequestBody", VendorRejected),
        (400, "InvalidResourceName", VendorDenied),
        (404, "ResourceNotFound", VendorDenied),
        (404, "404", VendorDenied),
        (401, "401", VendorDenied),
        (403, "403", VendorDenied),
        (429, "429", VendorThrottled),
        (429, "TooManyRequests", VendorThrottled),
        (500, "InternalError", VendorUnavailable),
        (503, "ServerBusy", VendorUnavailable),
        (504, "504", VendorTimeout),
        (400, "SomethingNew", VendorRejected),
        (500, "SomethingNew", VendorUnavailable),
        (400, None, VendorRejected),
        (429, {"a": 1}, VendorThrottled),
    ],
)
async def test_an_error_is_what_its_code_says_or_else_its_status(status, code, kind):
    said = {"error": {"code": code, "message": "…"}}
    with pytest.raises(VendorError) as caught:
        await adapter().look(text("x"), vendor(said, status=status))
    assert type(caught.value) is kind
    assert caught.value.http == status
    named = isinstance(code, str) and not code.isdigit()
    assert caught.value.detail == f"HTTP {status}" + (f" {code}" if named else "")


@pytest.mark.parametrize("said", [{}, [], None, "busy", {"error": None}, {"error": "busy"}, {"error": []}], ids=repr)
async def test_an_error_without_a_code_is_what_its_status_says(said):
    with pytest.raises(VendorUnavailable):
        await adapter().look(text("x"), vendor(said, status=503))


async def test_how_long_the_front_door_wants_us_to_wait_is_passed_on():
    said = {"error": {"code": "429", "message": "… Please retry after 1 second."}}
    with pytest.raises(VendorThrottled) as caught:
        await adapter().look(text("x"), vendor(said, status=429, **{"Retry-After": "1"}))
    assert caught.value.retry_after == 1
