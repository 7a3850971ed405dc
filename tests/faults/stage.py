"""Where the rows of the fault matrix are played, and what must hold after each: simulated vendors, a proxy before each
provider that a row spoils, the whole gateway, all over real sockets in this process.

The invariants, by the numbers they have in every test here: I1 never a silent allow · I2 of everything accepted
exactly one decision, which is found again · I5 an answer within the deadline and a tenth · I6 a metric moved and the
decision carries `degraded` · I7 tasks and memory back to where they were.
"""

import asyncio
import os
import re
import sqlite3
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

import aiohttp

import gateway
from tests.faultproxy import FaultProxy, faultproxy
from tests.gateway import serving
from tests.simulating import Rehearsal, simulator

DEADLINE = 10.0  # seconds, of every route here: nobody waits for it, so a busy machine may take its time
IN_TIME = DEADLINE * 1.1
PATIENT = "timeout: 8s"  # for vendors that answer, whatever they answer
SHORT = "timeout: 400ms"  # for vendors that never do: nothing else can come first
ROOM = 24_000_000  # bytes that a row may leave behind: what allocators keep, and no more after a hundred rows
BAD = "[[violence=0.97]]"  # in a text: every simulated vendor finds violence, so a clean answer is never right
NO_SECOND_LOOKS = "debt: {most: 0}"  # which ask vendors at a time of their own

_OURS = str(Path(gateway.__file__).parent)


@dataclass(frozen=True)
class Told:
    """An answer of the gateway, and the seconds it took."""

    status: int
    body: dict
    headers: dict
    seconds: float

    @property
    def providers(self):
        return [(asked["name"], asked["status"], asked["role"]) for asked in self.body["providers"]]

    @property
    def codes(self):
        return [reason["code"] for reason in self.body["reasons"]]


@dataclass
class Stage:
    """`told` is everything that was answered since the last check."""

    url: str
    client: aiohttp.ClientSession
    vendors: Rehearsal
    proxies: dict[str, FaultProxy]
    folder: Path
    told: list[Told] = field(default_factory=list)

    async def moderate(self, text=None, route="default", headers=None, **more):
        """What POST /v1/moderate answers."""
        body = {"route": route, **({} if text is None else {"text": text}), **more}
        told = await self.post("/v1/moderate", body, headers)
        self.told.append(told)
        return told

    async def post(self, path, body, headers=None):
        started = monotonic()
        async with self.client.post(path, json=body, headers=headers) as answer:
            said = await answer.json()
            return Told(answer.status, said, dict(answer.headers), monotonic() - started)

    async def get(self, path):
        async with self.client.get(path) as answer:
            return answer.status, await answer.json()

    async def metric(self, name, **labels):
        """The sum of a metric over all children with these labels."""
        async with self.client.get("/metrics") as answer:
            lines = (await answer.text()).splitlines()
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        found = [line for line in lines if re.match(rf"{name}[{{ ]", line) and all(label in line for label in wanted)]
        return sum(float(line.rpartition(" ")[2]) for line in found)

    async def provider(self, name):
        """What is told of a provider."""
        _, said = await self.get("/v1/providers")
        [found] = [each for each in said["providers"] if each["name"] == name]
        return found

    async def breaker(self, provider):
        """How the breaker of a provider's texts stands."""
        return (await self.provider(provider))["breaker"]["text"]

    def decisions(self):
        """How many are on disk."""
        with sqlite3.connect(f"file:{self.folder}/var/modgate.sqlite?mode=ro", uri=True) as database:
            return database.execute("SELECT count(*) FROM decisions").fetchone()[0]

    @asynccontextmanager
    async def row(self, within=IN_TIME):
        """One row: whatever was set is healed at its end, and then the invariants hold for all that was answered."""
        self.told, kept, memory, tasks = [], self.decisions(), rss(), len(our_tasks())
        try:
            yield
        finally:
            await self.vendors.fails()
            for proxy in self.proxies.values():
                await proxy.heal()
        decided = [told for told in self.told if told.status == 200]
        assert all(not silent(told.body) for told in decided), "I1"
        assert self.decisions() - kept == len({told.body["id"] for told in decided}), "I2"
        for told in decided[:: max(1, len(decided) // 5)]:
            status, found = await self.get(f"/v1/decisions/{told.body['id']}")
            assert (status, found["action"]) == (200, told.body["action"]), "I2"
        assert max((told.seconds for told in self.told), default=0.0) <= within, "I5"
        assert await back_to(tasks), f"I7: {our_tasks()}"
        assert rss() - memory <= ROOM, "I7"


def silent(body):
    """Whether this allows something that was not looked at."""
    looked = any(asked["status"] in ("ok", "cached") for asked in body["providers"])
    return body["action"] == "allow" and not (looked and not body["coverage"]["missing"])


def our_tasks():
    """What the gateway has under way, apart from requests that are being answered."""
    codes = [(task.get_coro().cr_code.co_filename, task) for task in asyncio.all_tasks()]
    return [task for file, task in codes if file.startswith(_OURS)]


async def back_to(tasks):
    """Whether there are soon no more tasks than that."""
    for _ in range(400):
        if len(our_tasks()) <= tasks:
            return True
        await asyncio.sleep(0.05)
    return False


def rss():
    """Bytes of memory this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def peak():
    """The most memory it held since `forget_peak`, in bytes."""
    [line] = re.findall(r"^VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.M)
    return int(line) * 1024


def forget_peak():
    Path("/proc/self/clear_refs").write_text("5")


@asynccontextmanager
async def stage(folder, config, spoiled):
    """The gateway of this configuration: a function of the addresses, by name, of the proxies in `spoiled`.

    `spoiled` is name → TLS context or None. What they stand before is the simulator.
    """
    async with AsyncExitStack() as stack:
        vendors = await stack.enter_async_context(simulator())
        port = int(vendors.url.rpartition(":")[2])
        proxies = {
            name: await stack.enter_async_context(faultproxy(port, context)) for name, context in spoiled.items()
        }
        text = config({"vendors": vendors.url} | {name: proxy.url for name, proxy in proxies.items()})
        url = await stack.enter_async_context(serving(f"{text}\n{NO_SECOND_LOOKS}", folder))
        client = await stack.enter_async_context(aiohttp.ClientSession(url))
        yield Stage(url, client, vendors, proxies, folder)


def provider(name, address, more=PATIENT):
    """Simulated openai behind this address; it fails as often as a row needs before it is left alone."""
    patience = "" if "circuit" in more else ", circuit: {failures: 50, min_calls: 100}"
    return f'  "{name}": {{adapter: openai, base_url: "{address}/openai/v1", api_key: rehearsal, {more}{patience}}}'


def spare(addresses):
    """Another vendor, that works."""
    address = f"{addresses['vendors']}/evolink/v1"
    return f'  spare: {{adapter: evolink, base_url: "{address}", api_key: rehearsal, {PATIENT}}}'
