"""Azure AI Content Safety, as its clients hear it.

Wire:    POST /contentsafety/text:analyze and image:analyze with ?api-version, key in Ocp-Apim-Subscription-Key
Says:    Hate, SelfHarm, Sexual, Violence in that order: severity 0..7 of a text where eight levels are asked for, else
         0, 2, 4 or 6; hits on a blocklist of the script's. Errors come in two styles: the service's words with
         x-ms-error-code, and the front door's status once more as text
Source:  contentsafety.json 2024-09-01 of Azure/azure-rest-api-specs, learn.microsoft.com (response codes, harm
         categories), read 2026-11; messages as quoted in code-dot-org/code-dot-org#72099 and #72152
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar
from uuid import NAMESPACE_OID, uuid5

from adapters.simulator.answer import Answer
from adapters.simulator.images import NotAPicture, Picture, decoded, look
from adapters.simulator.truth import Truth
from adapters.simulator.wire import Heard, Options, Refusal, Trouble, Vendor
from gateway.domain import Modality

LABELS = ("Hate", "SelfHarm", "Sexual", "Violence")
STABLE = ("2023-10-01", "2024-09-01")
MOST_TEXT = 10_000  # code points
MOST_BYTES = 4_194_304
LEAST_SIDE, MOST_SIDE = 50, 7200
FOUR, EIGHT = "FourSeverityLevels", "EightSeverityLevels"

_BODY = "InvalidRequestBody"
_DENIED = (
    "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key for an "
    "active subscription and use a correct regional API endpoint for your resource."
)
_RATE = (
    "Requests to the ContentSafety Operation under this API have exceeded rate limit of your current pricing tier. "
    "Please retry after 1 second."
)
_NO_IMAGE = "You should provide [content] or [blobUrl] of the image, please check your request body."
_FORMAT = "The image format is not supported. Please double check the API definition."


class AzureOptions(Options):
    """`blocklists` are the resource's, by name: a text that holds one of the items is a hit, letter case apart."""

    blocklists: Mapping[str, tuple[str, ...]] = {}


class Simulated(Vendor):
    name = "azure_content_safety"
    routes: ClassVar[Mapping[str, str]] = {r"/contentsafety/(text|image):analyze": "POST"}
    documented: ClassVar[float] = 5.0  # of the free tier, F0
    Settings: ClassVar[type[Options]] = AzureOptions
    options: AzureOptions
    kinds: ClassVar[Mapping[str, str]] = {
        "refused_key": "401",
        "forbidden": "403",
        "quota": "403",
        "throttled": "429",
        "rejected": _BODY,
        "not_found": "404",
        "too_large": "413",
        "server_error": "InternalError",
        "overloaded": "ServerBusy",
    }
    troubles: ClassVar[Mapping[str, Trouble]] = {
        _BODY: Trouble(400, "The request body is invalid."),
        "InvalidResourceName": Trouble(400, "The name of the blocklist is invalid."),
        "ResourceNotFound": Trouble(404, "The requested blocklist does not exist."),
        "TooManyRequests": Trouble(429, "The requests have exceeded the rate limit of your current tier."),
        "InternalError": Trouble(500, "An unexpected situation occurred on the server."),
        "ServerBusy": Trouble(503, "The server cannot process the request temporarily."),
        "401": Trouble(401, _DENIED),
        "403": Trouble(403, "Public access is disabled. Please configure private endpoint."),
        "404": Trouble(404, "Resource not found"),
        "413": Trouble(413, "The request body is too large."),
        "429": Trouble(429, _RATE, retry_after=1),
    }

    def answer(self, heard: Heard) -> Answer:
        if not self.takes(heard.headers.get("Ocp-Apim-Subscription-Key", "") or heard.bearer):
            raise Refusal("401")
        version = heard.query.get("api-version", "")
        if version not in STABLE and not re.fullmatch(r"\d{4}-\d\d-\d\d-preview", version):
            raise Refusal("404")
        try:
            asked = heard.json
        except ValueError:
            raise Refusal(_BODY, "The request body is not valid JSON.") from None
        if not isinstance(asked, dict):
            raise Refusal(_BODY)
        document = self.of_text(heard, asked) if "text:" in heard.path else self.of_image(heard, asked)
        return Answer(200, document, self.headers(heard))

    def of_text(self, heard: Heard, asked: Mapping[str, Any]) -> dict[str, Any]:
        text = asked.get("text")
        if not isinstance(text, str) or not text:
            raise Refusal(_BODY, "The field [text] is required, please check your request body.")
        if len(text) > MOST_TEXT:
            message = (
                f"The given text has {len(text)} characters and exceeds the maximum limit of {MOST_TEXT} characters."
            )
            raise Refusal(_BODY, message)
        levels = _one_of(asked.get("outputType", FOUR), (FOUR, EIGHT))
        wanted = _wanted(asked)
        hits = self.hits(asked, text)
        halted = bool(hits) and asked.get("haltOnBlocklistHit") is True
        truth = self.told(heard, text)
        analysis = [] if halted else self.analysis(truth, Modality.TEXT, wanted, levels == EIGHT)
        return {"blocklistsMatch": hits, "categoriesAnalysis": analysis}

    def of_image(self, heard: Heard, asked: Mapping[str, Any]) -> dict[str, Any]:
        _one_of(asked.get("outputType", FOUR), (FOUR,))
        wanted = _wanted(asked)
        image = asked.get("image")
        content, blob = (image.get("content"), image.get("blobUrl")) if isinstance(image, dict) else (None, None)
        if bool(content) == bool(blob):
            raise Refusal(_BODY, _NO_IMAGE)
        if blob:
            truth = self.pointed_to(heard, str(blob))
            if truth is None:
                raise Refusal(_BODY, "The blob cannot be accessed with the managed identity of the resource.")
        else:
            truth = self.shown(heard, _picture(content))
        return {"categoriesAnalysis": self.analysis(truth, Modality.IMAGE, wanted, eight=False)}

    def analysis(self, truth: Truth, seen: Modality, wanted: tuple[str, ...], eight: bool) -> list[dict[str, Any]]:
        """Severities, in the service's own order. Four levels are eight with the odd ones floored."""
        said = {label: int(value) for label, value in self.words.all(truth, seen, LABELS).items()}
        return [
            {"category": label, "severity": severity if eight else severity & ~1}
            for label, severity in said.items()
            if label in wanted or label not in LABELS
        ]

    def hits(self, asked: Mapping[str, Any], text: str) -> list[dict[str, str]]:
        names = asked.get("blocklistNames") or []
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise Refusal(_BODY, "The field [blocklistNames] is a list of names.")
        if any(name not in self.options.blocklists for name in names):
            raise Refusal("ResourceNotFound")
        found = [
            (name, item) for name in names for item in self.options.blocklists[name] if item.lower() in text.lower()
        ]
        return [
            {
                "blocklistName": name,
                "blocklistItemId": str(uuid5(NAMESPACE_OID, f"{name}/{item}")),
                "blocklistItemText": item[:128],
            }
            for name, item in found
        ]

    def apology(self, code: str, trouble: Trouble, heard: Heard) -> Answer:
        error: dict[str, Any] = {"code": code, "message": trouble.message}
        headers = self.headers(heard)
        if not code.isdecimal():
            error["details"] = []
            headers["x-ms-error-code"] = code
        return Answer(trouble.status, {"error": error}, headers)

    def headers(self, heard: Heard) -> dict[str, str | None]:
        return {"apim-request-id": heard.uuid, "x-ms-region": "East US"}


def _wanted(asked: Mapping[str, Any]) -> tuple[str, ...]:
    categories = asked.get("categories") or LABELS
    for category in categories if isinstance(categories, list | tuple) else (None,):
        _one_of(category, LABELS)
    return tuple(categories)


def _one_of(given: Any, known: tuple[str, ...]) -> str:
    if given not in known:
        raise Refusal(_BODY, f"The value {str(given)[:50]!r} is not one of {', '.join(known)}.")
    return str(given)


def _picture(content: Any) -> Picture:
    try:
        data = decoded(content if isinstance(content, str) else "!")
    except NotAPicture:
        raise Refusal(_BODY, "The field [content] is not valid base64.") from None
    if len(data) > MOST_BYTES:
        raise Refusal(
            _BODY, f"The given image is {len(data)} bytes and exceeds the maximum limit of {MOST_BYTES} bytes (4MB)."
        )
    try:
        picture = look(data)
    except NotAPicture:
        raise Refusal(_BODY, _FORMAT) from None
    for name, pixels in (("height", picture.height), ("width", picture.width)):
        given = f"The {name} of given image is {pixels} pixels and is"
        if pixels > MOST_SIDE:
            raise Refusal(_BODY, f"{given} greater than the maximum allowed of {MOST_SIDE} pixels.")
        if pixels < LEAST_SIDE:
            raise Refusal(_BODY, f"{given} less than the minimum allowed of {LEAST_SIDE} pixels.")
    return picture
