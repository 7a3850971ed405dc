"""What a decision is owed: a second look, where somebody who was asked gave no answer and may give one another time."""

from __future__ import annotations

import random
from collections.abc import Callable

import structlog

from gateway.debt.parcel import pack
from gateway.domain import FULL, Action, Modality
from gateway.errors import VendorRejected
from gateway.ledger import Debt
from gateway.moderation import Submission
from gateway.record import Record
from gateway.settings import DebtSettings
from gateway.store.debts import Tally

log = structlog.get_logger("modgate.debt")


def lacking(record: Record) -> tuple[str, ...]:
    """Who gave no answer, as provider/modality. Who will not take this content is not among them: it never will."""
    failures = [answer.failure for answer in record.answers if answer.failure]
    who = set()
    for failure in failures:
        if failure.status != VendorRejected.status:
            kinds = {record.content[index].type for index in failure.inputs}
            operation = Modality.IMAGE if Modality.IMAGE in kinds else Modality.TEXT  # as its breaker knows it
            who.add(f"{failure.provider}/{operation.value}")
    return tuple(sorted(who))


def risk(record: Record) -> int:
    """How much harm waiting may do: what is published first, then what nobody looked at and what scored high."""
    decision = record.decision
    published = 4 * FULL if decision.action is Action.ALLOW else 0
    blind = FULL if decision.coverage.missing or decision.max_score is None else 0
    return published + blind + (decision.max_score or 0)


class Owing:
    """Says what is owed, as long as there is room. `tally` gives what is owed already; `lost` is told why one is not.

    Where there is no room, what is riskier than the least of those kept still gets in: the payer then drops others.
    """

    def __init__(self, settings: DebtSettings, tally: Callable[[], Tally], lost: Callable[[str], None]):
        self._settings = settings
        self._tally = tally
        self._lost = lost

    def debt(self, record: Record, submission: Submission) -> Debt | None:
        """What is owed of this decision, or nothing."""
        who = lacking(record)
        if not who or _blocked_by_a_finding(record):
            return None
        due_at = record.created_at + self._settings.after * random.uniform(1, 2)  # noqa: S311  # no secret
        debt = Debt(due_at, risk(record), who, pack(record, submission))
        if not self._has_room(debt):
            log.warning("debt_dropped", decision=record.id, reason="full", lacking=who)
            self._lost("full")
            return None
        self._tally().expect(debt.risk, len(debt.content))
        return debt

    def _has_room(self, debt: Debt) -> bool:
        settings, tally = self._settings, self._tally()
        if tally.count < settings.most and tally.bytes + len(debt.content) <= settings.bytes:
            return True
        fits = settings.most > 0 and len(debt.content) <= settings.bytes
        return fits and tally.least is not None and debt.risk > tally.least


def _blocked_by_a_finding(record: Record) -> bool:
    """Then nothing that others might say makes it less."""
    return any(reason.action is Action.BLOCK and reason.score is not None for reason in record.decision.reasons)
