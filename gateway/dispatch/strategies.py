"""The orders in which providers are asked about one input. Each ends in answers; none raises.

A strategy is a function of a leg and of `put(provider, role)`, and one row in STRATEGIES.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass

from gateway.dispatch.question import Provider
from gateway.domain import Answer, Role


@dataclass(frozen=True, slots=True)
class Leg:
    """How inputs of one modality are asked about. Nobody is in both `ask` and `fallback`."""

    strategy: str
    ask: tuple[Provider, ...]
    fallback: tuple[Provider, ...]
    need: int
    deadline: float  # seconds

    @property
    def providers(self) -> tuple[Provider, ...]:
        return (*self.ask, *self.fallback)


Put = Callable[[Provider, Role], Awaitable[Answer]]
Strategy = Callable[[Leg, Put, Callable[[], bool]], Awaitable[list[Answer]]]


async def ask_all(leg: Leg, put: Put, in_time: Callable[[], bool]) -> list[Answer]:
    """All at once; each that fails is replaced by the next unused fallback, while there is time."""
    spare = iter(leg.fallback)
    if len(leg.ask) == 1:
        answers = await _seat(leg.ask[0], spare, put, in_time)
    else:
        seats = await asyncio.gather(*(_seat(provider, spare, put, in_time) for provider in leg.ask))
        answers = [answer for seat in seats for answer in seat]
    while _answered(answers) < leg.need and in_time() and (further := next(spare, None)):
        answers.append(await put(further, Role.FALLBACK))  # more are needed than were asked
    return answers


async def _seat(provider: Provider, spare: Iterator[Provider], put: Put, in_time: Callable[[], bool]) -> list[Answer]:
    answers = [await put(provider, Role.ASK)]
    while answers[-1].failure and in_time() and (substitute := next(spare, None)):
        answers.append(await put(substitute, Role.FALLBACK))
    return answers


async def ask_first(leg: Leg, put: Put, in_time: Callable[[], bool]) -> list[Answer]:
    """In order, until as many as are needed have answered."""
    answers: list[Answer] = []
    order = [*((provider, Role.ASK) for provider in leg.ask), *((spare, Role.FALLBACK) for spare in leg.fallback)]
    for provider, role in order:
        if _answered(answers) >= leg.need or (answers and not in_time()):
            break
        answers.append(await put(provider, role))
    return answers


def _answered(answers: list[Answer]) -> int:
    return sum(answer.reading is not None for answer in answers)


STRATEGIES: Mapping[str, Strategy] = {"all": ask_all, "first": ask_first}
