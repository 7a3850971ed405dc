"""Ten million stored decisions under another policy: rows a second from Parquet, from the cache, of one threshold.

    python -m bench.sweep [--rows 10000000] [--rounds 3] [--quick] [--json]

The decisions are synthetic, made straight into the layout of gateway/sweep/layout.py: four providers that score twenty
categories, three labels on average, three in a hundred answers missing. They stay in bench/out/sweep until they are
asked for otherwise. Files are in the page cache when they are measured. They are asked here, as so many decisions are,
and by processes, as more are: these stand, and their start is told apart. The report goes to bench/out/sweep.json.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console
from rich.progress import track
from rich.table import Table

from bench.decisions import DAY, RULES, THRESHOLDS, fields_of, made, policy
from bench.processes import cpu_seconds, load_average
from gateway.errors import ConfigError
from gateway.sweep import parts
from gateway.sweep.manifest import CACHE, LASTING, Manifest, Store
from gateway.sweep.question import Plan, Question, by_hash
from gateway.sweep.sweeping import swept
from gateway.sweep.workers import MUCH, Workers

OUT = Path(__file__).resolve().parent / "out"
GOALS = {"parquet": 10.0, "cache": 40.0, "threshold": 150.0}  # million rows a second
BYTES = 120  # a row, at most
A_FILE = 1_000_000

stderr = Console(stderr=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000, help="decisions")
    parser.add_argument("--rounds", type=int, default=3, help="the best of them counts")
    parser.add_argument("--quick", action="store_true", help="few rows: whether it works, not how fast")
    parser.add_argument("--json", action="store_true", help="the report on stdout, instead of a table")
    asked = parser.parse_args()
    report = measured(OUT / "sweep", 20_000 if asked.quick else asked.rows, asked.rounds)
    OUT.mkdir(exist_ok=True)
    (OUT / "sweep.json").write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2))
    if asked.json:
        sys.stdout.buffer.write(orjson.dumps(report, option=orjson.OPT_INDENT_2) + b"\n")
    else:
        show(report)


def measured(folder: Path, rows: int, rounds: int) -> dict[str, Any]:
    """Everything, in one run."""
    store = Store(folder)
    manifest = _ready(store, rows)
    with tempfile.TemporaryDirectory() as name:
        old, new = policy(Path(name), THRESHOLDS), policy(Path(name), {**THRESHOLDS, "sexual/nudity": (0.5, 0.85)})
        stricter = {slug: (review - 0.05, block and block - 0.05) for slug, (review, block) in THRESHOLDS.items()}
        other = policy(Path(name), stricter)
    whole, one = Plan(manifest, Question(other)), Plan(manifest, Question(new, known=by_hash([old])))
    report: dict[str, Any] = {"rows": rows, "cores": os.cpu_count(), "load": load_average(), "rules": len(RULES)}
    for part in manifest.parts:
        store.file(part, CACHE).unlink(missing_ok=True)
    report["bytes_a_row"] = _size(store, manifest, LASTING) / rows
    begun = time.perf_counter()
    with Workers(0) as threads, Workers(MUCH) as processes:
        asyncio.run(_stand(processes))
        report["processes"], report["processes_start_s"] = processes.many, time.perf_counter() - begun
        ways = {"here": threads, "processes": processes}

        def ask(plan: Plan) -> dict[str, Any]:
            return {way: _rounds(store, workers, plan, rounds) for way, workers in ways.items()}

        report["parquet"], report["threshold"] = ask(whole), ask(one)
        for part in track(manifest.parts, "Cache", console=stderr):
            parts.make_cache(store, part)
        report["cache_bytes_a_row"] = _size(store, manifest, (CACHE,)) / rows
        report["cache"], report["threshold_cache"] = ask(whole), ask(one)
    return report


async def _stand(workers: Workers) -> None:
    """Wait until all of them answer."""
    standing: set[int] = set()
    while len(standing) < workers.many:
        standing.update(await asyncio.gather(*(workers.do(threading.get_native_id) for _ in range(workers.many))))


def _ready(store: Store, rows: int) -> Manifest:
    """What lies there, where it is as asked; else made anew."""
    with suppress(ConfigError):  # of another version: made anew
        manifest = store.load()
        if sum(part.rows for part in manifest.parts) == rows:
            return manifest
    shutil.rmtree(store.folder, ignore_errors=True)
    store.folder.mkdir(parents=True)
    manifest = Manifest(sees={"default": {"image": {}}})
    starts = range(0, rows, A_FILE)
    for number, start in enumerate(track(starts, "Making decisions", console=stderr)):
        frame, found = made(min(A_FILE, rows - start), number, store, manifest)
        name = f"days/{DAY}/default/part-{number + 1}"
        manifest.parts.append(parts.write(store, name, "default", frame, found, fields_of(frame)))
    store.tidy(manifest)
    store.save(manifest)
    return manifest


def _rounds(store: Store, workers: Workers, plan: Plan, rounds: int) -> dict[str, float]:
    """The best round. Flips and their reasons are found, with ids; nothing is written."""
    best: dict[str, float] = {"seconds": float("inf")}
    for _ in range(rounds):
        cpu, begun = cpu_seconds(os.getpid()), time.perf_counter()
        fresh = Plan(plan.manifest, plan.question)
        flips = asyncio.run(_asked(store, workers, fresh))
        seconds = time.perf_counter() - begun
        if seconds < best["seconds"]:
            rows = sum(part.rows for part in fresh.parts)
            best = {
                "seconds": seconds,
                "cpu_s": cpu_seconds(os.getpid()) - cpu,
                "flips": flips,
                "mrows_s": rows / seconds / 1e6,
            }
    return best


async def _asked(store: Store, workers: Workers, plan: Plan) -> int:
    found = await asyncio.gather(*(workers.do(swept, store, part, plan.asked(part)) for part in plan.parts))
    return sum(one.flips.height for one in found)


def _size(store: Store, manifest: Manifest, suffixes: tuple[str, ...]) -> int:
    return sum(store.file(part, suffix).stat().st_size for part in manifest.parts for suffix in suffixes)


def show(report: dict[str, Any]) -> None:
    """A table."""
    table = Table("million rows a second", "goal", "here", "CPU s", "processes", "CPU s", "flips", box=None)
    words = {"parquet": "whole, Parquet", "cache": "whole, cache", "threshold": "one threshold, Parquet"}
    for name, said in {**words, "threshold_cache": "one threshold, cache"}.items():
        here, there = report[name]["here"], report[name]["processes"]
        goal = f"≥ {GOALS[name]:g}" if name in GOALS else ""
        figures = [f(one) for one in (here, there) for f in ("{mrows_s:.1f}".format_map, "{cpu_s:.2f}".format_map)]
        table.add_row(said, goal, *figures, f"{here['flips']:,}")
    table.add_row("bytes a row", f"≤ {BYTES}", f"{report['bytes_a_row']:.0f}")
    table.add_row("and of its cache", "", f"{report['cache_bytes_a_row']:.0f}")
    processes = f"{report['processes']} processes, which stand after {report['processes_start_s']:.1f} s"
    Console().print(f"{report['rows']:,} decisions on {report['cores']} cores; here, or in {processes}")
    Console().print(table)


if __name__ == "__main__":
    main()
