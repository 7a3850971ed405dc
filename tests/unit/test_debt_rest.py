"""How fast debts are paid, in virtual time: at once where there is room, a third of the time where there is none."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.debt.payer import Payer
from gateway.debt.rest import Rest
from gateway.settings import DebtSettings
from gateway.store.debts import Tally
from gateway.web.admission import Admission
from gateway.witness import Witness
from tests.scripted import Scripted, now, provider
from tests.virtualtime import virtual

AT_VENDORS = 0.2  # seconds of a look
COSTS = 0.005  # seconds of CPU
AT_ONCE = 6  # a tenth of a provider's 64


class Owed:
    """So many debts, the riskiest first."""

    def __init__(self, many: int):
        self.rows = [SimpleNamespace(decision_id=f"mod_{risk}", risk=risk, lacking="acme/text") for risk in range(many)]
        self.tally = Tally()
        self.none = asyncio.Event()

    async def refresh(self) -> None:
        self.tally = Tally(len(self.rows))
        if not self.rows:
            self.none.set()

    async def lacking(self) -> list[str]:
        return ["acme/text"]

    async def claim(self, lacking: list[str], most: int) -> list[Any]:
        return [self.rows.pop() for _ in range(min(most, len(self.rows)))]

    async def give_back(self) -> None: ...


class Machine:
    """One core. `live` of it has other work, and `fullness` of the places are taken."""

    def __init__(self, live: float = 0.0, fullness: float = 0.0):
        self.live, self.fullness = live, fullness
        self.looks = 0.0

    def cpu(self) -> float:
        return self.looks + self.live * now()


class Paying(Payer):
    """Its looks are a wait at vendors."""

    def __init__(self, machine: Machine, many: int, **settings: Any):
        self.machine, self.owed, self.paid = machine, Owed(many), []
        self.times: list[float] = []
        rest = Rest(clock=now, cpu=machine.cpu)
        who = {"acme": provider(Scripted(**settings))}
        super().__init__(self.owed, None, None, who, DebtSettings(), Witness(), rest)  # type: ignore[arg-type]

    async def _pay(self, row: Any) -> bool:
        self.times.append(now())
        self.paid.append(row.risk)
        await asyncio.sleep(AT_VENDORS)
        self.machine.looks += COSTS
        return True

    async def all(self) -> float:
        """Seconds until all are paid."""
        begun, running = now(), asyncio.create_task(self.run(lambda: self.machine.fullness))
        await self.owed.none.wait()
        running.cancel()
        return now() - begun


@pytest.mark.parametrize(
    "live, fullness, times",
    [
        (0.0, 0.0, 1.1),  # times as long as the vendors take: nobody else wants anything
        (0.1, 0.0, 1.1),
        (0.15, 0.1, 1.1),
        (0.35, 0.1, 1.5),  # half of the core with what the looks take
        (0.6, 0.5, 2.25),
        (0.9, 0.1, 3.0),
        (0.1, 0.5, 1.5),
        (0.0, 1.0, 3.0),
        (9.0, 0.0, 3.0),  # several threads
    ],
)
@virtual
async def test_it_takes_what_others_leave_and_a_third_at_least(live, fullness, times):
    payer = Paying(Machine(live, fullness), 50 * AT_ONCE)
    assert await payer.all() == pytest.approx(50 * AT_VENDORS * times, rel=0.03)


@virtual
async def test_ten_thousand_debts_at_rest_take_less_than_ten_minutes():
    assert await Paying(Machine(), 10_000).all() < 600


@virtual
async def test_the_riskiest_are_paid_first_however_fast():
    payer = Paying(Machine(), 100)
    await payer.all()
    assert payer.paid == sorted(payer.paid, reverse=True)


@virtual
async def test_traffic_that_comes_is_made_room_for_after_the_round_that_is_under_way():
    machine = Machine()
    payer = Paying(machine, 100 * AT_ONCE)
    paying = asyncio.create_task(payer.all())
    await asyncio.sleep(5.0)
    machine.fullness, before = 1.0, len(payer.times)
    await asyncio.sleep(6.0)
    assert before == pytest.approx(5.0 / (AT_VENDORS * 1.1) * AT_ONCE, abs=AT_ONCE)
    assert len(payer.times) - before == pytest.approx(6.0 / (AT_VENDORS * 3) * AT_ONCE, abs=AT_ONCE)
    paying.cancel()


@virtual
async def test_a_rate_is_kept_however_much_room_there_is():
    payer = Paying(Machine(), 40, max_concurrency=40, rate_limit="50/s")  # a tenth of it: five a second
    await payer.all()
    assert payer.times[-1] == pytest.approx(40 / 5, abs=1.0)


def test_how_full_a_gateway_is():
    admission = Admission(4)
    assert admission.fullness == 0
    admission.enter(batch=False)
    admission.enter(batch=True)
    assert admission.fullness == 0.5
    admission.cap = 3  # the process is behind
    assert admission.fullness == 1
