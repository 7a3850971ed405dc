"""Sieve: `POST /v1/moderate/image` and `/v1/moderate/text`.

What it can say: an action (allow, flag, block: ours), and for each of its categories a score, the policy's threshold
and whether it is over it. So a decision that rests on a gap is told as it is: `flag`. A category nobody looked at is
left out; `modgate.not_assessed` names it. What it cannot say: our other categories, but their action counts.
Source: Sieve's Moderate Image page and docs (moderate-text, categories, overview). Read 2026-11.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, model_validator

from gateway.domain import FULL, Action, Content
from gateway.intake import Picture
from gateway.inverse import Said
from gateway.web.auth import Role
from gateway.web.bodies import read_json
from gateway.web.cutting import Inline
from gateway.web.dialects.decided import answer, decided, policy_of, told
from gateway.web.dialects.plain import as_plain_error
from gateway.web.dialects.shapes import PlainErrorOut, SieveOut
from gateway.web.endpoint import Endpoint, Visit

IMAGE, TEXT = "sieve/image", "sieve/text"

ImageCategory = Literal["sexual", "violence", "hate_symbols", "self_harm", "drugs", "gore"]
TextCategory = Literal[
    "toxicity", "harassment", "hate_speech", "sexual", "violence", "self_harm", "spam", "threat", "profanity"
]
IMAGE_VOCABULARY: dict[str, str] = dict.fromkeys(get_args(ImageCategory), "")
TEXT_VOCABULARY: dict[str, str] = dict.fromkeys(get_args(TextCategory), "")

_ACTIONS = {Action.ALLOW: "allow", Action.REVIEW: "flag", Action.BLOCK: "block"}


class SieveImageIn(BaseModel):
    """An image, by its public address or as a data URI. Exactly one of them."""

    model_config = ConfigDict(extra="forbid")
    url: str | None = Field(default=None, max_length=2048)
    data: Inline | None = None
    categories: list[ImageCategory] | None = Field(default=None, description="Left out: all.")

    @model_validator(mode="after")
    def _one_of_both(self) -> SieveImageIn:
        if (self.url is None) == (self.data is None):
            raise ValueError("an image has exactly one of url and data")
        return self


class SieveTextIn(BaseModel):
    """A text, under either of the names that the vendor's pages give it."""

    model_config = ConfigDict(extra="forbid")
    content: str | None = None
    text: str | None = None
    context: str | None = Field(default=None, max_length=256, description="Like chat or username; kept as the surface.")
    user_id: str | None = Field(default=None, max_length=256)
    categories: list[TextCategory] | None = Field(default=None, description="Left out: all.")

    @model_validator(mode="after")
    def _one_of_both(self) -> SieveTextIn:
        if (self.content is None) == (self.text is None):
            raise ValueError("a text is in exactly one of content and text")
        return self


async def image(visit: Visit) -> web.Response:
    asked = await read_json(visit.request, SieveImageIn)
    intake = visit.intake
    picture = intake.inline(asked.data, "/data") if asked.data is not None else Picture("/url", url=asked.url)
    return await _judged(visit, await intake.content(None, [picture], {}), IMAGE, asked.categories)


async def text(visit: Visit) -> web.Response:
    asked = await read_json(visit.request, SieveTextIn)
    known = {"surface": asked.context, "user_id": asked.user_id}
    context = {name: value for name, value in known.items() if value is not None}
    at, written = ("/content", asked.content) if asked.content is not None else ("/text", asked.text)
    content = await visit.intake.content(written, [], context, at=at)
    return await _judged(visit, content, TEXT, asked.categories)


async def _judged(visit: Visit, content: Content, vocabulary: str, wanted: list[Any] | None) -> web.Response:
    record = await decided(visit, content)
    telling = told(visit, record, vocabulary)
    policy = policy_of(record, visit.desk.service.policies)

    def category(said: Said) -> dict[str, Any]:
        rule = policy.rule_for(said.category)
        lowest = rule.lowest if rule else None
        flagged = lowest is not None and said.score >= lowest
        return {"score": said.score / FULL, "threshold": 1.0 if lowest is None else lowest / FULL, "flagged": flagged}

    body = {
        "request_id": visit.id,
        "action": _ACTIONS[record.action],
        "flagged": record.action is not Action.ALLOW,
        "categories": {name: category(said) for name, said in telling.each.items() if wanted is None or name in wanted},
        "pipeline_tier": record.tier,
        "latency_ms": round(record.timings.total, 2),
    }
    return answer(body, record, telling.not_assessed)


_ANSWERS = {
    200: "The action, and each category with score, threshold and flag",
    400: "Malformed",
    401: "No valid key",
    413: "Too large",
    429: "The key's rate_limit or daily_spend is used up",
    503: "Overloaded",
}

SIEVE_ROUTES = [
    Endpoint(
        "POST",
        "/v1/moderate/image",
        image,
        "Sieve, images by url or data: its clients change one address.",
        roles=frozenset({Role.SUBMIT}),
        body=SieveImageIn,
        example={"url": "https://example.com/photo.jpg", "categories": ["sexual", "violence"]},
        reply=SieveOut,
        answers={
            **_ANSWERS,
            415: "Not an image",
            422: "An address that is refused or unreadable, or an image that does not decode",
        },
        problem=as_plain_error,
        refusal=PlainErrorOut,
        admitted=True,
    ),
    Endpoint(
        "POST",
        "/v1/moderate/text",
        text,
        "Sieve, texts.",
        roles=frozenset({Role.SUBMIT}),
        body=SieveTextIn,
        example={"content": "A walk on the beach", "context": "chat"},
        reply=SieveOut,
        answers=_ANSWERS,
        problem=as_plain_error,
        refusal=PlainErrorOut,
        admitted=True,
    ),
]
