"""What a caller may still do: so many requests a second, so much money a day."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from gateway.errors import TooMany
from gateway.store.spends import until_tomorrow
from gateway.web.auth import Caller


class Allowances:
    """`spent` gives what a key, by its name, has spent today, in the currency of `price_per_1k`.

    `rate` is told a key and how many requests a second it may send, and gives 0 or the seconds until it may.
    """

    def __init__(self, spent: Callable[[str], Awaitable[float]], rate: Callable[[str, float], Awaitable[float]]):
        self._spent = spent
        self._rate = rate

    async def take(self, caller: Caller) -> None:
        """One more request, which then counts. Raises TooMany."""
        if caller.daily_spend is not None and await self._spent(caller.name) >= caller.daily_spend:
            raise TooMany(
                "spend_exhausted",
                f"This key has spent its {caller.daily_spend:g} of today.",
                hint="The next day begins at midnight, UTC.",
                retry_after=until_tomorrow(time.time()),
            )
        if caller.rate_limit is not None and (wait := await self._rate(caller.name, caller.rate_limit)):
            raise TooMany(
                "rate_limited",
                f"This key may send {caller.rate_limit:g} requests a second.",
                hint="Wait as long as Retry-After says.",
                retry_after=wait,
            )
