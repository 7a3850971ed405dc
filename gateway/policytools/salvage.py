"""A policy file whose shape is wrong in places, read on without them: so that all that is wrong is told at once."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from pathlib import Path

from gateway.policy.reading import examine
from gateway.policy.schema import ID
from gateway.taxonomy import Taxonomy
from gateway.yamlfile import Document, Problem
from gateway.yamlfile.nodes import Node
from gateway.yamlfile.tree import Where

_Row = tuple[tuple[int, int], Where]  # its place, and where that is in the tree

_ROWS = ("rules", "exempt", "overlays", "thresholds", "lists", "messages", "context", "user")


def beside(document: Document, path: Path, taxonomy: Taxonomy, found: Iterable[Problem]) -> list[Problem]:
    """What else is wrong in the file than these mistakes of its shape.

    The rows they are in are left out, or reduced to what can be read of them. What is then said of the names of a row
    that is out is not told, and nothing where the rest cannot be read either.
    """
    root = document.find(())
    if root is None:
        return []
    rows = _rows(document, root)
    spoilt = {where for problem in found for where in _row(rows, root, problem)}
    mended = {where: node for where in spoilt if (node := _mended(document, where)) is not None}
    names = {str(name) for where in spoilt - mended.keys() for name in (where[-1], _id(document, where))}
    rest = Document(_without(root, spoilt, mended), document.file, document.text)
    try:
        examine(rest, path, taxonomy)
    except Problem as more:
        if any(each.code in ("missing_key", "unknown_key", "wrong_type") for each in more.problems):
            return []
        return [each for each in more.problems if not any(f"'{name}'" in each.detail for name in names)]
    return []


def _row(rows: Sequence[_Row], root: Node, problem: Problem) -> Iterator[Where]:
    """The last row, or other top-level key, that begins at the mistake or before it; none where a key is missing."""
    if (problem.line, problem.column) == (root.line, root.column) and problem.code == "missing_key":
        return
    before = bisect_right(rows, (problem.line, problem.column), key=itemgetter(0))
    yield from (where for _, where in rows[max(before - 1, 0) : before])


def _rows(document: Document, root: Node) -> list[_Row]:
    """All of them, each with its place, in the order of the file."""
    found: list[Where] = []
    for key in root.keys:
        node = document.find((key,))
        inside = node.value if node is not None and key in _ROWS else None
        found.append((key,))
        if isinstance(inside, dict):
            found += [(key, name) for name in inside]
        elif isinstance(inside, list):
            found += [(key, place) for place in range(len(inside))]
    return sorted([(document.at(where, key=True), where) for where in found], key=itemgetter(0))


def _id(document: Document, where: Where) -> object:
    node = document.find((*where, "id"))
    return node.value if node is not None else where[-1]


def _mended(document: Document, where: Where) -> Node | None:
    """What of a row can be read whatever else is wrong in it: a threshold's category, a rule's condition."""
    node = document.find(where)
    if node is None or len(where) < 2 or not isinstance(node.value, dict):
        return None
    if where[0] == "thresholds":
        return Node(node.line, node.column, {}, node.keys)
    when, named = node.value.get("when"), node.value.get("id")
    if where[0] != "rules" or when is None or not isinstance(when.value, str):
        return None
    good = named is not None and isinstance(named.value, str) and re.fullmatch(ID, named.value)
    kept = {
        "id": named if named is not None and good else Node(node.line, node.column, f"row-{where[1]}"),
        "action": Node(node.line, node.column, "review"),
        "when": when,
    }
    return Node(node.line, node.column, kept, node.keys)


def _without(root: Node, spoilt: set[Where], mended: Mapping[Where, Node]) -> Node:
    """The tree without these rows, or with what is left of them; what a policy cannot do without is put in."""
    assert isinstance(root.value, dict)  # noqa: S101 - a document's root is a mapping
    kept: dict[str, Node] = {}
    for key, node in root.value.items():
        if (key,) in spoilt:
            continue
        inside = key in _ROWS
        rows = {where[1]: mended.get(where) for where in spoilt if len(where) > 1 and where[0] == key} if inside else {}
        kept[key] = _thinned(node, rows)
    kept.setdefault("policy", Node(root.line, root.column, "unnamed"))
    kept.setdefault("thresholds", Node(root.line, root.column, {}))
    return Node(root.line, root.column, kept, root.keys)


def _thinned(node: Node, rows: Mapping[str | int, Node | None]) -> Node:
    """A section with these rows as they are here; where that is None, without them."""
    inside: list[Node] | dict[str, Node]
    if isinstance(node.value, dict):
        read = {name: rows.get(name, child) for name, child in node.value.items()}
        inside = {name: child for name, child in read.items() if child is not None}
    elif isinstance(node.value, list):
        inside = [child for place, each in enumerate(node.value) if (child := rows.get(place, each)) is not None]
    else:
        return node
    return Node(node.line, node.column, inside, node.keys)
