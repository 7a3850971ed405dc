"""All rules of a policy → one Python function over the request vector.

A condition is compiled into what makes it certainly true, and what makes it certainly false; unknown is neither, and
not swaps the two. Of a rule that is not true it is then asked whether it is unknown, which is shorter than false. With
-1 for a missing score, "certainly at least t" is one comparison of integers. What is asked of a list is asked once, and
kept as one of three numbers.

The source is written from the typed tree alone. No text of a user is in it: values are bound by names of ours.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from gateway.policy.cel.shapes import Kind
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
    never_unknown,
)
from gateway.policy.cel.words import PREDICATES, Predicate
from gateway.policy.compile.binding import bind, binder
from gateway.policy.compile.facts import Facts, Incomplete
from gateway.policy.compile.slots import Slot, highest, slots, vector

Masks = tuple[int, int]  # bit n is rule n: certainly true, unknown

_SCORE = Kind.SCORE
_WHOLE = (_SCORE, Kind.INT)
_WRITTEN, _NUMBERS, _COUNTED = (Constant, Constants), (Score, Constant), (Votes, Present)
_FALSE, _UNKNOWN, _TRUE = 0, 1, 2  # so that the greatest of some outcomes is what "any of them" comes to


class Program:
    """Some rules, ready to be asked. `slots` says what belongs where in a vector; `source` is for people.

    `vector` fetches some facts in the order of the slots, `run` asks all rules of them.
    """

    def __init__(self, conditions: Sequence[Condition]):
        self.slots: tuple[Slot, ...] = slots(conditions)
        self.vector = vector(self.slots)
        writer = _Writer(self.slots)
        self.source = writer.function(conditions)
        self.run: Callable[[Sequence[Any]], Masks] = bind(self.source, writer.constants)

    def ask(self, facts: Facts) -> Masks:
        """Which rules hold, and of which it is unknown."""
        return self.run(self.vector(facts))


def any_of(open_ones: list[bool], items: Sequence[Any]) -> int:
    """Whether one of those that are not certainly false is true; unknown while others may come."""
    if True in open_ones:
        return _TRUE
    return _UNKNOWN if open_ones or type(items) is Incomplete else _FALSE


def exactly_one(outcomes: list[int], items: Sequence[Any] = ()) -> int:
    """Whether one of them is true; unknown as soon as one is, and while others may come."""
    if type(items) is Incomplete:
        return _UNKNOWN
    return _UNKNOWN if _UNKNOWN in outcomes else _TRUE if outcomes.count(_TRUE) == 1 else _FALSE


class _Writer:
    """Writes the source. `constants` are the values it names, in the order in which `bind` takes them."""

    def __init__(self, order: Sequence[Slot]):
        self._names: dict[Slot, str] = {slot: f"v{number}" for number, slot in enumerate(order)}
        self._known: dict[Constant | Constants, str] = {}
        self._kept: dict[Some | One, str] = {}
        self._lines: list[str] = []
        self.constants: dict[str, Any] = {"one": exactly_one, "some": any_of, "more": Incomplete}

    def function(self, conditions: Sequence[Condition]) -> str:
        """`bind(constants)` gives `rules(vector)`, which gives the masks."""
        for place, condition in enumerate(conditions):
            self._rule(condition, 1 << place)
        unpacked = "".join(f"{name}, " for name in self._names.values())
        return binder(
            self.constants,
            [
                "def rules(vector):",
                *([f"    {unpacked}= vector"] if unpacked else []),
                "    hits = unknown = 0",
                *(f"    {line}" for line in self._lines),
                "    return hits, unknown",
                "return rules",
            ],
        )

    def _rule(self, condition: Condition, bit: int) -> None:
        true, unknown = self.true(condition), self.unknown(condition)
        self._lines += [f"if {true}:", f"    hits |= {bit}"]
        self._lines += [f"elif {unknown}:", f"    unknown |= {bit}"] if unknown else []

    def true(self, node: Condition) -> str:
        """What makes it certainly true."""
        match node:
            case Always():
                return str(node.value)
            case And() | Or():
                return _joined(
                    "and" if isinstance(node, And) else "or", [self.true(part) for part in _numbers_first(node)]
                )
            case Not():
                return self.false(node.part)
            case Holds():
                return self._holds(node.word, node.terms)
            case Truth():
                return f"({self._names[node.term]} is True)"
            case Present():
                return f"({self._names[Score(node.category)]} >= 0)"
            case Votes():
                return f"({self._names[highest(node)[0]]} >= {node.threshold:d})"
            case One() | Some():
                return f"({self._keep(node)} == {_TRUE})"

    def false(self, node: Condition) -> str:
        """What makes it certainly false."""
        match node:
            case Always():
                return str(not node.value)
            case And() | Or():
                return _joined(
                    "or" if isinstance(node, And) else "and", [self.false(part) for part in _numbers_first(node)]
                )
            case Not():
                return self.true(node.part)
            case Holds():
                return self._holds(node.word, node.terms, denied=True)
            case Truth():
                return f"({self._names[node.term]} is False)"
            case Present():
                return f"({self._names[Score(node.category)]} < 0)"
            case Votes():
                return f"({self._names[highest(node)[1]]} < {node.threshold:d})"
            case One() | Some():
                return f"({self._keep(node)} == {_FALSE})"

    def unknown(self, node: Condition) -> str:
        """What makes it unknown where it is not true; nothing where it never is."""
        match node:
            case Or():
                parts = [part for each in node.parts if (part := self.unknown(each))]
                return _joined("or", parts) if parts else ""
            case Holds():
                return " or ".join(f"not {known}" for term in dict.fromkeys(node.terms) if (known := self._guard(term)))
            case Truth():
                return f"{self._names[node.term]} is None"
            case Present():
                return ""
            case One() | Some():
                return f"{self._keep(node)} == {_UNKNOWN}"
        return f"not {self.false(node)}"

    def _holds(self, word: Predicate, terms: Sequence[Term], *, denied: bool = False) -> str:
        if denied and word.opposite:
            return self._holds(PREDICATES[word.opposite], terms)
        said = word.python.format(*[self._term(term) for term in terms])
        asked = [term for term in terms if not isinstance(term, _WRITTEN)]
        if len(asked) == 1 and not denied and _harmless(word, asked[0]):
            return f"({said})"
        guards = [guard for term in dict.fromkeys(asked) if (guard := self._guard(term))]
        return _joined("and", [*guards, f"not ({said})" if denied else said])

    def _guard(self, term: Term) -> str:
        """What makes the term known; nothing where it always is."""
        match term:
            case Score():
                return f"{self._names[term]} >= 0"
            case Part() if term.kind is _SCORE:
                return f"{_element(term.name)} >= 0"
            case Field():
                return f"{self._names[term]} is not None"
        return ""

    def _term(self, term: Term) -> str:
        match term:
            case Score() | Coverage() | Field():
                return self._names[term]
            case Part():
                return _element(term.name)
            case Constant() if term.kind in _WHOLE:
                return f"{term.value:d}"
            case Constant() | Constants():
                return self._constant(term)

    def _constant(self, term: Constant | Constants) -> str:
        name = self._known.setdefault(term, f"c{len(self._known)}")
        self.constants[name] = term.value if isinstance(term, Constant) else frozenset(term.values)
        return name

    # what is asked once

    def _keep(self, node: Some | One) -> str:
        """The name of its outcome, which stands before the first rule that needs it."""
        if node not in self._kept:
            outcome = self._some(node) if isinstance(node, Some) else self._one(node)
            self._kept[node] = f"s{len(self._kept)}"
            self._lines.append(f"{self._kept[node]} = {outcome}")
        return self._kept[node]

    def _some(self, node: Some) -> str:
        name = self._names[node.over]
        each = f"for {_elements(node)} in {name}"
        if node.once:
            asked = f"one([{self._outcome(node.body)} {each}], {name})"
        else:
            asked = f"some([{self.true(node.body)} {each} if not {self.false(node.body)}], {name})"
        none = f"{_UNKNOWN} if {name} is None or type({name}) is more else {_FALSE}"
        return f"{asked} if {name} else {none}"

    def _one(self, node: One) -> str:
        return f"one([{', '.join(self._outcome(part) for part in node.parts)}])"

    def _outcome(self, node: Condition) -> str:
        otherwise = "" if never_unknown(node) else f"{_FALSE} if {self.false(node)} else "
        return f"{_TRUE} if {self.true(node)} else {otherwise}{_UNKNOWN if otherwise else _FALSE}"


def _numbers_first(node: And | Or) -> Sequence[Condition]:
    """Its parts, comparisons of scores before others: they are quick, and most contents are calm."""
    return sorted(node.parts, key=lambda part: not _of_scores(part))


def _of_scores(node: Condition) -> bool:
    match node:
        case And() | Or():
            return all(_of_scores(part) for part in node.parts)
        case Holds():
            return all(isinstance(term, _NUMBERS) for term in node.terms)
    return isinstance(node, _COUNTED)


def _harmless(word: Predicate, term: Term) -> bool:
    """Whether asking it of a missing term is false by itself."""
    if isinstance(term, Field):
        return word.no_value
    return word.no_score


def _joined(word: str, parts: Sequence[str]) -> str:
    return f"({f' {word} '.join(parts)})"


def _element(part: str) -> str:
    return f"e_{part}"


def _elements(node: Some) -> str:
    """The names an element is unpacked into."""
    if isinstance(node.elements, Kind):
        return _element("")
    return "".join(f"{_element(part)}, " for part in node.elements).strip()
