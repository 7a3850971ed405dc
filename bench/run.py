"""modgate beside bare programs and other people's gateways: one machine, one vendor, the same requests, one run.

    python -m bench.run [--peers none|all] [--rounds 5] [--quick] [--only PART] [--json] [--docs]

Ratios are taken within a round. CPU is of the whole process tree. What is measured has one core, the load and the
vendor another. The report goes to bench/out/report.json, with --docs into docs/performance.md too.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Collection
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console
from rich.markdown import Markdown
from rich.progress import track

from bench import memory, overload, peers, refusal, rounds, stall, targets
from bench.page import PAGE, filled, part
from bench.plot import bars
from bench.processes import allow_many_connections, load_average, pin
from bench.ratios import DIRECT, figure

HERE = Path(__file__).resolve().parent
OUT = HERE / "out" / "report.json"
PARTS = ("rounds", "overload", "refusal", "memory", "stall")

stderr = Console(stderr=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", choices=("none", "all"), default="all", help="LiteLLM and Portkey too")
    parser.add_argument("--rounds", type=int, help="5 unless said otherwise; with --quick 1")
    parser.add_argument("--quick", action="store_true", help="fractions of seconds: whether it works, not how fast")
    parser.add_argument("--only", action="append", choices=PARTS, help="this part; may be said again")
    parser.add_argument("--json", action="store_true", help="the report on stdout, instead of tables")
    parser.add_argument("--docs", action="store_true", help="write docs/performance.md and its plot")
    asked = parser.parse_args()
    lengths = rounds.QUICK if asked.quick else rounds.Lengths()
    report = measure(replace(lengths, rounds=asked.rounds or lengths.rounds), asked.only or PARTS, asked.peers == "all")
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2))
    if asked.docs:
        write(report)
    if asked.json:
        sys.stdout.buffer.write(OUT.read_bytes() + b"\n")
    else:
        Console().print(Markdown(part(report)))


def measure(lengths: rounds.Lengths, parts: Collection[str], with_peers: bool) -> dict[str, Any]:
    """Everything that was asked for, one part after the other."""
    allow_many_connections()
    pin(os.getpid(), targets.OURS)
    report: dict[str, Any] = {
        "made": datetime.now(UTC).date().isoformat(),
        "machine": {"cores": os.cpu_count(), "cpu": _cpu(), "load": load_average()},
        "targets": {},
        "missing": {},
        "rounds": [],
        "slow": [],
    }
    with tempfile.TemporaryDirectory(prefix="modgate-bench-") as name:
        folder = Path(name)
        with targets.vendor(folder) as vendor:
            if "rounds" in parts:
                report |= _side_by_side(folder, vendor, lengths, with_peers)
            scenarios: dict[str, Callable[[], dict[str, Any]]] = {
                "overload": lambda: overload.measured(folder, vendor, 2 * lengths.flat),
                "refusal": lambda: refusal.measured(folder, vendor, lengths.flat),
                "memory": lambda: memory.measured(folder, vendor, lengths.flat),
                "stall": lambda: stall.measured(folder, vendor, 6 * lengths.rounds),
            }
            for each, scenario in scenarios.items():
                if each in parts:
                    stderr.print(f"{each.capitalize()} …")
                    report[each] = scenario()
    return report


def _side_by_side(folder: Path, vendor: targets.Target, lengths: rounds.Lengths, with_peers: bool) -> dict[str, Any]:
    with ExitStack() as stack:
        found, missing = peers.ready(stderr.print) if with_peers else ([], {})
        stderr.print("Starting …")
        ours = stack.enter_context(targets.ours(folder, vendor.port))
        theirs, silent = stack.enter_context(peers.running_peers(found, folder, vendor.port))
        failed = rounds.warm_up([*ours, *theirs], lengths.warm)
        measured = [target for target in (*ours, *theirs) if target.name not in failed]
        taken = rounds.measured(vendor, measured, lengths, _told("Rounds"))
        slow = rounds.measured_slow(vendor, measured, lengths, _told("Rounds, vendor of 50 ms"))
    return {
        "targets": {target.name: target.about for target in (vendor, *measured)},
        "missing": {**missing, **silent, **failed},
        "rounds": taken,
        "slow": slow,
    }


def _told(what: str) -> rounds.Each:
    return lambda numbers: track(list(numbers), description=what, console=stderr)


def write(report: dict[str, Any]) -> None:
    """Into docs/."""
    PAGE.write_text(filled(PAGE.read_text("utf-8"), "bench", part(report)), "utf-8")
    shown = [
        (about, span)
        for name, about in report["targets"].items()
        if name != DIRECT and (span := figure(report["rounds"], "cpu_us", name))
    ]
    if shown:
        PAGE.with_suffix(".svg").write_text(bars("CPU µs a request, flat out (logarithmic)", shown), "utf-8")


def _cpu() -> str:
    """As Linux calls it."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown CPU")


if __name__ == "__main__":
    main()
