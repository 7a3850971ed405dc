"""What a policy is known by: SHA-256 over canonical JSON of all that it says, comments and formatting apart."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from typing import Any

import orjson

from gateway.policy.cel.typed import Condition
from gateway.policy.cel.words import Predicate
from gateway.policy.schema import PolicyFile

PROFILE = "1"  # of the language of rules
_CANONICAL = orjson.OPT_SORT_KEYS | orjson.OPT_PASSTHROUGH_DATACLASS


def fingerprint(
    said: PolicyFile,
    lists: Mapping[str, tuple[str, ...]],
    conditions: orjson.Fragment,
    **beside: Any,
) -> str:
    """`sha256:` and 64 hex digits. An expression counts as its tree, which `written` gives, a list as its words."""
    whole = said.model_dump(mode="json")
    for row in (*whole["rules"], *whole["exempt"]):
        del row["when"]
    words = {name: sorted(values) for name, values in lists.items()}
    content = {**whole, "lists": words, "conditions": conditions, "profile": PROFILE, **beside}
    return "sha256:" + hashlib.sha256(orjson.dumps(content, option=_CANONICAL)).hexdigest()


def written(conditions: Mapping[str, Condition]) -> orjson.Fragment:
    """Typed trees by name, as JSON: once for all the policies a file is under its overlays."""
    return orjson.Fragment(orjson.dumps(conditions, default=_plainly, option=_CANONICAL))


def _plainly(node: Any) -> Any:
    """A node as a list: what it is, and what it is made of. A set in order."""
    kind: Any = type(node)
    if kind is Predicate:
        return node.name
    if kind is frozenset:
        return sorted(node)
    return [kind.__name__, *[getattr(node, name) for name in _names(kind)]]


@cache
def _names(kind: type[Any]) -> tuple[str, ...]:
    """What a node of this kind is made of."""
    return tuple(each.name for each in fields(kind))
