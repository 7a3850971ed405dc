"""Google Cloud Vision, as its clients hear it: SafeSearch alone.

Wire:    POST /v1/images:annotate, or below a project and a place; key in X-Goog-Api-Key or ?key=, or an OAuth token;
         up to 16 images, as base64 or by address
Says:    five labels in likelihoods. What is wrong with one image is an error inside a 200
Source:  cloud.google.com/vision/docs, the types of google-cloud-vision 3.16, google/rpc/code.proto, read 2026-11
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from adapters.simulator.answer import Answer
from adapters.simulator.images import NotAPicture, decoded, look
from adapters.simulator.truth import Truth
from adapters.simulator.wire import Heard, Refusal, Trouble, Vendor
from gateway.domain import Modality

LABELS = ("adult", "spoof", "medical", "violence", "racy")
LIKELIHOODS = ("UNKNOWN", "VERY_UNLIKELY", "UNLIKELY", "POSSIBLE", "LIKELY", "VERY_LIKELY")
FEATURE = "SAFE_SEARCH_DETECTION"
MOST_IMAGES = 16
MOST_BYTES = 20 * 1024 * 1024  # of a file
MOST_BODY = 10_485_760

_BAD_DATA = {"code": 3, "message": "Bad image data."}
_NO_ACCESS = {
    "code": 7,
    "message": "We're not allowed to access the URL on your behalf. Please download the content and pass it in.",
}
_INVALID = "INVALID_ARGUMENT"


class Simulated(Vendor):
    name = "google_vision"
    routes: ClassVar[Mapping[str, str]] = {r"/v1(/projects/[^/]+(/locations/[^/]+)?)?/images:annotate": "POST"}
    documented: ClassVar[float] = 1800 / 60
    kinds: ClassVar[Mapping[str, str]] = {
        "refused_key": "API_KEY_INVALID",
        "forbidden": "SERVICE_DISABLED",
        "quota": "BILLING_DISABLED",
        "throttled": "RATE_LIMIT_EXCEEDED",
        "rejected": _INVALID,
        "not_found": "NOT_FOUND",
        "too_large": "PAYLOAD_TOO_LARGE",
        "server_error": "INTERNAL",
        "overloaded": "UNAVAILABLE",
    }
    troubles: ClassVar[Mapping[str, Trouble]] = {  # those with a type have their own name as the reason in `details`
        _INVALID: Trouble(400, "Request contains an invalid argument."),
        "API_KEY_INVALID": Trouble(400, "API key not valid. Please pass a valid API key.", _INVALID),
        "PAYLOAD_TOO_LARGE": Trouble(400, f"Request payload size exceeds the limit: {MOST_BODY} bytes.", _INVALID),
        "ACCESS_TOKEN_EXPIRED": Trouble(401, "Request had invalid authentication credentials.", "UNAUTHENTICATED"),
        "CREDENTIALS_MISSING": Trouble(
            401, "Request is missing required authentication credential.", "UNAUTHENTICATED"
        ),
        "SERVICE_DISABLED": Trouble(
            403, "Cloud Vision API has not been used in this project before or it is disabled.", "PERMISSION_DENIED"
        ),
        "BILLING_DISABLED": Trouble(403, "This API method requires billing to be enabled.", "PERMISSION_DENIED"),
        "NOT_FOUND": Trouble(404, "Requested entity was not found."),
        "RATE_LIMIT_EXCEEDED": Trouble(
            429,
            "Quota exceeded for quota metric 'Requests' and limit 'Requests per minute'.",
            "RESOURCE_EXHAUSTED",
        ),
        "INTERNAL": Trouble(500, "Internal error encountered."),
        "UNIMPLEMENTED": Trouble(501, "Operation is not implemented, or supported, or enabled."),
        "UNAVAILABLE": Trouble(503, "The service is currently unavailable."),
        "DEADLINE_EXCEEDED": Trouble(504, "Deadline exceeded."),
    }

    def answer(self, heard: Heard) -> Answer:
        self.check_sign_in(heard)
        if len(heard.body) > MOST_BODY:
            raise Refusal("PAYLOAD_TOO_LARGE")
        try:
            asked = heard.json["requests"]
        except (ValueError, TypeError, KeyError):
            raise Refusal(_INVALID, "Invalid JSON payload received.") from None
        if not isinstance(asked, list) or not asked:
            raise Refusal(_INVALID, "Request must specify at least one image.")
        if len(asked) > MOST_IMAGES:
            raise Refusal(_INVALID, f"Too many images per request: {len(asked)}, at most {MOST_IMAGES}.")
        return Answer(200, {"responses": [self.one(heard, each) for each in asked]}, self.headers(heard))

    def check_sign_in(self, heard: Heard) -> None:
        key = heard.headers.get("X-Goog-Api-Key", "") or heard.query.get("key", "")
        if not key and not heard.bearer:
            raise Refusal("CREDENTIALS_MISSING")
        if not self.takes(key or heard.bearer):
            raise Refusal("API_KEY_INVALID" if key else "ACCESS_TOKEN_EXPIRED")

    def one(self, heard: Heard, asked: Any) -> dict[str, Any]:
        if not isinstance(asked, dict) or not isinstance(asked.get("image"), dict):
            raise Refusal(_INVALID, "Invalid value at 'requests': each has an image and features.")
        features = asked.get("features")
        if not isinstance(features, list) or [_type_of(feature) for feature in features] != [FEATURE]:
            raise Refusal("UNIMPLEMENTED", f"simulator: of the features only {FEATURE} is simulated")
        content, source = asked["image"].get("content"), asked["image"].get("source") or {}
        if content:
            return self.sent(heard, content)
        address = source.get("imageUri") or source.get("gcsImageUri") if isinstance(source, dict) else None
        truth = self.pointed_to(heard, str(address))
        return {"safeSearchAnnotation": self.likelihoods(truth)} if truth else {"error": _NO_ACCESS}

    def sent(self, heard: Heard, content: Any) -> dict[str, Any]:
        try:
            data = decoded(content if isinstance(content, str) else "!")
            picture = look(data)
        except NotAPicture:
            return {"error": _BAD_DATA}
        if len(data) > MOST_BYTES:
            return {"error": _BAD_DATA}
        return {"safeSearchAnnotation": self.likelihoods(self.shown(heard, picture))}

    def likelihoods(self, truth: Truth) -> dict[str, str]:
        steps = self.words.all(truth, Modality.IMAGE, LABELS)
        return {label: LIKELIHOODS[min(5, max(0, int(step)))] for label, step in steps.items()}

    def apology(self, code: str, trouble: Trouble, heard: Heard) -> Answer:
        error: dict[str, Any] = {"code": trouble.status, "message": trouble.message, "status": trouble.type or code}
        if trouble.type:
            kind = "type.googleapis.com/google.rpc.ErrorInfo"
            error["details"] = [{"@type": kind, "reason": code, "domain": "googleapis.com"}]
        return Answer(trouble.status, {"error": error}, self.headers(heard))

    def headers(self, heard: Heard) -> dict[str, str | None]:
        return {"Vary": "X-Origin, Referer, Origin,Accept-Encoding", "X-Content-Type-Options": "nosniff"}


def _type_of(feature: Any) -> Any:
    return feature.get("type") if isinstance(feature, dict) else None
