"""One question to one provider: its turn, its time, its retries. Exceptions end here, as a Reading or a Failure."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import structlog
from msgspec import Struct

from gateway.adapter import Adapter, Transport
from gateway.dispatch.breaker import Circuit
from gateway.dispatch.deadline import Deadline
from gateway.dispatch.health import Health
from gateway.dispatch.retry import with_retries
from gateway.domain import Content, Failure, Fitted, Look, Modality, Reading, Signal
from gateway.errors import VendorDrift, VendorError, VendorThrottled, VendorTimeout, VendorUnavailable
from gateway.frozen import kept

T = TypeVar("T")

log = structlog.get_logger("modgate.dispatch")

Translate = Callable[[Look, str, Mapping[Modality, int]], tuple[Signal, ...]]
Fitting = AbstractAsyncContextManager[tuple[Content, tuple[Fitted, ...]]]
Fit = Callable[[Content, float], Fitting | None]


@dataclass(slots=True)
class Provider:
    """A configured vendor, ready to be asked. `translate` is its table; `sees` what that table can score.

    `fit` makes pictures such as this vendor takes, within so many seconds: None where they are, or for all it takes.
    """

    name: str
    adapter: Adapter
    translate: Translate
    sees: Mapping[Modality, frozenset[str]]
    send: Transport
    fit: Fit | None = None
    on_change: Callable[[str, Modality, Circuit], None] = lambda name, operation, circuit: None
    health: Health = field(init=False)
    turns: asyncio.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        settings = self.adapter.settings
        self.health = Health(settings, on_change=partial(self.on_change, self.name))
        self.turns = asyncio.Semaphore(settings.max_concurrency)

    def accepts(self, modality: Modality) -> bool:
        return modality in self.adapter.accepts

    @property
    def price(self) -> float:
        """What a call costs, in the currency of `price_per_1k`."""
        return self.adapter.settings.price_per_1k / 1000

    @property
    def spend(self) -> float:
        """What its calls have cost since the start."""
        return self.health.calls * self.price


class Question(Struct, frozen=True, dict=True):
    """What is put to a provider: some of a submission's inputs, and where they stand in it."""

    content: Content
    inputs: Mapping[Modality, int]

    @kept
    def operation(self) -> Modality:
        """What a vendor's breaker knows it by."""
        return Modality.IMAGE if Modality.IMAGE in self.inputs else Modality.TEXT


async def put(question: Question, provider: Provider, deadline: Deadline, share: float = 1.0) -> Reading | Failure:
    """Ask, and tell what came of it. Ends by the deadline; raises nothing but cancellation.

    All of it, retries included, takes at most `share` of the time that is left: the rest is for those who come after.
    Where somebody may, a provider that is not asked at this moment is not waited for.
    """
    until = deadline.part(share)
    asking = _Asking(question, provider, until, followed=share < 1.0)
    attempts = provider.adapter.settings.retry.attempts
    try:
        fitting = _fitting(question, provider, until)
        if fitting is None:
            look, signals = await with_retries(asking.once, attempts, until, asking.may_repeat)
        else:
            asking.check()  # nothing is made to fit for somebody who is not asked
            async with fitting as (asking.sent, asking.fitted):
                look, signals = await with_retries(asking.once, attempts, until, asking.may_repeat)
    except VendorError as error:
        return asking.failure(error)
    except asyncio.CancelledError:
        if _cancelled():
            raise
        return asking.failure(VendorUnavailable("internal: a part of the work was cancelled"))
    except Exception as surprise:  # the fan-out is one of the places that catch broadly
        log.exception("adapter_failed", provider=provider.name)
        return asking.failure(VendorUnavailable(f"internal: {type(surprise).__name__}"))
    return asking.reading(look, signals)


def in_vain(provider: Provider, inputs: tuple[int, ...], detail: str, waited: float) -> Failure:
    """What came of waiting, for so many seconds, for an answer to a question that somebody else put."""
    return Failure(provider.name, inputs, VendorTimeout.status, detail, 0, waited * 1000)


class _Asking:
    """One question under way."""

    def __init__(self, question: Question, provider: Provider, deadline: Deadline, followed: bool):
        self._question = question
        self._provider = provider
        self._deadline = deadline
        self._followed = followed
        self._clock = asyncio.get_running_loop().time
        self._started = self._clock()
        self._attempts = 0
        self._error: VendorError | None = None  # the last attempt's
        self.sent = question.content
        self.fitted: tuple[Fitted, ...] = ()

    async def once(self) -> tuple[Look, tuple[Signal, ...]]:
        """One attempt. Raises VendorError."""
        provider, operation, health = self._provider, self._question.operation, self._provider.health
        patience = min(provider.adapter.settings.timeout, self._deadline.left())
        if provider.turns.locked():
            self._let(health.check)
        begun: float | None = None
        try:
            async with asyncio.timeout(patience), provider.turns:
                probe = self._let(health.admit)
                begun = self._begin()
                look = await provider.adapter.look(self.sent, provider.send)
            signals = _translated(look, self._question, provider)
        except TimeoutError:
            if begun is None:
                raise VendorThrottled("no turn in time: max_concurrency are under way", again=False) from None
            late, took = VendorTimeout("no answer in time"), self._clock() - begun
            hurried = took <= patience / 2  # most of its time went by in waiting for a turn, which is our doing
            health.failed(operation, self._clock(), took, probe, late, hurried=hurried)
            raise late from None
        except VendorError as error:
            if begun is not None:
                health.failed(operation, self._clock(), self._clock() - begun, probe, error)
                self._error = error
            raise
        except BaseException:
            if begun is not None:
                health.abandoned(operation, probe)
            raise
        health.answered(operation, self._clock(), self._clock() - begun, probe, len(look.exchanges))
        return look, signals

    def check(self) -> None:
        """Raises VendorError where it is of no use to wait until the provider may be asked."""
        try:
            self._let(self._provider.health.check)
        except VendorError as refusal:
            if not refusal.again:
                raise

    def _let(self, gate: Callable[[Modality, float], T]) -> T:
        """What the gate says. Where it lets no further attempt through, the last one's error stands."""
        try:
            return gate(self._question.operation, self._clock())
        except VendorError as refusal:
            stands = self._error or refusal
            stands.again = stands is refusal and refusal.again and not self._followed
            raise stands from None

    def _begin(self) -> float:
        """An attempt is made, at this moment."""
        now = self._clock()
        if not self._attempts:
            self._provider.health.budget.asked(now)
        self._attempts += 1
        return now

    def may_repeat(self) -> bool:
        return self._provider.health.budget.retry(self._clock())

    def reading(self, look: Look, signals: tuple[Signal, ...]) -> Reading:
        return Reading(
            provider=self._provider.name,
            inputs=tuple(self._question.inputs.values()),
            signals=signals,
            model=look.model,
            opinion=look.opinion,
            exchanges=look.exchanges,
            attempts=self._attempts,
            latency_ms=(self._clock() - self._started) * 1000,
            fitted=self.fitted,
        )

    def failure(self, error: VendorError) -> Failure:
        return Failure(
            provider=self._provider.name,
            inputs=tuple(self._question.inputs.values()),
            status=error.status,
            detail=error.detail,
            attempts=self._attempts,
            latency_ms=(self._clock() - self._started) * 1000,
            http=error.http,
            raw=error.raw.decode("utf-8", "replace"),
            fitted=self.fitted,
        )


def _fitting(question: Question, provider: Provider, deadline: Deadline) -> Fitting | None:
    """The content as this provider takes it, while it is asked, and what was done for that. None: as it is."""
    if provider.fit is None or Modality.IMAGE not in question.inputs:
        return None
    return provider.fit(question.content, deadline.left())


def _translated(look: Look, question: Question, provider: Provider) -> tuple[Signal, ...]:
    try:
        return provider.translate(look, provider.name, question.inputs)
    except VendorDrift as drift:
        if look.exchanges:
            drift.http, drift.raw = look.exchanges[0].status, look.exchanges[0].body[:2048].encode()
        raise


def _cancelled() -> bool:
    """Whether it is us who are cancelled, and not something an adapter waited for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
