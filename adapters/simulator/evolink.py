"""EvoLink Moderation 1.0, as its clients hear it.

Wire:    POST /v1/moderations in OpenAI's dialect: `input` as parts only, one image at most, by HTTPS address only
Says:    OpenAI's thirteen labels and, beside them, `evolink_summary` with a risk level of its own
Source:  docs.evolink.ai, API reference, and its product page (thresholds), read 2026-11. How it shapes an error is not
         documented: OpenAI's shape is assumed, with 402 for no credit as its other products have it
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from adapters.simulator.answer import Answer
from adapters.simulator.openai import Looked
from adapters.simulator.openai import Simulated as OpenAI
from adapters.simulator.truth import Truth
from adapters.simulator.wire import Heard, Refusal, Trouble

RISKS: Mapping[str, tuple[float, float]] = {  # medium and high from here on
    **dict.fromkeys(("sexual/minors",), (0.05, 0.20)),
    **dict.fromkeys(("self-harm", "self-harm/intent", "self-harm/instructions"), (0.30, 0.60)),
    **dict.fromkeys(("violence/graphic", "illicit/violent"), (0.40, 0.70)),
    **dict.fromkeys(("sexual", "violence", "harassment/threatening", "hate/threatening"), (0.50, 0.80)),
    **dict.fromkeys(("harassment", "hate", "illicit"), (0.60, 0.85)),
}


class Simulated(OpenAI):
    name = "evolink"
    documented: ClassVar[float | None] = None
    at_root = False  # there /v1/moderations is OpenAI's
    models: ClassVar[tuple[str, ...]] = ("evolink-moderation-1.0",)
    kinds: ClassVar[Mapping[str, str]] = {**OpenAI.kinds, "quota": "insufficient_credits"}
    troubles: ClassVar[Mapping[str, Trouble]] = {
        **OpenAI.troubles,
        "insufficient_credits": Trouble(402, "Insufficient credits.", "invalid_request_error"),
    }

    def answer(self, heard: Heard) -> Answer:
        answer = super().answer(heard)
        answer.document = {"evolink_summary": summary(answer.document["results"][0]), **answer.document}
        return answer

    def looks(self, heard: Heard, given: Any, model: str) -> list[Looked]:
        if not isinstance(given, list) or not all(isinstance(part, dict) for part in given):
            raise Refusal("invalid_value", "'input' is an array of objects.")
        return list(super().looks(heard, given, model))

    def picture(self, heard: Heard, address: str) -> Truth:
        if not address.startswith("https://"):
            raise Refusal("invalid_image_url", "'image_url.url' is an HTTPS address.")
        return super().picture(heard, address)

    def result(self, looked: Looked, legacy: bool) -> dict[str, Any]:
        """Flagged at high only, as its documented example of 0.597 on `sexual` shows."""
        result = super().result(looked, legacy)
        high = {label: risk(label, score) == "high" for label, score in result["category_scores"].items()}
        return {**result, "flagged": any(high.values()), "categories": high}

    def headers(self, heard: Heard) -> dict[str, str | None]:
        return {"x-request-id": f"req_{heard.token()}"}


def risk(label: str, score: float) -> str:
    """The level of one label."""
    medium, high = RISKS.get(label, (0.5, 0.8))
    return "high" if score >= high else "medium" if score >= medium else "low"


def summary(result: Mapping[str, Any]) -> dict[str, Any]:
    """`evolink_summary` of these scores."""
    scores: Mapping[str, float] = result["category_scores"]
    levels = {risk(label, score) for label, score in scores.items()}
    top = max(scores, key=lambda label: scores[label])
    return {
        "risk_level": next(level for level in ("high", "medium", "low") if level in levels),
        "flagged": "high" in levels,
        "violations": [label for label, flagged in result["categories"].items() if flagged],
        "max_score": scores[top],
        "max_category": top,
    }
