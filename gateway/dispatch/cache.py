"""The same content is not asked about twice: not while an answer is under way, and not while it is remembered.

What is remembered is what a provider said, whatever the policy: by tenant, provider and content, here and where there
is a Redis by all replicas. Failures are never remembered; those who waited for the same call share them. Lists of known
things (tier 0) are not remembered either: looking is cheap, and a list may change at any moment.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from msgspec.structs import replace

from gateway.dispatch.deadline import Deadline
from gateway.dispatch.memory import Key, Memory
from gateway.dispatch.near import Prints, comparable
from gateway.dispatch.question import Provider, Question, in_vain, put
from gateway.domain import Alike, Failure, Reading

_ANOTHERS = "no answer in time to the same question, put by another request"


class Elsewhere(Protocol):
    """What replicas remember together. Nothing here raises, and nobody waits long."""

    async def get(self, key: Key) -> tuple[Reading, float] | None:
        """What was said, and for how many more seconds that is good."""

    def set(self, key: Key, reading: Reading) -> None:
        """Tell the others."""


class Asker:
    """Puts questions, each once. With a `memory` of None equal questions under way are one all the same.

    `elsewhere` is asked for what the memory does not hold, by the one who would ask the provider next.
    """

    def __init__(self, memory: Memory | None, elsewhere: Elsewhere | None = None):
        self._memory = memory
        self._elsewhere = elsewhere
        self._prints = Prints()
        self._under_way: dict[Key, asyncio.Future[Reading | Failure]] = {}

    async def put(
        self,
        tenant: str,
        question: Question,
        provider: Provider,
        deadline: Deadline,
        share: float,
        near: int | None = None,
    ) -> Reading | Failure:
        """As `question.put`, with the status `cached` where nothing had to be asked.

        With `near`, what was said of a picture at most so many bits of its PDQ away will do.
        """
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
        return await self._lead(key, question, provider, deadline, share, near)

    async def _lead(
        self, key: Key, question: Question, provider: Provider, deadline: Deadline, share: float, near: int | None
    ) -> Reading | Failure:
        """Ask, for all who want to know the same meanwhile. Where we are cancelled, one of them asks instead."""
        self._under_way[key] = mine = asyncio.get_running_loop().create_future()
        try:
            outcome: Reading | Failure | None = await self._found(key, question, near)
            if outcome is None:
                outcome = await put(question, provider, deadline, share)
                if isinstance(outcome, Reading):
                    self._remember(key, question, outcome, near)
        except BaseException:
            mine.cancel()
            raise
        finally:
            del self._under_way[key]
        mine.set_result(outcome)
        return outcome

    async def _found(self, key: Key, question: Question, near: int | None) -> Reading | None:
        """What another replica has heard of the same, or we of nearly the same."""
        if self._memory is None:
            return None
        told = await self._elsewhere.get(key) if self._elsewhere else None
        now = asyncio.get_running_loop().time()
        if told is not None:
            reading, left = told
            self._memory.set(key, reading, now, left)
            return _again(reading, question)
        pdq = comparable(question.content) if near is not None else None
        if near is None or pdq is None:
            return None
        for like, distance in self._prints.near(key, pdq, near):
            known = self._memory.get(like, now)
            if known is not None:
                return replace(_again(known, question), like=Alike(str(like[-1]), distance))
        return None

    def _remember(self, key: Key, question: Question, reading: Reading, near: int | None) -> None:
        if self._memory is None:
            return
        self._memory.set(key, reading, asyncio.get_running_loop().time())
        if self._elsewhere is not None:
            self._elsewhere.set(key, reading)
        if near is not None and (pdq := comparable(question.content)):
            self._prints.add(key, pdq)


def _again(reading: Reading, question: Question) -> Reading:
    """What was said before, of the inputs that are asked about now."""
    now = tuple(question.inputs.values())
    signals = reading.signals
    if now != reading.inputs:
        moved = dict(zip(reading.inputs, now, strict=True))
        signals = tuple([replace(signal, input=moved[signal.input]) for signal in signals])
    return replace(reading, inputs=now, signals=signals, attempts=0, latency_ms=0.0, status="cached")
