"""How much of what is owed is kept, for how long, in which order of risk, and that it comes out as it went in."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.debt.owing import Owing, lacking, risk
from gateway.debt.parcel import pack, unpack
from gateway.domain import Action, Answer, Content, Coverage, Failure, Image, Role, Text, View
from gateway.moderation import Submission
from gateway.settings import DebtSettings
from gateway.store.debts import Tally
from gateway.store.tables import debt_contents, debts
from tests.outage import AT_ONCE, Heard, moderated, outage, rows
from tests.unit.test_store import record


async def test_content_is_kept_no_longer_than_it_may(tmp_path, monkeypatch):
    clock, later = time.time, 0.0
    monkeypatch.setattr(time, "time", lambda: clock() + later)
    async with outage(tmp_path, debt=f"{AT_ONCE}, keep: 1h") as (_, _, opened):
        witness = Heard()
        async with opened(witness) as service:
            await moderated(service, "second=0.1", "second=0.2")
            await service.payer.round()
            assert len(await rows(service, debt_contents)) == 2
            later = 3601.0
            await service.payer.round()
            assert await rows(service, debts) == await rows(service, debt_contents) == []
            assert witness.lost == [("expired", 2)]


async def test_where_there_is_no_room_the_riskiest_are_kept_and_the_loss_is_told(tmp_path):
    async with outage(tmp_path, debt="most: 2") as (_, _, opened):
        witness = Heard()
        async with opened(witness) as service:
            await moderated(service, "second=0.60", "second=0.70", "second=0.55")
            assert witness.lost == [("full", 1)]  # the third, which is the least risky
            await moderated(service, "second=0.10")  # it was published
            await service.payer.round()
            assert witness.lost == [("full", 1), ("full", 1)]
            kept = {row.risk for row in await rows(service, debts)}
            assert kept == {40_000 + 1_000, 7_000}
            assert len(await rows(service, debt_contents)) == 2


async def test_nothing_is_kept_where_nothing_may_be(tmp_path):
    async with outage(tmp_path, debt="most: 0") as (_, _, opened):
        witness = Heard()
        async with opened(witness) as service:
            await moderated(service, "second=0.1", "second=0.2")
            assert await rows(service, debts) == []
            assert witness.lost == [("full", 1)] * 2


@pytest.mark.parametrize(
    "tally, kept",
    [
        (Tally(), True),
        (Tally(9, 900, 1.0, 0), True),
        (Tally(10, 900, 1.0, 99_999), False),
        (Tally(10, 900, 1.0, 0), True),  # riskier than the least of those there are
        (Tally(5, 999, 1.0, 99_999), False),
    ],
)
def test_room_is_by_number_and_by_bytes(tally, kept):
    owing = Owing(DebtSettings(most=10, bytes="1000B"), lambda: tally, lambda reason: None)
    sent = Submission(Content((Text("what they wrote"), Image("ab" * 32, (), "gif"))))
    assert (owing.debt(owed(), sent) is not None) is kept


# What is owed


def owed(action=Action.REVIEW, score=7250, missing=(), **decision):
    """A decision in which b gave no answer."""
    kept = record()
    changed = {"action": action, "max_score": score, "coverage": Coverage(missing, missing), "reasons": (), **decision}
    return replace(kept, answers=kept.answers[:1] + kept.answers[2:], decision=replace(kept.decision, **changed))


def test_who_gave_no_answer_is_named_with_what_it_was_asked_about():
    assert lacking(owed()) == ("b/image",)


def test_who_will_not_take_this_content_is_not_waited_for():
    refused = Failure("b", (1,), "rejected", "too small", 1, 1.0)
    assert lacking(replace(owed(), answers=(Answer(1, Role.ASK, refused),))) == ()


def test_the_order_of_risk():
    ordered = [
        owed(Action.ALLOW, None, ("sexual",)),  # published, and nobody looked
        owed(Action.ALLOW, 4000, ("sexual",)),
        owed(Action.ALLOW, 4000),
        owed(Action.ALLOW, 10),
        owed(Action.REVIEW, 6000, ("sexual",)),
        owed(Action.REVIEW, None),
        owed(Action.REVIEW, 8000),
        owed(Action.REVIEW, 6000),
    ]
    risks = [risk(each) for each in ordered]
    assert risks[2:] == sorted(risks[2:], reverse=True)
    assert min(risks[:2]) > risks[2]


# What is kept of the content

texts = st.text().map(Text)
views = st.builds(
    View, st.binary(), st.sampled_from(["image/jpeg", "image/png"]), st.integers(1, 99), st.integers(1, 99)
)
images = st.builds(
    Image,
    st.text("0123456789abcdef", min_size=64, max_size=64),
    st.lists(views, max_size=3).map(tuple),
    st.sampled_from(["gif", "png"]),
    st.integers(1, 9),
    st.integers(0, 9),
    st.none() | st.just("https://example.org/a?b=c#d"),
)
contexts = st.dictionaries(st.text(max_size=8), st.none() | st.booleans() | st.text(max_size=8), max_size=3)


@given(st.lists(texts | images, min_size=1, max_size=4), contexts, st.none() | st.just("de-AT"))
def test_what_was_packed_comes_out_again(inputs, context, locale):
    sent = Submission(Content(tuple(inputs), context), locale=locale, tenant="acme")
    again = unpack(pack(record(), sent), "acme")
    assert again == replace(sent, route="default", policy=record().policy.name)


@pytest.mark.parametrize("cut", [0, 1, 10, -1])
def test_half_a_parcel_is_none(cut):
    whole = pack(record(), Submission(Content((Text("what they wrote"),))))
    with pytest.raises((ValueError, KeyError)):
        unpack(whole[:cut], "acme")
