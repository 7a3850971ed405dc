"""A policy file whose shape is wrong in places, read on without them: so that all that is wrong is told at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from gateway.policy.reading import examine
from gateway.taxonomy import Taxonomy
from gateway.yamlfile import Document, Problem
from gateway.yamlfile.nodes import Node
from gateway.yamlfile.tree import Where

_ROWS = ("rules", "exempt", "overlays", "thresholds", "lists", "messages", "context", "user")


def beside(document: Document, path: Path, taxonomy: Taxonomy, found: Iterable[Problem]) -> list[Problem]:
    """What else is wrong in the file than these mistakes of its shape.

    The rows they are in are left out. What is then said of the names of such a row is not told, and nothing where the
    rest cannot be read either.
    """
    root = document.find(())
    if root is None:
        return []
    spoilt = {where for problem in found for where in _row(document, root, problem)}
    names = {str(name) for where in spoilt for name in (where[-1], _id(document, where))}
    rest = Document(_without(root, spoilt), document.file, document.text)
    try:
        examine(rest, path, taxonomy)
    except Problem as more:
        if any(each.code in ("missing_key", "unknown_key", "wrong_type") for each in more.problems):
            return []
        return [each for each in more.problems if not any(f"'{name}'" in each.detail for name in names)]
    return []


def _row(document: Document, root: Node, problem: Problem) -> Iterator[Where]:
    """The last row, or other top-level key, that begins at the mistake or before it; none where a key is missing."""
    if (problem.line, problem.column) == (root.line, root.column) and problem.code == "missing_key":
        return
    before = [
        where for where in _rows(document, root) if document.at(where, key=True) <= (problem.line, problem.column)
    ]
    yield from before[-1:]


def _rows(document: Document, root: Node) -> list[Where]:
    found: list[Where] = []
    for key in root.keys:
        node = document.find((key,))
        inside = node.value if node is not None and key in _ROWS else None
        found.append((key,))
        if isinstance(inside, dict):
            found += [(key, name) for name in inside]
        elif isinstance(inside, list):
            found += [(key, place) for place in range(len(inside))]
    return sorted(found, key=lambda where: document.at(where, key=True))


def _id(document: Document, where: Where) -> object:
    node = document.find((*where, "id"))
    return node.value if node is not None else where[-1]


def _without(root: Node, spoilt: set[Where]) -> Node:
    """The tree without these rows; what a policy cannot do without is put in."""
    assert isinstance(root.value, dict)  # noqa: S101 - a document's root is a mapping
    kept: dict[str, Node] = {}
    for key, node in root.value.items():
        if (key,) not in spoilt:
            kept[key] = _thinned(node, {where[1] for where in spoilt if len(where) > 1 and where[0] == key})
    kept.setdefault("policy", Node(root.line, root.column, "unnamed"))
    kept.setdefault("thresholds", Node(root.line, root.column, {}))
    return Node(root.line, root.column, kept, root.keys)


def _thinned(node: Node, spoilt: set[str | int]) -> Node:
    if not spoilt:
        return node
    inside: list[Node] | dict[str, Node]
    if isinstance(node.value, dict):
        inside = {name: child for name, child in node.value.items() if name not in spoilt}
    elif isinstance(node.value, list):
        inside = [child for place, child in enumerate(node.value) if place not in spoilt]
    else:
        return node
    return Node(node.line, node.column, inside, node.keys)
