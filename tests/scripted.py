"""Vendors with a script, and what it takes to put questions to them: for tests of dispatch in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from copy import copy
from typing import Any, ClassVar

from gateway.adapter import LocalAdapter, VendorSettings
from gateway.dispatch.cache import Asker
from gateway.dispatch.deadline import Deadline
from gateway.dispatch.fanout import Asked, Guidance, Route, ask
from gateway.dispatch.question import Provider, Question, put
from gateway.dispatch.strategies import Leg
from gateway.domain import Answer, Content, Failure, Finding, Image, Look, Modality, Reading, Role, Text
from gateway.mapping import VendorTable
from gateway.paths import TAXONOMY
from gateway.taxonomy import Taxonomy
from gateway.yamlfile import loads

TABLE = VendorTable(
    "acme",
    loads("measures: x\nscale: [0, 1]\nsilence: below_minimum\nlabels: {hate: hate, spam: spam}\n", file="acme.yaml"),
    Taxonomy.from_file(TAXONOMY),
)
TEXT, IMAGE = Modality.TEXT, Modality.IMAGE
CAPTION, PICTURE, SECOND = Text("a caption"), Image("aa", (), "png"), Image("bb", (), "png")
CLEAN = Look((Finding("hate", 0.0),))
HATE = Look((Finding("hate", 1.0),))
FOREVER = 1e9

Step = float | asyncio.Event | Look | BaseException | Callable[[Content], Look]


class Scripted(LocalAdapter):
    """Does the steps of its script one look after the other, the last one for ever: waits, then answers or raises."""

    accepts: ClassVar = frozenset(Modality)

    def __init__(self, *looks: Iterable[Step] | Step, together: bool = False, tier: int = 1, **settings: Any):
        super().__init__(VendorSettings.model_validate({"adapter": "scripted", "timeout": "3s", **settings}))
        self.together = together  # type: ignore[misc]
        self.tier = tier  # type: ignore[misc]
        self.script = [look if isinstance(look, tuple) else (look,) for look in looks or (CLEAN,)]
        self.heard: list[tuple[float, Content]] = []
        self.busy = self.busiest = 0

    @property
    def times(self) -> list[float]:
        return [round(at, 6) for at, _ in self.heard]

    async def open(self, workshop: Any) -> None: ...

    async def look(self, content: Content, send: Any) -> Look:
        steps = self.script[min(len(self.heard), len(self.script) - 1)]
        self.heard.append((now(), content))
        self.busy += 1
        self.busiest = max(self.busy, self.busiest)
        try:
            for step in steps:
                if isinstance(step, BaseException):
                    raise copy(step)
                if isinstance(step, Look):
                    return step
                if callable(step):
                    return step(content)
                await (step.wait() if isinstance(step, asyncio.Event) else asyncio.sleep(step))
            return CLEAN
        finally:
            self.busy -= 1


async def unused(address: str, call: Any, /) -> Any:
    raise AssertionError("a scripted vendor sends nothing")


def provider(adapter: Scripted, name: str = "acme", sees: Iterable[str] = ("hate",)) -> Provider:
    return Provider(name, adapter, TABLE.translate, dict.fromkeys(Modality, frozenset(sees)), unused)


def cast(**adapters: Scripted) -> dict[str, Provider]:
    return {name: provider(adapter, name) for name, adapter in adapters.items()}


def now() -> float:
    return asyncio.get_running_loop().time()


async def asked(who: Scripted | Provider, deadline: float = 10.0, about: Text = CAPTION) -> Reading | Failure:
    """One question to one provider."""
    who = provider(who) if isinstance(who, Scripted) else who
    return await put(Question(Content((about,)), {TEXT: 0}), who, Deadline.after(deadline))


def leg(
    ask: Iterable[Provider],
    fallback: Iterable[Provider] = (),
    *,
    strategy: str = "all",
    need: int = 1,
    deadline: float = 5.0,
    **more: Any,
) -> Leg:
    return Leg(strategy, tuple(ask), tuple(fallback), need, deadline, **more)


def everywhere(to: Leg) -> Route:
    return Route("default", {TEXT: to, IMAGE: to})


async def dispatched(to: Leg | Route, *inputs: Text | Image, asker: Asker | None = None, **guidance: Any) -> Asked:
    """A submission by this leg for both modalities, or by this route."""
    route = everywhere(to) if isinstance(to, Leg) else to
    return await ask(Content(inputs or (CAPTION,)), route, asker or Asker(None), Guidance(**guidance))


async def answered(to: Leg | Route, *inputs: Text | Image, **guidance: Any) -> tuple[Answer, ...]:
    return (await dispatched(to, *inputs, **guidance)).answers


def told(answers: Iterable[Answer]) -> list[tuple[str, str, Role]]:
    return [(answer.outcome.provider, answer.outcome.status, answer.role) for answer in answers]


async def work_left() -> int:
    """How many tasks go on beside this one, once those that have ended are gone."""
    for _ in range(20):
        await asyncio.sleep(0)
    return len(asyncio.all_tasks()) - 1
