"""`POST /v1/moderate`: our own question and answer, as JSON or multipart."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import orjson
from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, model_validator

from gateway.errors import BadContent, TooLarge
from gateway.intake import Intake, Picture
from gateway.moderation import Submission
from gateway.record import Record, answer
from gateway.web.api.answers import DecisionOut
from gateway.web.auth import Role
from gateway.web.bodies import checked, form_fields, parse_json_field, read_json
from gateway.web.cutting import Inline
from gateway.web.endpoint import Endpoint, Visit
from gateway.web.idempotency import once
from gateway.web.locales import locale_of

_CONTEXT_CAP = 16_384  # bytes of JSON: facts about a submission, not a second submission
_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"


class ImageIn(BaseModel):
    """One image: an address we fetch through the guard, or the bytes as base64 or a data URI. Exactly one of them."""

    model_config = ConfigDict(extra="forbid")
    url: str | None = Field(default=None, max_length=2048, examples=["https://example.com/photo.jpg"])
    data: Inline | None = Field(default=None, examples=["data:image/png;base64,iVBORw0KGgo…"])

    @model_validator(mode="after")
    def _one_of_both(self) -> ImageIn:
        if (self.url is None) == (self.data is None):
            raise ValueError("an image has exactly one of url and data")
        return self


class ModerateIn(BaseModel):
    """A submission: text, images or both, judged together."""

    model_config = ConfigDict(extra="forbid")
    text: str | None = Field(default=None, examples=["a caption"])
    images: list[ImageIn] = Field(default=[], description="An album is judged by its worst picture.")
    context: dict[str, Any] = Field(
        default={}, examples=[{"surface": "avatar", "audience": "minors", "country": "DE", "user_id": "u1"}]
    )
    route: str | None = Field(default=None, pattern=_NAME, description="Left out: default.")
    policy: str | None = Field(default=None, pattern=_NAME, description="Left out: the configured default.")


async def moderate(visit: Visit) -> web.Response:
    """Take the submission in, have it decided, answer."""
    intake = visit.intake
    if visit.request.content_type == "multipart/form-data":
        asked, pictures = await _multipart(visit.request, visit.desk.service.config.limits.image_bytes)
    else:
        asked = await read_json(visit.request, ModerateIn)
        pictures = [_picture(image, index, intake) for index, image in enumerate(asked.images)]
    if len(orjson.dumps(asked.context)) > _CONTEXT_CAP:
        raise TooLarge(
            "context_too_large", f"The context is over {_CONTEXT_CAP} bytes.", hint="Keep it to facts.", at="/context"
        )

    async def work() -> bytes:
        content = await intake.content(asked.text, pictures, asked.context)
        visit.share.give_back()  # what was sent is not held any more
        record = await visit.desk.service.moderator.moderate(
            Submission(
                content=content,
                policy=asked.policy,
                route=asked.route,
                tenant=visit.caller.tenant,
                locale=locale_of(asked.context, visit.request),
                request_id=visit.id,
                key=visit.caller.name,
                until=visit.until,
            )
        )
        note_record(visit, record)
        return orjson.dumps(answer(record))

    return await once(visit, lambda: _fingerprint(asked, pictures), work)


def _fingerprint(asked: ModerateIn, pictures: list[Picture]) -> str:
    """SHA-256 over everything that makes this request another than the next."""
    held = sha256(asked.model_dump_json(exclude={"images"}).encode())
    for picture in pictures:
        held.update(sha256(picture.data if picture.data is not None else str(picture.url).encode()).digest())
    return held.hexdigest()


def note_record(visit: Visit, record: Record) -> None:
    """What the log line and Server-Timing say of a decision."""
    visit.timings["vendors"] = visit.timings.get("vendors", 0.0) + record.timings.vendors
    visit.timings["policy"] = visit.timings.get("policy", 0.0) + record.timings.policy
    visit.note.update(
        decision=record.id, action=record.action.value, degraded=record.degraded, policy=record.policy.name
    )


def _picture(image: ImageIn, index: int, intake: Intake) -> Picture:
    at = f"/images/{index}"
    return intake.inline(image.data, at) if image.data is not None else Picture(at, url=image.url)


async def _multipart(request: web.Request, image_cap: int) -> tuple[ModerateIn, list[Picture]]:
    fields: dict[str, Any] = {}
    pictures: list[Picture] = []
    async for name, held in form_fields(request, image_cap, {"image"}):
        _take(name, held, fields, pictures)
    return checked(ModerateIn, fields), pictures


def _take(name: str, held: bytes, fields: dict[str, Any], pictures: list[Picture]) -> None:
    if name == "image":
        if not held:
            raise BadContent("empty_image", "The image has no bytes.", hint="Send the file's content.", at=name)
        pictures.append(Picture(f"image[{len(pictures)}]", data=held))
        return
    if name not in ("text", "context", "route", "policy"):
        hint = "Fields are image (a file, repeatable), text, context (a JSON object), route and policy."
        raise BadContent("unknown_field", f"There is no field '{name[:64]}' here.", hint=hint, at=name[:64])
    try:
        text = held.decode("utf-8")
    except UnicodeDecodeError:
        raise BadContent("invalid_field", f"The field '{name}' is not UTF-8.", hint="Send UTF-8.", at=name) from None
    if text:  # a form sends the fields that were left empty too
        fields[name] = parse_json_field(text, name) if name == "context" else text


MODERATE_ROUTES = [
    Endpoint(
        "POST",
        "/v1/moderate",
        moderate,
        "May this be published? Text, images or both, decided together.",
        roles=frozenset({Role.SUBMIT}),
        body=ModerateIn,
        multipart={
            "image": "A picture; repeat the field for an album",
            "text": "The text",
            "context": "A JSON object",
            "route": "The route's name",
            "policy": "The policy's name",
        },
        example={"text": "A walk on the beach", "context": {"surface": "post"}},
        reply=DecisionOut,
        headers={
            "Idempotency-Key": "Sent again with the same body, it brings the first answer back; good for a day",
            "Accept-Language": "The language of messages, where context.locale names none",
        },
        answers={
            200: "The decision, with its reasons",
            400: "Malformed, empty, or an unknown policy or route",
            409: "An Idempotency-Key used for another request, or whose first request is under way",
            413: "Too large",
            415: "Not an image",
            422: "An image address that is refused or unreadable, or an image that does not decode",
            429: "The key's rate_limit or daily_spend is used up",
            503: "Overloaded, or the evidence cannot be kept: nothing was decided",
        },
        admitted=True,
    )
]
