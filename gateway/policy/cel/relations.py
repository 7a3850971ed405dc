"""Two operands and a comparison → a condition, with both sides of one kind. What does not go together is told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias, cast, get_args

from gateway.policy.cel import fitting
from gateway.policy.cel.fitting import FLIPPED, whenever
from gateway.policy.cel.operands import Operands, Wrong, is_list, shape_of
from gateway.policy.cel.shapes import TEXTS, Kind, Many, told
from gateway.policy.cel.spelling import spelled
from gateway.policy.cel.tree import Binary, Node, Value, start
from gateway.policy.cel.typed import (
    Always,
    Condition,
    Constant,
    Constants,
    Field,
    Holds,
    Part,
    Some,
    Term,
    Truth,
    all_of,
    any_of,
    opposite,
)
from gateway.policy.cel.words import PREDICATES
from gateway.suggest import did_you_mean

Operand: TypeAlias = Term | Condition

_CONDITIONS = frozenset(get_args(Condition))
_NUMBERS = (Kind.INT, Kind.DOUBLE)
_HERE = (Part, Constant, Constants)
_WANTS = {
    Kind.SCORE: "a score is compared with a number from 0 to 1, like 0.7",
    Kind.TEXT: 'a text is compared with a text, like "abc"',
    Kind.INT: "a number is compared with a number",
    Kind.DOUBLE: "a number is compared with a number",
}


def is_condition(operand: Operand) -> bool:
    """Whether it is true, false or unknown, not a value."""
    return type(operand) in _CONDITIONS


def as_condition(operands: Operands, node: Node, operand: Operand) -> Condition:
    """The operand as a condition: a field or a literal may be true or false itself. Raises Wrong."""
    if is_condition(operand):
        return cast(Condition, operand)
    if isinstance(operand, Constant) and isinstance(operand.value, bool):
        return Always(operand.value)
    if isinstance(operand, Field) and operand.shape in (Kind.BOOL, Kind.UNSAID):
        return Truth(operand if operand.shape is Kind.BOOL else operands.learn(operand, Kind.BOOL))
    term = cast(Term, operand)
    if is_list(term):
        raise Wrong(start(node), f"{spelled(node)} is a list, not true or false", f"write {spelled(node)}.exists(x, …)")
    example = '"…"' if shape_of(term) is Kind.TEXT else "0.7" if shape_of(term) is Kind.SCORE else "1"
    hint = (
        f"compare it: {spelled(node)} >= {example}" if example != '"…"' else f"compare it: {spelled(node)} == {example}"
    )
    raise Wrong(start(node), f"{spelled(node)} is {told(shape_of(term))}, not true or false", hint)


def relate(operands: Operands, node: Binary, left: Operand, right: Operand) -> Condition:
    """`left op right` for the six comparisons. Raises Wrong."""
    if isinstance(left, Constant) and isinstance(right, Constant):
        return _of_constants(node, left, right)
    if _is_bool(left) or _is_bool(right):
        return _of_conditions(operands, node, left, right)
    one, other = cast(Term, left), cast(Term, right)
    if is_list(one) or is_list(other):
        return _of_lists(node, one, other)
    if isinstance(one, Constant):
        return _with_constant(operands, node.right, other, FLIPPED[node.operator], node.left, one)
    if isinstance(other, Constant):
        return _with_constant(operands, node.left, one, node.operator, node.right, other)
    return _of_terms(operands, node, one, other)


def within(operands: Operands, node: Binary, left: Operand, right: Operand) -> Condition:
    """`left in right`, where right is a list. Raises Wrong."""
    if is_condition(left) or is_condition(right):
        raise Wrong(node.at, "'in' asks whether a value is in a list")
    value, listed = cast(Term, left), cast(Term, right)
    if isinstance(listed, Field) and listed.shape is Kind.UNSAID:
        listed = operands.learn(listed, TEXTS)
    if not is_list(listed):
        hint = f"write [{spelled(node.right)}]" if isinstance(node.right, Value) else ""
        raise Wrong(
            start(node.right), f"'in' needs a list, but {spelled(node.right)} is {told(shape_of(listed))}", hint
        )
    if isinstance(listed, Constants):
        return _in_constants(operands, node, value, listed)
    return _in_field(node, value, cast(Field, listed))


def hold(at: int, name: str, *terms: Term) -> Holds:
    """A predicate said of terms, if every back end can look at both of them. Raises Wrong."""
    if any(isinstance(term, Part) for term in terms) and not all(isinstance(term, _HERE) for term in terms):
        message = "an element of a list is compared with what is written here, or with another part of itself"
        raise Wrong(at, message, "", "not_in_profile")
    return Holds(PREDICATES[name], terms)


def _is_bool(operand: Operand) -> bool:
    return is_condition(operand) or (shape_of(cast(Term, operand)) is Kind.BOOL and not isinstance(operand, Constants))


def _of_constants(node: Binary, left: Constant, right: Constant) -> Always:
    if left.kind is not right.kind and not (left.kind in _NUMBERS and right.kind in _NUMBERS):
        raise _mismatch(node, left, right)
    return Always(PREDICATES[node.operator].mean(left.value, right.value))


def _of_conditions(operands: Operands, node: Binary, left: Operand, right: Operand) -> Condition:
    if node.operator not in ("==", "!="):
        raise Wrong(node.at, f"what is true or false is not compared with {node.operator}")
    sides = []
    for side, operand in ((node.left, left), (node.right, right)):
        if not _is_bool(operand) and not (isinstance(operand, Field) and operand.shape is Kind.UNSAID):
            raise Wrong(node.at, f"what is true or false is compared with {told(shape_of(cast(Term, operand)))}")
        sides.append(as_condition(operands, side, operand))
    one, other = sides
    same = any_of([all_of([one, other]), all_of([opposite(one), opposite(other)])])
    return same if node.operator == "==" else opposite(same)


def _of_lists(node: Binary, left: Term, right: Term) -> Condition:
    if isinstance(left, Constants) and isinstance(right, Constants) and node.operator in ("==", "!="):
        if (
            Kind.UNSAID in (left.kind, right.kind)
            or left.kind is right.kind
            or {left.kind, right.kind} == set(_NUMBERS)
        ):
            return Always((left.values == right.values) is (node.operator == "=="))
        raise _mismatch(node, left, right)
    side = node.left if is_list(left) else node.right
    if isinstance(left, Constants) or isinstance(right, Constants):
        raise Wrong(node.at, f"a list is not compared with {node.operator}", "write x in […]")
    name = spelled(side)
    raise Wrong(node.at, f"{name} is a list", f"write {name}.exists(x, x {node.operator} …)" if is_list(left) else "")


def _with_constant(operands: Operands, side: Node, term: Term, name: str, other: Node, constant: Constant) -> Condition:
    """A term compared with a value that is written out."""
    shape = shape_of(term)
    if shape is Kind.UNSAID and isinstance(term, Field):
        term = operands.learn(term, Kind.TEXT if constant.kind is Kind.TEXT else Kind.DOUBLE)
        shape = shape_of(term)
    if (constant.kind in _NUMBERS) is (shape is Kind.TEXT):
        wants = _WANTS[cast(Kind, shape)]
        raise Wrong(start(other), f"{spelled(side)} is {told(shape)} and is compared with {told(constant.kind)}", wants)
    if shape is Kind.TEXT and name in ("==", "!="):
        _expect_known(operands, side, term, other, str(constant.value))
    if shape is Kind.INT:
        return fitting.whole(term, name, cast(int | float, constant.value))
    return hold(start(side), name, term, _fitted(other, cast(Kind, shape), constant))


def _fitted(node: Node, kind: Kind, constant: Constant) -> Constant:
    """The constant as what it is compared with has it. Raises Wrong."""
    if kind is Kind.TEXT:
        return constant
    written = node.written if isinstance(node, Value) else repr(constant.value)
    try:
        fit = fitting.threshold if kind is Kind.SCORE else fitting.double
        return Constant(fit(constant.value, written), kind)
    except ValueError as error:
        message, hint = error.args
        raise Wrong(start(node), message, hint, "bad_value") from None


def _of_terms(operands: Operands, node: Binary, left: Term, right: Term) -> Condition:
    one, other = shape_of(left), shape_of(right)
    if one is Kind.UNSAID and other is Kind.UNSAID:
        names = f"{spelled(node.left)} and {spelled(node.right)}"
        raise Wrong(node.at, f"of which kind {names} are is not known", "declare one of them")
    if one is Kind.UNSAID and other is not Kind.SCORE:
        left, one = operands.learn(cast(Field, left), other), other
    elif other is Kind.UNSAID and one is not Kind.SCORE:
        right, other = operands.learn(cast(Field, right), one), one
    if one is not other:
        raise _mismatch(node, left, right)
    return hold(start(node), node.operator, left, right)


def _in_constants(operands: Operands, node: Binary, value: Term, listed: Constants) -> Condition:
    if is_list(value):
        raise Wrong(
            start(node),
            f"{spelled(node.left)} is itself a list",
            f"write {spelled(node.left)}.exists(x, x in {spelled(node.right)})",
        )
    if isinstance(value, Constant):
        if not _same_kind(value.kind, listed.kind):
            raise _mismatch(node, value, listed)
        return Always(PREDICATES["in"].mean(value.value, listed.values))
    if isinstance(value, Field) and value.shape is Kind.UNSAID:
        if listed.kind is Kind.UNSAID:
            raise Wrong(start(node.right), "the list is empty", "", "bad_value")
        value = operands.learn(value, Kind.DOUBLE if listed.kind in _NUMBERS else listed.kind)
    if not listed.values:
        return whenever(value, known=False)
    shape = cast(Kind, shape_of(value))
    if shape is Kind.BOOL or not _same_kind(shape, listed.kind):
        raise _mismatch(node, value, listed)
    return _member(operands, node, value, shape, listed)


def _member(operands: Operands, node: Binary, value: Term, shape: Kind, listed: Constants) -> Condition:
    items: Sequence[Node] = getattr(node.right, "items", ())  # none where the list is the policy's
    for item, each in zip(items, listed.values, strict=False):
        if shape is Kind.TEXT:
            _expect_known(operands, node.left, value, item, str(each))
    if shape is Kind.INT:
        whole = fitting.wholes(cast(Sequence[float], listed.values))
        return (
            hold(start(node), "in", value, Constants(tuple(dict.fromkeys(whole)), shape))
            if whole
            else whenever(value, known=False)
        )
    if shape is not Kind.TEXT:
        constants = [Constant(each, listed.kind) for each in listed.values]
        fitted = [_fitted(item, shape, each).value for item, each in zip(items, constants, strict=True)]
        listed = Constants(tuple(fitted), shape)
    return hold(start(node), "in", value, Constants(tuple(dict.fromkeys(listed.values)), shape))


def _in_field(node: Binary, value: Term, listed: Field) -> Condition:
    shape = cast(Many, listed.shape)
    if not isinstance(shape.of, Kind):
        name = spelled(node.right)
        part = next(iter(shape.of.parts))
        raise Wrong(
            node.at,
            f"{name} holds {shape.of.name}s, not texts",
            f"write {name}.exists(x, x.{part} == {spelled(node.left)})",
        )
    if not isinstance(value, Constant):
        message = "what is looked for in a list of the request is a text written here"
        raise Wrong(start(node.left), message, "", "not_in_profile")
    if value.kind is not shape.of:
        raise Wrong(start(node.left), f"{spelled(node.right)} holds texts", f'write "{spelled(node.left)}"')
    return Some(listed, Holds(PREDICATES["=="], (Part("", shape.of), value)))


def _same_kind(one: Kind, other: Kind) -> bool:
    numbers = (*_NUMBERS, Kind.SCORE)
    return one is other or Kind.UNSAID in (one, other) or (one in numbers and other in numbers)


def _expect_known(operands: Operands, side: Node, term: Term, other: Node, value: str) -> None:
    """Where all values are known, the one that is written is one of them. Raises Wrong."""
    if isinstance(term, Field) and term.shape is not Kind.UNSAID:
        known = operands.declared(term).values
    else:
        known = operands.part(side, term).values if isinstance(term, Part) else None
    if known is not None and value not in known:
        some = f"it is one of {', '.join(sorted(known))}" if len(known) <= 12 else ""
        raise Wrong(
            start(other), f"{spelled(side)} is never '{value}'", did_you_mean(value, known) or some, "unknown_name"
        )


def _mismatch(node: Binary, left: Term, right: Term) -> Wrong:
    def of(term: Term) -> str:
        return (
            f"a list of {told(term.kind).removeprefix('a ')}s" if isinstance(term, Constants) else told(shape_of(term))
        )

    hint = ""
    if Kind.SCORE in (shape_of(left), shape_of(right)):
        hint = _WANTS[Kind.SCORE]
    return Wrong(node.at, f"{of(left)} and {of(right)} are not compared", hint)
