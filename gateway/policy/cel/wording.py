"""A typed condition → the text that says it, for those who want to know why it holds."""

from __future__ import annotations

from gateway.domain import FULL
from gateway.policy.cel.shapes import Kind, Plain
from gateway.policy.cel.typed import (
    Always,
    And,
    Condition,
    Constant,
    Constants,
    Coverage,
    Field,
    Holds,
    Not,
    One,
    Or,
    Part,
    Present,
    Score,
    Some,
    Term,
    Truth,
    Votes,
)
from gateway.policy.cel.words import Form

_MOST = 5  # values of a list that are shown
_ELEMENTS = {"labels": "l", "hashes": "h"}


def worded(node: Condition, element: str = "x") -> str:
    """One line. `element` is what the element of the list around it is called."""
    match node:
        case Always():
            return {True: "true", False: "false", None: "unknown"}[node.value]
        case And() | Or():
            joint = " && " if isinstance(node, And) else " || "
            return joint.join(_bracketed(part, element) for part in node.parts)
        case Not():
            return f"!{_bracketed(node.part, element, always=True)}"
        case One():
            return f"exactly one of ({', '.join(worded(part, element) for part in node.parts)})"
        case Holds():
            return _holds(node, element)
        case Truth():
            return _term(node.term, element)
        case Present():
            return f'"{node.category}" in scores'
        case Votes():
            return f'votes("{node.category}", {share(node.threshold)}) >= {node.least}'
        case Some():
            name = _ELEMENTS.get(node.over.root, "t")
            macro = "exists_one" if node.once else "exists"
            return f"{_term(node.over, element)}.{macro}({name}, {worded(node.body, name)})"


def share(score: int) -> str:
    """0..10,000 as people write it: 0.7, 1, 0.0525."""
    return f"{score / FULL:.4f}".rstrip("0").rstrip(".")


def _bracketed(part: Condition, element: str, *, always: bool = False) -> str:
    said = worded(part, element)
    return f"({said})" if isinstance(part, And | Or) or (always and isinstance(part, Holds | Present | Votes)) else said


def _holds(node: Holds, element: str) -> str:
    first, *others = (_term(term, element) for term in node.terms)
    if node.word.form is Form.METHOD:
        return f"{first}.{node.word.name}({', '.join(others)})"
    return f"{first} {node.word.name} {', '.join(others)}"


def _term(term: Term, element: str) -> str:
    match term:
        case Constant():
            return share(int(term.value)) if term.kind is Kind.SCORE else _value(term.value)
        case Constants():
            shown = [_value(value) for value in term.values[:_MOST]]
            return f"[{', '.join([*shown, *(['…'] if len(term.values) > _MOST else [])])}]"
        case Score():
            return f'scores["{term.category}"]'
        case Coverage():
            return f'coverage("{term.category}")'
        case Field():
            return f"{term.root}.{term.name}" if term.name else term.root
        case Part():
            return f"{element}.{term.name}" if term.name else element


def _value(value: Plain) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value).removesuffix(".0")
