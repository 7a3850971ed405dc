"""The same for models that were asked by a prompt or a tool, and for Mistral's two generations of one.

Each reader gives what an answer says of each label, None for "did not look"; None where it is not an answer.
"""

import json
import math
import re

import yaml

from gateway import paths

SCORES = {
    name: set(yaml.safe_load((paths.VENDORS / f"{name}.yaml").read_text())["labels"])
    for name in ("mistral", "anthropic_vision")
}
MERGED, SPLIT = {"dangerous_and_criminal_content"}, {"dangerous", "criminal", "jailbreaking"}
WORDS = {"safe": "unsafe", "unsafe": "safe"}  # and what each is weighed against


def by_generation(body: bytes) -> dict[str, float | None] | None:
    """A score for every label of one of two models, which share most of them."""
    try:
        said = json.loads(body)
        [result] = said["results"]
        scores = {label: score(value) for label, value in result["category_scores"].items()}
        missing = SCORES["mistral"] - scores.keys()
        if missing not in (set(), MERGED, SPLIT) or not isinstance(said["model"], str):
            return None
        return scores | dict.fromkeys(missing)
    except (ValueError, LookupError, TypeError, AttributeError):
        return None


def by_tool(body: bytes) -> dict[str, float | None] | None:
    """The input of the one call that the answer ended in: a score for every label, and maybe more."""
    try:
        said = json.loads(body)
        [call] = [block for block in said["content"] if block["type"] == "tool_use"]
        scores = {label: score(value) for label, value in call["input"].items()}
        right = said["stop_reason"] == "tool_use" and call["name"] == "report_scores" and isinstance(said["model"], str)
        return scores if right and scores.keys() >= SCORES["anthropic_vision"] else None
    except (ValueError, LookupError, TypeError, AttributeError):
        return None


def by_verdict(body: bytes) -> dict[str, float | None] | None:
    """`safe`, or `unsafe` and codes, with or without the probabilities of both words."""
    try:
        said = json.loads(body)
        [choice] = said["choices"]
        text = choice["message"]["content"].strip().lower()
        word = "safe" if text == "safe" else re.match(r"unsafe(?!\S)", text)[0]
        codes = [code.strip().upper() for code in text[6:].split(",")] if text[6:] else []
        if choice["finish_reason"] != "stop" or not isinstance(said["model"], str):
            return None
        if not all(re.fullmatch("S[0-9]{1,2}", code) for code in codes):
            return None
        certain = None if choice.get("logprobs") is None else likelihood(word, choice["logprobs"]["content"])
        return meant(word, codes, certain)
    except (ValueError, LookupError, TypeError, AttributeError):
        return None


def meant(word, codes, certain) -> dict[str, float | None]:
    labels = [*(f"S{number}" for number in range(1, 15)), "unsafe"]
    if word == "safe":
        return dict.fromkeys(labels, certain or 0.0)
    rest = 0.0 if certain is None and codes else None
    return dict.fromkeys(labels, rest) | dict.fromkeys(codes or ["unsafe"], 1.0 if certain is None else certain)


def likelihood(word, tokens) -> float:
    """Of "unsafe", against "safe", at the first token that is not empty space; ValueError where it is another word."""
    first = next(iter([token for token in tokens if token["token"].strip()]), {})
    seen = [(token["token"].strip().lower(), token) for token in (first, *first["top_logprobs"])]
    mine, other = (
        [math.exp(negative(token["logprob"])) for name, token in seen if name == wanted]
        for wanted in (word, WORDS[word])
    )
    best = max(mine)
    against = max(other, default=min(best, 1 - best))
    if seen[0][0] != word or not 0 < best >= against:
        raise ValueError(tokens)
    return (best if word == "unsafe" else against) / (best + against)


def negative(value) -> float:
    if type(value) not in (int, float) or not value <= 0:
        raise ValueError(value)
    return value


def score(value) -> float:
    if type(value) not in (int, float) or not -1e-6 <= value <= 1 + 1e-6:
        raise ValueError(value)
    return value
