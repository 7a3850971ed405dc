"""The orders in which providers are asked about one input. Each ends in answers; none raises.

A strategy is a function of a `Round`, and one row in STRATEGIES. What a fallback or a hedge may be is the same for all:
the next provider that nobody has asked yet. Whoever has not answered when the strategy ends is left to linger: its
answer is kept as late evidence.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence, Set
from hashlib import blake2b

from msgspec import Struct
from msgspec.structs import replace

from gateway.dispatch.question import Provider
from gateway.domain import Answer, Modality, Role
from gateway.frozen import kept

WITH_FOLLOWERS = 2 / 3  # of the time left, for a provider after whom others may be asked
_UNHURRIED = {"race": "all", "quorum": "all", "hedge": "first"}  # where nobody waits for the answer


class Leg(Struct, frozen=True, dict=True):
    """How inputs of one modality are asked about. Nobody is in two of `ask`, `fallback` and `shadow`.

    `hedge_after` is seconds, None for the provider's usual p95; `weights` are of `ask` where it is split. `near` is how
    many bits of PDQ two pictures may differ in and pass for one, None for not at all.
    """

    strategy: str
    ask: tuple[Provider, ...]
    fallback: tuple[Provider, ...]
    need: int
    deadline: float  # seconds
    shadow: tuple[Provider, ...] = ()
    hedge_after: float | None = None
    weights: tuple[float, ...] = ()
    near: int | None = None

    @kept
    def providers(self) -> tuple[Provider, ...]:
        """All whose answers count."""
        return (*self.ask, *self.fallback)

    @property
    def unhurried(self) -> Leg:
        """The same for a second look: no shadows, and nobody has to be faster than others to be heard."""
        return replace(self, shadow=(), strategy=_UNHURRIED.get(self.strategy, self.strategy))


class Round(ABC):
    """One input on its way through a leg. `subject` is what is split by; `unasked` are the fallbacks nobody asked."""

    def __init__(self, leg: Leg, operation: Modality, subject: str):
        self.leg = leg
        self.operation = operation
        self.subject = subject
        self.unasked = list(leg.fallback)

    @abstractmethod
    async def put(self, provider: Provider, role: Role, share: float) -> Answer:
        """Ask one provider, which may take this share of the time that is left."""

    @abstractmethod
    def left(self) -> float:
        """Seconds for asking anybody further."""

    @abstractmethod
    def settled(self, answers: Sequence[Answer], remaining: Sequence[Provider]) -> bool:
        """Whether no answer of those that remain could change the outcome."""

    @abstractmethod
    def linger(self, provider: Provider, role: Role, task: asyncio.Task[Answer]) -> None:
        """Take a question whose answer is not waited for."""

    async def one(self, provider: Provider, role: Role) -> Answer:
        """Ask one, leaving time for those who might come after it."""
        return await self.put(provider, role, WITH_FOLLOWERS if self.unasked else 1.0)

    def next(self) -> Provider | None:
        """The next fallback that nobody asked yet, while there is time."""
        return self.unasked.pop(0) if self.unasked and self.left() > 0 else None

    def next_able(self, wanted: Set[str]) -> Provider | None:
        """The next fallback that can see some of these categories."""
        for place, provider in enumerate(self.unasked):
            if self.left() > 0 and not wanted.isdisjoint(provider.sees[self.operation]):
                return self.unasked.pop(place)
        return None

    async def until_enough(self, answers: list[Answer]) -> list[Answer]:
        """Ask fallbacks one after the other until `need` have answered."""
        while _usable(answers) < self.leg.need and (further := self.next()):
            answers.append(await self.one(further, Role.FALLBACK))
        return answers


Strategy = Callable[[Round], Awaitable[list[Answer]]]


async def ask_all(way: Round) -> list[Answer]:
    """All at once; each that fails is replaced by the next unused fallback, while there is time."""
    asked = way.leg.ask
    if len(asked) == 1:
        answers = await _seat(way, asked[0])
    else:
        seats = await asyncio.gather(*(_seat(way, provider) for provider in asked))
        answers = [answer for seat in seats for answer in seat]
    return await way.until_enough(answers)


async def _seat(way: Round, provider: Provider) -> list[Answer]:
    answers = [await way.one(provider, Role.ASK)]
    while answers[-1].failure and (substitute := way.next()):
        answers.append(await way.one(substitute, Role.FALLBACK))
    return answers


async def ask_first(way: Round) -> list[Answer]:
    """In order; the next when one fails, the fallbacks after them, until `need` have answered."""
    answers: list[Answer] = []
    while _usable(answers) < way.leg.need and await _another(way, answers):
        pass
    return await way.until_enough(answers)


async def ask_cascade(way: Round) -> list[Answer]:
    """In order, cheap ones first; no further once no remaining answer could change the outcome.

    `need` counts where it bears on the outcome: nobody else is asked of what a list of known things forbids.
    """
    answers: list[Answer] = []
    while await _another(way, answers):
        remaining = way.leg.ask[len(answers) :]
        if remaining and way.settled(answers, remaining):
            return answers
    return await way.until_enough(answers)


async def _another(way: Round, answers: list[Answer]) -> bool:
    """Whether the next of `ask` was asked: not if there is none, or no time."""
    place, asked = len(answers), way.leg.ask
    if place == len(asked) or way.left() <= 0:
        return False
    followed = way.unasked or place + 1 < len(asked)
    answers.append(await way.put(asked[place], Role.ASK, WITH_FOLLOWERS if followed else 1.0))
    return True


async def ask_race(way: Round) -> list[Answer]:
    """All at once; done with the first `need` usable answers. The rest may come late."""
    beside = _Beside(way)
    for provider in way.leg.ask:
        beside.begin(provider, Role.ASK, WITH_FOLLOWERS if way.unasked else 1.0)
    async with beside:
        while beside.wanting:
            await beside.next_answers(None)
    return await way.until_enough(beside.answers)


async def ask_hedge(way: Round) -> list[Answer]:
    """The first; when it takes longer than it usually does, the next beside it, once, as far as the budget goes.

    One that fails is replaced by the next, as in `first`.
    """
    first, *others = (*way.leg.ask, *way.unasked)
    patience = _patience(way)
    way.unasked.clear()
    beside = _Beside(way)
    beside.begin(first, Role.ASK, WITH_FOLLOWERS if others else 1.0)
    async with beside:
        while beside.wanting:
            done = await beside.next_answers(patience)
            failed = any(answer.failure for answer in done)
            if others and way.left() > 0 and (failed or (not done and _may_hedge(way))):
                other, *others = others
                beside.begin(other, Role.FALLBACK if failed else Role.HEDGE, WITH_FOLLOWERS if others else 1.0)
            patience = patience if done else None
    way.unasked = others
    return await way.until_enough(beside.answers)


class _Beside:
    """Questions under way beside each other. Left in peace, it lets the rest linger; left in a hurry, it drops them."""

    def __init__(self, way: Round):
        self._way = way
        self._asked: dict[asyncio.Task[Answer], tuple[Provider, Role]] = {}
        self.answers: list[Answer] = []

    @property
    def wanting(self) -> bool:
        """Whether more answers are needed, and may come."""
        return bool(self._asked) and _usable(self.answers) < self._way.leg.need

    def begin(self, provider: Provider, role: Role, share: float) -> None:
        self._asked[asyncio.create_task(self._way.put(provider, role, share))] = (provider, role)

    async def next_answers(self, patience: float | None) -> list[Answer]:
        """Those that came next; none where it took longer than `patience` seconds."""
        done, _ = await asyncio.wait(self._asked, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
        came = [task.result() for task in self._asked if task in done]
        self._asked = {task: whose for task, whose in self._asked.items() if task not in done}
        self.answers += came
        return came

    async def __aenter__(self) -> None:
        """Begun already."""

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for task, (provider, role) in self._asked.items():
            if kind is None:
                self._way.linger(provider, role, task)
            else:
                task.cancel()


def _patience(way: Round) -> float | None:
    """Seconds after which the first counts as slow; None while nobody knows what is usual."""
    if way.leg.hedge_after is not None:
        return way.leg.hedge_after
    return way.leg.ask[0].health.paces[way.operation].quantile(0.95)


def _may_hedge(way: Round) -> bool:
    return way.leg.ask[0].health.budget.hedge(asyncio.get_running_loop().time())


async def ask_split(way: Round) -> list[Answer]:
    """One of them, by a stable hash of the subject: the same subject always gets the same. Fallbacks where it fails."""
    chosen = _drawn(way.leg, way.subject)
    answers = [await way.one(chosen, Role.ASK)]
    return await way.until_enough(answers)


def _drawn(leg: Leg, subject: str) -> Provider:
    place = int.from_bytes(blake2b(subject.encode("utf-8", "surrogatepass"), digest_size=8).digest()) / 2**64
    point = place * sum(leg.weights)
    for provider, weight in zip(leg.ask, leg.weights, strict=True):
        point -= weight
        if point < 0:
            return provider
    return leg.ask[-1]


def _usable(answers: list[Answer]) -> int:
    return sum(answer.reading is not None for answer in answers)


STRATEGIES: Mapping[str, Strategy] = {
    "all": ask_all,
    "first": ask_first,
    "race": ask_race,
    "hedge": ask_hedge,
    "cascade": ask_cascade,
    "quorum": ask_race,  # a race is won by one, a quorum by `need`
    "split": ask_split,
}
