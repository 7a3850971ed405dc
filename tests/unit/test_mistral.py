"""Mistral: which labels belong to which of its models."""

from __future__ import annotations

import orjson
import pytest

from adapters.mistral import SINCE_2603, UNTIL_2411, Adapter, MistralSettings, of_the_other_model
from gateway.adapter import Reply
from gateway.domain import Content, Image, Look, Modality, Text, View
from gateway.errors import VendorDenied, VendorDrift, VendorError, VendorRejected, VendorThrottled
from gateway.mapping import VendorTable
from gateway.paths import TAXONOMY, VENDORS
from gateway.taxonomy import Taxonomy

TABLE = VendorTable.from_file(VENDORS / "mistral.yaml", Taxonomy.from_file(TAXONOMY))
SHARED = frozenset(
    {"sexual", "hate_and_discrimination", "violence_and_threats", "selfharm", "health", "financial", "law", "pii"}
)
ADAPTER = Adapter(MistralSettings(adapter="mistral", api_key="test-key"))


async def look(said, status=200) -> Look:
    async def send(address, call):
        return Reply(status, {}, orjson.dumps(said))

    return await ADAPTER.look(Content((Text("hello"),)), send)


def answer(labels, **scores):
    scores = dict.fromkeys(labels, 0.1) | scores
    return {"model": "m", "results": [{"category_scores": scores, "categories": {}}]}


@pytest.mark.parametrize(
    "named, unknown",
    [
        (SHARED | SINCE_2603, UNTIL_2411),
        (SHARED | UNTIL_2411, SINCE_2603),
        (SHARED | UNTIL_2411 | SINCE_2603, frozenset()),
        (SHARED | UNTIL_2411 | {"dangerous"}, frozenset()),
        (SHARED | {"dangerous", "criminal"}, frozenset()),
        (SHARED, frozenset()),
        (frozenset(), frozenset()),
    ],
)
def test_one_model_does_not_know_the_labels_of_the_other(named, unknown):
    assert of_the_other_model(named) == unknown


@pytest.mark.parametrize("own", [SINCE_2603, UNTIL_2411], ids=["2603", "2411"])
async def test_all_labels_of_either_model_have_a_meaning(own):
    signals = TABLE.translate(await look(answer(SHARED | own)), "mistral", {Modality.TEXT: 0})
    assert {signal.label for signal in signals} == SHARED | own
    assert not any(signal.category.startswith("unmapped/") for signal in signals)


@pytest.mark.parametrize("own", [SINCE_2603, UNTIL_2411], ids=["2603", "2411"])
async def test_each_of_them_has_to_be_named(own):
    for missing in SHARED | own:
        with pytest.raises(VendorDrift, match=missing):
            TABLE.translate(await look(answer((SHARED | own) - {missing})), "mistral", {Modality.TEXT: 0})


def test_it_is_not_asked_about_an_image():
    with pytest.raises(VendorRejected):
        list(ADAPTER.ask(Content((Image("0" * 64, (View(b"x", "image/png", 1, 1),), "image/png"),))))
    assert TABLE.covers(Modality.IMAGE) == frozenset()


@pytest.mark.parametrize(
    "status, said, kind, detail",
    [
        (400, {"type": "invalid_model", "code": "1500"}, VendorDenied, "HTTP 400 invalid_model"),
        (400, {"type": "something_new"}, VendorRejected, "HTTP 400 something_new"),
        (429, {"type": "rate_limited", "code": "1300"}, VendorThrottled, "HTTP 429 rate_limited"),
        (429, {"type": None}, VendorThrottled, "HTTP 429"),
        (401, {"detail": "Unauthorized"}, VendorDenied, "HTTP 401"),
        (422, [], VendorRejected, "HTTP 422"),
    ],
)
async def test_an_error_is_what_its_type_says_or_else_its_status(status, said, kind, detail):
    with pytest.raises(VendorError) as caught:
        await look(said, status)
    assert (type(caught.value), caught.value.detail) == (kind, detail)
