"""What every dialect does between its request and its answer: the one way through, and what stands beside the answer.

Nothing is decided here. A dialect that has no word for review must not tell a decision which only a gap led to: the
answer would read as clean. It answers its own server error instead, and so it does where nobody answered at all.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import orjson
from aiohttp import web

from gateway.domain import Content, Reason, Role
from gateway.errors import Overloaded
from gateway.inverse import Telling
from gateway.moderation import Submission
from gateway.policy.book import PolicyBook
from gateway.policy.policy import Policy
from gateway.record import Record
from gateway.web.api.moderate import note_record
from gateway.web.endpoint import Visit
from gateway.web.locales import locale_of


def submission(visit: Visit, content: Content, route: str | None = None) -> Submission:
    """The content as its caller's, under the configured policy. What was sent of it is not held any more."""
    visit.share.give_back()
    locale = locale_of(content.context, visit.request)
    caller = visit.caller
    return Submission(content, None, route, caller.tenant, locale, visit.id, key=caller.name, until=visit.until)


async def decided(visit: Visit, content: Content) -> Record:
    """The decision on this content, by the default route and policy."""
    record = await visit.desk.service.moderator.moderate(submission(visit, content))
    note_record(visit, record)
    return record


def policy_of(record: Record, policies: PolicyBook) -> Policy:
    """The policy that decided, as it is for that submission; as it is now where it has changed just then."""
    name = record.policy.name
    return (policies.version(name, record.policy.hash) or policies.get(name)).under(record.context, record.tenant)


def told(visit: Visit, record: Record, vocabulary: str) -> Telling:
    """The decision in the words of that name."""
    policy = policy_of(record, visit.desk.service.policies)

    def counts(category: str) -> bool:
        rule = policy.rule_for(category)
        return rule is None or rule.lowest is not None

    return visit.desk.spoken[vocabulary].tell(record.answers, record.decision, counts)


def gaps(record: Record) -> list[Reason]:
    """The reasons which are no finding: somebody did not look."""
    return [reason for reason in record.decision.reasons if reason.score is None]


def insist_on_an_answer(record: Record) -> None:
    """Raises Overloaded where no provider gave a usable answer."""
    if not any(answer.reading for answer in record.answers if answer.role is not Role.SHADOW):
        raise Overloaded(
            "no_provider_answered",
            f"No provider gave a usable answer; the decision {record.id} is {record.action.value}.",
            hint="Hold the content and ask again later.",
            retry_after=2,
        )


def insist_on_telling(record: Record, *, shown: bool) -> None:
    """Raises Overloaded where nobody answered, and where a gap counts that the answer would not show."""
    insist_on_an_answer(record)
    if gaps(record) and not shown:
        codes = ", ".join(dict.fromkeys(reason.code for reason in gaps(record)))
        raise Overloaded(
            "not_fully_assessed",
            f"The decision {record.id} is {record.action.value}, for not everything was looked at: {codes}.",
            hint="Hold the content; this dialect has no word for it, POST /v1/moderate has.",
            retry_after=2,
        )


def answer(
    body: Mapping[str, Any],
    record: Record,
    not_assessed: Collection[str],
    *,
    content_type: str = "application/json",
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    """The dialect's answer with `modgate` in it, and in headers too: some clients drop fields they do not know."""
    noted = {"X-Modgate-Id": record.id, "X-Modgate-Action": record.action.value}
    if not_assessed:
        noted["X-Modgate-Not-Assessed"] = "; ".join(not_assessed)
    whole = orjson.dumps({**body, "modgate": beside(record, not_assessed)})
    return web.Response(body=whole, content_type=content_type, headers={**noted, **(headers or {})})


def beside(record: Record, not_assessed: Collection[str]) -> dict[str, Any]:
    """What the dialect cannot say, for whoever reads it: `modgate` in the answer."""
    return {
        "id": record.id,
        "action": record.action.value,
        "degraded": record.degraded,
        "reasons": [reason.code for reason in record.decision.reasons],
        "not_assessed": list(not_assessed),
    }
