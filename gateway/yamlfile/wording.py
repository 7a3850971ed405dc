"""What pydantic found wrong, in words for someone who writes YAML, at the place where it stands.

A message says what should be there and what is: `server.port should be a whole number, but is "eighty"`. The words of a
validator's own ValueError are taken as they are, what follows a semicolon as the hint. A PydanticCustomError's type
becomes the problem's code, and its words follow the path: `storage.database is not available in this version`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import get_args

from pydantic import BaseModel, SecretBytes, SecretStr
from pydantic_core import ErrorDetails, core_schema

from gateway.suggest import did_you_mean
from gateway.yamlfile.places import Place, locate
from gateway.yamlfile.problem import Problem
from gateway.yamlfile.tree import Tree, Where, dotted, quoted

_MOST_LISTED = 12  # keys in a hint; a longer list is no help
_PYDANTICS_OWN = frozenset(get_args(core_schema.ErrorType))
_KINDS = {
    "a whole number": ("int_type", "int_parsing", "int_from_float", "int_parsing_size"),
    "a number": ("float_type", "float_parsing"),
    "text": ("string_type", "string_sub_type", "string_unicode"),
    "true or false": ("bool_type", "bool_parsing"),
    "a list": ("list_type", "tuple_type", "set_type", "frozen_set_type", "iterable_type"),
    "a mapping": ("dict_type", "mapping_type", "model_type", "model_attributes_type", "dataclass_type"),
    "a path": ("path_type",),
    "left empty": ("none_required",),
}
_WANTED_KIND = {code: wanted for wanted, codes in _KINDS.items() for code in codes}
_WANTED_VALUE = {
    "finite_number": "a finite number",
    "greater_than": "above {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "below {lt}",
    "less_than_equal": "at most {le}",
    "string_too_short": "at least {min_length} long",
    "string_too_long": "at most {max_length} characters long",
    "string_pattern_mismatch": "of the form {pattern}",
    "too_short": "at least {min_length} long",
    "too_long": "at most {max_length} long",
}
_COMMA = "a number has a point for its decimals, like 0.6"
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")


@dataclass(frozen=True, slots=True)
class _Misfit:
    """`… should be <wanted>`: kept apart until the alternatives of a union are joined."""

    place: Place
    code: str
    wanted: str
    hint: str = ""


def explain(tree: Tree, base: Where, model: type[BaseModel], found: Sequence[ErrorDetails]) -> list[Problem]:
    """One problem for each thing wrong. `base` is where that stands which was given to the model."""
    told = [_tell(tree, base, model, error) for error in found]
    paths = [locate(base, model, error["loc"]).where for error in found]
    problems = [each for each in told if isinstance(each, Problem)]
    misfits = [each for each in told if isinstance(each, _Misfit)]
    return problems + [_should_be(tree, misfit) for misfit in _joined(misfits, paths)]


def _tell(tree: Tree, base: Where, model: type[BaseModel], error: ErrorDetails) -> Problem | _Misfit:
    kind, context = error["type"], error.get("ctx", {})
    place = locate(base, model, error["loc"])
    match kind:
        case "missing":
            above, name = locate(base, model, error["loc"][:-1]), str(place.where[-1])
            return _missing(tree, place.where[:-1], name, above.described(name))
        case "extra_forbidden":
            return _unknown(tree, place.where, locate(base, model, error["loc"][:-1]).known_keys)
        case "union_tag_not_found":
            return _missing(tree, place.where, context["discriminator"].strip("'"))
        case "union_tag_invalid":
            tag = Place((*place.where, context["discriminator"].strip("'")))
            return _one_of(tree, tag, context["expected_tags"])
        case "literal_error" | "enum":
            return _one_of(tree, place, context["expected"])
    if kind in _WANTED_KIND:
        wanted = _WANTED_KIND[kind]
        return _Misfit(place, "wrong_type", wanted, _advice(tree, place, wanted))
    if kind in _WANTED_VALUE:
        like = locate(base, model, error["loc"][:-1]).described(str(error["loc"][-1])) if "pattern" in context else ""
        return _Misfit(place, "bad_value", _WANTED_VALUE[kind].format(**context), like)
    return _said(tree, place, kind, error["msg"])


def _missing(tree: Tree, parent: Where, name: str, hint: str = "") -> Problem:
    inside = f" in {dotted(parent)}" if parent else ""
    return tree.error(parent, f"'{name}' is missing{inside}", hint, key=True, code="missing_key")


def _unknown(tree: Tree, where: Where, known: list[str]) -> Problem:
    name = str(where[-1])
    inside = f" in {dotted(where[:-1])}" if where[:-1] else ""
    listed = f"known are {', '.join(known)}" if 0 < len(known) <= _MOST_LISTED else ""
    hint = _COMMA if name.isdecimal() else did_you_mean(name, known) or listed
    return tree.error(where, f"unknown key {quoted(name)}{inside}", hint, key=True, code="unknown_key")


def _one_of(tree: Tree, place: Place, expected: str) -> _Misfit:
    """`expected` is pydantic's list of them: 'all' or 'first'."""
    node = tree.find(place.where)
    secret = _is_secret(tree, place)
    near = "" if secret or node is None else did_you_mean(str(node.value), re.findall(r"'([^']*)'", expected))
    return _Misfit(place, "bad_value", expected.replace("'", ""), near)


def _advice(tree: Tree, place: Place, wanted: str) -> str:
    node = tree.find(place.where)
    if node is None:
        return ""
    match wanted, node.value:
        case (("a list" | "a mapping" | "text"), None):
            return "write it, or leave the key out"
        case "a list", dict():
            return "begin each entry with a dash"
        case "a list", _:
            return "write it in [ ]"
        case "a mapping", _:
            named = ", ".join(f"{key}: …" for key in place.first_keys)
            return f"write it as {{{named or 'key: value'}}}"
        case "text", str() | int() | float():
            return "put quotes round it"
        case "a number" | "a whole number", str() as text if _NUMBER.fullmatch(text):
            return "take the quotes away"
    return ""


def _said(tree: Tree, place: Place, kind: str, message: str) -> Problem | _Misfit:
    """The words of a validator, or of pydantic where it says `Input should be …`."""
    words = tree.concealed(message, place.where)
    if words.startswith("Input should be "):
        return _Misfit(place, "bad_value", words.removeprefix("Input should be "))
    words = words.removeprefix("Value error, ").removeprefix("Assertion failed, ")
    if kind not in _PYDANTICS_OWN:
        return tree.error(place.where, f"{dotted(place.where)} {words}", key=place.key, code=kind)
    node = tree.find(place.where)
    whole = place.key or node is None or isinstance(node.value, dict | list) or _is_secret(tree, place)
    subject = _subject(place) if whole else f"{_subject(place)} is {tree.shown(place.where)}"
    words, _, hint = words.partition("; ")
    return tree.error(place.where, f"{subject}: {words}", hint, key=place.key)


def _subject(place: Place) -> str:
    if place.key:
        return f"the key {quoted(str(place.where[-1]))}"
    return dotted(place.where) or "the file"


def _is_secret(tree: Tree, place: Place) -> bool:
    return tree.secret(place.where) or any(kind in (SecretStr, SecretBytes) for kind in place.kinds)


def _joined(misfits: Iterable[_Misfit], paths: list[Where]) -> list[_Misfit]:
    """The alternatives of a union as one sentence; one that got further into the value speaks for the others."""
    joined: dict[tuple[Where, bool], _Misfit] = {}
    above = {path[:depth] for path in paths for depth in range(len(path))}
    for misfit in misfits:
        where = misfit.place.where
        if where in above:
            continue
        known = joined.setdefault((where, misfit.place.key), misfit)
        if misfit.wanted not in known.wanted:
            wanted, hint = f"{known.wanted} or {misfit.wanted}", known.hint or misfit.hint
            joined[where, misfit.place.key] = replace(known, wanted=wanted, hint=hint)
    return list(joined.values())


def _should_be(tree: Tree, misfit: _Misfit) -> Problem:
    place = misfit.place
    read = "" if place.key else f", but is {tree.shown(place.where, secret=_is_secret(tree, place))}"
    detail = f"{_subject(place)} should be {misfit.wanted}{read}"
    return tree.error(place.where, detail, misfit.hint, key=place.key, code=misfit.code)
