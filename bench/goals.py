"""What was to be reached, and whether it is, by the middle of all rounds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from bench.ratios import Span, added_ratio, ratio, spanned

Report = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Goal:
    """`read(report, *where)` finds it in a report; None where it was not measured."""

    what: str
    sign: Literal["≤", "≥"]
    limit: float
    read: Callable[..., Span | None]
    where: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    what: str
    goal: str
    span: Span | None
    reached: bool | None


def verdicts(report: Report, goals: Iterable[Goal]) -> list[Verdict]:
    """In their order."""
    return [_judged(goal, goal.read(report, *goal.where)) for goal in goals]


def _judged(goal: Goal, span: Span | None) -> Verdict:
    said = f"{goal.sign} {goal.limit:g}"
    if span is None:
        return Verdict(goal.what, said, None, None)
    reached = span.median <= goal.limit if goal.sign == "≤" else span.median >= goal.limit
    return Verdict(goal.what, said, span, reached)


def _ratio(report: Report, name: str, over: str, under: str) -> Span | None:
    return ratio(report["rounds"], name, over, under)


def _slow_ratio(report: Report, name: str, over: str, under: str) -> Span | None:
    return ratio(report["slow"], name, over, under)


def _added_ratio(report: Report, name: str, over: str, under: str) -> Span | None:
    return added_ratio(report["rounds"], name, over, under)


def plain(report: Report, part: str, *keys: str) -> Span | None:
    """One number of a scenario, or one of each of its rounds; None where that did not run."""
    found: Any = report.get(part)
    for key in keys:
        found = found[key] if found else None
    return None if found is None else spanned(found if isinstance(found, list) else [float(found)])


GOALS = (
    Goal("CPU a request, 1 vendor, over the relay's", "≤", 1.5, _ratio, ("cpu_us", "modgate1", "relay")),
    Goal("CPU a request, 3 vendors, over the bare fan-out's", "≤", 1.4, _ratio, ("cpu_us", "modgate3", "fanout")),
    Goal("CPU a request at 25/s, over the relay's", "≤", 1.4, _ratio, ("cpu_us_at_25", "modgate1", "relay")),
    Goal("requests a second, 1 vendor, over LiteLLM's", "≥", 25, _ratio, ("rps", "modgate1", "litellm")),
    Goal("requests a second, 1 vendor, over Portkey's", "≥", 6, _ratio, ("rps", "modgate1", "portkey")),
    Goal("requests a second, 3 vendors, over LiteLLM's with one", "≥", 12, _ratio, ("rps", "modgate3", "litellm")),
    Goal("requests a second, 3 vendors, over Portkey's with one", "≥", 3, _ratio, ("rps", "modgate3", "portkey")),
    Goal("added p50 at 25/s, over the relay's", "≤", 1.4, _added_ratio, ("p50_ms_at_25", "modgate1", "relay")),
    Goal("added p99 at 250/s, over the relay's", "≤", 3, _added_ratio, ("p99_ms_at_250", "modgate1", "relay")),
    Goal("requests a second, vendor of 50 ms, over the relay's", "≥", 0.65, _slow_ratio, ("rps", "modgate1", "relay")),
    Goal("goodput at 3 times the peak, over the peak", "≥", 0.9, plain, ("overload", "times", "3", "share")),
    Goal("goodput at 10 times the peak, over the peak", "≥", 0.9, plain, ("overload", "times", "10", "share")),
    Goal("p99 of a refusal at 3 times the peak, ms", "≤", 150, plain, ("overload", "times", "3", "refusal_p99_ms")),
    Goal("CPU of a refusal, µs", "≤", 100, plain, ("refusal", "cpu_us")),
    Goal("memory of the largest process, MB", "≤", 90, plain, ("memory", "largest_mb")),
    Goal("memory of all, 100 uploads of 5 MB at once, MB", "≤", 350, plain, ("memory", "uploads_peak_mb")),
    Goal("stall of the loop by a picture of 5 MB, ms", "≤", 20, plain, ("stall", "stall_ms")),
    Goal("CPU from the start until it listens, s", "≤", 1.5, plain, ("memory", "start_cpu_s")),
)
