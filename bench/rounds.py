"""All targets beside each other, in rounds: each measured in each round, in rotated order, by the same requests."""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import uvloop

from bench.load import NUMBER, Requests, Result, closed_loop, open_loop, requests
from bench.processes import cpu_seconds, memory_mb, process_mb
from bench.targets import PATH, Target
from bench.vendor import told

TEXT = (
    "I have been to the lake with my sister and her two children; we had a picnic, the weather was fine, and in the "
    "evening we made a fire and sang until it was late. Here are the pictures, tell me what you think! "
    + NUMBER.decode()
)
BODY = orjson.dumps({"model": "omni-moderation-latest", "input": TEXT})
CONNECTIONS = 32
CALM, BUSY = 25, 250  # requests a second of the open loops
ROOM = 1.5  # so much more than BUSY it has to carry flat out, to be asked for BUSY
SLOW_MS, SLOW_CONNECTIONS = 50, 256  # the round with a vendor that takes its time

Figures = dict[str, float]
Round = dict[str, Figures]


@dataclass(frozen=True, slots=True)
class Lengths:
    """How many rounds, and seconds of each part of one."""

    rounds: int = 5
    warm: float = 5.0
    flat: float = 4.0
    calm: float = 5.0
    busy: float = 4.0


QUICK = Lengths(rounds=1, warm=1.0, flat=0.5, calm=0.5, busy=0.5)

Each = Callable[[Iterable[int]], Iterable[int]]  # shows how far it is


def asked(target: Target) -> Requests:
    """What this target is asked, without end."""
    return requests(target.port, PATH, BODY, target.headers)


def run(loop: Coroutine[Any, Any, Result]) -> Result:
    return uvloop.run(loop)


def warm_up(targets: Sequence[Target], seconds: float) -> dict[str, str]:
    """Caches, connections, compilers. Of those that give no good answer within ten tries, what they gave instead."""
    failed = {}
    for target in targets:
        for _ in range(10):
            result = run(closed_loop(target.port, asked(target), CONNECTIONS, seconds))
            if result.rps and not result.errors:
                break
        else:
            failed[target.name] = f"answers {', '.join(map(str, sorted(result.took)))}"
    return failed


def measured(vendor: Target, targets: Sequence[Target], lengths: Lengths, each: Each) -> list[Round]:
    """Every figure of every target in every round; the vendor asked directly is one of them."""
    return [
        {target.name: _figures(vendor, target, lengths) for target in _rotated([vendor, *targets], number)}
        for number in each(range(lengths.rounds))
    ]


def measured_slow(vendor: Target, targets: Sequence[Target], lengths: Lengths, each: Each) -> list[Round]:
    """The same with a vendor that takes 50 ms, and 256 in flight: the ceiling is 5,120 a second."""
    told(vendor.port, f"/wait/{SLOW_MS}")
    try:
        return [
            {target.name: _flat(vendor, target, SLOW_CONNECTIONS, lengths.flat) for target in _rotated(targets, number)}
            for number in each(range(lengths.rounds))
        ]
    finally:
        told(vendor.port, "/wait/0")


def _rotated(targets: Sequence[Target], number: int) -> list[Target]:
    turn = number % len(targets)
    return [*targets[turn:], *targets[:turn]]


def _figures(vendor: Target, target: Target, lengths: Lengths) -> Figures:
    """Flat out, then 25 a second, then 250 where it can carry that."""
    found = _flat(vendor, target, CONNECTIONS, lengths.flat)
    found["memory_mb"], found["largest_mb"] = memory_mb(target.pid), process_mb(target.pid)
    found |= _paced(target, CALM, lengths.calm)
    found["errors"] += found.pop(f"errors_at_{CALM}")
    if found["rps"] >= ROOM * BUSY:
        found |= _paced(target, BUSY, lengths.busy)
        found["errors"] += found.pop(f"errors_at_{BUSY}")
    return found


def _flat(vendor: Target, target: Target, connections: int, seconds: float) -> Figures:
    """`load_share` is how much of its core the load and the vendor used: near 1, they were what was measured."""
    calls, cpu = told(vendor.port, "/calls"), cpu_seconds(target.pid)
    ours = time.process_time() + cpu_seconds(vendor.pid)
    result = run(closed_loop(target.port, asked(target), connections, seconds))
    used = time.process_time() + cpu_seconds(vendor.pid) - ours
    return {
        "cpu_us": (cpu_seconds(target.pid) - cpu) / result.many * 1e6,
        "rps": result.rps,
        "p50_ms": result.quantile(0.5) * 1000,
        "p99_ms": result.quantile(0.99) * 1000,
        "calls": (told(vendor.port, "/calls") - calls) / result.many,
        "errors": float(result.errors),
        "load_share": used / result.seconds,
    }


def _paced(target: Target, rate: int, seconds: float) -> Figures:
    before = cpu_seconds(target.pid)
    result = run(open_loop(target.port, asked(target), rate, seconds))
    return {
        f"cpu_us_at_{rate}": (cpu_seconds(target.pid) - before) / result.many * 1e6,
        f"p50_ms_at_{rate}": result.quantile(0.5) * 1000,
        f"p99_ms_at_{rate}": result.quantile(0.99) * 1000,
        f"errors_at_{rate}": float(result.errors),
    }
