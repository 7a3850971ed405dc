"""Google Vision: who signs in how, what a likelihood comes to be worth, and which error means what."""

from base64 import b64decode

import orjson
import pytest
from pydantic import ValidationError

from adapters.google_vision import LABELS, Adapter, GoogleVisionSettings
from gateway.domain import Content, Finding, Image, Modality, Text, View
from gateway.errors import (
    VendorDenied,
    VendorDrift,
    VendorRejected,
    VendorThrottled,
    VendorTimeout,
    VendorUnavailable,
)
from gateway.mapping import VendorTable
from gateway.paths import TAXONOMY, VENDORS
from gateway.taxonomy import Taxonomy
from gateway.wire import Reply

TABLE = VendorTable.from_file(VENDORS / "google_vision.yaml", Taxonomy.from_file(TAXONOMY))


def settings(**written) -> GoogleVisionSettings:
    return GoogleVisionSettings.model_validate({"adapter": "google_vision", "api_key": "test-key"} | written)


def image(*views: bytes) -> Content:
    return Content((Image("0" * 64, tuple(View(view, "image/jpeg", 64, 64) for view in views), "image/jpeg"),))


def answer(*likelihoods) -> dict:
    """What the vendor says with these five likelihoods."""
    return {"responses": [{"safeSearchAnnotation": dict(zip(LABELS, likelihoods, strict=True))}]}


def vendor(*answers, status=200):
    """A transport that gives these answers in turn; what it was sent is in its `heard`."""
    left = list(answers)

    async def send(address, call):
        send.heard.append((address, call))
        return Reply(status, {}, orjson.dumps(left.pop(0)))

    send.heard = []
    return send


async def look(*answers, status=200, content=None, **written):
    return await Adapter(settings(**written)).look(content or image(b"x"), vendor(*answers, status=status))


# What is asked


async def test_each_view_is_a_call_with_its_bytes():
    send = vendor(answer(*["UNLIKELY"] * 5), answer("VERY_LIKELY", *["VERY_UNLIKELY"] * 4))
    found = await Adapter(settings()).look(image(b"one", b"two"), send)
    bodies = [call.json["requests"] for _, call in send.heard]
    assert [b64decode(body[0]["image"]["content"]) for body in bodies] == [b"one", b"two"]
    assert all(body[0]["features"] == [{"type": "SAFE_SEARCH_DETECTION"}] for body in bodies)
    assert {finding.label: finding.value for finding in found.findings} == {
        **dict.fromkeys(LABELS, 2),
        "adult": 5,
    }


def test_a_place_may_stand_in_the_address():
    base = "https://eu-vision.googleapis.com/v1/projects/acme/locations/eu"
    assert Adapter(settings(base_url=base)).address == base


def test_the_key_is_in_a_header_and_not_in_the_address():
    [call] = Adapter(settings()).ask(image(b"x"))
    assert (call.headers, call.query, call.path) == ({"X-Goog-Api-Key": "test-key"}, None, "/images:annotate")


def test_a_token_goes_in_place_of_the_key():
    [call] = Adapter(settings(api_key=None, access_token="test-token")).ask(image(b"x"))
    assert call.headers == {"Authorization": "Bearer test-token"}


@pytest.mark.parametrize("written", [{"api_key": None}, {"api_key": ""}, {"access_token": "test-token"}], ids=str)
def test_there_is_one_way_to_sign_in(written):
    with pytest.raises(ValidationError, match="either api_key or access_token"):
        settings(**written)


def test_no_secret_is_shown():
    shown = repr(settings()) + repr(settings(api_key=None, access_token="test-token"))
    assert "test-" not in shown


def test_a_text_alone_cannot_be_put():
    with pytest.raises(VendorRejected, match="images only"):
        list(Adapter(settings()).ask(Content((Text("hello"),))))


# What a likelihood is worth


@pytest.mark.parametrize(
    "likelihood, score",
    [("VERY_UNLIKELY", 200), ("UNLIKELY", 2000), ("POSSIBLE", 5000), ("LIKELY", 7500), ("VERY_LIKELY", 9500)],
)
async def test_each_likelihood_has_its_score(likelihood, score):
    said = await look(answer(*[likelihood] * 5))
    signals = {signal.category: signal.score for signal in TABLE.translate(said, "google", {Modality.IMAGE: 0})}
    slugs = ("sexual", "context/spoof", "context/medical", "violence", "sexual/suggestive")
    assert signals == dict.fromkeys(slugs, score)


async def test_unknown_is_not_looked_and_never_zero():
    said = await look(answer("UNKNOWN", *["VERY_UNLIKELY"] * 4))
    assert said.findings[0] == Finding("adult", None, frozenset())
    signals = TABLE.translate(said, "google", {Modality.IMAGE: 0})
    assert "sexual" not in {signal.category for signal in signals}


async def test_who_looked_at_nothing_gave_no_answer():
    with pytest.raises(VendorDrift, match="silent about all"):
        await look(answer(*["UNKNOWN"] * 5))


@pytest.mark.parametrize("missing", LABELS)
async def test_all_five_have_to_be_named(missing):
    said = answer(*["VERY_UNLIKELY"] * 5)
    del said["responses"][0]["safeSearchAnnotation"][missing]
    with pytest.raises(VendorDrift, match=f"silent about {missing}"):
        await look(said)


@pytest.mark.parametrize("said", [None, 0, 5, 0.9, True, "", "very_likely", "5", [], {}], ids=repr)
@pytest.mark.parametrize("label", LABELS)
async def test_what_is_no_likelihood_is_drift(said, label):
    likelihoods = [said if name == label else "VERY_UNLIKELY" for name in LABELS]
    with pytest.raises(VendorDrift):
        await look(answer(*likelihoods))


# Errors


def status(code, name, *reasons) -> dict:
    details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason} for reason in reasons]
    return {"error": {"code": code, "message": "made up", "status": name, "details": details}}


@pytest.mark.parametrize(
    "http, said, error",
    [
        (400, status(400, "INVALID_ARGUMENT"), VendorRejected),
        (400, status(400, "INVALID_ARGUMENT", "API_KEY_INVALID"), VendorDenied),
        (400, status(400, "INVALID_ARGUMENT", "SOMETHING", "API_KEY_INVALID"), VendorDenied),
        (400, status(400, "FAILED_PRECONDITION"), VendorDenied),
        (401, status(401, "UNAUTHENTICATED"), VendorDenied),
        (403, status(403, "PERMISSION_DENIED", "BILLING_DISABLED"), VendorDenied),
        (404, status(404, "NOT_FOUND"), VendorDenied),
        (429, status(429, "RESOURCE_EXHAUSTED"), VendorThrottled),
        (429, {"error": None}, VendorThrottled),
        (500, status(500, "INTERNAL"), VendorUnavailable),
        (503, {}, VendorUnavailable),
        (504, status(504, "DEADLINE_EXCEEDED"), VendorTimeout),
    ],
    ids=str,
)
async def test_an_error_has_its_name(http, said, error):
    with pytest.raises(error) as caught:
        await look(said, status=http)
    assert type(caught.value) is error
    assert caught.value.http == http


@pytest.mark.parametrize(
    "code, error",
    [
        *((code, VendorUnavailable) for code in (1, 2, 10, 13, 14, 15)),
        *((code, VendorRejected) for code in (3, 11)),
        *((code, VendorDenied) for code in (5, 7, 9, 12, 16)),
        (4, VendorTimeout),
        (8, VendorThrottled),
        *((code, VendorDrift) for code in (0, 6, 17, -1, "3", None, [])),
    ],
    ids=str,
)
async def test_an_error_about_the_image_comes_with_a_200(code, error):
    with pytest.raises(error) as caught:
        await look({"responses": [{"error": {"code": code, "message": "made up"}}]})
    assert type(caught.value) is error
    assert caught.value.http == 200


async def test_an_error_counts_whatever_stands_beside_it():
    said = answer(*["VERY_UNLIKELY"] * 5)
    said["responses"][0]["error"] = {}
    with pytest.raises(VendorDrift):
        await look(said)


async def test_a_view_that_was_not_seen_is_not_hidden_by_the_others():
    broken = {"responses": [{"error": {"code": 13, "message": "made up"}}]}
    with pytest.raises(VendorUnavailable):
        await look(answer(*["VERY_UNLIKELY"] * 5), broken, content=image(b"one", b"two"))
