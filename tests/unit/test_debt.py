"""What is owed, in which order it is paid, and that it is paid once."""

import asyncio
import time

import pytest
from sqlalchemy import update

from gateway.debt import payer as payer_module
from gateway.debt.payer import TRIES
from gateway.domain import Action, Answer, Reading, Role, Signal
from gateway.moderation import Submission, _said
from gateway.store import debts as debts_module
from gateway.store.debts import Debts
from gateway.store.tables import debt_contents, debts, events
from tests.gateway import image
from tests.outage import POLICY, QUICK, Heard, moderated, outage, paid_off, rows
from tests.waiting import until


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
                (held[0], "review", "review"),  # the second has not taken back what it said
            ]
            told = [(event.kind, event.subject) for event in await rows(service, events)]
            assert told == [("decision.revised", id) for id, _ in (harmful, unseen)]
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
        task = asyncio.create_task(service.payer.run(lambda: 0.0))

        async def claimed():
            return (await rows(service, debts))[0].owner

        await until(claimed)
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
        routed(tmp_path, "ask: [judge, second]")
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


def routed(folder, leg):
    """Texts go another way."""
    file = folder / "gateway.yaml"
    file.write_text(file.read_text().replace("{ask: [judge], fallback: [second]}", f"{{{leg}}}", 1))


@pytest.mark.parametrize("strategy", ["all", "first", "race", "hedge", "cascade"])
async def test_only_those_are_asked_who_have_not_answered_yet_and_both_count(tmp_path, strategy):
    async with outage(tmp_path) as (judge, second, opened):
        routed(tmp_path, f"strategy: {strategy}, ask: [judge, second]")
        second.behind = judge  # a race that is won before somebody fails owes nothing
        async with opened() as service:
            [(mild, _), (alarm, was)] = await moderated(service, "judge=0.6 second=0.1", "judge=0.1 second=0.6")
            assert was == "review"
            judge.down = False
            await paid_off(service)
            assert (len(second.heard), len(judge.heard)) == (2, 2)
            for id in (mild, alarm):
                case = await service.ledger.find(id, "acme")
                assert case.action is Action.REVIEW
                assert [(answer.outcome.provider, answer.outcome.status) for answer in case.late] == [("judge", "ok")]


async def test_what_one_of_two_said_meanwhile_is_kept_and_it_is_not_asked_again(tmp_path):
    async with outage(tmp_path, more="circuit: {enabled: false}") as (judge, second, opened):
        routed(tmp_path, "ask: [judge, second]")
        async with opened() as service:
            second.down = True
            [(id, _)] = await moderated(service, "judge=0.6 second=0.1")
            judge.down = False
            await service.payer.round()
            case = await service.ledger.find(id, "acme")
            assert [answer.outcome.provider for answer in case.late] == ["judge"]
            assert case.revisions == ()  # it was to be reviewed, and is
            second.down = False
            await again(service)
            assert (len(judge.heard), len(second.heard)) == (1, 1)
            case = await service.ledger.find(id, "acme")
            assert [answer.outcome.provider for answer in case.late] == ["judge", "second"]
            assert [revision.decision.action for revision in case.revisions] == [Action.REVIEW]
            assert await rows(service, debts) == []


async def again(service):
    """A round, whatever is due later."""
    async with service.database.reader.begin() as connection:
        await connection.change(update(debts).values(due_at=0.0))
    await service.payer.round()


async def test_an_alarm_outlives_its_provider_in_the_route(tmp_path):
    async with outage(tmp_path) as (judge, _, opened):
        routed(tmp_path, "ask: [judge], fallback: [second]")
        async with opened() as service:
            [(id, action)] = await moderated(service, "judge=0.1 second=0.6")
            assert action == "review"
        file = tmp_path / "gateway.yaml"
        file.write_text(file.read_text().replace("{ask: [judge], fallback: [second]}", "{ask: [judge]}"))
        judge.down = False
        async with opened() as service:
            await paid_off(service)
            assert (await service.ledger.find(id, "acme")).action is Action.REVIEW


async def test_the_first_look_takes_its_time(tmp_path):
    async with outage(tmp_path, debt="after: 5s") as (judge, _, opened), opened() as service:
        await moderated(service, *map(str, range(20)))
        judge.down = False
        await asyncio.sleep(0.15)
        await service.payer.round()
        assert judge.heard == []
        waits = [row.due_at - row.created_at for row in await rows(service, debts)]
        assert all(5 <= wait <= 10 for wait in waits)
        assert len(set(waits)) == 20


async def test_live_traffic_has_two_thirds_of_the_time(tmp_path):
    async with outage(tmp_path, more="circuit: {enabled: false}") as (judge, _, opened), opened() as service:
        await moderated(service, "second=0.1")
        judge.down = False
        began = time.monotonic()
        rest = await service.payer.round()
        took = time.monotonic() - began
        assert 0 < rest <= 2 * took


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


def test_whoever_looked_at_half_of_a_question_is_asked_all_of_it_again():
    def judged(*inputs):
        signals = tuple(Signal("violence", 100, "judge", "violence", index) for index in inputs)
        return Answer(0, Role.ASK, Reading("judge", (0, 1), signals, None, None, (), 1, 1.0))

    assert _said([judged(0)]) == {}
    assert _said([judged(0, 1)]).keys() == {("judge", (0, 1))}
