"""modgate beside a bare relay: the same vendor, the same requests, interleaved rounds, ratios of the same round.

`python -m bench.run [--rounds 3] [--json]`. Both targets run at once; each round measures both, in turned order.
CPU is of the whole process tree. Every request to modgate is decided, recorded durably and logged.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console
from rich.progress import track
from rich.table import Table

from bench.load import NUMBER, closed_loop, open_loop, requests
from bench.processes import cpu_seconds, free_port, load_average, memory_mb, pin, running

TEXT = (
    "I have been to the lake with my sister and her two children; we had a picnic, the weather was fine, and in the "
    "evening we made a fire and sang until it was late. Here are the pictures, tell me what you think! "
    + NUMBER.decode()
)
BODY = orjson.dumps({"model": "omni-moderation-latest", "input": TEXT})
CONNECTIONS = 32
PATH = "/v1/moderations"
GOAL = 2.0  # CPU of modgate over the relay's, issue A; 1.5 in C

CONFIG = """
server: {{host: 127.0.0.1, port: {port}}}
storage: {{dir: {folder}/var}}
limits: {{concurrency: 512}}
providers:
  vendor: {{adapter: openai, base_url: "http://127.0.0.1:{vendor}/v1", api_key: bench, max_concurrency: 512}}
routes:
  default: {{text: {{ask: [vendor]}}, image: {{ask: [vendor]}}}}
policies: {{dir: {policies}, default: social}}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each flat-out measurement")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    report = measure(asked.rounds, asked.seconds)
    if asked.json:
        sys.stdout.buffer.write(orjson.dumps(report, option=orjson.OPT_INDENT_2) + b"\n")
    else:
        show(report)


def measure(rounds: int, seconds: float) -> dict[str, Any]:
    """All figures of all rounds, and the ratio of each round."""
    with tempfile.TemporaryDirectory(prefix="modgate-bench-") as folder, ExitStack() as stack:
        vendor, relay, gateway = free_port(), free_port(), free_port()
        config = Path(folder) / "gateway.yaml"
        policies = Path(__file__).resolve().parent.parent / "config" / "policies"
        config.write_text(CONFIG.format(port=gateway, folder=folder, vendor=vendor, policies=policies))
        start = {
            "vendor": ("-m", "bench.vendor", str(vendor)),
            "relay": ("-m", "bench.relay", str(relay), f"http://127.0.0.1:{vendor}/v1/moderations"),
            "modgate": ("-m", "gateway.cli", "serve", "--config", str(config)),
        }
        targets = ["relay", "modgate"]
        ports = {"vendor": vendor, "relay": relay, "modgate": gateway}
        pids = {
            name: stack.enter_context(running(*command, port=ports[name], log=Path(folder) / f"{name}.log"))
            for name, command in start.items()
        }
        for name, pid in pids.items():  # what is measured has a core of its own; the vendor shares ours
            pin(pid, 0 if name in targets else 1)
        pin(os.getpid(), 1)
        for name in targets:
            asyncio.run(closed_loop(ports[name], requests(ports[name], PATH, BODY), CONNECTIONS, 1.0))
        taken = []
        for number in track(range(rounds), description="Rounds", console=Console(stderr=True)):
            order = targets if number % 2 == 0 else targets[::-1]
            taken.append({name: figures(ports[name], pids[name], seconds) for name in order})
        return {"rounds": taken, "ratios": ratios(taken), "goal": GOAL, "load": load_average()}


def figures(port: int, pid: int, seconds: float) -> dict[str, float]:
    """One target in one round: flat out, then 25 a second."""
    sent = requests(port, PATH, BODY)
    before = cpu_seconds(pid)
    flat = asyncio.run(closed_loop(port, sent, CONNECTIONS, seconds))
    between = cpu_seconds(pid)
    calm = asyncio.run(open_loop(port, sent, 25, seconds))
    after = cpu_seconds(pid)
    return {
        "cpu_us": (between - before) / len(flat.latencies) * 1e6,
        "rps": flat.rps,
        "cpu_us_at_25": (after - between) / len(calm.latencies) * 1e6,
        "p50_ms_at_25": calm.quantile(0.5) * 1000,
        "p99_ms_at_25": calm.quantile(0.99) * 1000,
        "memory_mb": memory_mb(pid),
        "errors": float(flat.errors + calm.errors),
    }


def ratios(taken: list[dict[str, dict[str, float]]]) -> dict[str, dict[str, float]]:
    """modgate over relay, round by round: median, least, most."""
    found = {}
    for figure in ("cpu_us", "rps", "cpu_us_at_25", "p50_ms_at_25", "memory_mb"):
        each = [round_["modgate"][figure] / round_["relay"][figure] for round_ in taken]
        found[figure] = {"median": statistics.median(each), "min": min(each), "max": max(each)}
    return found


def show(report: dict[str, Any]) -> None:
    """A table a person can read."""
    table = Table("", "relay", "modgate", "ratio (min..max)", title="One vendor, evidence durable", header_style="bold")
    names = {
        "cpu_us": "CPU µs a request, flat out",
        "rps": "requests a second, 32 connections",
        "cpu_us_at_25": "CPU µs a request at 25/s",
        "p50_ms_at_25": "p50 ms at 25/s",
        "memory_mb": "memory MB (PSS)",
    }
    for figure, name in names.items():
        middle = {
            who: statistics.median(round_[who][figure] for round_ in report["rounds"]) for who in ("relay", "modgate")
        }
        ratio = report["ratios"][figure]
        span = f"{ratio['median']:.2f} ({ratio['min']:.2f}..{ratio['max']:.2f})"
        table.add_row(name, f"{middle['relay']:,.1f}", f"{middle['modgate']:,.1f}", span)
    console = Console()
    console.print(table)
    reached = report["ratios"]["cpu_us"]["median"] <= report["goal"]
    errors = sum(figures["errors"] for round_ in report["rounds"] for figures in round_.values())
    console.print(
        f"Goal: CPU at most {report['goal']} times the relay's: {'reached' if reached else 'missed'}. "
        f"Errors: {errors:.0f}."
    )


if __name__ == "__main__":
    main()
