"""The generated part of config/README.md: every key of a policy file, read off the models that read the file.

What a key means is its description there, which is also what an error message hints at. Where it has none, or one that
only says how it is written, it stands here; a key that nobody explains, or a line for a key that is gone, is an error.
"""

from __future__ import annotations

from pydantic import BaseModel

from docs.typewords import about, default, kind
from gateway.policy import schema

SECTIONS: tuple[tuple[str, type[BaseModel]], ...] = (
    ("The file", schema.PolicyFile),
    ("`context.<field>` · `user.<field>`", schema.FieldSpec),
    ("`signals`", schema.Signals),
    ("`signals.combine.<category>` with `calibrated`", schema.Calibrated),
    ("`signals.combine.<category>.calibrated.<provider>`", schema.Platt),
    ("`signals.coverage.<category>`", schema.CoverageRule),
    ("`lists.<name>`", schema.WordList),
    ("`thresholds.<category>`", schema.Threshold),
    ("`rules[]`", schema.RuleRow),
    ("`exempt[]`", schema.Exempt),
    ("`overlays[]`", schema.Overlay),
    ("`overlays[].match`", schema.Match),
    ("`rollout`", schema.Rollout),
    ("`rollout.halt`", schema.Halt),
)
_CODE = "the code of the reason, and where its message is looked up; left out"
_MEANS: dict[str, dict[str, str]] = {
    "PolicyFile": {
        "version": "a counter for people; decisions carry it beside the hash",
        "taxonomy": "the version of `taxonomy.yaml` it was written for",
        "description": "what it is for",
        "locale": "the language of messages where the caller's is not known, or has no text",
        "context": "fields that callers send about a submission; where any is declared, those are all there are",
        "user": "the same about its author, sent as `context.user`",
        "signals": "what has to be known, and how several providers become one",
        "lists": "words that rules ask for, as `lists.<name>`",
        "rules": "what a table cannot say",
        "exempt": "what is lifted, and where",
        "overlays": "what is otherwise for some",
        "messages": "what users are told: a reason code, a category, a name of yours or `default` → language → text",
        "rollout": "how it takes over from the one before",
    },
    "FieldSpec": {
        "type": "`context: {surface: string}` is short for `{surface: {type: string}}`",
        "default": "its value where the caller sends none; without one it is unknown",
        "values": "all it can be: a rule that compares it with anything else is refused",
    },
    "Signals": {
        "combine": "by category, or `default`; what is not named is `max`",
        "providers": "whose answers are expected; left out, whoever the route asks",
        "coverage": "by category, or `default`: each that stands under `thresholds` and that such content can show",
    },
    "Calibrated": {"calibrated": "by provider; one that is not named is taken at its word"},
    "Platt": {
        "slope": "how steeply it rises",
        "intercept": "added to the log-odds: below 0 for a provider that cries wolf",
        "weight": "how much it counts beside the others",
    },
    "CoverageRule": {
        "min_providers": "how many must have looked at it",
        "on_missing": "what follows where fewer did",
    },
    "WordList": {
        "values": "the words",
        "file": "a UTF-8 text of at most 5 MB, its path relative to the policy, in its folder or below",
    },
    "Threshold": {
        "review": "from this score on a person looks",
        "block": "from this score on it is blocked",
        "reason": f"{_CODE}, the category with `_` for `/`",
        "message": "whose text is told instead: a key of `messages`",
    },
    "RuleRow": {
        "reason": f"{_CODE}, the id with `_` for `-` and `.`",
        "message": "whose text is told instead: a key of `messages`",
        "if_unknown": "what follows where something it asks about is missing; `ignore` needs a `because`",
        "because": "why, for whoever reads it later",
        "priority": "among reasons that are equally strict, the higher comes first",
        "effects": "words of yours that a decision carries where the rule is true",
        "mode": "`shadow`: it decides nothing, and where it is true the evidence names it under `shadow_rules`",
        "hard": "nothing lifts, changes or disables it",
    },
    "Overlay": {
        "match": "for whom",
        "thresholds": "fields of thresholds by category; what is not named stays, what is not there is added",
        "coverage": "the same of `signals.coverage`",
        "rules": "fields of rules by their id; what is not named stays",
        "disable": "ids of rules that are off",
        "messages": "texts by key and language",
    },
    "Match": {
        "surface": "`context.surface` of the request",
        "country": "`context.country` of the request",
        "tenant": "the tenant of the caller's key",
    },
    "Rollout": {
        "shadow": "it is asked and recorded, and decides nothing",
        "canary_percent": "the share of subjects it decides about",
        "halt": "when it ends by itself; left out, never",
    },
    "Halt": {
        "flips": "the share of decisions that come out otherwise",
        "block_rate": "the share of decisions that block",
        "after": "how many decisions are looked back at",
    },
}


def parts() -> dict[str, str]:
    """What stands between the marks of the page, by their names."""
    gone = [f"{model}.{key}" for model, keys in _MEANS.items() for key in keys if key not in _fields(model)]
    if gone:
        raise ValueError(f"docs/policy_page.py explains what is no key of a policy any more: {', '.join(gone)}")
    return {"policy keys": "\n".join(_section(name, model) for name, model in SECTIONS)}


def _fields(model: str) -> set[str]:
    return set(getattr(schema, model).model_fields)


def _section(name: str, model: type[BaseModel]) -> str:
    """Its keys, those that are required first."""
    fields = sorted(model.model_fields.items(), key=lambda each: not each[1].is_required())
    rows = [
        f"| `{field.alias or key}` | {kind(field)} | {default(field)} | {_means(model, key)} |" for key, field in fields
    ]
    head = [f"### {name}", "", about(model), "", "| key | type | default | |", "|---|---|---|---|"]
    return "\n".join([*head, *rows, ""])


def _means(model: type[BaseModel], key: str) -> str:
    said = _MEANS.get(model.__name__, {}).get(key, model.model_fields[key].description)
    if said is None:
        raise ValueError(f"nobody says what {model.__name__}.{key} means: add a line to docs/policy_page.py")
    return said
