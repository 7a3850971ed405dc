"""OpenAI's moderation endpoint, `POST /v1/moderations`, and EvoLink's summary beside it.

What it can say: thirteen categories, each with a score, a flag, and which inputs it was computed on. What it cannot:
review (it is `flagged`, and `modgate.action` says which), our other categories (they only make `flagged` true), and
"not looked at" other than by an empty list in `category_applied_input_types`: the 0 beside it means nothing.
Source: platform.openai.com/docs/api-reference/moderations; docs.evolink.ai for evolink_summary. Read 2026-11.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Annotated, Any, Literal

import orjson
from aiohttp import web
from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from gateway.domain import FULL, Action, CategoryVerdict, Content, Modality, State, worst
from gateway.errors import BadContent, RequestError
from gateway.intake import Intake, Picture
from gateway.policy.book import PolicyBook
from gateway.policy.policy import Policy
from gateway.policy.tally import low_enough
from gateway.record import Record
from gateway.taxonomy import kin
from gateway.web.api.moderate import note_record
from gateway.web.auth import Role
from gateway.web.bodies import read_json
from gateway.web.cutting import Inline
from gateway.web.dialects.decided import beside, insist_on_an_answer, policy_of, submission
from gateway.web.dialects.shapes import ModerationsOut, OpenAIErrorOut
from gateway.web.endpoint import Endpoint, Visit
from gateway.web.problems import headers_for

CATEGORIES = {
    "harassment": "harassment",
    "harassment/threatening": "harassment/threatening",
    "hate": "hate",
    "hate/threatening": "hate/threatening",
    "illicit": "illicit",
    "illicit/violent": "illicit/violent",
    "self-harm": "self_harm",
    "self-harm/intent": "self_harm/intent",
    "self-harm/instructions": "self_harm/instructions",
    "sexual": "sexual",
    "sexual/minors": "sexual/minors",
    "violence": "violence",
    "violence/graphic": "violence/graphic",
}

SLUGS = tuple(CATEGORIES.values())

_MOST_TEXTS = 256  # strings in one request: each is a decision of its own

# Our status → theirs, where it differs: the dialect knows no 413, 415 or 422
_STATUS = {413: 400, 415: 400, 422: 400}
_TYPES = {
    401: "invalid_request_error",
    403: "invalid_request_error",
    429: "rate_limit_error",
    503: "service_unavailable_error",
}
_CODES = {
    "missing_key": "invalid_api_key",
    "unknown_key": "invalid_api_key",
    "fetch_blocked": "invalid_image_url",
    "fetch_timeout": "invalid_image_url",
    "fetch_failed": "invalid_image_url",
    "fetch_too_large": "invalid_image_url",
    "overloaded": "server_is_overloaded",
    "batch_waits": "server_is_overloaded",
    "waited_too_long": "server_is_overloaded",
    "rate_limited": "rate_limit_exceeded",
    "spend_exhausted": "insufficient_quota",
    "no_provider_answered": "server_is_overloaded",
}


class _Address(BaseModel):
    url: Inline


class TextPart(BaseModel):
    type: Literal["text"]
    text: str


class ImagePart(BaseModel):
    type: Literal["image_url"]
    image_url: _Address


Part = Annotated[TextPart | ImagePart, Field(discriminator="type")]


def _form(given: Any) -> str | None:
    """Which of the three forms of `input` this is; None for none of them."""
    if isinstance(given, str):
        return "string"
    if isinstance(given, list):
        return "strings" if given and isinstance(given[0], str) else "parts"
    return None


Input = Annotated[
    Annotated[str, Tag("string")] | Annotated[list[str], Tag("strings")] | Annotated[list[Part], Tag("parts")],
    Discriminator(
        _form,
        custom_error_type="input_form",
        custom_error_message="should be a string, a list of strings, or a list of parts",
    ),
]


class ModerationsIn(BaseModel):
    """A string, a list of strings, or a list of parts that are judged together."""

    model_config = ConfigDict(extra="ignore")
    input: Input
    model: str | None = Field(default=None, description="Names a route where one has that name; else echoed.")


async def moderations(visit: Visit) -> web.Response:
    asked = await read_json(visit.request, ModerationsIn)
    contents = await _contents(asked.input, visit.intake)
    moderator = visit.desk.service.moderator
    route = asked.model if asked.model in moderator.routes else None
    submissions = [submission(visit, content, route) for content in contents]
    if len(submissions) == 1:
        records = [await moderator.moderate(submissions[0])]
    else:
        records = await asyncio.gather(*map(moderator.moderate, submissions))
    for record in records:
        note_record(visit, record)
        insist_on_an_answer(record)
    body = _answer(asked.model, records, visit.desk.service.policies)
    return web.Response(body=orjson.dumps(body), content_type="application/json")


async def _contents(given: str | list[str] | list[Part], intake: Intake) -> list[Content]:
    if isinstance(given, str):
        return [await intake.content(given, [], {}, at="/input")]
    if not given:
        raise BadContent(
            "empty_submission", "The input is an empty list.", hint="Send a string, strings or parts.", at="/input"
        )
    texts = [part for part in given if isinstance(part, str)]
    if texts:
        if len(texts) > _MOST_TEXTS:
            raise BadContent(
                "too_many_texts", f"There are over {_MOST_TEXTS} strings.", hint="Send several requests.", at="/input"
            )
        return [await intake.content(text, [], {}, at=f"/input/{index}") for index, text in enumerate(texts)]
    return [await _together([part for part in given if not isinstance(part, str)], intake)]


async def _together(parts: list[Part], intake: Intake) -> Content:
    """One text and at most one image, as the vendor has it; several text parts are one text."""
    pictures: list[Picture] = []
    for index, part in enumerate(parts):
        if isinstance(part, ImagePart):
            at = f"/input/{index}/image_url/url"
            url = part.image_url.url
            pictures.append(intake.inline(url, at) if url.startswith("data:") else Picture(at, url=url))
    if len(pictures) > 1:
        raise BadContent(
            "too_many_images",
            f"Number of images ({len(pictures)}) exceeds maximum of 1.",
            hint="POST /v1/moderate takes an album.",
            at="/input",
        )
    text = "\n".join(part.text for part in parts if isinstance(part, TextPart))
    return await intake.content(text, pictures, {}, at="/input")


def _answer(model: str | None, records: list[Record], policies: PolicyBook) -> dict[str, Any]:
    results = [_result(record, policies) for record in records]
    action = worst([record.decision.action for record in records])
    return {
        "id": "modr-" + records[0].id.removeprefix("mod_"),
        "model": model or "modgate",
        "results": results,
        "evolink_summary": _summary(results, records, action),
        "modgate": {
            "id": records[0].id,
            "action": action.value,
            "decisions": [
                beside(record, _not_assessed(result["category_applied_input_types"]))
                for record, result in zip(records, results, strict=True)
            ],
        },
    }


def _result(record: Record, policies: PolicyBook) -> dict[str, Any]:
    verdicts = record.decision.categories
    found = [verdicts.get(slug, _UNSEEN) for slug in SLUGS]
    if len(record.content) == 1:  # what its verdicts say, they say of it
        looked = _looked_at_one(tuple([verdict.state for verdict in found]), record.content[0].type)
    else:
        looked = _looked_at(record, policy_of(record, policies))
    return {
        "flagged": record.decision.action is not Action.ALLOW,
        "categories": _stopped(record),
        "category_scores": dict(zip(CATEGORIES, [(verdict.score or 0) / FULL for verdict in found], strict=True)),
        "category_applied_input_types": looked,
    }


_UNSEEN = CategoryVerdict(None, State.NOT_COVERED, Action.ALLOW, {})


@lru_cache(256)
def _looked_at_one(states: tuple[State, ...], kind: Modality) -> Mapping[str, Collection[Modality]]:
    """For which categories this input was looked at, by the states of SLUGS."""
    return {name: (kind,) if state is State.SCORED else () for name, state in zip(CATEGORIES, states, strict=True)}


def _stopped(record: Record) -> dict[str, bool]:
    """For which categories the policy says review or block."""
    stopped = _with_parents(record, Action.REVIEW)
    if not stopped:
        return dict.fromkeys(CATEGORIES, False)
    return {name: slug in stopped for name, slug in CATEGORIES.items()}


def _with_parents(record: Record, least: Action) -> set[str]:
    """The categories for which the policy says this much or more, and their parents."""
    if record.decision.action.strictness < least.strictness:
        return set()
    return {
        relative
        for slug, verdict in record.decision.categories.items()
        if verdict.action.strictness >= least.strictness
        for relative in kin(slug)
    }


def _looked_at(record: Record, policy: Policy) -> Mapping[str, Collection[Modality]]:
    """What each category was looked for in: text before image. Silence counts where the policy relies on it."""
    seen: dict[str, set[Modality]] = {}
    for answer in record.answers:
        for signal in answer.reading.signals if answer.reading else ():
            if signal.score is not None or low_enough(policy.rule_for(signal.category), signal.below):
                for slug in kin(signal.category):
                    seen.setdefault(slug, set()).add(record.content[signal.input].type)
    return {name: sorted(seen.get(slug, ()), reverse=True) for name, slug in CATEGORIES.items()}


def _not_assessed(looked: Mapping[str, Collection[Modality]]) -> list[str]:
    return [] if all(looked.values()) else [name for name, kinds in looked.items() if not kinds]


def _summary(results: list[dict[str, Any]], records: list[Record], action: Action) -> dict[str, Any]:
    """EvoLink's block: flagged and violations at high risk only, as that vendor documents them."""
    # of equals the narrower: a name that goes on is later
    all_scores = [result["category_scores"] for result in results]
    score, name = max([max(zip(scores.values(), scores, strict=True)) for scores in all_scores])
    blocked = set().union(*[_with_parents(record, Action.BLOCK) for record in records])
    return {
        "risk_level": action.risk,
        "flagged": action is Action.BLOCK,
        "violations": [name for name, slug in CATEGORIES.items() if slug in blocked] if blocked else [],
        "max_score": score,
        "max_category": name,
    }


def as_openai_error(error: RequestError, request_id: str) -> web.Response:
    """Their shape, so that their client raises its own exception class."""
    status = _STATUS.get(error.http, error.http)
    message = f"{error.detail} {error.hint}".strip()
    body = {
        "error": {
            "message": message,
            "type": _TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error"),
            "param": _param(error.at),
            "code": _CODES.get(error.code, error.code),
        }
    }
    return web.Response(
        status=status, body=orjson.dumps(body), content_type="application/json", headers=headers_for(error)
    )


def _param(at: str) -> str | None:
    """`/input/0/image_url/url` as `input[0].image_url.url`."""
    path = at.strip("/").replace("/", ".")
    return re.sub(r"\.(\d+)", r"[\1]", path) or None


OPENAI_ROUTES = [
    Endpoint(
        "POST",
        "/v1/moderations",
        moderations,
        "OpenAI's moderation endpoint, with EvoLink's summary: their clients change one address.",
        roles=frozenset({Role.SUBMIT}),
        body=ModerationsIn,
        example={"model": "omni-moderation-latest", "input": "A walk on the beach"},
        reply=ModerationsOut,
        answers={
            200: "One result a string, or one for all parts",
            400: "invalid_request_error",
            401: "invalid_api_key",
            429: "rate_limit_exceeded or insufficient_quota: the key's rate_limit or daily_spend is used up",
            503: "Nobody answered, or overloaded",
        },
        problem=as_openai_error,
        refusal=OpenAIErrorOut,
        admitted=True,
    )
]
