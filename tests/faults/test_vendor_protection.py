"""Row 5 of the fault matrix at length, and what a vendor in trouble is spared: how often it is still asked, how soon it
is left alone, how soon it is asked again, and that those who hang hold nobody up.

Each test is a gateway of its own, with the breaker as it is by default.
"""

import asyncio
from contextlib import asynccontextmanager
from time import monotonic

import pytest

from tests.faults.stage import BAD, DEADLINE, PATIENT, SHORT, our_tasks, provider, spare, stage

TROUBLE = {"vendor": "openai", "error": "server_error"}
BREAKERS = pytest.mark.parametrize("circuit", ["{}", "{enabled: false}"], ids=["with-a-breaker", "without"])


@asynccontextmanager
async def asking(folder, circuit="{}", patience=PATIENT):
    """A gateway that asks `well` by way of a proxy, and `spare` where it fails."""

    def config(addresses):
        providers = [spare(addresses), provider("well", addresses["well"], f"{patience}, circuit: {circuit}")]
        routes = f"routes: {{default: {{text: {{ask: [well], fallback: [spare], deadline: {DEADLINE}s}}}}}}"
        return "\n".join(["providers:", *providers, routes])

    async with stage(folder, config, {"well": None}) as made:
        yield made


class Traffic:
    """Distinct texts, so many a second, until it is left; and at most so many at once, however busy the machine is.

    `statuses` are the first provider's, oldest first.
    """

    def __init__(self, stage, rate, at_once):
        self._stage = stage
        self._rate = rate
        self._places = asyncio.Semaphore(at_once)
        self._tasks = set()
        self._turn = asyncio.Event()
        self.statuses = []

    async def __aenter__(self):
        self._sending = asyncio.create_task(self._send())
        return self

    async def __aexit__(self, *_):
        self._sending.cancel()
        await asyncio.gather(self._sending, *self._tasks, return_exceptions=True)

    async def _send(self):
        begun, number = monotonic(), 0
        while True:
            await self._places.acquire()
            self._tasks.add(asyncio.create_task(self._one(number)))
            number += 1
            await asyncio.sleep(max(0.0, begun + number / self._rate - monotonic()))

    async def _one(self, number):
        told = await self._stage.moderate(f"{number} {BAD}")
        self.statuses.append(told.body["providers"][0]["status"])
        self._places.release()
        self._turn.set()
        self._turn = asyncio.Event()

    async def until(self, *statuses, within=None):
        """Go on until the last were these. TimeoutError after so many seconds."""
        async with asyncio.timeout(within):
            while tuple(self.statuses[-len(statuses) :]) != statuses:
                await self._turn.wait()


async def test_the_breaker_opens_within_five_seconds_and_closes_within_ten(tmp_path):
    async with asking(tmp_path) as gateway, gateway.row(), Traffic(gateway, 50, at_once=4) as traffic:
        await traffic.until(*["ok"] * 20)
        assert {told.body["degraded"] for told in gateway.told} == {False}
        before, _ = await gateway.vendors.calls("openai")
        await gateway.vendors.fails(TROUBLE)
        await traffic.until("open", within=5)
        await asyncio.sleep(2.5)
        asked, _ = await gateway.vendors.calls("openai")
        assert await gateway.metric("modgate_circuit", provider="well", operation="text") == 2
        await gateway.vendors.fails()
        await traffic.until("ok", within=10)
        assert asked - before <= 20  # five that failed, those beside them, and probes
        assert (await gateway.breaker("well"))["state"] == "closed"
    assert {(told.status, told.body["action"]) for told in gateway.told} == {(200, "block")}


@BREAKERS
@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
async def test_row_5_it_is_asked_hardly_more_often_than_when_it_is_well(tmp_path, share, circuit):
    requests = 120
    async with asking(tmp_path, circuit) as gateway, gateway.row():
        await gateway.vendors.fails({**TROUBLE, "share": share}, seed=1)
        for start in range(0, requests, 20):
            await asyncio.gather(*(gateway.moderate(f"{start + beside} {BAD}") for beside in range(20)))
        calls, _ = await gateway.vendors.calls("openai")
        assert calls <= 1.2 * requests
        assert {(told.status, told.body["action"]) for told in gateway.told} == {(200, "block")}
        failed = [told for told in gateway.told if told.body["providers"][0]["status"] != "ok"]
        assert all(told.body["degraded"] and told.providers[1] == ("spare", "ok", "fallback") for told in failed)
        assert failed or share < 1


@BREAKERS
async def test_a_vendor_that_hangs_holds_nobody_up(tmp_path, circuit):
    """One after the other, thirty at a time would take longer than the row may: 30 x 400 ms."""
    async with asking(tmp_path, circuit, SHORT) as gateway, gateway.row():
        gateway.proxies["well"].upstream.timeout()
        async with Traffic(gateway, 60, at_once=30) as traffic:
            await asyncio.sleep(1.0)
            assert len(our_tasks()) <= 100
            await traffic.until(*["open" if circuit == "{}" else "timeout"] * 5)  # soon nobody waits for it any more
        assert {told.body["action"] for told in gateway.told} == {"block"}


async def test_a_vendor_that_drops_a_connection_now_and_then_is_not_noticed(tmp_path):
    """An idle connection may be gone when it is taken up again: that is our affair, not the caller's."""
    async with asking(tmp_path) as gateway, gateway.row():
        for number in range(6):
            await gateway.moderate(f"{number} {BAD}")
            gateway.proxies["well"].down()
            await gateway.proxies["well"].up()
        assert {told.providers[0] for told in gateway.told} == {("well", "ok", "ask")}
        assert gateway.proxies["well"].accepted == 6
