"""Claude as a classifier, as its clients hear it: it calls the tool it has to call, with a number for each property.

Wire:    POST /v1/messages with x-api-key and anthropic-version; images as base64 or by address, up to 5 MiB of base64
         and 8,000 pixels a side
Says:    a tool_use block. `anthropic_vision:refusal=1` in a marker or a script makes it refuse
Source:  platform.claude.com (messages, errors, vision, stop reasons), read 2026-11; errors as quoted in
         anthropics/claude-code#8647 and #66314
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from adapters.simulator.answer import Answer
from adapters.simulator.images import NotAPicture, decoded, look
from adapters.simulator.truth import Truth
from adapters.simulator.wire import Heard, Refusal, Trouble, Vendor
from gateway.domain import Modality

KINDS = ("jpeg", "png", "gif", "webp")
MOST_BASE64 = 5_242_880
MOST_SIDE = 8000
MOST_BODY = 32 * 1024 * 1024
MOST_IMAGES = 100
TOKENS_EACH = 9  # that a label and its number take in an answer
REFUSES = "refusal"

_INVALID = "invalid_request_error"
_CREDIT = (
    "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade or purchase "
    "credits."
)


class Simulated(Vendor):
    name = "anthropic_vision"
    routes: ClassVar[Mapping[str, str]] = {"/v1/messages": "POST"}
    kinds: ClassVar[Mapping[str, str]] = {
        "refused_key": "authentication_error",
        "forbidden": "permission_error",
        "quota": "credit_balance_too_low",
        "throttled": "rate_limit_error",
        "rejected": _INVALID,
        "not_found": "not_found_error",
        "too_large": "request_too_large",
        "server_error": "api_error",
        "overloaded": "overloaded_error",
    }
    troubles: ClassVar[Mapping[str, Trouble]] = {
        _INVALID: Trouble(400, "messages: Field required"),
        "credit_balance_too_low": Trouble(400, _CREDIT, _INVALID),
        "authentication_error": Trouble(401, "invalid x-api-key"),
        "billing_error": Trouble(402, "There is an issue with your billing or payment information."),
        "permission_error": Trouble(403, "Your API key does not have permission to use the specified resource."),
        "not_found_error": Trouble(404, "Not found"),
        "request_too_large": Trouble(413, "Request exceeds the maximum size"),
        "rate_limit_error": Trouble(
            429, "This request would exceed your account's rate limit. Please try again later.", retry_after=1
        ),
        "api_error": Trouble(500, "Internal server error"),
        "overloaded_error": Trouble(529, "Overloaded"),
    }

    def answer(self, heard: Heard) -> Answer:
        asked = self.checked(heard)
        parts = asked["messages"][-1]["content"]
        parts = [{"type": "text", "text": parts}] if isinstance(parts, str) else parts
        if sum(isinstance(part, dict) and part.get("type") == "image" for part in parts) > MOST_IMAGES:
            raise Refusal(_INVALID, f"messages.0.content: at most {MOST_IMAGES} images are taken")
        looked = [self.part(heard, part, place) for place, part in enumerate(parts)]
        if any(truth.own.get(self.name, {}).get(REFUSES) for _, truth in looked):
            details = {"type": "refusal", "category": None, "explanation": "This request was declined."}
            return self.message(heard, asked, [], "refusal", stop_details=details)
        tool = _forced(asked)
        if tool is None:
            return self.message(heard, asked, [{"type": "text", "text": "I was given no tool."}], "end_turn")
        scores = self.scores(looked, tool)
        if TOKENS_EACH * len(scores) > asked["max_tokens"]:
            return self.message(heard, asked, [], "max_tokens")
        used = {"type": "tool_use", "id": f"toolu_{heard.token(24)}", "name": tool["name"], "input": scores}
        return self.message(heard, asked, [used], "tool_use")

    def checked(self, heard: Heard) -> Mapping[str, Any]:
        key = heard.headers.get("x-api-key", "")
        if not self.takes(key):
            raise Refusal("authentication_error", "" if key else "x-api-key header is required")
        if "anthropic-version" not in heard.headers:
            raise Refusal(_INVALID, "anthropic-version: header is required")
        if len(heard.body) > MOST_BODY:
            raise Refusal("request_too_large")
        try:
            asked = heard.json
        except ValueError:
            raise Refusal(_INVALID, "The request body is not valid JSON") from None
        for name, kind in (("model", str), ("max_tokens", int), ("messages", list)):
            if not isinstance(asked, dict) or not isinstance(asked.get(name), kind) or not asked[name]:
                raise Refusal(_INVALID, f"{name}: Field required")
        turn = asked["messages"][-1]
        if not isinstance(turn, dict) or not isinstance(turn.get("content"), str | list):
            raise Refusal(_INVALID, "messages.0.content: Field required")
        if not asked["model"].startswith("claude-"):
            raise Refusal("not_found_error", f"model: {asked['model'][:100]}")
        return dict(asked)

    def part(self, heard: Heard, part: Any, place: int) -> tuple[Modality, Truth]:
        match part:
            case {"type": "text", "text": str(text)} if text:
                return Modality.TEXT, self.told(heard, text)
            case {"type": "image", "source": {"type": "base64", "media_type": str(kind), "data": str(data)}}:
                return Modality.IMAGE, self.picture(
                    heard, kind, data, f"messages.0.content.{place}.image.source.base64"
                )
            case {"type": "image", "source": {"type": "url", "url": str(address)}}:
                truth = self.pointed_to(heard, address)
                if truth is None:
                    raise Refusal(_INVALID, "Unable to download the file. Please verify the URL and try again.")
                return Modality.IMAGE, truth
        raise Refusal(_INVALID, f"messages.0.content.{place}: Input should be a text or an image")

    def picture(self, heard: Heard, kind: str, data: str, where: str) -> Truth:
        if len(data) > MOST_BASE64:
            raise Refusal(_INVALID, f"{where}: image exceeds 5 MB maximum: {len(data)} bytes > {MOST_BASE64} bytes")
        try:
            picture = look(decoded(data))
        except NotAPicture:
            raise Refusal(_INVALID, "Could not process image") from None
        if picture.kind not in KINDS or f"image/{picture.kind}" != kind:
            raise Refusal(_INVALID, f"{where}: The image appears to be a image/{picture.kind} image, not {kind[:40]}")
        if max(picture.width, picture.height) > MOST_SIDE:
            message = f"At least one of the image dimensions exceed max allowed size: {MOST_SIDE} pixels"
            raise Refusal(_INVALID, f"{where}.data: {message}")
        return self.shown(heard, picture)

    def scores(self, looked: list[tuple[Modality, Truth]], tool: Mapping[str, Any]) -> dict[str, float]:
        """A number for every property of the tool's input, in tenths, and for one that it makes up."""
        labels = frozenset(tool["input_schema"]["properties"])
        found = dict.fromkeys(tool["input_schema"]["properties"], 0.0)
        for seen, truth in looked:
            for label, score in {**self.words.named(truth, seen, labels), **truth.own.get(self.name, {})}.items():
                found[label] = max(found.get(label, 0.0), round(score, 1))
        return found

    def message(
        self, heard: Heard, asked: Mapping[str, Any], content: list[dict[str, Any]], ended: str, **more: Any
    ) -> Answer:
        document = {
            **{"id": f"msg_{heard.token(24)}", "type": "message", "role": "assistant", "model": asked["model"]},
            **{"content": content, "stop_reason": ended, "stop_sequence": None, **more},
            "usage": {"input_tokens": 1650, "output_tokens": 231},
        }
        return Answer(200, document, self.headers(heard))

    def apology(self, code: str, trouble: Trouble, heard: Heard) -> Answer:
        error = {"type": trouble.type or code, "message": trouble.message}
        said = {"type": "error", "error": error, "request_id": f"req_{heard.token(24)}"}
        return Answer(trouble.status, said, self.headers(heard))

    def headers(self, heard: Heard) -> dict[str, str | None]:
        return {"request-id": f"req_{heard.token(24)}"}


def _forced(asked: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The tool it has to call; None where it is given none that takes an object of properties."""
    match asked.get("tool_choice"):
        case {"type": "tool", "name": str(name)}:
            tools = asked.get("tools")
            return next((tool for tool in tools if _takes(tool, name)), None) if isinstance(tools, list) else None
    return None


def _takes(tool: Any, name: str) -> bool:
    match tool:
        case {"name": str(own), "input_schema": {"properties": dict()}}:
            return own == name
    return False
