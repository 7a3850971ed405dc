"""What is owed, in which order it is paid, that it is paid once, and that none of it is kept for ever."""

import asyncio
import re
import time
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from gateway import registry
from gateway.config import load_config
from gateway.debt import payer as payer_module
from gateway.debt.owing import Owing, lacking, risk
from gateway.debt.parcel import pack, unpack
from gateway.debt.payer import TRIES
from gateway.domain import Action, Answer, Content, Coverage, Failure, Image, Role, Text, View
from gateway.moderation import Submission
from gateway.service import open_service
from gateway.settings import DebtSettings
from gateway.store import debts as debts_module
from gateway.store.debts import Debts, Tally
from gateway.store.tables import debt_contents, debts, events
from gateway.witness import Witness
from tests.contract.replay import listening
from tests.gateway import LABELS, image, judgement, response
from tests.unit.test_store import record

POLICY = """
policy: plain
version: 1
taxonomy: "1"
locale: en
thresholds:
  violence: {review: 0.5, block: 0.9}
"""
CONFIG = """
debt: {debt}
providers:
  judge: {{adapter: openai, base_url: "{judge}/v1", api_key: k, retry: {{attempts: 1}}, timeout: 1s, {more}}}
  second: {{adapter: openai, base_url: "{second}/v1", api_key: k, retry: {{attempts: 1}}}}
routes: {{default: {{text: {{ask: [judge], fallback: [second]}}, image: {{ask: [judge], fallback: [second]}}}}}}
policies: {{dir: ./policies, default: plain}}
"""
QUICK = "max_concurrency: 10, circuit: {failures: 2, open_for: 100ms, open_most: 100ms}"  # paid one at a time


class Vendor:
    """Says of a text what stands in it: `judge=0.95` is how violent the vendor of that name finds it."""

    def __init__(self, name):
        self.name, self.down, self.heard = name, False, []

    async def __call__(self, heard, writer):
        if self.down:
            writer.write(response({}, "500 Internal Server Error"))
            return
        given = heard.json["input"]
        text = given if isinstance(given, str) else " ".join(part.get("text", "") for part in given)
        self.heard.append(text)
        said = judgement(heard)
        found = re.search(rf"{self.name}=([\d.]+)", text)
        said["results"][0]["category_scores"] = {
            **dict.fromkeys(LABELS, 0.001),
            "violence": float(found[1]) if found else 0.001,
        }
        writer.write(response(said))


class Heard(Witness):
    def __init__(self):
        self.payments, self.lost, self.counts = [], [], []

    def paid(self, record, was, now):
        self.payments.append((record.id, was.value, now.value))

    def debt_lost(self, reason, many=1):
        self.lost.append((reason, many))

    def owing(self, count, oldest):
        self.counts.append(count)


@asynccontextmanager
async def outage(folder, *, debt="{}", more=QUICK):
    """Two vendors, the first of them down, and a way to open gateways on the same folder."""
    judge, second = Vendor("judge"), Vendor("second")
    judge.down = True
    (folder / "policies").mkdir()
    (folder / "policies" / "plain.yaml").write_text(POLICY)
    async with listening(judge) as first, listening(second) as other:
        (folder / "gateway.yaml").write_text(CONFIG.format(judge=first.url, second=other.url, debt=debt, more=more))

        def opened(witness=None):
            config = load_config(folder / "gateway.yaml", {}, registry.settings_for, registry.names())
            return open_service(config, witness)

        yield judge, second, opened


async def moderated(service, *texts):
    """The ids and actions of decisions on these texts, one after the other."""
    records = [await service.moderator.moderate(Submission(Content((Text(text),)), tenant="acme")) for text in texts]
    return [(decided.id, decided.action.value) for decided in records]


async def paid_off(service, seconds=10.0):
    """Rounds until nothing is owed."""
    async with asyncio.timeout(seconds):
        await service.payer.round()
        while service.debts.tally.count:
            await asyncio.sleep(0.02)  # for a breaker to let somebody through
            await service.payer.round()


async def rows(service, table):
    async with service.database.reader.connect() as connection:
        return (await connection.execute(select(table))).all()


async def test_what_was_decided_in_an_outage_is_looked_at_again_by_risk_and_revised(tmp_path):
    async with outage(tmp_path) as (judge, second, opened):
        witness = Heard()
        async with opened(witness) as service:
            [held, mild, harmful, stopped] = await moderated(
                service,
                "held second=0.60 judge=0.10",
                "mild second=0.20 judge=0.20",
                "harmful second=0.30 judge=0.95",
                "stopped second=0.95 judge=0.10",
            )
            second.down = True
            [unseen] = await moderated(service, "unseen judge=0.10")
            actions = [action for _, action in (held, mild, harmful, stopped, unseen)]
            assert actions == ["review", "allow", "allow", "block", "review"]
            await service.debts.refresh()
            assert service.debts.tally.count == 4  # who is blocked for good reason is owed nothing

            judge.down = False
            await paid_off(service)

            assert [text.split()[0] for text in judge.heard] == ["harmful", "mild", "unseen", "held"]
            assert witness.payments == [
                (harmful[0], "allow", "block"),
                (mild[0], "allow", "allow"),
                (unseen[0], "review", "allow"),
                (held[0], "review", "allow"),
            ]
            told = [(event.kind, event.subject) for event in await rows(service, events)]
            assert told == [("decision.revised", id) for id, _ in (harmful, unseen, held)]
            case = await service.ledger.find(harmful[0], "acme")
            assert (case.record.action, case.action) == (Action.ALLOW, Action.BLOCK)
            assert [revision.cause for revision in case.revisions] == ["debt"]
            assert [answer.outcome.provider for answer in case.late] == ["judge"]
            assert await rows(service, debts) == await rows(service, debt_contents) == []
            assert witness.counts[-1] == 0


async def test_a_restart_in_between_loses_nothing(tmp_path):
    async with outage(tmp_path) as (judge, _, opened):
        async with opened() as service:
            [(id, action)] = await moderated(service, "second=0.1 judge=0.95")
            assert action == "allow"
        judge.down = False
        async with opened() as service:
            await paid_off(service)
            assert (await service.ledger.find(id, "acme")).action is Action.BLOCK


async def test_a_picture_is_looked_at_again_as_it_was(tmp_path):
    async with outage(tmp_path) as (judge, second, opened), opened() as service:
        second.down = True
        pictures = [service.intake.inline(image(), "/images/0")]
        content = await service.intake.content("judge=0.95", pictures, {"surface": "avatar"})
        decided = await service.moderator.moderate(Submission(content, tenant="acme"))
        assert decided.action is Action.REVIEW
        judge.down = False
        await paid_off(service)
        case = await service.ledger.find(decided.id, "acme")
        assert case.action is Action.BLOCK
        assert {answer.input for answer in case.late} == {0, 1}


async def test_two_processes_pay_each_debt_once(tmp_path):
    more = "max_concurrency: 30, circuit: {enabled: false}"
    async with outage(tmp_path, more=more) as (judge, _, opened), opened() as one, opened() as two:
        texts = [f"number-{number} second=0.1" for number in range(24)]
        await moderated(one, *texts[:12])
        await moderated(two, *texts[12:])
        judge.down = False
        await asyncio.gather(paid_off(one), paid_off(two))
        assert sorted(judge.heard) == sorted(texts)
        assert one.providers["judge"].health.outcomes["ok"] > 0 < two.providers["judge"].health.outcomes["ok"]


async def test_a_process_that_was_taken_for_dead_pays_nothing(tmp_path, monkeypatch):
    async with outage(tmp_path) as (_, _, opened), opened() as service:
        await moderated(service, "second=0.1")
        late, other = Debts(service.database.reader), Debts(service.database.reader)
        monkeypatch.setattr(debts_module, "LEASE", -0.001)
        [claimed] = await late.claim(["judge/text"], 10)
        monkeypatch.setattr(debts_module, "LEASE", 60.0)
        assert len(await other.claim(["judge/text"], 10)) == 1
        assert await late.claim(["judge/text"], 10) == []
        event = {"tenant": "acme", "created_at": 1.0, "kind": "k", "subject": "s", "body": b""}
        assert not await late.settle(claimed.decision_id, [(events, event)])
        await late.postpone(claimed.decision_id, "nobody", 0.0, [(events, event)])
        assert await rows(service, events) == []
        assert await other.settle(claimed.decision_id, [(events, event)])
        assert len(await rows(service, events)) == 1


async def test_what_a_process_had_claimed_is_given_back_when_it_stops(tmp_path):
    async with outage(tmp_path) as (judge, _, opened), opened() as service:
        await moderated(service, "second=0.1")
        judge.down = False
        service.payer._moderator = Stuck()
        task = asyncio.create_task(service.payer.run())
        async with asyncio.timeout(5):
            while not (await rows(service, debts))[0].owner:  # noqa: ASYNC110  # a database sets no event
                await asyncio.sleep(0.02)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert len(await Debts(service.database.reader).claim(["judge/text"], 10)) == 1


class Stuck:
    async def look_again(self, submission):
        await asyncio.sleep(60)


async def test_a_vendor_that_is_down_is_left_alone(tmp_path):
    more = "circuit: {failures: 2, open_for: 60s, open_most: 60s}"
    async with outage(tmp_path, more=more) as (_, _, opened), opened() as service:
        await moderated(service, "one", "two", "three")
        asked = service.providers["judge"].health.outcomes.total()
        for _ in range(5):
            await service.payer.round()
        assert service.providers["judge"].health.outcomes.total() == asked
        assert {row.tries for row in await rows(service, debts)} == {0}


async def test_one_that_is_half_back_is_asked_once(tmp_path):
    async with outage(tmp_path, more=QUICK.replace("10,", "640,")) as (judge, _, opened), opened() as service:
        await moderated(service, *map(str, range(6)))
        await asyncio.sleep(0.15)
        judge.down = False
        await service.payer.round()
        assert len(judge.heard) == 1
        await service.payer.round()
        assert len(judge.heard) == 6


async def test_no_more_than_its_share_at_once_and_by_its_rate(tmp_path):
    more = "max_concurrency: 40, rate_limit: 20/s, circuit: {enabled: false}"
    async with outage(tmp_path, more=more) as (judge, _, opened), opened() as service:
        await moderated(service, *map(str, range(6)))
        judge.down = False
        rest = await service.payer.round()
        assert len(judge.heard) == 4
        assert rest == pytest.approx(2.0)  # four questions, at a tenth of 20 a second


async def test_what_still_cannot_be_paid_is_tried_later_and_later_and_then_given_up(tmp_path, monkeypatch):
    async with outage(tmp_path, more="circuit: {enabled: false}") as (_, _, opened):
        witness = Heard()
        async with opened(witness) as service:
            [(id, _)] = await moderated(service, "second=0.1")
            now = [time.time()]
            monkeypatch.setattr(payer_module.time, "time", lambda: now[0])
            waits = []
            for _ in range(TRIES - 1):
                await service.payer.round()
                [row] = await rows(service, debts)
                waits.append(row.due_at - now[0])
                now[0] = row.due_at
            assert waits == pytest.approx([10, 40, 160, 640, 2560, 3600, 3600])
            await service.payer.round()
            assert await rows(service, debts) == await rows(service, debt_contents) == []
            assert witness.lost == [("given_up", 1)]
            assert (await service.ledger.find(id, "acme")).revisions == ()


async def test_rounds_come_less_often_while_none_of_them_helps(tmp_path):
    async with outage(tmp_path, more="circuit: {enabled: false}") as (_, _, opened), opened() as service:
        pause = 2.0
        pauses = []
        for number in range(6):
            await moderated(service, str(number))
            pauses.append(pause := await service.payer.round(pause))
        assert pauses == [4.0, 8.0, 16.0, 32.0, 60.0, 60.0]


async def test_a_stricter_answer_is_not_held_back_until_the_others_came(tmp_path):
    async with outage(tmp_path) as (judge, second, opened):
        file = tmp_path / "gateway.yaml"
        file.write_text(file.read_text().replace("{ask: [judge], fallback: [second]}", "{ask: [judge, second]}", 1))
        async with opened() as service:
            second.down = True
            [(id, action)] = await moderated(service, "judge=0.95")
            assert action == "review"
            judge.down = False
            await asyncio.sleep(0.15)
            await service.payer.round()
            assert (await service.ledger.find(id, "acme")).action is Action.BLOCK
            [row] = await rows(service, debts)
            assert (row.lacking, row.tries) == ("second/text", 1)


async def test_whoever_answered_before_is_asked_anew(tmp_path):
    """What was remembered is as old as the outage."""
    async with outage(tmp_path) as (judge, second, opened):
        file = tmp_path / "gateway.yaml"
        file.write_text(file.read_text().replace("{ask: [judge], fallback: [second]}", "{ask: [judge, second]}", 1))
        async with opened() as service:
            await moderated(service, "the same", "the same")
            assert len(second.heard) == 1
            judge.down = False
            await paid_off(service)
            assert len(second.heard) == 3


async def test_a_policy_that_is_gone_ends_the_debt(tmp_path):
    async with outage(tmp_path) as (judge, _, opened):
        async with opened() as service:
            await moderated(service, "second=0.1")
        (tmp_path / "policies" / "plain.yaml").rename(tmp_path / "policies" / "other.yaml")
        other = POLICY.replace("policy: plain", "policy: other")
        (tmp_path / "policies" / "other.yaml").write_text(other)
        file = tmp_path / "gateway.yaml"
        file.write_text(file.read_text().replace("default: plain", "default: other"))
        judge.down = False
        witness = Heard()
        async with opened(witness) as service:
            await service.payer.round()
            assert witness.lost == [("unpayable", 1)]
            assert await rows(service, debts) == []


# How much is kept


async def test_content_is_kept_no_longer_than_it_may(tmp_path):
    async with outage(tmp_path, debt="{keep: 300ms}") as (_, _, opened):
        witness = Heard()
        async with opened(witness) as service:
            await moderated(service, "second=0.1", "second=0.2")
            await service.payer.round()
            assert len(await rows(service, debt_contents)) == 2
            await asyncio.sleep(0.4)
            await service.payer.round()
            assert await rows(service, debts) == await rows(service, debt_contents) == []
            assert witness.lost == [("expired", 2)]


async def test_where_there_is_no_room_the_riskiest_are_kept_and_the_loss_is_told(tmp_path):
    async with outage(tmp_path, debt="{most: 2}") as (_, _, opened):
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
    async with outage(tmp_path, debt="{most: 0}") as (_, _, opened):
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
