"""What comes after the decision: answers nobody waited for are kept, and may make it stricter."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

import structlog

from gateway.dispatch.fanout import Pending
from gateway.domain import Action, Answer, Decision, Role
from gateway.errors import Overloaded
from gateway.ledger import Ledger
from gateway.record import Record, Revision

log = structlog.get_logger("modgate.aftermath")

MOST = 1000  # decisions followed at once; beyond that what is late is dropped, and said so in the log

Again = Callable[[Sequence[Answer]], Decision]


class Aftermath:
    """Follows each decision until its last question has an answer, which the deadline of its leg bounds.

    `notice` is told of every late answer, and of every decision that had to be revised.
    """

    def __init__(self, ledger: Ledger, notice: Callable[[Record, Sequence[Answer], Revision | None], None]):
        self._ledger = ledger
        self._notice = notice
        self._following: dict[asyncio.Task[None], Sequence[Pending]] = {}

    def follow(self, record: Record, pending: Sequence[Pending], again: Again) -> None:
        """Keep what is still to come. `again` decides anew with these answers beside those the decision had."""
        if len(self._following) >= MOST:
            log.warning("late_answers_dropped", decision=record.id)
            for question in pending:
                question.task.cancel()
            return
        task = asyncio.create_task(self._wait(record, pending, again))
        self._following[task] = pending
        task.add_done_callback(self._following.pop)

    async def close(self) -> None:
        """Nobody waits any more."""
        questions = [question.task for pending in self._following.values() for question in pending]
        tasks: list[asyncio.Task[Any]] = [*self._following, *questions]
        for task in tasks:  # the questions too: who has not begun to wait for them takes none down with it
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _wait(self, record: Record, pending: Sequence[Pending], again: Again) -> None:
        late = await asyncio.gather(*(question.task for question in pending))
        counted = [answer for answer in late if answer.role is not Role.SHADOW and answer.reading]
        revision = _revision(record.action, again(counted)) if counted else None
        try:
            await self._ledger.amend(record, late, revision)
        except Overloaded:
            log.error("late_answers_lost", decision=record.id)
            return
        self._notice(record, late, revision)


def _revision(was: Action, decision: Decision) -> Revision | None:
    """The new decision, where it is the stricter one: what was published on less may have to go."""
    return Revision(time.time(), "late_answer", decision) if decision.action.strictness > was.strictness else None
