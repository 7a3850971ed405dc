"""Sieve (getsieve.dev), as its clients hear it.

Wire:    POST /v1/moderate/image with exactly one of `url` and `data` (a data URI), POST /v1/moderate/text with
         `content` or `text`, GET /v1/categories; key as Bearer or in X-API-Key
Says:    a category each with score, threshold and flagged; an action; the tier that answered
Source:  Sieve's Moderate Image page and docs (moderate-text, categories, quickstart, overview), read 2026-11. When it
         blocks rather than flags is not said: 0.9 is assumed. Codes of errors but rate_limit_exceeded are assumed
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from adapters.simulator.answer import Answer
from adapters.simulator.images import NotAPicture, Picture, from_data_address, look
from adapters.simulator.truth import Truth
from adapters.simulator.wire import Heard, Options, Refusal, Trouble, Vendor
from gateway.domain import Modality

OF_IMAGES = {"sexual": 0.8, "violence": 0.7, "hate_symbols": 0.7, "self_harm": 0.7, "drugs": 0.8, "gore": 0.7}
OF_TEXTS = {
    **{"toxicity": 0.7, "harassment": 0.7, "hate_speech": 0.7, "sexual": 0.8, "violence": 0.7, "self_harm": 0.7},
    "spam": 0.8,
}
ALSO_IN_QUICKSTART = {"threat": 0.6, "profanity": 0.8}
CONTEXTS = ("default", "username", "chat", "forum_post", "comment")
MOST_TEXT = 50_000
MOST_BYTES = 10 * 1000 * 1000
KINDS = ("jpeg", "png", "gif", "webp")
BLOCKS = 0.9


class SieveOptions(Options):
    """`speaks`: like the reference pages, or like the quickstart with its other names. `thresholds` of the account."""

    speaks: Literal["reference", "quickstart"] = "reference"
    thresholds: Mapping[str, float] = {}


class Simulated(Vendor):
    name = "sieve"
    routes: ClassVar[Mapping[str, str]] = {
        "/v1/moderate/image": "POST",
        "/v1/moderate/text": "POST",
        "/v1/categories": "GET",
    }
    documented: ClassVar[float] = 10.0  # of the free plan
    Settings: ClassVar[type[Options]] = SieveOptions
    options: SieveOptions
    kinds: ClassVar[Mapping[str, str]] = {
        "refused_key": "invalid_api_key",
        "forbidden": "forbidden",
        "quota": "quota_exceeded",
        "throttled": "rate_limit_exceeded",
        "rejected": "invalid_request",
        "not_found": "not_found",
        "too_large": "payload_too_large",
        "server_error": "internal_error",
        "overloaded": "service_unavailable",
    }
    troubles: ClassVar[Mapping[str, Trouble]] = {
        "invalid_request": Trouble(400, "The request is invalid."),
        "invalid_image": Trouble(400, "The image is not a JPEG, PNG, GIF or WebP."),
        "invalid_api_key": Trouble(401, "The API key is missing or invalid."),
        "quota_exceeded": Trouble(402, "The monthly quota of this plan is used up."),
        "forbidden": Trouble(403, "This plan does not include the endpoint."),
        "not_found": Trouble(404, "There is nothing at this address."),
        "payload_too_large": Trouble(413, "The image is larger than 10 MB."),
        "rate_limit_exceeded": Trouble(429, "Rate limit exceeded", retry_after=1),
        "internal_error": Trouble(500, "Internal error"),
        "service_unavailable": Trouble(503, "Service unavailable"),
    }

    def answer(self, heard: Heard) -> Answer:
        if not self.takes(heard.bearer or heard.headers.get("X-API-Key", "")):
            raise Refusal("invalid_api_key")
        if heard.path == "/v1/categories":
            return Answer(200, {"categories": [self.category(*row) for row in self.of_texts().items()]})
        try:
            asked = heard.json
        except ValueError:
            raise Refusal("invalid_request", "The body is not JSON.") from None
        if not isinstance(asked, dict):
            raise Refusal("invalid_request", "The body is not an object.")
        return Answer(200, self.image(heard, asked) if heard.path.endswith("image") else self.text(heard, asked))

    def image(self, heard: Heard, asked: Mapping[str, Any]) -> dict[str, Any]:
        address, data = asked.get("url"), asked.get("data")
        if (address is None) == (data is None):
            raise Refusal("invalid_request", "Exactly one of 'url' and 'data' is needed.")
        truth = self.shown(heard, _opened(data)) if data is not None else self.pointed_to(heard, str(address))
        if truth is None:
            raise Refusal("invalid_image", "The image could not be downloaded.")
        wanted = asked.get("categories") or list(OF_IMAGES)
        if not isinstance(wanted, list) or not set(map(str, wanted)) <= OF_IMAGES.keys():
            raise Refusal("invalid_request", f"'categories' is a list of {', '.join(OF_IMAGES)}.")
        thresholds = {name: limit for name, limit in OF_IMAGES.items() if name in wanted}
        return self.verdict(heard, truth, Modality.IMAGE, thresholds, tier=2)

    def text(self, heard: Heard, asked: Mapping[str, Any]) -> dict[str, Any]:
        text = asked.get("content", asked.get("text"))
        if not isinstance(text, str) or not text:
            raise Refusal("invalid_request", "'content' is the text to moderate.")
        if len(text) > MOST_TEXT:
            raise Refusal("invalid_request", f"The text has {len(text)} characters; at most {MOST_TEXT} are taken.")
        if asked.get("context", "default") not in CONTEXTS:
            raise Refusal("invalid_request", f"'context' is one of {', '.join(CONTEXTS)}.")
        return self.verdict(heard, self.told(heard, text), Modality.TEXT, self.of_texts(), tier=1)

    def of_texts(self) -> dict[str, float]:
        return OF_TEXTS | ALSO_IN_QUICKSTART if self.options.speaks == "quickstart" else OF_TEXTS

    def verdict(
        self, heard: Heard, truth: Truth, seen: Modality, thresholds: Mapping[str, float], tier: int
    ) -> dict[str, Any]:
        known = OF_IMAGES if seen is Modality.IMAGE else self.of_texts()
        said = self.words.all(truth, seen, known)
        scores = {name: score for name, score in said.items() if name in thresholds or name not in known}
        limits = {**dict.fromkeys(scores, 0.7), **thresholds, **self.options.thresholds}
        categories = {
            name: {"score": score, "threshold": limits[name], "flagged": score >= limits[name]}
            for name, score in scores.items()
        }
        over = [score for name, score in scores.items() if score >= limits[name]]
        action = "allow" if not over else "block" if max(over) >= BLOCKS else "flag"
        took = 100 + heard.digest[0]
        if self.options.speaks == "quickstart":
            return {
                **{"id": f"mod_r_{heard.token(6)}", "flagged": bool(over), "action": action, "tier_used": tier},
                **{"latency_ms": took, "categories": categories},
                "metadata": {"pipeline_mode": "general", "shadow_validated": True},
            }
        return {
            **{"request_id": f"req_{heard.token(6)}", "action": action, "flagged": bool(over)},
            **{"categories": categories, "pipeline_tier": tier, "latency_ms": took},
        }

    def category(self, name: str, threshold: float) -> dict[str, Any]:
        own = self.options.thresholds.get(name, threshold)
        return {
            **{"name": name, "description": name.replace("_", " ").capitalize(), "default_threshold": threshold},
            **{"threshold": own, "enabled": True},
        }

    def apology(self, code: str, trouble: Trouble, heard: Heard) -> Answer:
        return Answer(trouble.status, {"error": {"code": code, "message": trouble.message}})


def _opened(data: Any) -> Picture:
    if not isinstance(data, str) or not data.startswith("data:image/"):
        raise Refusal("invalid_request", "'data' is a data URI, its prefix included.")
    try:
        held = from_data_address(data)
        if len(held) > MOST_BYTES:
            raise Refusal("payload_too_large")
        picture = look(held)
    except NotAPicture:
        raise Refusal("invalid_image") from None
    if picture.kind not in KINDS:
        raise Refusal("invalid_image")
    return picture
