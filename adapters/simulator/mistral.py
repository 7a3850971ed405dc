"""Mistral moderation, as its clients hear it.

Wire:    POST /v1/moderations, a text or a list with a result each; POST /v1/chat/moderations, of which the last turn is
         judged. Bearer key
Says:    every category of its model, 0..1, with no `flagged`: eleven in 2603, nine in 2411
Source:  docs.mistral.ai and the types of mistralai/client-python 2.5.1, read 2026-11; errors as quoted in
         Gitlawb/openclaude#739, raycast/extensions#31107 and coolcline/CoolCline#36
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from adapters.simulator.answer import Answer
from adapters.simulator.wire import Heard, Refusal, Trouble, Vendor
from gateway.domain import Modality

_COMMON = ("sexual", "hate_and_discrimination", "violence_and_threats")
_REST = ("selfharm", "health", "financial", "law", "pii")
OF_2603 = (*_COMMON, "dangerous", "criminal", *_REST, "jailbreaking")
OF_2411 = (*_COMMON, "dangerous_and_criminal_content", *_REST)
MODELS = {
    "mistral-moderation-2603": OF_2603,
    "mistral-moderation-2411": OF_2411,
    "mistral-moderation-latest": OF_2411,  # what it still was in 2026-11
}
LATEST = "mistral-moderation-2411"
THRESHOLD = 0.5  # of `categories`; theirs are not published


class Simulated(Vendor):
    name = "mistral"
    routes: ClassVar[Mapping[str, str]] = {"/v1/moderations": "POST", "/v1/chat/moderations": "POST"}
    at_root = False  # there /v1/moderations is OpenAI's
    kinds: ClassVar[Mapping[str, str]] = {
        "refused_key": "unauthorized",
        "forbidden": "unauthorized",
        "quota": "no_subscription",
        "throttled": "rate_limited",
        "rejected": "validation",
        "not_found": "not_found",
        "too_large": "prompt_too_large",
        "server_error": "internal_server_error",
        "overloaded": "service_unavailable",
    }
    troubles: ClassVar[Mapping[str, Trouble]] = {
        "invalid_model": Trouble(400, "", extra={"code": "1500"}),
        "prompt_too_large": Trouble(
            400, "Prompt is too large for the model", "invalid_request_error", extra={"code": "3051"}
        ),
        "unauthorized": Trouble(401, "Unauthorized"),
        "no_subscription": Trouble(402, "Check your subscription on https://admin.mistral.ai/subscription"),
        "not_found": Trouble(404, "Not Found"),
        "validation": Trouble(422, "Input should be a valid string", extra={"loc": ["body", "input"]}),
        "rate_limited": Trouble(429, "Rate limit exceeded", extra={"code": "1300"}),
        "service_tier_capacity_exceeded": Trouble(
            429, "Service tier capacity exceeded for this model.", extra={"code": "3505"}
        ),
        "internal_server_error": Trouble(500, "Internal server error", extra={"code": "1000"}),
        "service_unavailable": Trouble(503, "Service unavailable.", "internal_server_error", extra={"code": "1100"}),
    }

    def answer(self, heard: Heard) -> Answer:
        if not self.takes(heard.bearer):
            raise Refusal("unauthorized")
        try:
            asked = heard.json
        except ValueError:
            raise Refusal("validation", "JSON decode error", loc=["body"]) from None
        if not isinstance(asked, dict) or "model" not in asked:
            raise Refusal("validation", "Field required", loc=["body", "model"])
        model = asked["model"]
        if not isinstance(model, str) or model not in MODELS:
            raise Refusal("invalid_model", f"Invalid model: {str(model)[:100]}")
        texts = _turns(asked.get("input")) if "chat" in heard.path else _texts(asked.get("input"))
        results = [self.result(heard, text, MODELS[model]) for text in texts]
        said = LATEST if model.endswith("latest") else model
        return Answer(200, {"id": heard.token(), "model": said, "results": results}, self.headers(heard))

    def result(self, heard: Heard, text: str, labels: tuple[str, ...]) -> dict[str, Any]:
        scores = self.words.all(self.told(heard, text), Modality.TEXT, labels)
        return {"categories": {label: score >= THRESHOLD for label, score in scores.items()}, "category_scores": scores}

    def apology(self, code: str, trouble: Trouble, heard: Heard) -> Answer:
        """In one of three shapes: the validator's, the front door's, the model server's."""
        said: dict[str, Any]
        if code == "validation":
            said = {"detail": [{"type": "value_error", "msg": trouble.message, "input": None, **trouble.extra}]}
        elif code == "unauthorized":
            said = {"message": trouble.message, "request_id": heard.token()}
        elif "code" not in trouble.extra:
            said = {"detail": trouble.message}
        else:
            said = {"object": "error", "message": trouble.message, "type": trouble.type or code, "param": None}
            said |= {**trouble.extra, "raw_status_code": trouble.status}
        return Answer(trouble.status, said, self.headers(heard))

    def headers(self, heard: Heard) -> dict[str, str | None]:
        return {"mistral-correlation-id": heard.uuid}


def _texts(given: Any) -> list[str]:
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise Refusal("validation")
    return texts


def _turns(given: Any) -> list[str]:
    """The last turn of a conversation, or of each of several."""
    several = given if isinstance(given, list) and given and isinstance(given[0], list) else [given]
    try:
        return _texts([turns[-1]["content"] for turns in several])
    except (TypeError, LookupError):
        raise Refusal("validation", "Input should be a list of messages") from None
