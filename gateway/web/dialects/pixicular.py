"""Pixicular: `POST /v1/detect`, multipart, the image and which `services`; both answers in one document.

What it can say: five flags with a confidence 0..1, and names of things where a provider gives them. What it cannot:
review, our other categories. A flag that nobody looked for is left out, as is a service; `modgate.not_assessed` names
them. Where a gap made the decision, and no flag shows it, that is a 503.
Source: pixicular.com, the guides on UGC and NSFW detection (their envelope) and the API documentation. Read 2026-11.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from gateway.domain import FULL
from gateway.errors import BadContent
from gateway.intake import Picture
from gateway.web.auth import Role
from gateway.web.bodies import form_fields
from gateway.web.dialects.decided import answer, decided, insist_on_an_answer, insist_on_telling, told
from gateway.web.dialects.plain import as_plain_error
from gateway.web.dialects.shapes import PixicularOut, PlainErrorOut
from gateway.web.dialects.things import insist_on_things, things
from gateway.web.endpoint import Endpoint, Visit

VENDOR = "pixicular"
FLAGS = ("Nudity", "Sexual Activity", "Suggestive", "Violence", "Drug Use")
VOCABULARY = dict.fromkeys(FLAGS, "")

_MODERATION, _LABELS = "detect-moderation", "detect-labels"
_SERVICES = (_MODERATION, _LABELS)
_FILES = ("image", "file")  # the guides call it one way, the reference the other


async def detect(visit: Visit) -> web.Response:
    services, picture = await _form(visit)
    record = await decided(visit, await visit.intake.content(None, [picture], {}))
    insist_on_an_answer(record)
    found: dict[str, Any] = {}
    not_assessed: list[str] = []
    if _MODERATION in services:
        telling = told(visit, record, VENDOR)
        insist_on_telling(record, shown=telling.alarms)
        found[_MODERATION] = {"flags": _surest_first({name: said.score for name, said in telling.each.items()})}
        not_assessed += telling.not_assessed
    if _LABELS in services:
        seen = things(record, visit.desk.spoken)
        if _MODERATION not in services:
            seen = insist_on_things(record, seen)
        if seen is None:
            not_assessed.append(_LABELS)
        else:
            found[_LABELS] = {"labels": _surest_first(seen)}
    meta = {"processingTimeMs": round(record.timings.total), "requestId": visit.id}
    return answer({**found, "meta": meta}, record, not_assessed)


def _surest_first(scores: dict[str, int]) -> list[dict[str, Any]]:
    ordered = sorted(scores.items(), key=lambda entry: -entry[1])
    return [{"name": name, "confidence": score / FULL} for name, score in ordered]


async def _form(visit: Visit) -> tuple[list[str], Picture]:
    cap = visit.desk.service.config.limits.image_bytes
    fields = [field async for field in form_fields(visit.request, cap, _FILES)]
    pictures = [Picture(name, data=held) for name, held in fields if name in _FILES]
    if len(pictures) != 1:
        hint = "Send one, as the field image or file."
        raise BadContent("missing_field", f"There are {len(pictures)} pictures.", hint=hint, at="image")
    if not pictures[0].data:
        raise BadContent("empty_image", "The image has no bytes.", hint="Send the file's content.", at=pictures[0].at)
    return _services(dict(fields).get("services", b"").decode("utf-8", "replace")), pictures[0]


def _services(written: str) -> list[str]:
    names = [name.strip() for name in written.split(",") if name.strip()]
    for name in names or [""]:
        if name not in _SERVICES:
            detail = f"There is no service '{name[:64]}' here." if name else "No service is asked for."
            hint = f"Send services as {','.join(_SERVICES)}, or one of them."
            raise BadContent("invalid_field", detail, hint=hint, at="services")
    return names


PIXICULAR_ROUTES = [
    Endpoint(
        "POST",
        "/v1/detect",
        detect,
        "Pixicular: flags and names of things, both in one document.",
        roles=frozenset({Role.SUBMIT}),
        multipart={"image": "A picture; the field may be called file", "services": "detect-moderation,detect-labels"},
        reply=PixicularOut,
        answers={
            200: "What each service found; a service that nobody did is left out",
            400: "Malformed",
            401: "No valid key",
            413: "Too large",
            415: "Not an image",
            422: "An image that does not decode",
            429: "The key's rate_limit or daily_spend is used up",
            503: "Nobody answered, not everything was looked at, or overloaded",
        },
        problem=as_plain_error,
        refusal=PlainErrorOut,
        admitted=True,
    )
]
