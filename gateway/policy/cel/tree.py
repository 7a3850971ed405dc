"""An expression as it was written. `at` is where a node's most telling character stands, counted from 0."""

from __future__ import annotations

from typing import TypeAlias

from gateway.frozen import frozen


@frozen
class Value:
    """A literal: bool, int, float, str. `written` is the number as it stands there, for its decimals."""

    at: int
    value: bool | int | float | str
    written: str = ""


@frozen
class Name:
    """A name standing alone: `labels`, `l`."""

    at: int
    name: str


@frozen
class Select:
    """`of.name`; `at` is that of the name."""

    at: int
    of: Node
    name: str


@frozen
class Index:
    """`of[key]`; `at` is that of the bracket."""

    at: int
    of: Node
    key: Node


@frozen
class Call:
    """`name(arguments)` or `of.name(arguments)`; `at` is that of the name."""

    at: int
    name: str
    arguments: tuple[Node, ...]
    of: Node | None = None


@frozen
class Items:
    """`[a, b]`; `at` is that of the bracket."""

    at: int
    items: tuple[Node, ...]


@frozen
class Not:
    """`!of`."""

    at: int
    of: Node


@frozen
class Binary:
    """`left operator right`; `at` is that of the operator."""

    at: int
    operator: str
    left: Node
    right: Node


Node: TypeAlias = Value | Name | Select | Index | Call | Items | Not | Binary


@frozen
class Tree:
    """A whole expression and the text it was read from."""

    text: str
    root: Node


def start(node: Node) -> int:
    """Where the node begins."""
    while isinstance(node, Binary):
        node = node.left
    if isinstance(node, Select | Index) or (isinstance(node, Call) and node.of):
        return start(node.of)  # type: ignore[arg-type]
    return node.at
