"""Llama Guard 3 and 4, on any server that speaks OpenAI's chat dialect: vLLM, Ollama, llama.cpp, hosted ones.

Wire:    POST /chat/completions, the content as one user turn of parts; the server's chat template makes the guard's
         prompt of it. Parts, for the template of 3 1B reads nothing else and would judge an empty prompt as safe
Reports: `safe`, or `unsafe` and the codes of the hazards, S1 to S14. How sure it is, where the server tells: the share
         of "unsafe" in the probability of the two words at the verdict, one number for the whole of it, which says
         nothing of hazards that an unsafe verdict does not list. Else the verdict alone, 1 or 0
Source:  model cards of meta-llama/PurpleLlama; vllm-project/vllm#9294; docs.ollama.com/api/openai-compatibility;
         console.groq.com/docs/openai, read 2026-11

It judges whether an assistant would do harm, not what a community wants to see, it is weak on images by its own card,
and a text may talk it into "safe": a second opinion, never the only one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from pydantic import Field, SecretStr

from adapters.openai import Adapter as OpenAIAdapter
from adapters.openai import OpenAISettings
from gateway.adapter import Address, Call, Reply, VendorSettings, one_image_each
from gateway.domain import Content, Finding, Minimum, Opinion
from gateway.errors import VendorRejected

HAZARDS = tuple(f"S{number}" for number in range(1, 15))
UNSAFE = "unsafe"  # also the label of an unsafe verdict that lists no hazard
OTHER = {"safe": UNSAFE, UNSAFE: "safe"}
VERDICT = re.compile(r"\s*(safe|unsafe(?:\s+S\d{1,2}(?:\s*,\s*S\d{1,2})*)?)\s*", re.ASCII | re.IGNORECASE)
MOST_TOKENS = 100  # all fourteen hazards take some 45


class LlamaGuardSettings(OpenAISettings):
    """`base_url` is the server's, with its /v1; `api_key` only where it asks for one; `model` as it calls it.

    `images: true` is for models that see them, 4 and 3 11B-vision: another may judge the text alone and not say so.
    `hazards` is how many the model knows: 14 for 4 and 3 8B. `logprobs: false` is for servers that refuse the question.
    """

    base_url: Address
    api_key: SecretStr = SecretStr("")
    model: str
    images: bool = False
    hazards: int = Field(default=13, ge=13, le=14)
    logprobs: bool = True


class Adapter(OpenAIAdapter):
    Settings: ClassVar[type[VendorSettings]] = LlamaGuardSettings
    settings: LlamaGuardSettings

    def __init__(self, settings: LlamaGuardSettings):
        super().__init__(settings)
        if not settings.api_key:
            self._headers = {}

    def ask(self, content: Content) -> Iterable[Call]:
        if content.images and not self.settings.images:
            raise VendorRejected("was asked about an image, and images are off: images: true is for 4 and 3 11B-vision")
        for part in one_image_each(content):
            yield self.call(self.parts(part))

    def call(self, given: Any) -> Call:
        body = {
            "model": self.settings.model,
            "messages": [{"role": "user", "content": given}],
            "max_tokens": MOST_TOKENS,
            "temperature": 0,
        }
        if self.settings.logprobs:
            body |= {"logprobs": True, "top_logprobs": 5}
        return Call("POST", "/chat/completions", headers=self._headers, json=body)

    def read(self, reply: Reply) -> Iterator[Finding | Opinion | Minimum]:
        [choice] = reply["choices"]
        if choice["finish_reason"] != "stop":
            raise ValueError("the answer does not end where the model would end it")
        word, listed = verdict(choice["message"]["content"])
        tokens = choice.get("logprobs")
        sure = None if tokens is None else probability(word, tokens["content"])
        known = (*HAZARDS[: self.settings.hazards], UNSAFE)
        yield from findings(word, listed, sure, known)
        yield Opinion(word)


def verdict(said: str) -> tuple[str, list[str]]:
    """`unsafe\\nS1,S10` as its word and its codes. ValueError for what is neither safe nor unsafe."""
    found = VERDICT.fullmatch(said)
    if found is None:
        raise ValueError(f"it says {said[:40]!r}, which is neither safe nor unsafe")
    word, *codes = re.split(r"[\s,]+", found[1])
    return word.lower(), [code.upper() for code in codes]


def findings(word: str, codes: list[str], sure: float | None, known: Sequence[str]) -> Iterator[Finding]:
    """Every label, None for what the verdict says nothing of. `sure` is P(unsafe), None where the server does not tell.

    A safe verdict bounds every hazard by P(unsafe). An unsafe one is about the hazards it lists; that it is not about
    the others is known where there is only a verdict, and it lists some.
    """
    if word == UNSAFE:
        listed = dict.fromkeys(codes or [UNSAFE], 1.0 if sure is None else sure)
        rest = 0.0 if codes and sure is None else None
    else:
        listed, rest = {}, sure or 0.0
    for label in dict.fromkeys((*HAZARDS, UNSAFE, *listed)):
        value = listed.get(label, rest if label in known else None)
        yield Finding(label, value, frozenset() if value is None else None)


def probability(word: str, tokens: Sequence[Mapping[str, Any]]) -> float:
    """P(unsafe) where the verdict is given: at the first token that is not empty space.

    The word that is not among the likeliest there has at most what is left, and is less likely than the one that is.
    ValueError where these are not the probabilities of this verdict.
    """
    first, *_ = [token for token in tokens if token["token"].strip()]
    if spelled(first) != word:
        raise ValueError(f"its verdict is '{word}', and its probabilities are of {first['token'][:20]!r}")
    named = [first, *first["top_logprobs"]]
    mine = max(share(token) for token in named if spelled(token) == word)
    others = [share(token) for token in named if spelled(token) == OTHER[word]]
    other = max(others) if others else min(mine, 1 - mine)
    if mine == 0 or mine < other:
        raise ValueError(f"its verdict is '{word}', which is the less likely one")
    return (mine if word == UNSAFE else other) / (mine + other)


def spelled(token: Mapping[str, Any]) -> str:
    """The word a token stands for, whatever its case and the space around it."""
    written: str = token["token"].strip().lower()
    return written


def share(token: Mapping[str, Any]) -> float:
    """The probability of a token, 0..1. ValueError for what is no logarithm of one."""
    logarithm = token["logprob"]
    if type(logarithm) not in (int, float) or not logarithm <= 0:
        raise ValueError(f"{str(logarithm)[:20]!r} is no logarithm of a probability")
    return math.exp(logarithm)
