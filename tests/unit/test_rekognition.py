"""Rekognition: both operations as one look, what its words come to in ours, errors by code."""

import asyncio
from base64 import b64encode

import orjson
import pytest
import yaml
from multidict import CIMultiDict
from pydantic import ValidationError

from adapters.rekognition import Adapter, RekognitionSettings
from gateway import paths
from gateway.domain import Content, Finding, Image, Modality, Text, View
from gateway.errors import (
    VendorDenied,
    VendorDrift,
    VendorRejected,
    VendorThrottled,
    VendorUnavailable,
)
from gateway.mapping import VendorTable
from gateway.taxonomy import Taxonomy
from gateway.wire import Reply

KEY, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"  # those of AWS's examples
TABLE = VendorTable.from_file(paths.VENDORS / "rekognition.yaml", Taxonomy.from_file(paths.TAXONOMY))
WRITTEN = yaml.safe_load((paths.VENDORS / "rekognition.yaml").read_text(encoding="utf-8"))

# Label → its parent, of moderation model 7.0: the CSV that the Developer Guide offers, read 2026-11
MODEL_7 = {
    **dict.fromkeys(["Explicit", "Non-Explicit Nudity of Intimate parts and Kissing", "Swimwear or Underwear"]),
    **dict.fromkeys(["Violence", "Visually Disturbing", "Drugs & Tobacco", "Alcohol", "Rude Gestures", "Gambling"]),
    "Hate Symbols": None,
    **dict.fromkeys(["Explicit Nudity", "Explicit Sexual Activity", "Sex Toys"], "Explicit"),
    "Exposed Male Genitalia": "Explicit Nudity",
    "Exposed Female Genitalia": "Explicit Nudity",
    "Exposed Buttocks or Anus": "Explicit Nudity",
    "Exposed Female Nipple": "Explicit Nudity",
    **dict.fromkeys(
        ["Non-Explicit Nudity", "Obstructed Intimate Parts", "Kissing on the Lips"],
        "Non-Explicit Nudity of Intimate parts and Kissing",
    ),
    "Bare Back": "Non-Explicit Nudity",
    "Exposed Male Nipple": "Non-Explicit Nudity",
    "Partially Exposed Buttocks": "Non-Explicit Nudity",
    "Partially Exposed Female Breast": "Non-Explicit Nudity",
    "Implied Nudity": "Non-Explicit Nudity",
    "Obstructed Female Nipple": "Obstructed Intimate Parts",
    "Obstructed Male Genitalia": "Obstructed Intimate Parts",
    "Female Swimwear or Underwear": "Swimwear or Underwear",
    "Male Swimwear or Underwear": "Swimwear or Underwear",
    "Weapons": "Violence",
    "Graphic Violence": "Violence",
    "Weapon Violence": "Graphic Violence",
    "Physical Violence": "Graphic Violence",
    "Self-Harm": "Graphic Violence",
    "Blood & Gore": "Graphic Violence",
    "Explosions and Blasts": "Graphic Violence",
    "Death and Emaciation": "Visually Disturbing",
    "Emaciated Bodies": "Death and Emaciation",
    "Corpses": "Death and Emaciation",
    "Crashes": "Visually Disturbing",
    "Air Crash": "Crashes",
    "Products": "Drugs & Tobacco",
    "Pills": "Products",
    "Drugs & Tobacco Paraphernalia & Use": "Drugs & Tobacco",
    "Smoking": "Drugs & Tobacco Paraphernalia & Use",
    "Alcohol Use": "Alcohol",
    "Drinking": "Alcohol Use",
    "Alcoholic Beverages": "Alcohol",
    "Middle Finger": "Rude Gestures",
    "Nazi Party": "Hate Symbols",
    "White Supremacy": "Hate Symbols",
    "Extremist": "Hate Symbols",
}


def adapter(**settings):
    shared = {"adapter": "rekognition", "region": "us-east-1", "access_key_id": KEY, "secret_access_key": SECRET}
    return Adapter(RekognitionSettings.model_validate(shared | settings))


def photo(*views):
    shown = tuple(View(data, "image/jpeg", 100, 100) for data in views or (b"\xff\xd8jpg",))
    return Content((Image("0" * 64, shown, "image/jpeg"),))


class Vendor:
    """A transport that answers by operation, and keeps what it was sent."""

    def __init__(self, moderation=None, labels=None, status=200):
        self.says = {"DetectModerationLabels": moderation, "DetectLabels": labels}
        self.status = status
        self.heard = []
        self.together = asyncio.Barrier(2) if moderation is not None and labels is not None else None

    async def __call__(self, address, call):
        self.heard.append(call)
        if self.together:
            async with asyncio.timeout(30):
                await self.together.wait()  # nobody gets past who is asked one after the other
        said = self.says[call.headers["X-Amz-Target"].removeprefix("RekognitionService.")]
        return Reply(self.status, CIMultiDict(), said if isinstance(said, bytes) else orjson.dumps(said), 1.0)


def moderation(*labels, **more):
    named = [{"Name": name, "Confidence": value, "ParentName": MODEL_7.get(name) or ""} for name, value in labels]
    return {"ModerationLabels": named, "ModerationModelVersion": "7.0", "ContentTypes": []} | more


def things(*labels):
    named = [
        {"Name": name, "Confidence": value, "Instances": [], "Parents": [{"Name": parent} for parent in parents]}
        for name, value, *parents in labels
    ]
    return {"Labels": named, "LabelModelVersion": "3.0"}


async def scores(vendor, **settings):
    """Our categories as they come out of the real table, without those that have no score."""
    look = await adapter(**settings).look(photo(), vendor)
    signals = TABLE.translate(look, "aws", {Modality.IMAGE: 0})
    return {signal.category: signal.score for signal in signals if signal.score is not None}


# Settings and the question


def test_the_address_is_the_regions_unless_another_is_named():
    assert adapter(region="eu-central-1").address == "https://rekognition.eu-central-1.amazonaws.com"
    assert adapter(endpoint_url="http://127.0.0.1:4566/").address == "http://127.0.0.1:4566"


@pytest.mark.parametrize(
    "settings",
    [
        {"operations": []},
        {"operations": ["faces"]},
        {"operations": ["labels", "labels"]},
        {"min_confidence": 31},
        {"min_confidence": -1},
        {"region": ""},
        {"region": "us-east-1.example.com/"},
        {"access_key_id": ""},
        {"secret_access_key": ""},
    ],
    ids=str,
)
def test_settings_that_cannot_work_are_refused(settings):
    with pytest.raises(ValidationError) as caught:
        adapter(**settings)
    assert SECRET not in str(caught.value)


def test_no_secret_is_shown():
    shown = repr(adapter(session_token="a-token").settings)
    assert KEY not in shown and SECRET not in shown and "a-token" not in shown


def test_every_view_is_put_to_both_operations():
    calls = list(adapter().ask(photo(b"one", b"two")))
    assert [(call.about, call.json["Image"]["Bytes"]) for call in calls] == [
        (about, b64encode(data).decode()) for data in (b"one", b"two") for about in ("moderation", "labels")
    ]
    assert {call.json["MinConfidence"] for call in calls} == {30}


def test_a_text_alone_cannot_be_put():
    with pytest.raises(VendorRejected):
        list(adapter().ask(Content((Text("hello"),))))


# Both operations


async def test_both_operations_are_asked_at_once_and_read_as_one_look():
    vendor = Vendor(moderation(("Violence", 88.5)), things(("Gun", 98.41, "Weapon"), ("Weapon", 98.41)))
    look = await adapter().look(photo(), vendor)
    assert look.findings == (
        Finding("Violence", 88.5),
        Finding("Gun", 98.41, open=True),
        Finding("Weapon", 98.41, open=True),
    )
    assert (look.model, look.minimum, len(look.exchanges)) == ("7.0", 30, 2)


async def test_the_order_of_the_operations_changes_nothing():
    vendor = Vendor(moderation(("Violence", 88.5)), things(("Gun", 98.41)))
    assert await scores(vendor, operations=["labels", "moderation"]) == {"violence": 8850, "weapons/firearm": 9841}


async def test_what_both_name_counts_once_at_its_highest():
    vendor = Vendor(moderation(("Smoking", 60.0)), things(("Smoking", 90.0)))
    assert await scores(vendor) == {"tobacco/use": 9000}


async def test_a_look_without_one_of_the_two_answers_is_none():
    with pytest.raises(VendorDrift):
        await adapter().look(photo(), Vendor(moderation(("Violence", 88.5)), {}))
    with pytest.raises(VendorDrift):
        await adapter().look(photo(), Vendor({}, things()))


async def test_nothing_above_the_minimum_is_below_it_and_not_zero():
    look = await adapter(min_confidence=20).look(photo(), Vendor(moderation(), things()))
    signals = TABLE.translate(look, "aws", {Modality.IMAGE: 0})
    assert {signal.category for signal in signals} == TABLE.covers(Modality.IMAGE)
    assert {(signal.score, signal.below) for signal in signals} == {(None, 2000)}


async def test_labels_alone_say_nothing_of_what_only_the_other_operation_sees():
    look = await adapter(operations=["labels"]).look(photo(), Vendor(labels=things(("Gun", 98.41))))
    signals = TABLE.translate(look, "aws", {Modality.IMAGE: 0})
    assert {signal.category for signal in signals} == {"weapons/firearm"}
    assert (look.model, look.minimum) == ("3.0", None)


async def test_a_thing_no_table_knows_is_a_label_and_no_alarm():
    vendor = Vendor(moderation(), things(("Skateboard", 99.1), ("Bun (Hairstyle)", 70.0)))
    assert await scores(vendor) == {"label/Skateboard": 9910, "label/Bun_(Hairstyle)": 7000}


async def test_a_moderation_label_no_table_knows_is_unmapped_and_its_ancestor_scores():
    vendor = Vendor(moderation(("Deepfake", 91.0), ("Visually Disturbing", 91.0)), things())
    assert await scores(vendor) == {"unmapped/rekognition/Deepfake": 9100, "disturbing": 9100}


async def test_a_glass_of_milk_is_no_alcohol():
    assert await scores(Vendor(moderation(), things(("Drinking", 97.0)))) == {"label/Drinking_(Beverage)": 9700}
    assert await scores(Vendor(moderation(("Drinking", 97.0)), things())) == {"alcohol/use": 9700}


async def test_an_ancestor_the_answer_leaves_out_is_as_sure_as_its_surest_child():
    vendor = Vendor(moderation(), things(("Skateboard", 60.0, "Sport"), ("Ball", 80.0, "Sport"), ("Toy", 50.0, "Ball")))
    assert await scores(vendor) == {
        "label/Sport": 8000,
        "label/Skateboard": 6000,
        "label/Ball": 8000,
        "label/Toy": 5000,
    }


async def test_a_label_named_twice_counts_at_its_highest():
    vendor = Vendor(moderation(("Violence", 90.0), ("Violence", 10.0), ("Graphic Violence", 50.0)), things())
    assert await scores(vendor) == {"violence": 9000, "violence/graphic": 5000}


@pytest.mark.parametrize("kind", ["Illustrated", "Animated"])
async def test_a_drawing_is_said_to_be_one(kind):
    drawn = moderation(("Violence", 80.0), ContentTypes=[{"Name": kind, "Confidence": 99.0}])
    assert await scores(Vendor(drawn, things())) == {"violence": 8000, "context/illustration": 9900}


async def test_a_kind_of_content_we_do_not_know_is_no_alarm():
    drawn = moderation(ContentTypes=[{"Name": "Engraved", "Confidence": 99.0}])
    assert await scores(Vendor(drawn, things())) == {"label/ContentTypes_Engraved": 9900}


@pytest.mark.parametrize(
    "said",
    [
        {},
        [],
        None,
        {"Labels": None},
        {"Labels": {}},
        {"Labels": "none"},
        {"Labels": [{"Name": "Gun"}]},
        {"Labels": [{"Confidence": 99.0}]},
        {"Labels": [{"Name": "", "Confidence": 99.0}]},
        {"Labels": [{"Name": "Gun", "Confidence": "99.0"}]},
        {"Labels": [{"Name": "Gun", "Confidence": True}]},
        {"Labels": [{"Name": "Gun", "Confidence": 99.0, "Parents": ["Weapon"]}]},
        {"Labels": [], "LabelModelVersion": 3.0},
        {"ModerationLabels": [], "ModerationModelVersion": "7.0"},
        b"<html></html>",
        b"",
    ],
    ids=str,
)
async def test_labels_of_another_shape_are_drift(said):
    with pytest.raises(VendorDrift):
        await adapter(operations=["labels"]).look(photo(), Vendor(labels=b"null" if said is None else said))


# The table


def test_all_52_labels_of_model_7_have_a_meaning():
    assert len(MODEL_7) == 52
    assert MODEL_7.keys() - WRITTEN["labels"].keys() == set()


def test_the_tree_is_the_vendors():
    assert [(name, parent) for name, parent in MODEL_7.items() if parent and name not in WRITTEN["tree"][parent]] == []


def test_it_sees_nothing_in_a_text():
    assert TABLE.covers(Modality.TEXT) == frozenset()


@pytest.mark.parametrize(
    "leaf, expected",
    [
        ("Self-Harm", "self_harm/depiction"),
        ("Explosions and Blasts", "disturbing/disaster"),
        ("Weapons", "weapons"),
        ("Exposed Female Nipple", "sexual/nudity"),
        ("Smoking", "tobacco/use"),
        ("Nazi Party", "hate/symbols/nazi"),
    ],
)
async def test_a_leaf_with_all_its_ancestors_scores_as_the_leaf_alone(leaf, expected):
    chain = [leaf]
    while parent := MODEL_7[chain[-1]]:
        chain.append(parent)
    vendor = Vendor(moderation(*((name, 92.5) for name in reversed(chain))))
    assert await scores(vendor, operations=["moderation"]) == {expected: 9250}


async def test_an_ancestor_above_its_children_saw_more():
    vendor = Vendor(moderation(("Violence", 95.0), ("Graphic Violence", 92.5), ("Self-Harm", 92.5)))
    assert await scores(vendor, operations=["moderation"]) == {"violence": 9500, "self_harm/depiction": 9250}


async def test_a_weapon_that_is_a_knife_is_a_knife():
    vendor = Vendor(labels=things(("Weapon", 90.0), ("Blade", 90.0, "Weapon"), ("Knife", 90.0, "Blade", "Weapon")))
    assert await scores(vendor, operations=["labels"]) == {"weapons/knife": 9000}


# Errors, by code

CODES = [
    (400, "ThrottlingException", VendorThrottled),
    (500, "ThrottlingException", VendorThrottled),
    (400, "ProvisionedThroughputExceededException", VendorThrottled),
    (400, "AccessDeniedException", VendorDenied),
    (400, "UnrecognizedClientException", VendorDenied),
    (400, "InvalidSignatureException", VendorDenied),
    (400, "ExpiredTokenException", VendorDenied),
    (400, "MissingAuthenticationTokenException", VendorDenied),
    (403, "SomethingNewException", VendorDenied),
    (400, "UnknownOperationException", VendorDenied),
    (400, "InvalidImageFormatException", VendorRejected),
    (400, "ImageTooLargeException", VendorRejected),
    (400, "InvalidParameterException", VendorRejected),
    (400, "ValidationException", VendorRejected),
    (400, "SomethingNewException", VendorRejected),
    (500, "InternalServerError", VendorUnavailable),
    (503, "SomethingNewException", VendorUnavailable),
]


def refusal(status, code, *, header=False):
    body = {"Message": "no"} if header else {"__type": code, "Message": "no"}
    return Reply(status, CIMultiDict({"x-amzn-ErrorType": code} if header else {}), orjson.dumps(body))


@pytest.mark.parametrize("header", [False, True], ids=["in the body", "in the header"])
@pytest.mark.parametrize("dressed", ["{}", "com.amazonaws.rekognition#{}", "{}:http://internal.amazon.com/coral/x#y/"])
@pytest.mark.parametrize("status, code, kind", CODES, ids=lambda value: str(getattr(value, "__name__", value)))
async def test_an_error_is_what_its_code_says(status, code, kind, dressed, header):
    async def send(address, call):
        return refusal(status, dressed.format(code), header=header)

    with pytest.raises(kind) as caught:
        await adapter(operations=["moderation"]).look(photo(), send)
    assert type(caught.value) is kind
    assert caught.value.http == status
    assert code in str(caught.value) and "amazon" not in str(caught.value)


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"null", b'{"__type": 5}', b'{"__type": null}', b'{"__type": ""}']
)
async def test_an_error_without_a_code_is_what_its_status_says(body):
    for status, kind in {400: VendorRejected, 403: VendorDenied, 429: VendorThrottled, 500: VendorUnavailable}.items():
        with pytest.raises(kind):
            await adapter(operations=["moderation"]).look(photo(), Vendor(moderation=body, status=status))
