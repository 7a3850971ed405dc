"""The same content is not asked about twice: not while an answer is under way, and not while it is remembered.

What is remembered is what a provider said, whatever the policy: by tenant, provider and content. Failures are never
remembered; those who waited for the same call share them. Lists of known things (tier 0) are not remembered either:
looking is cheap, and a list may change at any moment.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import replace

from gateway.dispatch.deadline import Deadline
from gateway.dispatch.question import Provider, Question, in_vain, put
from gateway.domain import Failure, Modality, Reading
from gateway.frozen import frozen

Key = tuple[str | Modality, ...]

_PER_SIGNAL = 300  # bytes, about
_ANOTHERS = "no answer in time to the same question, put by another request"


@frozen
class _Remembered:
    """What was said, until when it is good, and about how many bytes it takes."""

    reading: Reading
    until: float
    size: int


class Memory:
    """The newest readings, as many as fit into `most` bytes, each for `ttl` seconds. Times are the event loop's.

    A dictionary in order of use: a library's memory cache costs ten times as much a look (measured 2026-11), and
    needs to be told how large things are all the same.
    """

    def __init__(self, ttl: float, most: int):
        self._ttl = ttl
        self._most = most
        self._held: OrderedDict[Key, _Remembered] = OrderedDict()
        self._size = 0

    def get(self, key: Key, now: float) -> Reading | None:
        """What was said, if it is still good."""
        found = self._held.get(key)
        if found is None or found.until <= now:
            return None
        self._held.move_to_end(key)
        return found.reading

    def set(self, key: Key, reading: Reading, now: float) -> None:
        """Remember it, and forget those nobody asked for longest."""
        size = sum(len(exchange.body) for exchange in reading.exchanges) + _PER_SIGNAL * (1 + len(reading.signals))
        self._forget(key)
        self._held[key] = _Remembered(reading, now + self._ttl, size)
        self._size += size
        while self._size > self._most:
            self._forget(next(iter(self._held)))

    def _forget(self, key: Key) -> None:
        gone = self._held.pop(key, None)
        self._size -= gone.size if gone else 0


class Asker:
    """Puts questions, each once. With a `memory` of None equal questions under way are one all the same."""

    def __init__(self, memory: Memory | None):
        self._memory = memory
        self._under_way: dict[Key, asyncio.Future[Reading | Failure]] = {}

    async def put(
        self, tenant: str, question: Question, provider: Provider, deadline: Deadline, share: float
    ) -> Reading | Failure:
        """As `question.put`, with the status `cached` where nothing had to be asked."""
        if provider.adapter.tier == 0:
            return await put(question, provider, deadline, share)
        key = (tenant, provider.name, *question.inputs, *[part.digest for part in question.content.inputs])
        now = asyncio.get_running_loop().time()
        known = self._memory.get(key, now) if self._memory else None
        if known is not None:
            return _again(known, question)
        while under_way := self._under_way.get(key):
            await asyncio.wait((under_way,), timeout=max(0.0, deadline.left() * share))
            if not under_way.done():
                waited = asyncio.get_running_loop().time() - now
                return in_vain(provider, tuple(question.inputs.values()), _ANOTHERS, waited)
            if not under_way.cancelled():
                outcome = under_way.result()
                return _again(outcome, question) if isinstance(outcome, Reading) else outcome
        return await self._lead(key, question, provider, deadline, share)

    async def _lead(
        self, key: Key, question: Question, provider: Provider, deadline: Deadline, share: float
    ) -> Reading | Failure:
        """Ask, for all who want to know the same meanwhile. Where we are cancelled, one of them asks instead."""
        self._under_way[key] = mine = asyncio.get_running_loop().create_future()
        try:
            outcome = await put(question, provider, deadline, share)
        except BaseException:
            mine.cancel()
            raise
        finally:
            del self._under_way[key]
        mine.set_result(outcome)
        if isinstance(outcome, Reading) and self._memory:
            self._memory.set(key, outcome, asyncio.get_running_loop().time())
        return outcome


def _again(reading: Reading, question: Question) -> Reading:
    """What was said before, of the inputs that are asked about now."""
    now = tuple(question.inputs.values())
    signals = reading.signals
    if now != reading.inputs:
        moved = dict(zip(reading.inputs, now, strict=True))
        signals = tuple([replace(signal, input=moved[signal.input]) for signal in signals])
    return replace(reading, inputs=now, signals=signals, attempts=0, latency_ms=0.0, status="cached")
