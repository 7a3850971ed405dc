"""Azure AI Content Safety: `POST /contentsafety/text:analyze` and `image:analyze`.

What it can say: four categories, each with a severity, and that one was not assessed: its schema lets `severity` be
left out. What it cannot: review (`modgate.action` does), our other categories, and a gap in what was looked at: that is
its 503. Blocklists are kept at the vendor, so none exists here: naming one is its own 404.
Source: learn.microsoft.com/azure/ai-services/content-safety and contentsafety.json 2024-09-01. Read 2026-11.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from typing import Any, Literal

import orjson
from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, model_validator

from gateway.errors import NotFound, RequestError
from gateway.intake import Intake, Picture
from gateway.inverse import Inverse, Telling
from gateway.record import Record
from gateway.web.auth import Role
from gateway.web.bodies import read_json
from gateway.web.cutting import Inline
from gateway.web.dialects.decided import answer, decided, gaps, insist_on_telling, told
from gateway.web.dialects.shapes import AnalyzeImageOut, AnalyzeTextOut, AzureErrorOut
from gateway.web.endpoint import Endpoint, Visit
from gateway.web.problems import headers_for

VENDOR = "azure_content_safety"
CATEGORIES = ("Hate", "SelfHarm", "Sexual", "Violence")
VOCABULARY = dict.fromkeys(CATEGORIES, "")

_BLOCKLIST = "blocklist/"  # how a hit on a list at the vendor is labelled

# Our status → theirs. The service says what is wrong in words, the front door before it with the status once more
_STATUS = {413: 400, 415: 400, 422: 400}
_CODES = {
    400: "InvalidRequestBody",
    401: "401",
    403: "403",
    404: "ResourceNotFound",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServerBusy",
}


class OutputType(StrEnum):
    """How finely severity is told: 0, 2, 4, 6 or 0 to 7."""

    FOUR = "FourSeverityLevels"
    EIGHT = "EightSeverityLevels"

    def floored(self, severity: int) -> int:
        return severity if self is OutputType.EIGHT else severity & ~1


class _Asked(BaseModel):
    model_config = ConfigDict(extra="ignore")
    categories: list[Literal["Hate", "SelfHarm", "Sexual", "Violence"]] = Field(
        default=[], description="Left out: all four."
    )

    @property
    def wanted(self) -> Collection[str]:
        return self.categories or CATEGORIES


class AnalyzeTextIn(_Asked):
    """A text, which categories to tell, and how finely."""

    text: str = Field(max_length=10_000, description="Characters are Unicode code points, as the vendor counts.")
    blocklistNames: list[str] = Field(default=[], description="None exists here: naming one is 404.")  # noqa: N815
    haltOnBlocklistHit: bool = False  # noqa: N815
    outputType: OutputType = OutputType.FOUR  # noqa: N815


class ImageData(BaseModel):
    """The bytes in base64, or an address we fetch through the guard. Exactly one of them."""

    content: Inline | None = None
    blobUrl: str | None = Field(default=None, max_length=2048)  # noqa: N815

    @model_validator(mode="after")
    def _one_of_both(self) -> ImageData:
        if (self.content is None) == (self.blobUrl is None):
            raise ValueError("you should provide [content] or [blobUrl] of the image, and not both")
        return self


class AnalyzeImageIn(_Asked):
    """An image and which categories to tell; the vendor has four levels for images."""

    image: ImageData
    outputType: Literal["FourSeverityLevels"] = "FourSeverityLevels"  # noqa: N815


async def analyze_text(visit: Visit) -> web.Response:
    asked = await read_json(visit.request, AnalyzeTextIn)
    if asked.blocklistNames:
        name = asked.blocklistNames[0][:64]
        raise NotFound(
            "unknown_blocklist",
            f"The requested blocklist '{name}' was not found.",
            hint="Blocklists are named in the settings of a provider.",
            at="/blocklistNames",
        )
    content = await visit.intake.content(asked.text, [], {})
    record = await decided(visit, content)
    telling = told(visit, record, VENDOR)
    hits = [
        {"blocklistName": label.removeprefix(_BLOCKLIST), "blocklistItemId": "", "blocklistItemText": ""}
        for label in telling.unknown
        if label.startswith(_BLOCKLIST)
    ]
    return _response(visit, asked, record, asked.outputType, telling, {"blocklistsMatch": hits})


async def analyze_image(visit: Visit) -> web.Response:
    asked = await read_json(visit.request, AnalyzeImageIn)
    intake = visit.intake
    content = await intake.content(None, [_picture(asked.image, intake)], {})
    record = await decided(visit, content)
    return _response(visit, asked, record, OutputType.FOUR, told(visit, record, VENDOR), {})


def _picture(image: ImageData, intake: Intake) -> Picture:
    if image.content is not None:
        return intake.inline(image.content, "/image/content")
    return Picture("/image/blobUrl", url=image.blobUrl)


def _response(
    visit: Visit, asked: _Asked, record: Record, levels: OutputType, telling: Telling, rest: dict[str, Any]
) -> web.Response:
    words = visit.desk.spoken[VENDOR]
    analysis = [_entry(category, telling, words, levels) for category in CATEGORIES if category in asked.wanted]
    severe = telling.alarms and any(entry.get("severity") for entry in analysis)
    unassessed = all(reason.category and words.words(reason.category) for reason in gaps(record))
    insist_on_telling(record, shown=severe or unassessed)
    return answer({**rest, "categoriesAnalysis": analysis}, record, telling.not_assessed)


def _entry(category: str, telling: Telling, words: Inverse, levels: OutputType) -> dict[str, Any]:
    """One category; without a severity where nobody looked."""
    said = telling.each.get(category)
    return {"category": category} | ({"severity": levels.floored(int(words.value(said.score)))} if said else {})


def as_azure_error(error: RequestError, request_id: str) -> web.Response:
    """Their shape and their header, so that their client raises its own exception class."""
    status = _STATUS.get(error.http, error.http)
    code = _CODES.get(status, str(status))
    said = {"code": code, "message": f"{error.detail} {error.hint}".strip(), "details": []}
    if error.at:
        said["target"] = error.at
    headers = {**headers_for(error), "x-ms-error-code": code, "apim-request-id": request_id}
    return web.Response(
        status=status, body=orjson.dumps({"error": said}), content_type="application/json", headers=headers
    )


AZURE_ROUTES = [
    Endpoint(
        "POST",
        "/contentsafety/text:analyze",
        analyze_text,
        "Azure AI Content Safety, texts: its clients change one address.",
        roles=frozenset({Role.SUBMIT}),
        body=AnalyzeTextIn,
        example={"text": "A walk on the beach", "outputType": "FourSeverityLevels"},
        reply=AnalyzeTextOut,
        answers={
            200: "A severity a category; none where nobody looked",
            400: "InvalidRequestBody",
            401: "No valid key",
            404: "ResourceNotFound: a blocklist",
            429: "TooManyRequests: the key's rate_limit or daily_spend is used up",
            503: "ServerBusy: nobody answered, not everything was looked at, or overloaded",
        },
        problem=as_azure_error,
        refusal=AzureErrorOut,
        admitted=True,
    ),
    Endpoint(
        "POST",
        "/contentsafety/image:analyze",
        analyze_image,
        "Azure AI Content Safety, images by content or blobUrl.",
        roles=frozenset({Role.SUBMIT}),
        body=AnalyzeImageIn,
        example={"image": {"blobUrl": "https://example.com/photo.jpg"}},
        reply=AnalyzeImageOut,
        answers={
            200: "A severity a category; none where nobody looked",
            400: "InvalidRequestBody",
            401: "No valid key",
            429: "TooManyRequests: the key's rate_limit or daily_spend is used up",
            503: "ServerBusy: nobody answered, not everything was looked at, or overloaded",
        },
        problem=as_azure_error,
        refusal=AzureErrorOut,
        admitted=True,
    ),
]
