"""After the decision: what comes late is kept, and makes it stricter where it has to. With a real ledger."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest
from sqlalchemy import select

from gateway import aftermath as aftermath_module
from gateway.aftermath import Aftermath
from gateway.dispatch.cache import Asker
from gateway.dispatch.question import Provider
from gateway.domain import Action, Answer, Content, Role
from gateway.errors import Overloaded, VendorUnavailable
from gateway.ledger import DatabaseLedger
from gateway.moderation import Moderator, Submission
from gateway.paths import MESSAGES
from gateway.policy.book import PolicyBook
from gateway.policy.messages import Messages
from gateway.record import Record, Revision, evidence
from gateway.store.database import Database
from gateway.store.tables import events
from tests.deciding import TAXONOMY_READ
from tests.scripted import CAPTION, CLEAN, FOREVER, HATE, PICTURE, Scripted, everywhere, leg, provider, told, work_left
from tests.waiting import until

POLICY = "policy: p\nsignals: {coverage: {hate: {}}}\nthresholds: {hate: {review: 0.3, block: 0.9}}\n"
ALLOW, REVIEW, BLOCK = Action.ALLOW, Action.REVIEW, Action.BLOCK
LATE = 0.05  # seconds


@dataclass
class Spine:
    """Everything from a submission to its revision, and what was told of it."""

    database: Database
    policies: PolicyBook
    baseline: int = 0
    told: list[tuple[Record, Sequence[Answer], Revision | None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ledger = DatabaseLedger(self.database)
        self.news = asyncio.Event()
        self.aftermath = Aftermath(self.ledger, self.hear)

    def hear(self, *news: Any) -> None:
        self.told.append(news)
        self.news.set()

    async def moderate(self, *ask: Provider, inputs: Any = (CAPTION,), **more: Any) -> Record:
        route = everywhere(leg(ask, **{"strategy": "race", **more}))
        args = ({"default": route}, self.policies, Asker(None), self.ledger, self.aftermath, (), lambda record: None)
        return await Moderator(*args).moderate(Submission(Content(inputs)))

    async def over(self, many: int = 1) -> None:
        """Until so many decisions have all that will come."""
        while len(self.told) < many:
            await self.news.wait()
            self.news.clear()

    async def at_rest(self) -> bool:
        """Whether nothing goes on that did not before."""
        return await work_left() == self.baseline

    async def events(self) -> list[dict[str, Any]]:
        async with self.database.reader.connect() as connection:
            rows = (await connection.execute(select(events))).all()
        return [{"kind": row.kind, "subject": row.subject, **orjson.loads(row.body)} for row in rows]

    async def kept(self, record: Record) -> dict[str, Any]:
        return evidence(await self.ledger.find(record.id, "default"))


@pytest.fixture
async def spine(tmp_path):
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "p.yaml").write_text(POLICY)
    book = PolicyBook(tmp_path / "policies", "p", TAXONOMY_READ, Messages.from_file(MESSAGES))
    book.load()
    database = await Database.open(tmp_path / "var")
    spine = Spine(database, book, baseline=await work_left())
    yield spine
    await spine.aftermath.close()
    assert await work_left() <= spine.baseline
    await database.close()


def quick(*said: Any) -> Provider:
    return provider(Scripted(said), "quick")


def late(*said: Any) -> Provider:
    return provider(Scripted((LATE, *said), retry={"attempts": 1}), "late")


async def test_a_late_answer_that_is_stricter_revises_the_decision_and_says_so(spine):
    record = await spine.moderate(quick(CLEAN), late(HATE))
    assert (record.action, [unheard.provider for unheard in record.unheard]) == (ALLOW, ["late"])
    await spine.over()
    [(of, came, revision)] = spine.told
    assert (of, told(came), revision.decision.action) == (record, [("late", "ok", Role.ASK)], BLOCK)
    assert await spine.events() == [
        {
            "kind": "decision.revised",
            "subject": record.id,
            "decision_id": record.id,
            "cause": "late_answer",
            "was": "allow",
            "action": "block",
            "reasons": ["hate"],
        }
    ]
    kept = await spine.kept(record)
    assert kept["action"] == "allow"  # what was said then
    assert [(one["cause"], one["action"]) for one in kept["revisions"]] == [("late_answer", "block")]
    assert [(one["name"], one["status"], one["outcome"], one["scores"]) for one in kept["late"]] == [
        ("late", "late", "ok", {"hate": 1.0})
    ]


@pytest.mark.parametrize("first", [HATE, CLEAN])
@pytest.mark.parametrize("then, outcome", [((CLEAN,), "ok"), ((VendorUnavailable("down"),), "unavailable")])
async def test_a_late_answer_that_is_not_stricter_is_kept_and_revises_nothing(spine, first, then, outcome):
    record = await spine.moderate(quick(first), late(*then))
    await spine.over()
    assert (spine.told[0][2], await spine.events()) == (None, [])
    kept = await spine.kept(record)
    assert (kept["action"], kept["revisions"]) == ("block" if first is HATE else "allow", [])
    assert [(one["name"], one["status"], one["outcome"]) for one in kept["late"]] == [("late", "late", outcome)]


async def test_what_was_reviewed_for_a_hole_that_a_late_answer_fills_stays_reviewed(spine):
    sees_nothing = provider(Scripted(lambda content: aware_of_spam()), "quick")
    record = await spine.moderate(sees_nothing, late(CLEAN))
    assert record.action is REVIEW
    await spine.over()
    assert (spine.told[0][2], (await spine.kept(record))["revisions"]) == (None, [])


def aware_of_spam():
    return type(CLEAN)((type(CLEAN.findings[0])("spam", 0.0),))


async def test_a_shadow_is_kept_and_never_counted(spine):
    shadow = provider(Scripted((LATE, HATE)), "shadow")
    record = await spine.moderate(quick(CLEAN), strategy="all", shadow=(shadow,))
    assert record.action is ALLOW
    await spine.over()
    assert (spine.told[0][2], await spine.events()) == (None, [])
    kept = await spine.kept(record)
    assert [(one["name"], one["status"], one["role"]) for one in kept["providers"]] == [
        ("quick", "ok", "ask"),
        ("shadow", "shadow", "shadow"),
    ]
    assert [(one["status"], one["outcome"], one["scores"]) for one in kept["late"]] == [("shadow", "ok", {"hate": 1.0})]


async def test_a_joint_question_that_comes_late_counts_for_each_input(spine):
    both = provider(Scripted((LATE, HATE), together=True), "late")
    record = await spine.moderate(quick(CLEAN), both, inputs=(CAPTION, PICTURE))
    await spine.over()
    [(_, came, revision)] = spine.told
    assert [(answer.input, answer.outcome.provider) for answer in came] == [(0, "late"), (1, "late")]
    assert revision.decision.inputs == (BLOCK, BLOCK)
    assert len(both.adapter.heard) == 1
    assert len((await spine.kept(record))["late"]) == 2


async def test_nothing_is_followed_of_a_decision_that_could_not_be_kept(spine):
    both = provider(Scripted(FOREVER, together=True), "late")
    await spine.database.writer.close()
    with pytest.raises(Overloaded):
        await spine.moderate(quick(CLEAN), both, inputs=(CAPTION, PICTURE))
    assert (await work_left(), both.adapter.busy) == (spine.baseline, 0)


async def test_late_answers_that_cannot_be_kept_revise_nothing_and_hurt_nobody(spine):
    await spine.moderate(quick(CLEAN), late(HATE))
    await spine.database.writer.close()
    await asyncio.sleep(2 * LATE)
    await until(spine.at_rest)
    assert spine.told == []


async def test_at_the_end_nobody_waits_any_more(spine):
    waited_for = [provider(Scripted(FOREVER, together=together), "late") for together in (True, False)]
    for each in waited_for:
        await spine.moderate(quick(CLEAN), each, inputs=(CAPTION, PICTURE))
    assert [each.adapter.busy for each in waited_for] == [1, 2]
    await spine.aftermath.close()
    assert (await work_left(), [each.adapter.busy for each in waited_for]) == (spine.baseline, [0, 0])


async def test_beyond_so_many_what_is_late_is_dropped(spine, monkeypatch):
    monkeypatch.setattr(aftermath_module, "MOST", 2)
    come = asyncio.Event()
    records = [await spine.moderate(quick(CLEAN), provider(Scripted((come, HATE)), "late")) for _ in range(3)]
    come.set()
    await spine.over(2)
    await until(spine.at_rest)
    assert sorted(of.id for of, _, _ in spine.told) == sorted(record.id for record in records[:2])


async def test_what_a_cascade_did_not_spend_is_on_record(spine):
    costs = [provider(Scripted(look, price_per_1k=price), name) for name, look, price in PRICED]
    assert (await spine.moderate(*costs, strategy="cascade")).saved == pytest.approx(0.0045)
    assert (await spine.moderate(*costs, strategy="cascade", inputs=(CAPTION, PICTURE))).saved == pytest.approx(0.009)
    assert (await spine.moderate(*costs, strategy="all")).saved == 0
    assert (await spine.moderate(*costs[1:], strategy="cascade")).saved == 0


PRICED = (("a", HATE, 1.0), ("b", CLEAN, 1.5), ("c", CLEAN, 3.0))
