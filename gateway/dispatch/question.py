"""One question to one provider: its turn, its time, its retries. Exceptions end here, as a Reading or a Failure."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import structlog

from gateway.adapter import Adapter, Transport
from gateway.dispatch.deadline import Deadline
from gateway.dispatch.limits import RateLimit
from gateway.dispatch.retry import with_retries
from gateway.domain import Content, Failure, Look, Modality, Reading, Signal
from gateway.errors import VendorDrift, VendorError, VendorThrottled, VendorTimeout, VendorUnavailable

log = structlog.get_logger("modgate.dispatch")

Translate = Callable[[Look, str, Mapping[Modality, int]], tuple[Signal, ...]]


@dataclass(slots=True)
class Provider:
    """A configured vendor, ready to be asked. `translate` is its table; `sees` what that table can score."""

    name: str
    adapter: Adapter
    translate: Translate
    sees: Mapping[Modality, frozenset[str]]
    send: Transport
    gate: asyncio.Semaphore = field(init=False)
    limit: RateLimit | None = field(init=False)

    def __post_init__(self) -> None:
        settings = self.adapter.settings
        self.gate = asyncio.Semaphore(settings.max_concurrency)
        self.limit = RateLimit(settings.rate_limit) if settings.rate_limit else None

    def accepts(self, modality: Modality) -> bool:
        return modality in self.adapter.accepts


@dataclass(frozen=True, slots=True)
class Question:
    """What is put to a provider: some of a submission's inputs, and where they stand in it."""

    content: Content
    inputs: Mapping[Modality, int]


async def put(question: Question, provider: Provider, deadline: Deadline) -> Reading | Failure:
    """Ask, and tell what came of it. Ends by the deadline; raises nothing but cancellation."""
    clock = asyncio.get_running_loop().time
    settings = provider.adapter.settings
    started = clock()
    attempts = 0

    async def once() -> tuple[Look, tuple[Signal, ...]]:
        nonlocal attempts
        if provider.limit and (wait := provider.limit.take(clock())):
            raise VendorThrottled("our own rate_limit for this provider is used up", retry_after=wait)
        attempts += 1
        try:
            async with asyncio.timeout(min(settings.timeout, deadline.left())), provider.gate:
                look = await provider.adapter.look(question.content, provider.send)
        except TimeoutError:
            raise VendorTimeout("no answer in time") from None
        return look, _translated(look, question, provider)

    try:
        look, signals = await with_retries(once, settings.retry.attempts, deadline)
    except VendorError as error:
        failed = error
    except asyncio.CancelledError:
        if _cancelled():
            raise
        failed = VendorUnavailable("internal: a part of the work was cancelled")
    except Exception as surprise:  # the fan-out is one of the two places that catch broadly
        log.exception("adapter_failed", provider=provider.name)
        failed = VendorUnavailable(f"internal: {type(surprise).__name__}")
    else:
        return Reading(
            provider=provider.name,
            inputs=tuple(question.inputs.values()),
            signals=signals,
            model=look.model,
            opinion=look.opinion,
            exchanges=look.exchanges,
            attempts=attempts,
            latency_ms=(clock() - started) * 1000,
        )
    return Failure(
        provider=provider.name,
        inputs=tuple(question.inputs.values()),
        status=failed.status,
        detail=failed.detail,
        attempts=attempts,
        latency_ms=(clock() - started) * 1000,
        http=failed.http,
        raw=failed.raw.decode("utf-8", "replace"),
    )


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
