"""Ask about every input of a submission at once, each by its own leg of the route.

A provider that judges text and image together is asked once about both, where the route names it for both; the one
answer then bears on each input it looked at.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.dispatch.deadline import Deadline
from gateway.dispatch.question import Provider, Question, put
from gateway.dispatch.strategies import STRATEGIES, Leg
from gateway.domain import Answer, Content, Failure, Modality, Reading, Role
from gateway.errors import VendorDrift

Outcome = Reading | Failure


@dataclass(frozen=True, slots=True)
class Route:
    """A name and a leg for each modality."""

    name: str
    legs: Mapping[Modality, Leg]


async def ask(content: Content, route: Route) -> tuple[Answer, ...]:
    """Answers in the order of the inputs. Takes no longer than the longest leg's deadline."""
    book = _Book(content, route)
    if len(content.inputs) == 1:
        return tuple(await book.answers(0))
    try:
        per_input = await asyncio.gather(*(book.answers(index) for index in range(len(content.inputs))))
    finally:
        book.close()
    return tuple(answer for answers in per_input for answer in answers)


class _Book:
    """Who is asked what in one submission, so that a shared question is put once."""

    def __init__(self, content: Content, route: Route):
        self._content = content
        self._route = route
        self._texts = [index for index, part in enumerate(content.inputs) if part.modality is Modality.TEXT]
        self._images = [index for index, part in enumerate(content.inputs) if part.modality is Modality.IMAGE]
        self._shared: dict[tuple[str, tuple[int, ...]], asyncio.Task[Outcome]] = {}

    async def answers(self, index: int) -> list[Answer]:
        leg = self._route.legs[self._content.inputs[index].modality]
        deadline = Deadline.after(leg.deadline)

        async def ask_one(provider: Provider, role: Role) -> Answer:
            inputs = self._together_with(index, provider)
            if len(inputs) == 1:
                outcome = await put(self._question(inputs), provider, deadline)
            else:
                outcome = await self._share(inputs, provider, deadline)
            return Answer(index, role, _about(index, outcome))

        return await STRATEGIES[leg.strategy](leg, ask_one, lambda: deadline.left() > 0)

    def _together_with(self, index: int, provider: Provider) -> tuple[int, ...]:
        """The inputs that go in one question with this one. A caption goes with every picture it stands beside."""
        if not (provider.adapter.together and self._texts and self._images):
            return (index,)
        legs = self._route.legs
        if not all(provider in legs[modality].providers for modality in (Modality.TEXT, Modality.IMAGE)):
            return (index,)
        if self._content.inputs[index].modality is Modality.IMAGE:
            return (self._texts[0], index)
        asked_of_images = provider in legs[Modality.IMAGE].ask
        return (index, self._images[0]) if asked_of_images else (index,)

    def _question(self, inputs: tuple[int, ...]) -> Question:
        parts = tuple(self._content.inputs[index] for index in inputs)
        where = {part.modality: index for part, index in zip(parts, inputs, strict=True)}
        return Question(Content(parts, self._content.context), where)

    async def _share(self, inputs: tuple[int, ...], provider: Provider, deadline: Deadline) -> Outcome:
        key = (provider.name, inputs)
        if key not in self._shared:
            self._shared[key] = asyncio.create_task(put(self._question(inputs), provider, deadline))
        return await asyncio.shield(self._shared[key])

    def close(self) -> None:
        for task in self._shared.values():
            task.cancel()


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
    )
