"""The spine: content comes in, vendors are asked, their words become ours, a policy decides, the reason is kept."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gateway.dispatch.fanout import Route, ask
from gateway.domain import Answer, Content, Image, Role
from gateway.errors import BadContent, UnknownPolicy
from gateway.ledger import Ledger
from gateway.policy.book import PolicyBook
from gateway.policy.decide import InputFacts, decide
from gateway.record import PolicyName, Record, Timings, digest
from gateway.suggest import did_you_mean


@dataclass(frozen=True, slots=True)
class Submission:
    """Content, and under whose rules. `policy` and `route` None are the configured defaults; `locale` like `de-AT`."""

    content: Content
    policy: str | None = None
    route: str | None = None
    tenant: str = "default"
    locale: str | None = None
    request_id: str = ""


class Moderator:
    """Decides. `notice` is told of every record, for metrics and alarms."""

    def __init__(
        self,
        routes: Mapping[str, Route],
        policies: PolicyBook,
        ledger: Ledger,
        objects: tuple[str, ...],
        notice: Callable[[Record], None],
    ):
        self._routes = routes
        self._policies = policies
        self._ledger = ledger
        self._objects = objects
        self._notice = notice

    @property
    def routes(self) -> Mapping[str, Route]:
        return self._routes

    async def moderate(self, submission: Submission) -> Record:
        """Ask every vendor able to see this, decide, keep the evidence. Takes the route's deadline at most.

        Raises BadContent, UnknownPolicy, or Overloaded where the evidence cannot be kept.
        """
        started = time.perf_counter()
        route, policy = self._route(submission.route), self._policies.get(submission.policy)
        content = submission.content
        if not content.inputs:
            raise BadContent("empty_submission", "There is nothing to moderate.", hint="Send text, images or both.")
        answers = await ask(content, route)
        asked = time.perf_counter()
        decision = decide(policy, _facts(content, answers, route), submission.locale)
        decided = time.perf_counter()
        record = Record(
            id=_new_id(),
            created_at=time.time(),
            tenant=submission.tenant,
            request_id=submission.request_id,
            route=route.name,
            policy=PolicyName(policy.name, policy.version, policy.hash),
            context=content.context,
            content=tuple(digest(part) for part in content.inputs),
            answers=answers,
            decision=decision,
            degraded=_degraded(answers) or bool(decision.coverage.missing),
            tier=_tier(answers, route),
            timings=Timings((asked - started) * 1000, (decided - asked) * 1000, (decided - started) * 1000),
            objects=self._objects,
        )
        await self._ledger.record(record)
        self._notice(record)
        return record

    def _route(self, name: str | None) -> Route:
        try:
            return self._routes[name or "default"]
        except KeyError:
            hint = did_you_mean(str(name), self._routes) or f"Routes are {', '.join(sorted(self._routes))}."
            raise UnknownPolicy("unknown_route", f"There is no route '{name}'.", hint=hint, at="/route") from None


def _new_id() -> str:
    """`mod_` and 28 hex digits: milliseconds since 1970, then 64 random bits. Sorts by time; names, does not open."""
    return f"mod_{time.time_ns() // 1_000_000:012x}{random.getrandbits(64):016x}"


def _facts(content: Content, answers: tuple[Answer, ...], route: Route) -> list[InputFacts]:
    facts = []
    for index, part in enumerate(content.inputs):
        leg = route.legs[part.modality]
        facts.append(
            InputFacts(
                modality=part.modality,
                answers=tuple(answer for answer in answers if answer.input == index and answer.role is not Role.SHADOW),
                sees={provider.name: provider.sees[part.modality] for provider in leg.providers},
                need=leg.need,
                unseen=part.unseen if isinstance(part, Image) else 0,
            )
        )
    return facts


def _degraded(answers: tuple[Answer, ...]) -> bool:
    return any(answer.role is Role.ASK and answer.failure for answer in answers)


def _tier(answers: tuple[Answer, ...], route: Route) -> int | None:
    """The highest tier that gave a usable answer."""
    tiers = {provider.name: provider.adapter.tier for leg in route.legs.values() for provider in leg.providers}
    return max((tiers[answer.outcome.provider] for answer in answers if answer.reading), default=None)
