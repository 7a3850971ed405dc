"""Sieve: what of it the contract suite cannot say."""

from __future__ import annotations

import pytest

from adapters.sieve import Adapter, SieveSettings, verdict
from gateway.adapter import Reply
from gateway.domain import Action, Content, Image, Text, View
from gateway.errors import VendorRejected
from gateway.mapping import VendorTable
from gateway.paths import TAXONOMY, VENDORS
from gateway.taxonomy import Taxonomy

TABLE = VendorTable.from_file(VENDORS / "sieve.yaml", Taxonomy.from_file(TAXONOMY))
VIEWS = (View(b"one", "image/png", 1, 1), View(b"two", "image/jpeg", 1, 1))


def adapter(**settings):
    return Adapter(SieveSettings(adapter="sieve", api_key="test-key", **settings))


def test_each_view_of_a_picture_is_a_call():
    calls = list(adapter().ask(Content((Image("0" * 64, VIEWS, "image/gif"),))))
    assert [call.path for call in calls] == ["/v1/moderate/image"] * 2
    assert [call.json for call in calls] == [
        {"data": "data:image/png;base64,b25l"},
        {"data": "data:image/jpeg;base64,dHdv"},
    ]


def test_a_text_and_an_image_are_not_put_in_one_question():
    both = Content((Text("look"), Image("0" * 64, VIEWS, "image/gif")))
    with pytest.raises(VendorRejected):
        list(adapter().ask(both))


@pytest.mark.parametrize("said", [{"pipeline_tier": 2}, {"tier_used": 2}, {"pipeline_tier": 2, "tier_used": 1}])
def test_the_tier_is_the_version_whatever_it_is_called(said):
    reply = Reply(200, {}, b"")
    reply.json = said
    assert adapter().version(reply) == "tier 2"


@pytest.mark.parametrize(
    "action, flags, opinion, meant",
    [
        ("allow", [False, False], "allow", Action.ALLOW),
        ("allow", [True, False], "flagged", Action.REVIEW),
        ("allow", [False, True], "flagged", Action.REVIEW),
        ("flag", [False], "flag", Action.REVIEW),
        ("block", [False], "block", Action.BLOCK),
    ],
)
def test_the_action_counts_and_a_flag_is_never_an_allow(action, flags, opinion, meant):
    assert verdict(action, flags) == opinion
    assert TABLE.opinions[opinion] is meant


@pytest.mark.parametrize("action, flags", [(None, [False]), ("allow", [0]), ("allow", ["true"]), (True, [True])])
def test_what_is_no_verdict_is_drift(action, flags):
    with pytest.raises(TypeError):
        verdict(action, flags)
