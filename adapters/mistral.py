"""Mistral moderation.

Wire:    POST /moderations in OpenAI's dialect, Bearer key, one text a call; it sees no images
Reports: a score for every category of its model, float 0..1, how sure the model is. mistral-moderation-2603 knows
         eleven, the deprecated 2411 nine. Health, financial and law are advice that an assistant should not give
Source:  docs.mistral.ai, Safety & moderation and its page of 2411, and the types of mistralai/client-python 2.5.1, read
         2026-11
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import ClassVar

from adapters.openai import Adapter as OpenAIAdapter
from adapters.openai import OpenAISettings
from gateway.adapter import Address, Call, Reply, VendorSettings
from gateway.domain import Content, Finding, Minimum, Modality, Opinion
from gateway.errors import VendorDenied, VendorError, VendorRejected

SINCE_2603 = frozenset({"dangerous", "criminal", "jailbreaking"})
UNTIL_2411 = frozenset({"dangerous_and_criminal_content"})


class MistralSettings(OpenAISettings):
    """`base_url` ends in /v1. Pin the model by its date: `mistral-moderation-latest` was still 2411 in 2026-11."""

    base_url: Address = "https://api.mistral.ai/v1"
    model: str = "mistral-moderation-2603"


class Adapter(OpenAIAdapter):
    Settings: ClassVar[type[VendorSettings]] = MistralSettings
    accepts = frozenset({Modality.TEXT})
    together = False
    faults: ClassVar[Mapping[int | str, type[VendorError]]] = {
        "invalid_model": VendorDenied,  # with 400, but it is ours to mend
    }

    def ask(self, content: Content) -> Iterable[Call]:
        if content.images:
            raise VendorRejected("reads texts only, and was asked about an image")
        yield self.call([content.text])

    def read(self, reply: Reply) -> Iterator[Finding | Opinion | Minimum]:
        [result] = reply["results"]
        scores = result["category_scores"]
        for label, score in scores.items():
            if score is None:
                raise ValueError(f"the score of '{label}' is null")  # it would read as "did not look"
            yield Finding(label, score)
        for label in sorted(of_the_other_model(frozenset(scores))):
            yield Finding(label, None, frozenset())

    def fault_code(self, reply: Reply) -> str | None:
        kind = reply["type"]
        return kind[:80] if isinstance(kind, str) else None


def of_the_other_model(named: frozenset[str]) -> frozenset[str]:
    """The labels that a model which named these does not know. None where they are not those of one model."""
    if named >= SINCE_2603:
        return UNTIL_2411 - named
    return SINCE_2603 if named >= UNTIL_2411 and named.isdisjoint(SINCE_2603) else frozenset()
