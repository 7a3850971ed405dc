"""What it costs to say no: the one place is taken, and every other submission is refused before its body is read."""

from __future__ import annotations

import asyncio
from pathlib import Path

from bench.load import Result, closed_loop
from bench.processes import cpu_seconds, pin
from bench.rounds import CONNECTIONS, asked, run
from bench.targets import SEEN, Target, modgate
from bench.vendor import told


def measured(folder: Path, vendor: Target, seconds: float) -> dict[str, float]:
    """CPU µs of a refusal in the process tree, refusals a second, their p99."""
    with modgate(folder, vendor.port, concurrency=1) as target:
        pin(target.pid, SEEN)
        run(closed_loop(target.port, asked(target), 1, seconds / 2))
        told(vendor.port, f"/wait/{int(seconds * 1000) + 1000}")
        try:
            before = cpu_seconds(target.pid)
            result = run(_refused(target, seconds))
            used = cpu_seconds(target.pid) - before
        finally:
            told(vendor.port, "/wait/0")
    refused = len(result.took.get(503, ()))
    return {
        "cpu_us": used / max(1, result.many) * 1e6,
        "rps": refused / result.seconds,
        "p99_ms": result.quantile(0.99, 503) * 1000,
        "others": float(result.many - refused),
    }


async def _refused(target: Target, seconds: float) -> Result:
    """One submission holds the place all the while."""
    holding = asyncio.create_task(closed_loop(target.port, asked(target), 1, 0.1))
    await asyncio.sleep(0.3)
    refused = await closed_loop(target.port, asked(target), CONNECTIONS, seconds)
    await holding
    return refused
