"""Llama Guard on a server that speaks OpenAI's chat dialect, as its clients hear it; the server is vLLM.

Wire:    POST /v1/chat/completions; the last message is judged, as text or as parts. a Bearer key where there are `keys`
Says:    `safe`, or `unsafe` and the codes of the hazards; the probabilities of the tokens where they are asked for
Source:  model cards of meta-llama/PurpleLlama; OpenAI's chat completion as vLLM writes it; vllm-project/vllm#9294 for
         the template of 3 1B, which reads parts only and judges a bare text as safe, read 2026-11
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

from adapters.simulator.answer import Answer
from adapters.simulator.images import NotAPicture, from_data_address, look
from adapters.simulator.truth import Truth
from adapters.simulator.wire import REFUSED_KEY, Heard, Options, Refusal, Trouble, Vendor
from gateway.domain import Modality

HAZARDS = tuple(f"S{number}" for number in range(1, 15))
THRESHOLD = 0.5  # the likelier word is the verdict

Token = dict[str, Any]


class LlamaGuardOptions(Options):
    """`models` that the server serves; left out, whatever it is asked for."""

    models: tuple[str, ...] | None = None


class Simulated(Vendor):
    name = "llama_guard"
    routes: ClassVar[Mapping[str, str]] = {"/v1/chat/completions": "POST"}
    Settings: ClassVar[type[Options]] = LlamaGuardOptions
    options: LlamaGuardOptions
    kinds: ClassVar[Mapping[str, str]] = {
        "refused_key": "Unauthorized",
        "forbidden": "Forbidden",
        "quota": "insufficient_quota",
        "throttled": "rate_limit_exceeded",
        "rejected": "BadRequestError",
        "not_found": "NotFoundError",
        "too_large": "RequestEntityTooLarge",
        "server_error": "InternalServerError",
        "overloaded": "ServiceUnavailable",
    }
    troubles: ClassVar[Mapping[str, Trouble]] = {
        "BadRequestError": Trouble(400, "The request is invalid."),
        "Unauthorized": Trouble(401, "Unauthorized"),
        "Forbidden": Trouble(403, "Forbidden"),
        "NotFoundError": Trouble(404, "Not Found"),
        "RequestEntityTooLarge": Trouble(413, "The request is too large."),
        "rate_limit_exceeded": Trouble(429, "Rate limit reached.", "requests", 1),
        "insufficient_quota": Trouble(
            429, "You exceeded your current quota, please check your plan and billing details.", "insufficient_quota"
        ),
        "InternalServerError": Trouble(500, "Internal server error"),
        "ServiceUnavailable": Trouble(503, "server busy, please try again. maximum pending requests exceeded"),
    }

    def takes(self, key: str) -> bool:
        return key != REFUSED_KEY and (self.options.keys is None or key in self.options.keys)

    def answer(self, heard: Heard) -> Answer:
        if not self.takes(heard.bearer):
            raise Refusal("Unauthorized")
        try:
            asked = heard.json
            model, turn = asked["model"], asked["messages"][-1]["content"]
        except (ValueError, TypeError, LookupError):
            raise Refusal("BadRequestError", "'model' and 'messages' are required.") from None
        if not isinstance(model, str) or (self.options.models is not None and model not in self.options.models):
            raise Refusal("NotFoundError", f"The model `{str(model)[:100]}` does not exist.")
        tokens = self.tokens(self.judged(heard, turn, model), heard)
        most = asked.get("max_tokens") or len(tokens)
        if type(most) is not int or most < 1:
            raise Refusal("BadRequestError", f"max_tokens must be at least 1, got {str(most)[:20]}.")
        return Answer(200, _completion(heard, model, tokens[:most], len(tokens) > most, asked.get("logprobs") is True))

    def judged(self, heard: Heard, turn: Any, model: str) -> dict[str, float]:
        """P(unsafe) by hazard, of what the model sees of the turn."""
        if isinstance(turn, str):
            empty = "1b" in model.lower().replace("-", " ").split()
            return {} if empty else self.hazards(Modality.TEXT, self.told(heard, turn))
        if not isinstance(turn, list) or not turn:
            raise Refusal("BadRequestError", "'content' is text or a list of parts.")
        found: dict[str, float] = {}
        for part in turn:
            for label, value in self.of_part(heard, part, model).items():
                found[label] = max(value, found.get(label, 0.0))
        return found

    def of_part(self, heard: Heard, part: Any, model: str) -> dict[str, float]:
        match part:
            case {"type": "text", "text": str(text)}:
                return self.hazards(Modality.TEXT, self.told(heard, text))
            case {"type": "image_url", "image_url": {"url": str(address)}}:
                if "guard-4" not in model.lower() and "vision" not in model.lower():
                    raise Refusal("BadRequestError", f"{model[:100]} is not a multimodal model")
                return self.hazards(Modality.IMAGE, self.picture(heard, address))
        raise Refusal("BadRequestError", "A part is text or image_url.")

    def picture(self, heard: Heard, address: str) -> Truth:
        if address.startswith("data:"):
            try:
                return self.shown(heard, look(from_data_address(address)))
            except NotAPicture:
                raise Refusal("BadRequestError", "cannot identify image file") from None
        truth = self.pointed_to(heard, address)
        if truth is None:
            raise Refusal("BadRequestError", "The image could not be downloaded.")
        return truth

    def hazards(self, seen: Modality, truth: Truth) -> dict[str, float]:
        return self.words.named(truth, seen, frozenset(HAZARDS)) | dict(truth.own.get(self.name, {}))

    def tokens(self, found: Mapping[str, float], heard: Heard) -> list[Token]:
        """The verdict as the model writes it, with how likely each word was."""
        sure = max(found.values(), default=10 ** -(3 + heard.digest[0] / 100))
        sure = min(1 - 1e-6, max(1e-6, sure))
        if sure < THRESHOLD:
            return [_token("\n\n"), _token("safe", 1 - sure, "unsafe")]
        codes = sorted(
            (label for label, value in found.items() if value >= THRESHOLD and label[1:].isdecimal()), key=_number
        )
        listed = [sign for code in codes for sign in (",", "S", code[1:])][1:]
        return [_token("\n\n"), _token("unsafe", sure, "safe"), *map(_token, ["\n", *listed] if listed else [])]

    def apology(self, code: str, trouble: Trouble, heard: Heard) -> Answer:
        if trouble.status == 401:
            return Answer(401, {"error": trouble.message})
        error = {"message": trouble.message, "type": trouble.type or code, "param": None, "code": trouble.status}
        if trouble.status == 429:
            error["code"] = code
        return Answer(trouble.status, {"error": error})


def _number(code: str) -> int:
    return int(code[1:])


def _token(word: str, share: float = 1.0, other: str | None = None) -> Token:
    likely = [{"token": word, "logprob": math.log(share)}]
    if other:
        likely.append({"token": other, "logprob": math.log(1 - share)})
    return {**likely[0], "top_logprobs": likely}


def _completion(heard: Heard, model: str, tokens: list[Token], cut: bool, asked: bool) -> dict[str, Any]:
    message: dict[str, Any] = {
        **{"role": "assistant", "content": "".join(token["token"] for token in tokens)},
        **{"refusal": None, "tool_calls": []},
    }
    choice = {
        **{"index": 0, "message": message, "logprobs": {"content": tokens} if asked else None},
        "finish_reason": "length" if cut else "stop",
    }
    used = {"prompt_tokens": 214, "total_tokens": 214 + len(tokens), "completion_tokens": len(tokens)}
    return {
        **{"id": f"chatcmpl-{heard.token()}", "object": "chat.completion", "created": int(heard.now.timestamp())},
        **{"model": model, "choices": [choice], "usage": used},
    }
