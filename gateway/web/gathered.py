"""Counts that are gathered for a moment and handed to Prometheus' client together.

To count one thing takes that client a lock, some checks and, in a histogram, a walk along its buckets. A request counts
nine, which cost it as much as reading the vendor's answer (measured 2026-11).
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from prometheus_client import Histogram

EVERY = 0.25  # seconds; with several workers, what another one counted is as old as that


class Gathered:
    """`counts` by counter and labels, `seconds` by histogram and labels: what is added there is handed over."""

    def __init__(self) -> None:
        self.counts: defaultdict[tuple[Any, ...], float] = defaultdict(float)
        self.seconds: defaultdict[tuple[Any, ...], list[float]] = defaultdict(list)

    def hand_over(self) -> None:
        """All there is. Once for each counter and bucket, however many there were."""
        for (counter, *labels), many in self.counts.items():
            (counter.labels(*labels) if labels else counter).inc(many)
        for (histogram, *names), values in self.seconds.items():
            _observe(histogram.labels(*names) if names else histogram, values)
        self.counts.clear()
        self.seconds.clear()

    async def keep_handing_over(self) -> None:
        """For ever."""
        while True:
            await asyncio.sleep(EVERY)
            self.hand_over()


def _observe(histogram: Histogram, values: Sequence[float]) -> None:
    """The same as `observe` of each, which the library cannot do for several: so its buckets are filled here."""
    buckets, bounds = histogram._buckets, histogram._upper_bounds
    places: defaultdict[int, int] = defaultdict(int)
    for value in values:
        places[bisect_left(bounds, value)] += 1
    for place, many in places.items():
        buckets[place].inc(many)
    histogram._sum.inc(sum(values))
