"""All rules of a policy → one Python function over the request vector.

A condition is compiled twice: into what makes it certainly true, and what makes it certainly false; unknown is neither.
Not swaps the two. With -1 for a missing score, "certainly at least t" is one comparison of integers.

The source is written from the typed tree alone. No text of a user is in it: values are bound by names of ours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
)
from gateway.policy.cel.words import PREDICATES, Predicate
from gateway.policy.compile.facts import Facts
from gateway.policy.compile.slots import Slot, highest, reader, slots

Masks = tuple[int, int]  # bit n is rule n: certainly true, unknown


class Program:
    """Some rules, ready to be asked. `slots` says what belongs where in a vector; `source` is for people."""

    def __init__(self, conditions: Sequence[Condition]):
        self.slots: tuple[Slot, ...] = slots(conditions)
        self._readers = [reader(slot) for slot in self.slots]
        writer = _Writer(self.slots)
        self.source = writer.function(conditions)
        self.run: Callable[[Sequence[Any]], Masks] = _made(self.source, writer.constants)

    def vector(self, facts: Facts) -> list[Any]:
        """The facts in the order of the slots."""
        return [read(facts) for read in self._readers]

    def ask(self, facts: Facts) -> Masks:
        """Which rules hold, and of which it is unknown."""
        return self.run(self.vector(facts))


def exactly_one(outcomes: Sequence[tuple[Any, Any]]) -> bool | None:
    """Of (certainly true, certainly false) pairs: whether one is true; None as soon as one is neither."""
    if not all(true or false for true, false in outcomes):
        return None
    return sum(1 for true, _ in outcomes if true) == 1


def _made(source: str, constants: Mapping[str, Any]) -> Callable[[Sequence[Any]], Masks]:
    namespace: dict[str, Any] = {}
    exec(compile(source, "<rules>", "exec"), {}, namespace)  # noqa: S102 - our own words, see above
    made: Callable[[Sequence[Any]], Masks] = namespace["bind"](*constants.values())
    return made


class _Writer:
    """Writes the source. `constants` are the values it names, in the order in which `bind` takes them."""

    def __init__(self, order: Sequence[Slot]):
        self._names: dict[Slot, str] = {slot: f"v{number}" for number, slot in enumerate(order)}
        self._known: dict[Constant | Constants, str] = {}
        self.constants: dict[str, Any] = {"one": exactly_one}

    def function(self, conditions: Sequence[Condition]) -> str:
        """`bind(constants)` gives `rules(vector)`, which gives the masks."""
        rules = [line for place, condition in enumerate(conditions) for line in self._rule(condition, 1 << place)]
        unpacked = "".join(f"{name}, " for name in self._names.values())
        return "\n".join(
            [
                f"def bind({', '.join(self.constants)}):",
                "    def rules(vector):",
                *([f"        {unpacked}= vector"] if unpacked else []),
                "        hits = unknown = 0",
                *(f"        {line}" for line in rules),
                "        return hits, unknown",
                "    return rules",
            ]
        )

    def _rule(self, condition: Condition, bit: int) -> list[str]:
        return [
            f"if {self.true(condition)}:",
            f"    hits |= {bit}",
            f"elif not {self.false(condition)}:",
            f"    unknown |= {bit}",
        ]

    def true(self, node: Condition) -> str:
        """What makes it certainly true."""
        match node:
            case Always():
                return str(node.value)
            case And() | Or():
                return _joined("and" if isinstance(node, And) else "or", [self.true(part) for part in node.parts])
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
            case One():
                return f"({self._one(node.parts)} is True)"
            case Some():
                return self._some(node)

    def false(self, node: Condition) -> str:
        """What makes it certainly false."""
        match node:
            case Always():
                return str(not node.value)
            case And() | Or():
                return _joined("or" if isinstance(node, And) else "and", [self.false(part) for part in node.parts])
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
            case One():
                return f"({self._one(node.parts)} is False)"
            case Some():
                return self._none(node)

    def _holds(self, word: Predicate, terms: Sequence[Term], *, denied: bool = False) -> str:
        if denied and word.opposite:
            return self._holds(PREDICATES[word.opposite], terms)
        said = word.python.format(*(self._term(term) for term in terms))
        alone = sum(not isinstance(term, Constant | Constants) for term in terms) == 1 and not denied
        guards = [self._guard(term) for term in dict.fromkeys(terms) if not (alone and _harmless(word, term))]
        return _joined("and", [*filter(None, guards), f"not ({said})" if denied else said])

    def _guard(self, term: Term) -> str:
        """What makes the term known; nothing where it always is."""
        if isinstance(term, Score) or (isinstance(term, Part) and term.kind is Kind.SCORE):
            return f"{self._term(term)} >= 0"
        return f"{self._term(term)} is not None" if isinstance(term, Field) else ""

    def _term(self, term: Term) -> str:
        match term:
            case Score() | Coverage() | Field():
                return self._names[term]
            case Part():
                return _element(term.name)
            case Constant(kind=Kind.SCORE | Kind.INT):
                return f"{term.value:d}"
            case Constant() | Constants():
                return self._constant(term)

    def _constant(self, term: Constant | Constants) -> str:
        name = self._known.setdefault(term, f"c{len(self._known)}")
        self.constants[name] = term.value if isinstance(term, Constant) else frozenset(term.values)
        return name

    # lists of the request

    def _some(self, node: Some) -> str:
        name = self._names[node.over]
        if node.once:
            return f"({name} is not None and {self._one_of_list(node)} is True)"
        return f"({name} and any([{self.true(node.body)} for {_elements(node)} in {name}]))"

    def _none(self, node: Some) -> str:
        name = self._names[node.over]
        if node.once:
            return f"({name} is not None and {self._one_of_list(node)} is False)"
        return f"({name} is not None and all([{self.false(node.body)} for {_elements(node)} in {name}]))"

    def _one_of_list(self, node: Some) -> str:
        pair = f"({self.true(node.body)}, {self.false(node.body)})"
        return f"one([{pair} for {_elements(node)} in {self._names[node.over]}])"

    def _one(self, parts: Sequence[Condition]) -> str:
        return f"one([{', '.join(f'({self.true(part)}, {self.false(part)})' for part in parts)}])"


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
