"""Whether more and higher answers can only make a policy stricter. Then the extremes bound all that lies between."""

from __future__ import annotations

from gateway.domain import Action
from gateway.policy.cel.typed import (
    Always,
    And,
    Condition,
    Constant,
    Coverage,
    Field,
    Holds,
    Not,
    One,
    Or,
    Present,
    Score,
    Some,
    Truth,
    Votes,
    opposite,
    outer_parts,
)
from gateway.policy.combine import way
from gateway.policy.policy import Clause, Policy

_GIVEN = ("context", "user", "ocr")  # what the caller says, and no answer of a provider changes
_AT_LEAST = (">=", ">")


def is_monotone(policy: Policy) -> bool:
    """Conservative: where in doubt, it is not."""
    combine = policy.said.signals.combine.values()
    live = [clause for clause in policy.clauses if not clause.disabled and not clause.shadow]
    return (
        all(way(how).rising for how in combine)
        and all(_escalates(clause) and clause.rises for clause in live)
        and all(rising(opposite(exemption.tree.root)) for exemption in policy.exemptions)
    )


def _escalates(clause: Clause) -> bool:
    """Unknown leads to no more than true does."""
    unknown = clause.if_unknown or Action.ALLOW
    return unknown.strictness <= clause.action.strictness


def rising(node: Condition) -> bool:
    """Whether answers that are more, or higher, never make it less true."""
    match node:
        case Always() | Votes() | Present():
            return True
        case And() | Or():
            return all(rising(part) for part in node.parts)
        case Not():
            return _falling(node.part)
        case Holds():
            return _is_given(node) or (_about_answers(node.terms[0]) and node.word.name in _AT_LEAST and _bound(node))
        case Truth():
            return node.term.root in _GIVEN
        case Some():
            return not node.once and all(rising(part) for part in outer_parts(node.body))
        case One():
            return all(_fixed(part) for part in node.parts)


def _falling(node: Condition) -> bool:
    """Whether answers that are more, or higher, never make it more true."""
    match node:
        case Always():
            return True
        case And() | Or():
            return all(_falling(part) for part in node.parts)
        case Not():
            return rising(node.part)
        case Holds():
            return _is_given(node) or (_about_answers(node.terms[0]) and node.word.name in ("<", "<=") and _bound(node))
        case Truth() | One() | Some():
            return _fixed(node)
        case Votes() | Present():
            return False


def _fixed(node: Condition) -> bool:
    """Whether no answer changes it."""
    match node:
        case Always():
            return True
        case And() | Or() | One():
            return all(_fixed(part) for part in node.parts)
        case Not():
            return _fixed(node.part)
        case Holds():
            return _is_given(node)
        case Truth():
            return node.term.root in _GIVEN
        case Some():
            return node.over.root in _GIVEN and all(_fixed(part) for part in outer_parts(node.body))
        case Votes() | Present():
            return False


def _is_given(node: Holds) -> bool:
    return all(
        not isinstance(term, Score | Coverage) and (not isinstance(term, Field) or term.root in _GIVEN)
        for term in node.terms
    )


def _about_answers(term: object) -> bool:
    return isinstance(term, Score | Coverage)


def _bound(node: Holds) -> bool:
    return isinstance(node.terms[1], Constant)
