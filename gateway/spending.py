"""What each decision has cost, by the prices of the providers that answered, on the account of the key that asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from gateway.domain import Answer, Reading
from gateway.record import Record, Revision
from gateway.witness import Witness

_REMEMBERED = "cached"  # said before: nothing was sent


class Spending:
    """Charges for answers as they come in, and passes them on to the witness.

    `prices` are of 1,000 requests, by provider; those that cost nothing may be left out. `charge` is told key and
    amount. Failures cost nothing, whatever the vendor may think of that.
    """

    def __init__(self, prices: Mapping[str, float], charge: Callable[[str, float], None], witness: Witness):
        self._prices = {name: price / 1000 for name, price in prices.items() if price}
        self._charge = charge
        self._witness = witness

    def decided(self, record: Record) -> None:
        self._count(record, record.answers)
        self._witness.decided(record)

    def came_late(self, record: Record, late: Sequence[Answer], revision: Revision | None) -> None:
        self._count(record, late)
        self._witness.came_late(record, late, revision)

    def _count(self, record: Record, answers: Sequence[Answer]) -> None:
        """One answer that bears on two inputs was one question."""
        if not self._prices or not record.key:
            return
        readings = {
            (reading.provider, reading.inputs): reading
            for answer in answers
            if (reading := answer.reading) and reading.status != _REMEMBERED
        }
        cost = sum(map(self._cost, readings.values()))
        if cost:
            self._charge(record.key, cost)

    def _cost(self, reading: Reading) -> float:
        return len(reading.exchanges) * self._prices.get(reading.provider, 0.0)
