"""How messages name what stands in an expression."""

from __future__ import annotations

from gateway.policy.cel.tree import Call, Index, Items, Name, Node, Select, Value

_LONGEST = 40  # characters of a text in a message


def spelled(node: Node) -> str:
    """`scores["hate"]`, `l.name`, `votes(…)`, `"abc"`, as the user wrote it or nearly."""
    match node:
        case Value():
            return _value(node)
        case Name():
            return node.name
        case Select():
            return f"{spelled(node.of)}.{node.name}"
        case Index():
            return f"{spelled(node.of)}[{spelled(node.key)}]"
        case Call():
            return (f"{spelled(node.of)}." if node.of else "") + f"{node.name}(…)"
        case Items():
            return "[…]"
    return "this"


def _value(node: Value) -> str:
    if isinstance(node.value, bool):
        return str(node.value).lower()
    if isinstance(node.value, str):
        return f'"{node.value}"' if len(node.value) <= _LONGEST else f'"{node.value[: _LONGEST - 1]}…"'
    return node.written
