"""Numbers people write, made to fit what they are compared with, so that no back end ever rounds or converts."""

from __future__ import annotations

import math
from collections.abc import Iterable
from decimal import Decimal

from gateway.domain import FULL
from gateway.policy.cel.shapes import Kind, Plain
from gateway.policy.cel.typed import Constant, Holds, Term
from gateway.policy.cel.words import PREDICATES

_EXACT = 2**53  # whole numbers up to here are doubles exactly
_INT = (-(2**63), 2**63 - 1)

FLIPPED = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
COMPARISONS = frozenset(FLIPPED)


def threshold(value: Plain, written: str) -> int:
    """0..1 with at most four decimals in 0..10,000. Raises ValueError(message, hint)."""
    exact = Decimal(written or str(value)) * FULL
    if exact < 0:
        raise ValueError(f"a score is never below 0, but here it is compared with {written}", "")
    if exact > FULL:
        percent = Decimal(written or str(value)) / 100
        meant = percent <= 1 and percent * 100 == int(percent * 100)
        hint = f"{written} % is written {percent:f}" if meant else ""
        raise ValueError(f"a score is never above 1, but here it is compared with {written}", hint)
    if exact != exact.to_integral_value():
        near = exact.to_integral_value() / FULL
        raise ValueError(f"scores have 4 decimals, {written} has more", f"write {near:f}" if near else "")
    return int(exact)


def double(value: Plain, written: str) -> float:
    """A number as a double. Raises ValueError(message, hint) where that is another number."""
    if isinstance(value, int) and abs(value) > _EXACT:
        raise ValueError(f"{written} is too large to be compared with a number that may have decimals", "")
    return float(value)


def whole(term: Term, name: str, value: int | float) -> Holds:
    """A whole-number term compared with any number, said in whole numbers."""
    if value == (exact := math.floor(value)) and _INT[0] <= exact <= _INT[1]:
        return Holds(PREDICATES[name], (term, Constant(exact, Kind.INT)))
    if name in ("==", "!=") or not _INT[0] <= value <= _INT[1]:
        return whenever(term, known=name == "!=" or ((name in ("<", "<=")) == (value > 0) and name != "=="))
    bound = math.floor(value) if name in ("<", "<=") else math.ceil(value)
    return Holds(PREDICATES["<=" if name in ("<", "<=") else ">="], (term, Constant(bound, Kind.INT)))


def wholes(values: Iterable[int | float]) -> tuple[int, ...]:
    """Those of the numbers a whole number can be equal to."""
    return tuple(int(value) for value in values if value == math.floor(value) and _INT[0] <= value <= _INT[1])


def whenever(term: Term, *, known: bool) -> Holds:
    """This answer whenever the term is known."""
    return Holds(PREDICATES["==" if known else "!="], (term, term))
