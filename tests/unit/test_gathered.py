"""What is gathered and handed over is what the client's own `inc` and `observe` would have counted."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from gateway.web.gathered import Gathered

BOUNDS = (0.25, 0.5, 2.0)
# binary fractions: their sum is the same in any order
SECONDS = some.lists(some.tuples(some.sampled_from("ab"), some.sampled_from((0.0, 0.25, 0.375, 0.5, 2.0, 3.0))))


def instruments() -> tuple[CollectorRegistry, Counter, Histogram]:
    registry = CollectorRegistry()
    counter = Counter("answers", "Answers", ["who"], registry=registry)
    return registry, counter, Histogram("took", "Seconds", ["who"], buckets=BOUNDS, registry=registry)


def told(registry: CollectorRegistry) -> list[str]:
    """Without the moments of creation, and sorted: several labels come in the order in which they were first seen."""
    lines = generate_latest(registry).decode().splitlines()
    return sorted(line for line in lines if "_created" not in line)


@given(SECONDS)
def test_handed_over_is_as_counted_one_by_one(seconds: list[tuple[str, float]]) -> None:
    one_by_one, counter, histogram = instruments()
    for who, took in seconds:
        counter.labels(who).inc()
        histogram.labels(who).observe(took)
    together, counter, histogram = instruments()
    gathered = Gathered()
    for place, (who, took) in enumerate(seconds):
        gathered.counts[counter, who] += 1
        gathered.seconds[histogram, who].append(took)
        if place == len(seconds) // 2:
            gathered.hand_over()
    gathered.hand_over()
    assert told(together) == told(one_by_one)


def test_nothing_is_handed_over_twice() -> None:
    registry = CollectorRegistry()
    counter, gathered = Counter("all", "All", registry=registry), Gathered()
    gathered.counts[counter,] += 2
    gathered.hand_over()
    gathered.hand_over()
    assert registry.get_sample_value("all_total") == 2
