"""Pixicular: which scale an answer is on, and the form it is asked with."""

from __future__ import annotations

from email import message_from_bytes
from email.policy import HTTP

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.multipart import Upload, form
from adapters.pixicular import Adapter, PixicularSettings, confidences, share_of_one
from gateway.adapter import Reply
from gateway.domain import Content, Finding, Image, Look, Modality, Text, View
from gateway.errors import VendorRejected
from gateway.mapping import VendorTable
from gateway.paths import TAXONOMY, VENDORS
from gateway.taxonomy import Taxonomy

TABLE = VendorTable.from_file(VENDORS / "pixicular.yaml", Taxonomy.from_file(TAXONOMY))
VIEWS = (View(b"one", "image/png", 1, 1), View(b"two", "image/jpeg", 1, 1))


def parts(headers, body):
    head = f"Content-Type: {headers['Content-Type']}\r\n\r\n"
    return list(message_from_bytes(head.encode() + body, policy=HTTP).iter_parts())


def test_each_view_of_a_picture_is_a_call():
    adapter = Adapter(PixicularSettings(adapter="pixicular", api_key="test-key"))
    calls = list(adapter.ask(Content((Image("0" * 64, VIEWS, "image/gif"),))))
    assert [parts(call.headers, call.body)[0].get_payload(decode=True) for call in calls] == [b"one", b"two"]
    assert {call.headers["Authorization"] for call in calls} == {"Bearer test-key"}


def test_it_is_not_asked_about_a_text_alone():
    adapter = Adapter(PixicularSettings(adapter="pixicular", api_key="test-key"))
    with pytest.raises(VendorRejected):
        list(adapter.ask(Content((Text("look"),))))


@pytest.mark.parametrize(
    "flags, things, in_reference, share",
    [
        ({"Nudity": 0.97}, {"Person": 0.98}, False, 1.0),
        ({"Nudity": 1.0000002}, {"Person": 0.98}, False, 1.0),  # a float32 softmax may end a hair above 1
        ({"Nudity": 97.0, "Violence": 0.9}, {"Person": 98.0}, False, 0.01),
        ({"Nudity": 0.9}, {"Person": 98.0}, True, 0.01),
        ({"Nudity": 0.9}, {"Person": 98.0}, False, None),
        ({"Nudity": 97.0}, {"Person": 0.98}, False, None),
        ({"Nudity": 0.9}, {"Person": 0.98}, True, None),
        ({"Nudity": 0.0}, {"Person": 98.0}, False, 0.01),
        ({"Nudity": 0}, {}, True, 1.0),
    ],
)
def test_the_whole_answer_is_on_one_scale_or_says_too_little(flags, things, in_reference, share):
    said = {"detect-moderation": flags, "detect-labels": things}
    if share is None:
        with pytest.raises(ValueError, match="set `scale`"):
            share_of_one(said, in_reference)
    else:
        assert share_of_one(said, in_reference) == share


@pytest.mark.parametrize("scale, value", [("percent", 0.009), ("share", 0.9)])
def test_the_operator_can_say_what_it_counts_to(scale, value):
    settings = PixicularSettings(adapter="pixicular", api_key="test-key", scale=scale, services=["detect-moderation"])
    reply = Reply(200, {}, b"")
    reply.json = {
        "success": True,
        "services": {"detect-moderation": {"flags": [{"name": "Violence", "confidence": 0.9}]}},
        "photo": {"id": "photo_0", "status": "COMPLETED"},
    }
    [finding] = Adapter(settings).read(reply)
    assert (finding.label, round(finding.value, 9)) == ("Violence", value)


@pytest.mark.parametrize("entries", [{}, None, [{"name": "a", "confidence": None}], [{"name": None, "confidence": 1}]])
def test_what_is_no_list_of_names_and_numbers_is_drift(entries):
    with pytest.raises((TypeError, ValueError)):
        confidences(entries)


def test_a_knife_may_lie_in_a_kitchen():
    signals = TABLE.translate(Look((Finding("Knife", 0.9, open=True),)), "pixicular", {Modality.IMAGE: 0})
    assert [(signal.category, signal.score) for signal in signals] == [("label", 9000), ("weapons/knife", None)]


@given(st.binary(max_size=200), st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_a_form_is_read_back_as_it_was_written(data, value):
    headers, body = form({"image": Upload("image.png", "image/png", data), "services": value})
    assert (headers, body) == form({"image": Upload("image.png", "image/png", data), "services": value})
    mark = b"--" + headers["Content-Type"].partition("boundary=")[2].encode()
    blank, file, text, end = body.split(mark)
    assert (blank, end) == (b"", b"--\r\n")
    head = b'\r\nContent-Disposition: form-data; name="image"; filename="image.png"\r\nContent-Type: image/png\r\n\r\n'
    assert file == head + data + b"\r\n"
    assert text == b'\r\nContent-Disposition: form-data; name="services"\r\n\r\n' + value.encode() + b"\r\n"


@pytest.mark.parametrize("name", ['a"b', "a\r\nb", "a\\b"])
def test_a_name_cannot_break_out_of_its_line(name):
    with pytest.raises(ValueError, match="cannot be a name"):
        form({name: "value"})
