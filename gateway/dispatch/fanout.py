"""Ask about every input of a submission at once, each by its own leg of the route.

A provider that judges text and image together is asked once about both, where the route names it for both; the one
answer then bears on each input it looked at.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence, Set

from msgspec import Struct

from gateway.dispatch.cache import Asker
from gateway.dispatch.deadline import Deadline
from gateway.dispatch.question import Provider, Question, in_vain
from gateway.dispatch.shared import Shared
from gateway.dispatch.strategies import STRATEGIES, WITH_FOLLOWERS, Leg, Round
from gateway.domain import Answer, Content, Failure, Modality, Reading, Role
from gateway.errors import VendorDrift
from gateway.frozen import kept

Outcome = Reading | Failure


class Route(Struct, frozen=True, dict=True):
    """A name and a leg for each modality."""

    name: str
    legs: Mapping[Modality, Leg]

    @kept
    def sees(self) -> Mapping[str, Mapping[str, frozenset[str]]]:
        """By modality, what each provider whose answer counts can see."""
        return {kind: {who.name: who.sees[kind] for who in leg.providers} for kind, leg in self.legs.items()}

    @kept
    def tiers(self) -> Mapping[str, int]:
        """Of each provider whose answer counts."""
        return {who.name: who.adapter.tier for leg in self.legs.values() for who in leg.providers}

    @kept
    def cascades(self) -> bool:
        """Whether some leg may end before everybody it names was asked."""
        return any(leg.strategy == "cascade" for leg in self.legs.values())


class Guidance(Struct, frozen=True):
    """What dispatch is told by those who know policies and callers.

    Both functions look at the answers about one input so far. `settled`: no answer of the providers that remain could
    change the outcome. `holes`: categories that had to be looked at and were not. `subject` is what is split by.
    `closed` looks at one answer: a named person has to see this, and no further vendor gets it. `said` is what a
    provider is known to say of inputs, by its name and theirs: it is not asked about them.
    """

    tenant: str = "default"
    subject: str = ""
    settled: Callable[[int, Sequence[Answer], Sequence[Provider]], bool] = lambda index, answers, remaining: False
    holes: Callable[[int, Sequence[Answer]], Set[str]] = lambda index, answers: frozenset()
    closed: Callable[[Answer], bool] = lambda answer: False
    said: Mapping[tuple[str, tuple[int, ...]], Reading] = {}


class Pending(Struct, frozen=True):
    """A question whose answer was not waited for."""

    input: int
    provider: str
    role: Role
    task: asyncio.Task[Answer]


class Asked(Struct, frozen=True):
    """Answers in the order of the inputs, and what may still come."""

    answers: tuple[Answer, ...]
    pending: tuple[Pending, ...] = ()

    def give_up(self) -> None:
        """Nobody will hear what is still to come."""
        for question in self.pending:
            question.task.cancel()


async def ask(content: Content, route: Route, asker: Asker, guidance: Guidance) -> Asked:
    """Takes no longer than the longest leg's deadline."""
    book = _Book(content, route, asker, guidance)
    try:
        if len(content.inputs) == 1:
            answers = await book.answers(0)
        else:
            each = await asyncio.gather(*(book.answers(index) for index in range(len(content.inputs))))
            answers = [answer for some in each for answer in some]
    except BaseException:
        book.give_up()
        raise
    return Asked(tuple(answers), tuple(book.pending))


class _Book:
    """Who is asked what in one submission, so that a shared question is put once."""

    def __init__(self, content: Content, route: Route, asker: Asker, guidance: Guidance):
        self.content = content
        self.route = route
        self.guidance = guidance
        self.began = asyncio.get_running_loop().time()
        self.pending: list[Pending] = []
        self._asker = asker
        kinds = [part.modality for part in content.inputs]
        self._texts = [index for index, kind in enumerate(kinds) if kind is Modality.TEXT]
        self._images = [index for index, kind in enumerate(kinds) if kind is Modality.IMAGE]
        self._shared: dict[tuple[str, tuple[int, ...]], Shared[Outcome]] = {}

    async def answers(self, index: int) -> list[Answer]:
        way = _Way(self, index)
        for provider in way.leg.shadow:
            way.linger(provider, Role.SHADOW, asyncio.create_task(way.put(provider, Role.SHADOW, 1.0)))
        return await self._filled(index, way, await STRATEGIES[way.leg.strategy](way))

    async def _filled(self, index: int, way: Round, answers: list[Answer]) -> list[Answer]:
        """Ask those fallbacks that can see what had to be seen and was not, before the policy has to give up."""
        while way.unasked and (holes := self.guidance.holes(index, answers)) and (further := way.next_able(holes)):
            answers.append(await way.one(further, Role.FALLBACK))
        return answers

    def give_up(self) -> None:
        """Nobody waits any more, for anything."""
        for pending in self.pending:
            pending.task.cancel()

    async def outcome(self, index: int, provider: Provider, deadline: Deadline, share: float) -> Outcome:
        """What a provider says of an input, and of those that are asked about together with it."""
        inputs = self._together_with(index, provider)
        if len(inputs) == 1:
            return await self._put(inputs, provider, deadline, share)
        return await self._share(inputs, provider, deadline, share)

    def _together_with(self, index: int, provider: Provider) -> tuple[int, ...]:
        """The inputs that go in one question with this one. A caption goes with every picture it stands beside."""
        if not (self._texts and self._images and provider.adapter.together):
            return (index,)
        legs = self.route.legs
        if not all(provider in legs[modality].providers for modality in (Modality.TEXT, Modality.IMAGE)):
            return (index,)
        if self.content.inputs[index].modality is Modality.IMAGE:
            return (self._texts[0], index)
        asked_of_images = provider in legs[Modality.IMAGE].ask
        return (index, self._images[0]) if asked_of_images else (index,)

    def _question(self, inputs: tuple[int, ...]) -> Question:
        parts = tuple([self.content.inputs[index] for index in inputs])
        where = {part.modality: index for part, index in zip(parts, inputs, strict=True)}
        return Question(Content(parts, self.content.context), where)

    async def _share(self, inputs: tuple[int, ...], provider: Provider, deadline: Deadline, share: float) -> Outcome:
        """One question for all these inputs. It has as long as the longest of their legs; each waits for its own."""
        started = asyncio.get_running_loop().time()
        legs = [self.route.legs[self.content.inputs[index].modality] for index in inputs]
        longest = Deadline(self.began + max(leg.deadline for leg in legs))
        key = (provider.name, inputs)
        shared = self._shared.get(key)
        if shared is None or shared.given_up:
            followed = any(leg.fallback for leg in legs)
            least = min(share, WITH_FOLLOWERS) if followed else share
            shared = self._shared[key] = Shared(self._put(inputs, provider, longest, least))
        try:
            async with asyncio.timeout(deadline.left() * share if deadline.at < longest.at else None):
                return await shared.outcome()
        except TimeoutError:
            waited = asyncio.get_running_loop().time() - started
            return in_vain(provider, inputs, "no answer in time; another input waits longer for it", waited)

    async def _put(self, inputs: tuple[int, ...], provider: Provider, deadline: Deadline, share: float) -> Outcome:
        said = self.guidance.said.get((provider.name, inputs))
        if said is not None and provider.adapter.tier:  # a list of known things costs nothing, and may be another now
            return said
        near = self.route.legs[Modality.IMAGE].near
        return await self._asker.put(self.guidance.tenant, self._question(inputs), provider, deadline, share, near)


class _Way(Round):
    """How one input of a submission gets its answers."""

    def __init__(self, book: _Book, index: int):
        modality = book.content.inputs[index].modality
        leg = book.route.legs[modality]
        super().__init__(leg, modality, book.guidance.subject)
        self._book = book
        self._index = index
        self._deadline = Deadline(book.began + leg.deadline)
        self._closed = False  # a person has to see this: nobody further gets it

    async def put(self, provider: Provider, role: Role, share: float) -> Answer:
        outcome = await self._book.outcome(self._index, provider, self._deadline, share)
        answer = Answer(self._index, role, _about(self._index, outcome))
        if role is not Role.SHADOW and self._book.guidance.closed(answer):
            self._closed = True
        return answer

    def left(self) -> float:
        return 0.0 if self._closed else self._deadline.left()

    def settled(self, answers: Sequence[Answer], remaining: Sequence[Provider]) -> bool:
        return self._book.guidance.settled(self._index, answers, remaining)

    def linger(self, provider: Provider, role: Role, task: asyncio.Task[Answer]) -> None:
        self._book.pending.append(Pending(self._index, provider.name, role, task))


def _about(index: int, outcome: Outcome) -> Outcome:
    """An answer that says nothing of an input is, for that input, no answer."""
    if isinstance(outcome, Failure) or any(signal.input == index for signal in outcome.signals):
        return outcome
    return Failure(
        provider=outcome.provider,
        inputs=outcome.inputs,
        status=VendorDrift.status,
        detail="it answered, and did not look at this input",
        attempts=outcome.attempts,
        latency_ms=outcome.latency_ms,
        http=200,
        raw=outcome.exchanges[0].body[:2048] if outcome.exchanges else "",
        fitted=outcome.fitted,
    )
