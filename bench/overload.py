"""More than it can do: good answers a second at three and ten times the peak, beside the peak of the same run.

The vendor takes 50 ms, and `limits.concurrency` is 1.3 times what the peak keeps under way, as docs/configuration.md
has it. Callers come on their own time and give up after a second; nobody heeds Retry-After. The peak is taken again
right before each overload: from one minute to the next a shared machine gives half as much or twice.
"""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

from bench.load import Result, closed_loop, open_loop
from bench.processes import cpu_seconds, pin
from bench.rounds import SLOW_MS, asked, run
from bench.targets import SEEN, Target, modgate
from bench.vendor import told

TIMES = (3, 10)
ROUNDS = 3
PATIENCE = 1.0  # seconds until a caller gives up
_ROOM = 1.3  # measured 2026-11: a cap of so many times the peak's needs no cleverness
_FIRST = 256  # connections to find the peak with


def measured(folder: Path, vendor: Target, seconds: float, rounds: int = ROUNDS) -> dict[str, Any]:
    """By round, the peak and what came of each overload: goodput, its share of the peak, refusals and their p99, how
    late we were."""
    told(vendor.port, f"/wait/{SLOW_MS}")
    try:
        with modgate(folder, vendor.port) as free:
            pin(free.pid, SEEN)
            peak = _peak(free, _FIRST, seconds)
        cap = math.ceil(_ROOM * peak.rps * SLOW_MS / 1000)
        with modgate(folder, vendor.port, concurrency=cap) as capped:
            pin(capped.pid, SEEN)
            over: dict[str, dict[str, list[float]]] = {str(times): {} for times in TIMES}
            for times in sorted(TIMES * rounds):  # the most at the end: it leaves the brake on for minutes
                peak = _peak(capped, cap, seconds / 2)
                for name, figure in _overloaded(vendor, capped, times, peak, seconds).items():
                    over[str(times)].setdefault(name, []).append(figure)
            return {"cap": cap, "times": over}
    finally:
        told(vendor.port, "/wait/0")


def _peak(target: Target, connections: int, seconds: float) -> Result:
    run(closed_loop(target.port, asked(target), connections, seconds / 2))
    return run(closed_loop(target.port, asked(target), connections, seconds))


def _overloaded(vendor: Target, target: Target, times: int, peak: Result, seconds: float) -> dict[str, float]:
    offered = times * peak.rps
    ours = time.process_time() + cpu_seconds(vendor.pid)
    result = run(open_loop(target.port, asked(target), offered, seconds, PATIENCE))
    used = time.process_time() + cpu_seconds(vendor.pid) - ours
    return {
        "peak": peak.rps,
        "offered": offered,
        "sent": result.many / result.seconds,
        "goodput": result.rps,
        "share": result.rps / peak.rps,
        "p99_ms": result.quantile(0.99) * 1000,
        "refused": len(result.took.get(503, ())) / result.seconds,
        "refusal_p99_ms": result.quantile(0.99, 503) * 1000,
        "lost": len(result.took.get(0, ())) / result.seconds,
        "load_share": used / result.seconds,
    }
