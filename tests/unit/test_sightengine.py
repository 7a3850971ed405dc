"""Sightengine: what is asked, what silence means, how intensities rise, and where the secret may not stand."""

import orjson
import pytest
import yaml
from pydantic import ValidationError

from adapters.sightengine import INTENSITIES, MODELS, RULES, Adapter, SightengineSettings
from gateway.dispatch.transport import Discreet
from gateway.domain import Content, Image, Modality, Text, View
from gateway.errors import VendorDenied, VendorDrift, VendorRejected, VendorThrottled, VendorUnavailable
from gateway.mapping import VendorTable
from gateway.paths import TAXONOMY, VENDORS
from gateway.taxonomy import Taxonomy
from gateway.wire import Reply

FILE = VENDORS / "sightengine.yaml"
TABLE = VendorTable.from_file(FILE, Taxonomy.from_file(TAXONOMY))
SAID = {"status": "success", "request": {"id": "req_0", "timestamp": 1.5, "operations": 1}}
ADDRESS = "https://media.example.com/photo.jpg?a=1&b=2"


def settings(**written) -> SightengineSettings:
    given = {"adapter": "sightengine", "api_user": "test-user", "api_secret": "test-secret"}
    return SightengineSettings.model_validate(given | written)


def image(*views: bytes, url=None) -> Content:
    seen = tuple(View(view, "image/png", 64, 64) for view in views)
    return Content((Image("0" * 64, seen, "image/png", url=url),))


def text(written: str) -> Content:
    return Content((Text(written),))


def vendor(*answers, status=200, **headers):
    """A transport that gives these answers in turn; what it was sent is in its `heard`."""
    left = list(answers)

    async def send(address, call):
        send.heard.append((address, call))
        return Reply(status, headers, orjson.dumps(left.pop(0)))

    send.heard = []
    return send


async def findings(content, *answers, **written) -> dict:
    look = await Adapter(settings(**written)).look(content, vendor(*answers))
    return {finding.label: finding.value for finding in look.findings}


def nudity(*intensities, **more) -> dict:
    names = [label.removeprefix("nudity.") for label in INTENSITIES]
    return {**SAID, "nudity": {**dict(zip(names, intensities, strict=True)), "none": 0.5, **more}}


def rules(**matches) -> dict:
    return {**SAID, **{name: {"matches": matches.get(name.replace("-", "_"), [])} for name in RULES}}


# What is asked


async def test_each_view_is_uploaded_and_asked_of_every_model():
    send = vendor(nudity(*[0.1] * 6), nudity(*[0.2] * 6))
    await Adapter(settings(models=["nudity-2.1"])).look(image(b"\x89one", b"\x89two"), send)
    for (address, call), data in zip(send.heard, (b"\x89one", b"\x89two"), strict=True):
        assert (address, call.method, call.path) == ("https://api.sightengine.com", "POST", "/1.0/check.json")
        assert call.headers["Content-Type"].startswith("multipart/form-data; boundary=")
        assert data in call.data
        assert b'name="media"; filename="image.png"\r\nContent-Type: image/png' in call.data
        assert b'name="models"\r\n\r\nnudity-2.1\r\n' in call.data


def test_left_out_every_model_of_the_table_is_asked():
    known = yaml.safe_load(FILE.read_text())
    assert set(settings().models) == MODELS.keys()
    assert {label for labels in MODELS.values() for label in labels} <= known["labels"].keys() | known[
        "unmapped"
    ].keys()


def test_an_address_is_handed_on_only_where_it_is_allowed_to_be():
    [call] = Adapter(settings(models=["alcohol"])).ask(image(b"x", url=ADDRESS))
    assert (call.method, call.query) == ("POST", None)
    [call] = Adapter(settings(models=["alcohol"], by_url=True)).ask(image(b"x", b"y", url=ADDRESS))
    assert (call.method, call.data) == ("GET", None)
    assert call.query == {"url": ADDRESS, "models": "alcohol", "api_user": "test-user", "api_secret": "test-secret"}


def test_what_has_no_address_is_uploaded():
    calls = Adapter(settings(by_url=True)).ask(image(b"x", b"y"))
    assert [call.method for call in calls] == ["POST", "POST"]


def test_a_text_and_an_image_in_one_question_are_refused():
    with pytest.raises(VendorRejected, match="both at once"):
        list(Adapter(settings()).ask(Content((*text("a caption").inputs, *image(b"x").inputs))))
    assert not Adapter.together


@pytest.mark.parametrize(
    "mode, asked", [("ml", {"models"}), ("rules", {"categories"}), ("rules,ml", {"models", "categories"})]
)
def test_a_text_is_asked_about_as_its_mode_says(mode, asked):
    [call] = Adapter(settings(text_mode=mode)).ask(text("hello"))
    assert call.path == "/1.0/text/check.json"
    assert {name for name in ("models", "categories") if f'name="{name}"'.encode() in call.data} == asked


@pytest.mark.parametrize(
    "written",
    [
        {"models": []},
        {"models": ["nudity-9"]},
        {"models": ["weapon", "weapon"]},
        {"text_lang": "english"},
        {"text_mode": "username"},
        {"text_models": []},
        {"api_user": ""},
        {"api_secret": ""},
        {"base_url": "api.sightengine.com"},
        {"workflow": "wfl_0"},
    ],
    ids=str,
)
def test_settings_that_cannot_be_are_refused(written):
    with pytest.raises(ValidationError):
        settings(**written)


def test_a_model_nobody_knows_is_named_with_those_that_are():
    with pytest.raises(ValidationError, match=r"of nudity-2\.1, weapon.*not drugs"):
        settings(models=["weapon", "drugs"])


# The secret


def test_the_secret_is_not_shown():
    assert "test-secret" not in repr(settings())


@pytest.mark.parametrize("http", [200, 400])
async def test_a_secret_the_vendor_repeats_is_not_kept(http):
    said = {"status": "failure", "error": {"type": "credentials_error", "code": 2, "message": "no such test-secret"}}
    send = Discreet(vendor(said, status=http), (b"test-secret",))
    with pytest.raises(VendorDenied) as caught:
        await Adapter(settings(by_url=True)).look(image(b"x", url=ADDRESS), send)
    assert b"test-secret" not in caught.value.raw
    assert "test-secret" not in caught.value.detail


async def test_no_secret_is_in_the_evidence_of_an_answer():
    look = await Adapter(settings(models=["alcohol"], by_url=True)).look(
        image(b"x", url=ADDRESS), vendor({**SAID, "alcohol": {"prob": 0.2}})
    )
    assert "test-secret" not in repr(look)


# Silence


@pytest.mark.parametrize("model", MODELS)
async def test_a_model_that_was_asked_and_is_absent_is_drift(model):
    with pytest.raises(VendorDrift, match="silent about"):
        await findings(image(b"x"), {**SAID, "media": {"id": "med_0", "uri": "image.png"}}, models=[model])


@pytest.mark.parametrize("category", RULES)
async def test_a_category_of_rules_that_is_absent_is_drift(category):
    said = rules()
    del said[category]
    with pytest.raises(VendorDrift, match=f"silent about {category}"):
        await findings(text("x"), said, text_mode="rules")


async def test_a_class_that_its_language_has_not_is_left_out_and_never_zero():
    said = {**SAID, "moderation_classes": {"available": ["toxic"], "toxic": 0.3}}
    assert await findings(text("x"), said, text_mode="ml") == {"moderation_classes.toxic": 0.3}


@pytest.mark.parametrize("available", [[], None, ["toxic", "sexual"]], ids=repr)
async def test_a_class_that_is_to_be_there_and_is_not_is_drift(available):
    with pytest.raises(VendorDrift):
        await findings(text("x"), {**SAID, "moderation_classes": {"available": available}}, text_mode="ml")


async def test_no_word_about_violence_is_no_word_about_the_picture():
    said = {**SAID, "text": {"profanity": [], "violence": [], "drug": []}, "qr": {"link": []}}
    found = await findings(image(b"x"), said, models=["text-content", "qr-content"])
    assert found == {"text.profanity[]": 0.0}


async def test_where_there_is_no_face_nothing_is_known_of_an_age():
    found = await findings(image(b"x"), {**SAID, "faces": [], "alcohol": {"prob": 0.1}}, models=["face-age", "alcohol"])
    assert found == {"alcohol.prob": 0.1}


# Numbers


async def test_each_intensity_is_at_least_as_high_as_the_more_explicit_ones():
    found = await findings(image(b"x"), nudity(0.1, 0.7, 0.2, 0.0, 0.9, 0.3), models=["nudity-2.1"])
    assert [found[label] for label in INTENSITIES] == [0.1, 0.7, 0.7, 0.7, 0.9, 0.9]
    assert found["nudity.none"] == 0.5


@pytest.mark.parametrize("label", range(6))
@pytest.mark.parametrize("value", [-0.1, 1.1, 97, None, True, "0.9", [], {}], ids=repr)
async def test_an_intensity_that_cannot_be_one_is_not_hidden_by_a_higher_one(label, value):
    said = [0.9, *[0.1] * 5]
    said[label] = value
    with pytest.raises(VendorDrift):
        await findings(image(b"x"), nudity(*said), models=["nudity-2.1"])


async def test_of_several_views_the_highest_counts():
    found = await findings(image(b"1", b"2"), nudity(*[0.1] * 6), nudity(0.8, *[0.1] * 5), models=["nudity-2.1"])
    assert found["nudity.sexual_activity"] == found["nudity.mildly_suggestive"] == 0.8


@pytest.mark.parametrize("intensity, value", [("low", 0.4), ("medium", 0.7), ("high", 0.95), (None, 0.9)])
async def test_a_match_is_worth_its_intensity(intensity, value):
    said = rules(spam=[{"match": "x", "intensity": "low"}, {"match": "y", "intensity": intensity}])
    assert (await findings(text("x y"), said, text_mode="rules"))["spam"] == value


async def test_profanity_is_told_by_its_kind_and_a_link_by_where_it_leads():
    said = rules(
        profanity=[{"type": "insult", "match": "x", "intensity": "high"}],
        link=[{"match": "a.example.com", "category": "gambling"}, {"match": "b.example.com", "category": None}],
    )
    look = await Adapter(settings(text_mode="rules")).look(text("x"), vendor(said))
    signals = TABLE.translate(look, "sightengine", {Modality.TEXT: 0})
    scores = {signal.label: (signal.category, signal.score) for signal in signals}
    assert scores["profanity:insult"] == ("harassment/insult", 9500)
    assert scores["profanity:sexual"] == ("sexual", 0)
    assert (scores["link"], scores["link:gambling"]) == (("spam/link", 9000), ("gambling", 9000))


def test_boxing_is_no_violence():
    classes = {"physical_violence": 0.02, "firearm_threat": 0.01, "combat_sport": 0.97}
    reply = Reply(200, {}, orjson.dumps({**SAID, "violence": {"prob": 0.97, "classes": classes}}))
    reply.about = Modality.IMAGE
    look = Adapter(settings(models=["violence"]))._understand(reply)
    scores = {signal.category: signal.score for signal in TABLE.translate(look, "sightengine", {Modality.IMAGE: 0})}
    assert scores == {"violence/physical": 200, "violence/weapon_use": 100, "context/sport": 9700}


# Errors


@pytest.mark.parametrize("http", [200, 400])
@pytest.mark.parametrize(
    "kind, code, message, error",
    [
        ("api_error", 20, "", VendorUnavailable),
        ("argument_error", 9, "Unknown model", VendorRejected),
        ("argument_error", 1, "Incorrect API user or API secret", VendorDenied),
        ("callback_error", 5, "", VendorRejected),
        ("credentials_error", 2, "", VendorDenied),
        ("media_error", 12, "", VendorRejected),
        ("plan_error", 3, "", VendorDenied),
        ("request_error", 7, "", VendorRejected),
        ("request_error", 7, "Daily usage limit reached", VendorDenied),
        ("unknown_error", 0, "", VendorUnavailable),
        ("usage_limit", 32, "", VendorDenied),
    ],
)
async def test_an_error_has_its_name_with_a_200_too(http, kind, code, message, error):
    said = {"status": "failure", "error": {"type": kind, "code": code, "message": message}}
    with pytest.raises(error) as caught:
        await Adapter(settings()).look(image(b"x"), vendor(said, status=http))
    assert type(caught.value) is error
    assert caught.value.http == http


async def test_a_429_is_one_but_for_a_day_that_is_used_up():
    said = {"status": "failure", "error": {"type": "request_error", "code": 16, "message": "too many at once"}}
    with pytest.raises(VendorThrottled) as caught:
        await Adapter(settings()).look(image(b"x"), vendor(said, status=429, **{"Retry-After": "3"}))
    assert caught.value.retry_after == 3
    said["error"]["type"] = "usage_limit"
    with pytest.raises(VendorDenied):
        await Adapter(settings()).look(image(b"x"), vendor(said, status=429))


@pytest.mark.parametrize(
    "said", [{}, {"status": "failure"}, {"status": "failure", "error": None}, {"status": None}, []]
)
async def test_what_says_neither_success_nor_why_not_is_drift(said):
    with pytest.raises(VendorDrift):
        await Adapter(settings()).look(image(b"x"), vendor(said))
