"""How often a key may send, counted over all replicas: the algorithm of dispatch/limits.py, in Redis and by its clock.

Where Redis gives no answer each replica counts for itself, as it does without one: never no limit, never an error.
"""

from __future__ import annotations

import time

from gateway.dispatch.limits import RateLimit
from gateway.replicas.asking import Asked, NoAnswer

# KEYS[1] holds when the next request would be due, were all evenly spaced; ARGV are seconds: the gap between two, and
# how early one may come. What is no such number, or farther off than it can be, is put right. 14 digits, which is what
# Lua writes by itself, would round to a tenth of a millisecond.
_TAKE = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local gap, slack = tonumber(ARGV[1]), tonumber(ARGV[2])
local function keep(due)
    redis.call('SET', KEYS[1], string.format('%.6f', due), 'PX', math.ceil((due - now) * 1000) + 1000)
end
local kept = redis.pcall('GET', KEYS[1])
local due, most = type(kept) == 'string' and tonumber(kept) or 0, now + slack + gap
if not (due <= most) then
    due = most
    keep(due)
end
local wait = due - slack - now
if wait > 0.000001 then return string.format('%.6f', wait) end
keep(math.max(due, now) + gap)
return '0'
"""


class Rates:
    """With a `line` of None each process counts for itself."""

    def __init__(self, line: Asked | None):
        self._line = line
        self._limits: dict[tuple[str, float], RateLimit] = {}

    async def take(self, name: str, rate: float) -> float:
        """0 where this key may send now, which then counts; else the seconds until it may."""
        limit = self._limits.get((name, rate))
        if limit is None:
            limit = self._limits[name, rate] = RateLimit(rate)
        if self._line is None:
            return limit.take(time.monotonic())
        try:
            said = await self._line.ask("rate", "EVAL", _TAKE, 1, f"modgate:1:rate:{name}", limit.gap, limit.slack)
        except NoAnswer:
            return limit.take(time.monotonic())
        wait = float(said)
        if not wait:
            limit.take(time.monotonic())  # so that we know what was sent, should Redis go
        return wait
