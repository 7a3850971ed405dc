"""OpenAI moderation, as its clients hear it.

Wire:    POST /v1/moderations: a text, a list of texts with a result each, or parts that are judged together, at most
         one image among them. Legacy models text-moderation-* know eleven labels and no applied types
Says:    thirteen labels 0..1; an image alone leaves the applied types of the seven that see only text empty
Source:  openapi.yaml of openai/openai-openapi, the moderation guide and the error code guide, read 2026-11; errors as
         people have quoted them: antiwork/gumroad#4709, #4741 and #5007, CosmosShadow/gptpdf#6
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from adapters.simulator.answer import Answer
from adapters.simulator.images import NotAPicture, Picture, from_data_address, look
from adapters.simulator.truth import Truth
from adapters.simulator.wire import Heard, Refusal, Trouble, Vendor
from gateway.domain import Modality

LABELS = (
    *("harassment", "harassment/threatening", "sexual", "hate", "hate/threatening", "illicit", "illicit/violent"),
    *("self-harm/intent", "self-harm/instructions", "self-harm", "sexual/minors", "violence", "violence/graphic"),
)
IN_IMAGES = frozenset(
    ("sexual", "self-harm", "self-harm/intent", "self-harm/instructions", "violence", "violence/graphic")
)
OMNI = ("omni-moderation-latest", "omni-moderation-2024-09-26")
LEGACY = ("text-moderation-latest", "text-moderation-stable")
LEGACY_ANSWERS_AS = "text-moderation-007"
TIER_1 = 500 / 60  # requests a second
THRESHOLD = 0.5  # of `categories`; theirs are not published
MOST_BYTES = 20 * 1000 * 1000
KINDS = ("png", "jpeg", "gif", "webp")

_INVALID = "invalid_request_error"
_UNSUPPORTED = (
    "You uploaded an unsupported image. Please make sure your image is below 20 MB in size and is of one the following "
    "formats: ['png', 'jpeg', 'gif', 'webp']."
)
_QUOTA = "You exceeded your current quota, please check your plan and billing details."
_SPENT_CODES = (
    *("credit_balance_exhausted", "insufficient_quota", "organization_spend_limit_exceeded"),
    *("project_spend_limit_exceeded", "organization_usage_limit_exceeded"),
)
_SPENT = Trouble(429, _QUOTA, "insufficient_quota")

Looked = list[tuple[Modality, Truth]]


class Simulated(Vendor):
    name = "openai"
    routes: ClassVar[Mapping[str, str]] = {r"/v1/moderations": "POST"}
    models: ClassVar[tuple[str, ...]] = OMNI + LEGACY
    documented: ClassVar[float | None] = TIER_1
    kinds: ClassVar[Mapping[str, str]] = {
        "refused_key": "invalid_api_key",
        "forbidden": "unsupported_country_region_territory",
        "quota": "credit_balance_exhausted",
        "throttled": "rate_limit_exceeded",
        "rejected": "invalid_value",
        "not_found": "unknown_url",
        "too_large": "request_too_large",
        "server_error": "server_error",
        "overloaded": "server_is_overloaded",
    }
    troubles: ClassVar[Mapping[str, Trouble]] = {
        "invalid_value": Trouble(400, "Invalid value for 'input'.", _INVALID, extra={"param": "input"}),
        "missing_required_parameter": Trouble(400, "Missing required parameter: 'input'.", _INVALID),
        "too_many_images": Trouble(400, "", _INVALID, extra={"param": "input"}),
        "invalid_image_url": Trouble(400, "Failed to download image", _INVALID),
        "sanitizer_server_error": Trouble(400, _UNSUPPORTED, _INVALID),
        "invalid_api_key": Trouble(401, "", _INVALID),
        "unsupported_country_region_territory": Trouble(
            403, "Country, region, or territory not supported", "request_forbidden"
        ),
        "unknown_url": Trouble(404, "Unknown request URL. Please check the URL for typos.", _INVALID),
        "model_not_found": Trouble(404, "", _INVALID),
        "request_too_large": Trouble(413, "The request is too large.", _INVALID),
        "rate_limit_exceeded": Trouble(
            429, "Rate limit reached on requests per min (RPM). Please try again in 1s.", "requests", 1
        ),
        "slow_down": Trouble(
            429, "Your request rate increased too quickly. Reduce it and ramp up gradually.", "rate_limit_error", 2
        ),
        **dict.fromkeys(_SPENT_CODES, _SPENT),
        "server_error": Trouble(500, "Unexpected error", "server_error", extra={"code": None}),
        "server_is_overloaded": Trouble(
            503, "The server is currently overloaded. Please try again later.", "service_unavailable_error"
        ),
    }

    def answer(self, heard: Heard) -> Answer:
        self.check_key(heard)
        try:
            asked = heard.json
        except ValueError:
            raise Refusal("invalid_value", "We could not parse the JSON body of your request.", param=None) from None
        if not isinstance(asked, dict) or asked.get("input") is None:
            raise Refusal("missing_required_parameter", param="input")
        model = self.model(asked)
        results = [self.result(looked, model in LEGACY) for looked in self.looks(heard, asked["input"], model)]
        said = LEGACY_ANSWERS_AS if model in LEGACY else model
        document = {"id": f"modr-{heard.token()}", "model": said, "results": results}
        return Answer(200, document, self.headers(heard))

    def check_key(self, heard: Heard) -> None:
        key = heard.bearer
        if not key:
            message = "You didn't provide an API key. You need to provide your API key in an Authorization header."
            raise Refusal("invalid_api_key", message, code=None)
        if not self.takes(key):
            shown = f"{key[:3]}{'*' * max(3, len(key) - 7)}{key[-4:]}"  # as theirs does
            where = "You can find your API key at https://platform.openai.com/account/api-keys."
            raise Refusal("invalid_api_key", f"Incorrect API key provided: {shown}. {where}")

    def model(self, asked: Mapping[str, Any]) -> str:
        model = asked.get("model", self.models[0])
        if model not in self.models:
            message = f"The model `{str(model)[:100]}` does not exist or you do not have access to it."
            raise Refusal("model_not_found", message)
        return str(model)

    def looks(self, heard: Heard, given: Any, model: str) -> Iterable[Looked]:
        """For every result, what was looked at and what is true of it."""
        if isinstance(given, str):
            given = [given]
        if not isinstance(given, list) or not given or "" in given:
            raise Refusal("invalid_value", "Invalid type for 'input': expected text, or a list that is not empty.")
        if all(isinstance(part, str) for part in given):
            return [[(Modality.TEXT, self.told(heard, text))] for text in given]
        if model in LEGACY:
            raise Refusal("invalid_value", f"Invalid type for 'input': {model} takes text.")
        pictures = sum(isinstance(part, dict) and part.get("type") == "image_url" for part in given)
        if pictures > 1:
            raise Refusal("too_many_images", f"Number of images ({pictures}) exceeds maximum of 1")
        return [[self.part(heard, part, place) for place, part in enumerate(given)]]

    def part(self, heard: Heard, part: Any, place: int) -> tuple[Modality, Truth]:
        match part:
            case {"type": "text", "text": str(text)} if text:
                return Modality.TEXT, self.told(heard, text)
            case {"type": "image_url", "image_url": {"url": str(address)}} if address:
                return Modality.IMAGE, self.picture(heard, address)
        raise Refusal("invalid_value", f"Invalid value for 'input[{place}]'.", param=f"input[{place}]")

    def picture(self, heard: Heard, address: str) -> Truth:
        if address.startswith("data:"):
            return self.shown(heard, self.opened(address))
        truth = self.pointed_to(heard, address)
        if truth is None:
            raise Refusal("invalid_image_url", f"Error while downloading {address[:500]}.")
        return truth

    def opened(self, address: str) -> Picture:
        try:
            data = from_data_address(address)
            picture = look(data)
        except NotAPicture:
            raise Refusal("sanitizer_server_error") from None
        if len(data) > MOST_BYTES or picture.kind not in KINDS:
            raise Refusal("sanitizer_server_error")
        return picture

    def result(self, looked: Looked, legacy: bool) -> dict[str, Any]:
        """One verdict on everything that was looked at together."""
        scores: dict[str, float] = {}
        for seen, truth in looked:
            for label, score in self.words.all(truth, seen, LABELS).items():
                scores[label] = max(score, scores.get(label, 0.0))
        if legacy:
            scores = {label: score for label, score in scores.items() if not label.startswith("illicit")}
        kinds = [kind for kind in Modality if any(seen is kind for seen, _ in looked)]
        categories = {label: score >= THRESHOLD for label, score in scores.items()}
        result = {"flagged": any(categories.values()), "categories": categories, "category_scores": scores}
        if not legacy:
            result["category_applied_input_types"] = {
                label: [kind for kind in kinds if kind is Modality.TEXT or label in IN_IMAGES] for label in scores
            }
        return result

    def apology(self, code: str, trouble: Trouble, heard: Heard) -> Answer:
        error = {"message": trouble.message, "type": trouble.type, "param": None, "code": code, **trouble.extra}
        headers = self.headers(heard)
        if trouble.status == 401:
            headers = {"x-request-id": headers["x-request-id"]}
        elif trouble.status == 429:
            headers["x-ratelimit-remaining-requests"] = "0"
        return Answer(trouble.status, {"error": error}, headers)

    def headers(self, heard: Heard) -> dict[str, str | None]:
        limit = round((self.allowance(heard)[1] or TIER_1) * 60)
        return {
            "x-request-id": f"req_{heard.token()}",
            "openai-version": "2020-10-01",
            "openai-processing-ms": str(80 + heard.digest[0] % 100),
            "openai-organization": "org-simulated",
            "x-ratelimit-limit-requests": str(limit),
            "x-ratelimit-remaining-requests": str(limit - 1 if heard.spare is None else heard.spare),
            "x-ratelimit-reset-requests": "120ms",
        }
