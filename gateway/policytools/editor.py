"""The shape of a policy file as JSON Schema, so that an editor completes it and says what does not fit.

It is made of the same models that read the file, with the categories of the taxonomy in it. What it cannot say
(whether a rule's expression makes sense, whether a list is there) `policy check` says.
"""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from gateway.policy.cel.shapes import DECLARABLE
from gateway.policy.schema import DEFAULT, WORD, PolicyFile
from gateway.taxonomy import Taxonomy

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_CUT = {
    "anyOf": [{"type": "number", "minimum": 0, "maximum": 1}, {"const": "-"}],
    "default": "-",
    "description": 'From this score on, 0 to 1 with at most 4 decimals; "-" is never.',
}
_COMBINERS = [{"enum": ["max", "mean", "median"]}, {"type": "string", "pattern": r"^quorum\([1-9][0-9]?\)$"}]


def schema(taxonomy: Taxonomy) -> dict[str, Any]:
    """The schema of a policy file that speaks of these categories."""
    found = TypeAdapter(PolicyFile).json_schema(by_alias=True, mode="validation")
    models = found["$defs"]
    for bound in ("review", "block"):
        models["Threshold"]["properties"][bound] = _CUT
    for name in ("surface", "country", "tenant"):
        models["Match"]["properties"][name] = _ONE_OR_MORE
    categories = {"$ref": "#/$defs/Category"}
    with_default = {"anyOf": [{"const": DEFAULT}, categories]}
    found["properties"]["thresholds"]["propertyNames"] = categories
    models["Overlay"]["properties"]["thresholds"]["propertyNames"] = categories
    models["Overlay"]["properties"]["coverage"]["propertyNames"] = with_default
    signals = models["Signals"]["properties"]
    signals["coverage"]["propertyNames"] = signals["combine"]["propertyNames"] = with_default
    signals["combine"]["additionalProperties"] = {"anyOf": [*_COMBINERS, {"$ref": "#/$defs/Calibrated"}]}
    for root in ("context", "user"):
        kinds = {"enum": list(DECLARABLE)}
        found["properties"][root]["patternProperties"] = {WORD: {"anyOf": [kinds, {"$ref": "#/$defs/FieldSpec"}]}}
    signals["providers"] |= {"uniqueItems": True}
    models["WordList"]["oneOf"] = [_with("values"), _with("file")]
    models["Match"]["minProperties"] = 1
    models["Halt"]["anyOf"] = [_with("flips"), _with("block_rate")]
    for name in ("RuleRow", "RulePatch"):
        models[name] |= {"if": {**_with("if_unknown"), "properties": _IGNORED}, "then": _with("because")}
    models["Category"] = _category(taxonomy)
    for field in ("version", "taxonomy"):
        found["properties"][field].pop("title", None)
    _close(found)
    return {"$schema": DIALECT, **found, "title": "modgate policy", "additionalProperties": False}


_IGNORED = {"if_unknown": {"const": "ignore"}}
_ONE_OR_MORE = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}


def _close(part: Any) -> None:
    """Where keys have a form, there are no others."""
    if isinstance(part, dict):
        if "patternProperties" in part:
            part["additionalProperties"] = False
        for each in part.values():
            _close(each)
    elif isinstance(part, list):
        for each in part:
            _close(each)


def _with(key: str) -> dict[str, Any]:
    return {"required": [key]}


def _category(taxonomy: Taxonomy) -> dict[str, Any]:
    """Each category with what it means, where an editor shows that; and whatever begins as an open one does."""
    named = [{"const": slug, "description": node.means} for slug, node in taxonomy.categories.items()]
    roots = "|".join(sorted(taxonomy.open_roots))
    return {"anyOf": [*named, {"type": "string", "pattern": f"^({roots})/"}]}
