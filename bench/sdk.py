"""CPU of one vendor call, our own beside the one through the vendor's client: the same question, interleaved rounds.

`python -m bench.sdk [--rounds 5] [--json]`. Each call is put, sent to a vendor on loopback that answers at once, and
read; 16 are under way. CPU is of this process with all its threads, the vendor has another.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import statistics
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import uvloop
from rich.console import Console
from rich.progress import track
from rich.table import Table

from bench.processes import free_port, load_average, pin, running
from gateway import registry
from gateway.adapter import Adapter, Transport
from gateway.dispatch.transport import HttpTransport
from gateway.domain import Content, Image, Text, View

WORDS = "We had a picnic at the lake, the weather was fine, and in the evening we sang until it was late."
UNDER_WAY = 16


@dataclass(frozen=True)
class Rival:
    """A provider as it would stand in gateway.yaml, what it is asked, and how many times cheaper ours shall be."""

    name: str
    settings: dict[str, Any]
    content: Content
    calls: int
    goal: float


def rivals(url: str) -> list[Rival]:
    text = Content((Text(WORDS),))
    noise = random.Random(7).randbytes(100_000)  # nobody here decodes it
    picture = Content((Image("0" * 64, (View(noise, "image/jpeg", 800, 600),), "image/jpeg"),))
    keys = {"region": "eu-west-1", "access_key_id": "AKIDBENCH", "secret_access_key": "bench"}
    return [
        Rival("OpenAI, text", {"adapter": "openai", "base_url": f"{url}/v1", "api_key": "bench"}, text, 400, 5),
        Rival("Azure, text", {"adapter": "azure_content_safety", "endpoint": url, "api_key": "bench"}, text, 400, 5),
        Rival(
            "Rekognition, 100 kB",
            {"adapter": "rekognition", "endpoint_url": url, "operations": ["moderation"], **keys},
            picture,
            200,
            3,
        ),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="modgate-bench-") as folder:
        port = free_port()
        with running("-m", "bench.vendor", str(port), port=port, log=Path(folder) / "vendor.log") as vendor:
            pin(vendor, 1)
            pin(os.getpid(), 0)
            report = uvloop.run(measure(f"http://127.0.0.1:{port}", asked.rounds))
    if asked.json:
        sys.stdout.buffer.write(orjson.dumps(report, option=orjson.OPT_INDENT_2) + b"\n")
    else:
        show(report)


async def measure(url: str, rounds: int) -> dict[str, Any]:
    """CPU µs of each call in each round, and how many times ours the client's is, round by round."""
    found = []
    for rival in track(rivals(url), description="Vendors", console=Console(stderr=True)):
        async with AsyncExitStack() as stack:
            ways = {way: await _opened(rival, way, stack) for way in ("direct", "sdk")}
            for adapter, send in ways.values():  # connections, threads, caches
                await _cpu(adapter, send, rival.content, 4 * UNDER_WAY)
            taken = []
            for number in range(rounds):
                order = list(ways) if number % 2 == 0 else list(ways)[::-1]
                taken.append({way: await _cpu(*ways[way], rival.content, rival.calls) for way in order})
        times = [round_["sdk"] / round_["direct"] for round_ in taken]
        spread = {"median": statistics.median(times), "min": min(times), "max": max(times)}
        found.append({"name": rival.name, "rounds": taken, "times": spread, "goal": rival.goal})
    return {"vendors": found, "load": load_average()}


async def _opened(rival: Rival, way: str, stack: AsyncExitStack) -> tuple[Adapter, Transport]:
    written = {**rival.settings, "transport": way, "timeout": "20s", "max_concurrency": UNDER_WAY}
    settings = registry.settings_for(rival.settings["adapter"]).model_validate(written)
    send = registry.client(settings) if way == "sdk" else HttpTransport()
    await send.open()
    stack.push_async_callback(send.close)
    return registry.make(settings), send


async def _cpu(adapter: Adapter, send: Transport, content: Content, calls: int) -> float:
    """µs a call."""
    left = iter(range(calls))

    async def one_after_the_other() -> None:
        for _ in left:
            await adapter.look(content, send)

    before = time.process_time()
    await asyncio.gather(*(one_after_the_other() for _ in range(UNDER_WAY)))
    return (time.process_time() - before) / calls * 1e6


def show(report: dict[str, Any]) -> None:
    """A table a person can read."""
    title = "CPU µs of one call"
    table = Table("", "direct", "its client", "times (min..max)", "goal", title=title, header_style="bold")
    for vendor in report["vendors"]:
        middle = [statistics.median(round_[way] for round_ in vendor["rounds"]) for way in ("direct", "sdk")]
        times = vendor["times"]
        span = f"{times['median']:.1f} ({times['min']:.1f}..{times['max']:.1f})"
        reached = "reached" if times["median"] >= vendor["goal"] else "missed"
        table.add_row(vendor["name"], *(f"{each:,.0f}" for each in middle), span, f"{vendor['goal']:.0f}: {reached}")
    Console().print(table)


if __name__ == "__main__":
    main()
