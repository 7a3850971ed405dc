"""Pays what is owed: once the vendors that gave no answer are back, content is looked at again, the riskiest first.

The second look goes the way of the first (the same route and policy), but only those are asked who have not answered
yet, no shadows, and nothing is remembered. All that was ever said of the content decides. What comes of it is a
revision with its answers, and an event where the action is now another, stricter or not. Who is still without an answer
stays owed, a few times and each time later. A vendor that is back is given a little to do at a time, and one that is
half back a single question, since that is its probe. After each round there is a rest, by how much else there is to
do: callers need this process too.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import structlog
from sqlalchemy import Row
from sqlalchemy.exc import SQLAlchemyError

from gateway.debt.owing import lacking
from gateway.debt.parcel import unpack
from gateway.debt.rest import Rest, nobody
from gateway.dispatch.breaker import State
from gateway.dispatch.question import Provider
from gateway.domain import Answer, Modality
from gateway.errors import NotFound, UnknownPolicy
from gateway.ledger import Ledger, amendment
from gateway.moderation import Moderator
from gateway.record import Case, Record, Revision
from gateway.settings import DebtSettings
from gateway.store.debts import Debts
from gateway.witness import Witness

log = structlog.get_logger("modgate.debt")

TRIES = 8  # looks at one debt while its vendors seem well; then it is given up
_EVERY = 2.0  # seconds between rounds while there is nothing to pay
_LONGEST = 60.0  # seconds between rounds in which nothing could be paid
_SHARE = 0.1  # of what a provider may be asked: at once, and where it has a rate_limit a second
_MOST = 8  # at once, whatever the providers take
_LATER = (10.0, 4.0, 3600.0)  # seconds until the next look, how much longer each time, and at most


class Payer:
    """`run` for ever, in each process: a debt is claimed by one of them at a time."""

    def __init__(
        self,
        debts: Debts,
        moderator: Moderator,
        ledger: Ledger,
        providers: Mapping[str, Provider],
        settings: DebtSettings,
        witness: Witness,
        rest: Rest | None = None,
    ):
        self._debts = debts
        self._moderator = moderator
        self._ledger = ledger
        self._providers = providers
        self._settings = settings
        self._witness = witness
        self._rest = rest or Rest()

    async def run(self, fullness: Callable[[], float]) -> None:
        """A round after the other; at the end what is under way is anybody's again.

        `fullness` says how much of what this process takes at once is taken now, 0..1.
        """
        pause = _EVERY
        try:
            while True:
                try:
                    pause = await self.round(pause, fullness)
                except SQLAlchemyError as error:
                    log.error("debts_unread", problem=str(error)[:200])
                    pause = _EVERY
                await asyncio.sleep(pause)
        finally:
            with suppress(SQLAlchemyError):  # then the lease ends by itself
                await self._debts.give_back()

    async def round(self, pause: float = _EVERY, fullness: Callable[[], float] = nobody) -> float:
        """Drop what is over, pay what can be paid; seconds until the next round, given those before this one."""
        await self._tidy()
        if not self._debts.tally.count:
            return _EVERY
        payable, at_once = self._payable(await self._debts.lacking())
        claimed = await self._debts.claim(payable, at_once) if payable else []
        if not claimed:
            return _EVERY
        self._rest.begin()
        paid = await asyncio.gather(*map(self._pay, claimed))
        if not any(paid):
            return min(max(_EVERY, 2 * pause), _LONGEST)
        return max(self._rest.due(fullness()), self._by_rate(claimed))

    async def _tidy(self) -> None:
        debts, settings = self._debts, self._settings
        await debts.refresh()
        tally, too_old = debts.tally, time.time() - settings.keep
        expired = tally.oldest is not None and tally.oldest < too_old
        if expired:
            self._lose("expired", await debts.expire(too_old))
        full = tally.count > settings.most or tally.bytes > settings.bytes
        if full:
            self._lose("full", await debts.trim(settings.most, settings.bytes))
        if expired or full:
            await debts.refresh()
        self._witness.owing(debts.tally.count, debts.tally.oldest)

    def _payable(self, waited_for: Sequence[str]) -> tuple[list[str], int]:
        """The sets of providers that may be asked now, and how many debts to pay at once."""
        payable, at_once = [], _MOST
        for names in waited_for:
            rooms = [self._room(name) for name in names.split()]
            if all(rooms):
                payable.append(names)
                at_once = min(at_once, *rooms)
        return payable, at_once

    def _room(self, name: str) -> int:
        """How many questions at once this provider/modality may be put now; 0 while it is not asked."""
        provider = self._providers.get(name.partition("/")[0])
        if provider is None:  # no longer there: whoever the route names today is asked
            return _MOST
        now = asyncio.get_running_loop().time()
        state = provider.health.breakers[Modality(name.partition("/")[2])].circuit(now).state
        if state is State.OPEN or now < provider.health.parked_until:
            return 0
        return 1 if state is State.HALF_OPEN else max(1, int(_SHARE * provider.adapter.settings.max_concurrency))

    def _by_rate(self, paid: Sequence[Row[Any]]) -> float:
        """Seconds until the next ones, where a rate is to be kept."""
        names = {name.partition("/")[0] for row in paid for name in row.lacking.split()}
        rates = [self._providers[name].adapter.settings.rate_limit for name in names if name in self._providers]
        least = min((rate for rate in rates if rate), default=None)
        return len(paid) / (_SHARE * least) if least else 0.0

    async def _pay(self, row: Row[Any]) -> bool:
        """Look again; whether that was the end of it."""
        try:
            case = await self._ledger.find(row.decision_id, row.tenant)
            submission = unpack(await self._debts.content(row.decision_id) or b"", row.tenant)
            record = await self._moderator.look_again(submission, case.answers)
        except (NotFound, UnknownPolicy, ValueError, KeyError) as error:  # its route, policy or record is gone
            log.warning("debt_dropped", decision=row.decision_id, reason="unpayable", problem=str(error)[:200])
            return await self._end(row, "unpayable")
        who = lacking(record)
        if not who:
            return await self._settle(row, case, record)
        if row.tries >= TRIES:
            log.warning("debt_dropped", decision=row.decision_id, reason="given_up", lacking=who)
            return await self._end(row, "given_up")
        first, times, longest = _LATER
        due_at = time.time() + min(longest, first * times ** (row.tries - 1))
        stricter = record.action.strictness > case.action.strictness
        kept = _revised(case, record) if stricter else _heard(case, record)
        await self._debts.postpone(row.decision_id, " ".join(who), due_at, kept)
        return False

    async def _settle(self, row: Row[Any], case: Case, record: Record) -> bool:
        if await self._debts.settle(row.decision_id, _revised(case, record)):
            self._witness.paid(case.record, case.action, record.action)
        return True

    async def _end(self, row: Row[Any], reason: str) -> bool:
        if await self._debts.settle(row.decision_id):
            self._witness.debt_lost(reason)
        return True

    def _lose(self, reason: str, many: int) -> None:
        if many:
            log.warning("debts_dropped", reason=reason, many=many)
            self._witness.debt_lost(reason, many)


def _revised(case: Case, record: Record) -> Sequence[Any]:
    """What is kept of a second look that decides."""
    return amendment(case.record, _new(case, record), Revision(time.time(), "debt", record.decision), case.action)


def _heard(case: Case, record: Record) -> Sequence[Any]:
    """What is kept of one that does not: whoever has answered need not be asked again."""
    readings = [answer for answer in _new(case, record) if answer.reading]
    return amendment(case.record, readings, None, case.action)


def _new(case: Case, record: Record) -> Sequence[Answer]:
    """What the second look added."""
    known = [answer.outcome for answer in case.answers]
    return [answer for answer in record.answers if answer.outcome not in known]
