"""What a policy is known by: SHA-256 over canonical JSON of all that it says, comments and formatting apart."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any

import orjson

from gateway.policy.cel.words import Predicate
from gateway.policy.schema import PolicyFile

PROFILE = "1"  # of the language of rules
_ATOMS = frozenset((str, int, bool, float, type(None)))


def fingerprint(
    said: PolicyFile,
    lists: Mapping[str, tuple[str, ...]],
    conditions: Mapping[str, Any],
    **beside: Any,
) -> str:
    """`sha256:` and 64 hex digits. An expression counts as its tree, which `plainly` gives, a list as its words."""
    whole = said.model_dump(mode="json")
    for row in (*whole["rules"], *whole["exempt"]):
        del row["when"]
    words = {name: sorted(values) for name, values in lists.items()}
    content = {**whole, "lists": words, "conditions": conditions, "profile": PROFILE, **beside}
    return "sha256:" + hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()


def plainly(node: Any) -> Any:
    """A typed tree in lists, texts and numbers."""
    kind = type(node)
    if kind in _ATOMS:
        return node
    if kind is Predicate:
        return node.name
    if is_dataclass(kind):
        return [kind.__name__, *[plainly(getattr(node, name)) for name in _names(kind)]]
    if isinstance(node, Mapping):
        return {name: plainly(part) for name, part in node.items()}
    if isinstance(node, tuple | list):
        return [plainly(part) for part in node]
    return sorted(node) if isinstance(node, frozenset) else node


@cache
def _names(kind: type[Any]) -> tuple[str, ...]:
    return tuple(each.name for each in fields(kind))
