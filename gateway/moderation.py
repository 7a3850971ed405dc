"""The spine: content comes in, vendors are asked, their words become ours, a policy decides, the reason is kept."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from gateway.aftermath import Aftermath
from gateway.dispatch.cache import Asker
from gateway.dispatch.fanout import Asked, Guidance, Route, ask
from gateway.dispatch.question import Provider
from gateway.domain import Answer, Aside, Content, Decision, Image, Reading, Role
from gateway.errors import BadContent, NotFound, UnknownPolicy
from gateway.ledger import Debt, Ledger
from gateway.patience import left
from gateway.policy.book import PolicyBook
from gateway.policy.bounds import holes, settled, suspects
from gateway.policy.decide import decide
from gateway.policy.explain import explain
from gateway.policy.judging import NO_ANSWER, TOO_FEW
from gateway.policy.policy import Policy
from gateway.policy.standing import Company
from gateway.policy.tally import InputFacts
from gateway.record import PolicyName, Record, Timings, Unheard, digest
from gateway.replay import facts_of
from gateway.suggest import did_you_mean


class Submission(Struct, frozen=True):
    """Content, and under whose rules. `policy` and `route` None are the configured defaults; `locale` like `de-AT`.

    `key` is the name of its caller's key. After `until`, on the clock of time.perf_counter, nobody wants the answer.
    """

    content: Content
    policy: str | None = None
    route: str | None = None
    tenant: str = "default"
    locale: str | None = None
    request_id: str = ""
    key: str = ""
    until: float = math.inf


Owed = Callable[[Record, Submission], Debt | None]


class Moderator:
    """Decides. `notice` is told of every record, for metrics and alarms.

    `owed` says what is owed of a decision that was made with less than was asked for.
    """

    def __init__(
        self,
        routes: Mapping[str, Route],
        policies: PolicyBook,
        asker: Asker,
        ledger: Ledger,
        aftermath: Aftermath,
        objects: tuple[str, ...],
        notice: Callable[[Record], None],
        owed: Owed = lambda record, submission: None,
    ):
        self._routes = routes
        self._policies = policies
        self._asker = asker
        self._ledger = ledger
        self._aftermath = aftermath
        self._objects = objects
        self._notice = notice
        self._owed = owed
        self._fresh = Asker(None)

    @property
    def routes(self) -> Mapping[str, Route]:
        return self._routes

    async def moderate(self, submission: Submission) -> Record:
        """Ask every vendor able to see this, decide, keep the evidence. Takes the route's deadline at most.

        Raises BadContent, UnknownPolicy, or Overloaded where the evidence cannot be kept.
        """
        started = time.perf_counter()
        left(submission.until)
        route, content = self._route(submission.route), submission.content
        if not content.inputs:
            raise BadContent("empty_submission", "There is nothing to moderate.", hint="Send text, images or both.")
        policy, company = self._policy(submission)
        heard = await ask(content, route, self._asker, _guidance(policy, company, submission, route, self._objects))
        record = self._record(submission, route, policy, company, heard, started)
        debt = self._owed(record, submission) if record.degraded else None
        try:
            await self._ledger.record(record, debt)
        except BaseException:
            heard.give_up()
            raise
        self._notice(record)
        if company is not None:
            company.count(record.action, record.asides)
        if heard.pending:

            def again(late: Sequence[Answer]) -> Decision:
                facts = _facts(content, (*heard.answers, *late), route, self._objects)
                return _decided(policy, company, facts, submission.locale)[1]

            self._aftermath.follow(record, heard.pending, again)
        return record

    async def look_again(self, submission: Submission, known: Sequence[Answer]) -> Record:
        """What would be decided now, of content of which so much is known. Nothing is remembered, and nothing kept.

        Who has answered is not asked again, and whatever was said counts, also of those whom this look does not need:
        no alarm is forgotten. Raises UnknownPolicy where the route or policy is gone.
        """
        named, (policy, company) = self._route(submission.route), self._policy(submission)
        route = Route(named.name, {modality: leg.unhurried for modality, leg in named.legs.items()})
        started = time.perf_counter()
        guidance = _guidance(policy, company, submission, route, self._objects)
        counted = [answer for answer in known if answer.reading and answer.role is not Role.SHADOW]
        heard = await ask(submission.content, route, self._fresh, replace(guidance, said=_said(counted)))
        together = replace(heard, answers=_newest(counted, heard.answers))
        return self._record(submission, route, policy, company, together, started)

    def explain(self, record: Record, policy: Policy) -> Mapping[str, Any]:
        """Why it was decided so, by the version that did. Raises NotFound where its route is gone."""
        if record.route not in self._routes:
            raise NotFound(
                "route_is_gone", f"There is no route '{record.route}' any more.", hint="Put it back for this."
            )
        here = policy.under(record.context, record.tenant)
        return explain(here, facts_of(record, {record.route: self._routes[record.route].sees}))

    def _record(
        self,
        submission: Submission,
        route: Route,
        policy: Policy,
        company: Company | None,
        heard: Asked,
        started: float,
    ) -> Record:
        content, answers = submission.content, heard.answers
        asked = time.perf_counter()
        facts = _facts(content, answers, route, self._objects)
        policy, decision, asides = _decided(policy, company, facts, submission.locale)
        decided = time.perf_counter()
        return Record(
            id=_new_id(),
            created_at=time.time(),
            tenant=submission.tenant,
            request_id=submission.request_id,
            route=route.name,
            policy=PolicyName(policy.name, policy.version, policy.hash, policy.resolved, policy.overlays),
            context=content.context,
            content=tuple(digest(part) for part in content.inputs),
            answers=answers,
            decision=decision,
            degraded=_degraded(answers, decision),
            tier=_tier(answers, route),
            timings=Timings((asked - started) * 1000, (decided - asked) * 1000, (decided - started) * 1000),
            objects=self._objects,
            unheard=tuple([Unheard(question.input, question.provider, question.role) for question in heard.pending]),
            key=submission.key,
            saved=_saved(content, answers, route),
            asides=asides,
        )

    def _policy(self, submission: Submission) -> tuple[Policy, Company | None]:
        """As it is for this tenant, surface and country; and what stands beside it, if anything."""
        standing, content = self._policies.standing(submission.policy), submission.content
        policy = standing.policy.under(content.context, submission.tenant)
        if standing.alone:
            return policy, None
        return policy, standing.company(policy, content.context, submission.tenant, _subject(content))

    def _route(self, name: str | None) -> Route:
        try:
            return self._routes[name or "default"]
        except KeyError:
            hint = did_you_mean(str(name), self._routes) or f"Routes are {', '.join(sorted(self._routes))}."
            raise UnknownPolicy("unknown_route", f"There is no route '{name}'.", hint=hint, at="/route") from None


def _new_id() -> str:
    """`mod_` and 28 hex digits: milliseconds since 1970, then 64 random bits. Sorts by time; names, does not open."""
    return f"mod_{time.time_ns() // 1_000_000:012x}{random.getrandbits(64):016x}"


def _subject(content: Content) -> str:
    """What a split is stable by: the user where one is named, else the content itself."""
    user = content.context.get("user_id")
    return str(user) if user is not None else content.inputs[0].digest


def _decided(
    policy: Policy, company: Company | None, facts: Sequence[InputFacts], locale: str | None
) -> tuple[Policy, Decision, tuple[Aside, ...]]:
    """Whose decision it is, the decision, and what others say beside it."""
    if company is None:
        return policy, decide(policy, facts, locale), ()
    return company.decide(facts, locale)


def _guidance(
    policy: Policy, company: Company | None, submission: Submission, route: Route, objects: tuple[str, ...]
) -> Guidance:
    """The policy's judgement, and a canary's, for dispatch, which knows none."""
    content = submission.content

    def nothing_left(index: int, answers: Sequence[Answer], remaining: Sequence[Provider]) -> bool:
        fact = _fact(content, index, answers, route, objects)
        others = {provider.name: provider.sees[fact.modality] for provider in remaining}
        return settled(policy, fact, others) and (company is None or company.settled(fact, others))

    def unseen(index: int, answers: Sequence[Answer]) -> frozenset[str]:
        fact = _fact(content, index, answers, route, objects)
        found = holes(policy, fact)
        return found if company is None else found | company.holes(fact)

    closed = partial(suspects, policy) if company is None else company.suspects
    return Guidance(submission.tenant, _subject(content), nothing_left, unseen, closed)


def _facts(content: Content, answers: Sequence[Answer], route: Route, objects: tuple[str, ...]) -> list[InputFacts]:
    return [_fact(content, index, answers, route, objects) for index in range(len(content.inputs))]


def _fact(
    content: Content, index: int, answers: Sequence[Answer], route: Route, objects: tuple[str, ...]
) -> InputFacts:
    part = content.inputs[index]
    leg = route.legs[part.modality]
    return InputFacts(
        modality=part.modality,
        answers=tuple([answer for answer in answers if answer.input == index]),
        sees=route.sees[part.modality],
        need=leg.need,
        unseen=part.unseen if isinstance(part, Image) else 0,
        place=index,
        context=content.context,
        objects=objects,
    )


def _said(answers: Sequence[Answer]) -> Mapping[tuple[str, tuple[int, ...]], Reading]:
    """What was said about whole questions. Who looked at a part of one only is to be asked again."""
    readings = [answer.reading for answer in answers if answer.reading]
    return {
        (reading.provider, reading.inputs): reading
        for reading in readings
        if {signal.input for signal in reading.signals}.issuperset(reading.inputs)
    }


def _newest(known: Sequence[Answer], heard: Sequence[Answer]) -> tuple[Answer, ...]:
    """Of each provider on each input; who fails now takes back nothing."""
    newest = {(answer.input, answer.outcome.provider): answer for answer in known}
    for answer in heard:
        key = (answer.input, answer.outcome.provider)
        if answer.reading or key not in newest:
            newest[key] = answer
    return tuple(sorted(newest.values(), key=lambda answer: answer.input))


def _degraded(answers: tuple[Answer, ...], decision: Decision) -> bool:
    """Somebody in ask gave no usable answer, a required category is missing, or too few answered for any reason."""
    failed = any(answer.role is Role.ASK and answer.failure for answer in answers)
    few = any(reason.code in (NO_ANSWER, TOO_FEW) for reason in decision.reasons)
    return failed or few or bool(decision.coverage.missing)


def _saved(content: Content, answers: Sequence[Answer], route: Route) -> float:
    """What those would have cost whom a cascade did not reach."""
    if not route.cascades:
        return 0.0
    legs = [(index, route.legs[part.modality]) for index, part in enumerate(content.inputs)]
    cascades = [(index, leg) for index, leg in legs if leg.strategy == "cascade"]
    asked = {(answer.input, answer.outcome.provider) for answer in answers}
    return sum(who.price for index, leg in cascades for who in leg.ask if (index, who.name) not in asked)


def _tier(answers: tuple[Answer, ...], route: Route) -> int | None:
    """The highest tier that gave a usable answer. Whose answer is older than the route is of none."""
    return max([route.tiers.get(answer.outcome.provider, 0) for answer in answers if answer.reading], default=None)
