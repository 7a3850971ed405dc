"""How long a submission is wanted: until a moment on the clock of time.perf_counter. Then nobody waits any more."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.errors import Overloaded


def left(until: float) -> float:
    """Seconds until then, more than none. Raises Overloaded where that is over."""
    seconds = until - time.perf_counter()
    if seconds <= 0:
        raise _too_late()
    return seconds


@asynccontextmanager
async def within(until: float) -> AsyncIterator[None]:
    """What is awaited in here is given up then, and that raises Overloaded."""
    seconds = left(until)
    try:
        async with asyncio.timeout(None if seconds == math.inf else seconds) as timer:
            yield
    except TimeoutError:
        if timer.expired():
            raise _too_late() from None
        raise


def _too_late() -> Overloaded:
    return Overloaded(
        "waited_too_long",
        "It took too long until vendors could be asked, so none was.",
        hint="Send it again; if bodies take long to come in, raise limits.wait.",
        retry_after=1,
    )
