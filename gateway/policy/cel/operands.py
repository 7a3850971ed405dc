"""Names → what they stand for: scores, fields of the request, the policy's lists, the element a macro looks at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from gateway.policy.cel.hints import ABSENT, NAMES_INSTEAD
from gateway.policy.cel.mistake import Code, Mistake
from gateway.policy.cel.shapes import Declared, Kind, Many, Shape, told
from gateway.policy.cel.spelling import spelled
from gateway.policy.cel.tree import Call, Index, Items, Name, Node, Select, Value, start
from gateway.policy.cel.typed import Constant, Constants, Coverage, Field, Part, Score, Term
from gateway.policy.cel.vocabulary import CONTEXT, OCR, USER, Path, Vocabulary
from gateway.policy.cel.words import FUNCTIONS, MACROS, METHODS, ROOTS
from gateway.suggest import did_you_mean

_UNKNOWN: Code = "unknown_name"
_MOST_LISTED = 12


class Wrong(Exception):
    """A mistake that ends the checking of the comparison it is in."""

    def __init__(self, at: int, message: str, hint: str = "", code: Code = "wrong_type"):
        super().__init__(message)
        self.mistake = Mistake(at, message, hint, code)


@dataclass(frozen=True, slots=True)
class Element:
    """What a macro's variable stands for. `depth` counts the macros around it."""

    depth: int
    elements: Kind | Mapping[str, Declared]


class Operands:
    """What the names of one expression stand for. `learnt` grows as undeclared fields are used."""

    def __init__(self, vocabulary: Vocabulary):
        self._vocabulary = vocabulary
        self._streams = vocabulary.streams
        self._scope: dict[str, Constant | Element] = {}
        self._depth = 0
        self.learnt: dict[Path, Declared] = {}

    @contextmanager
    def where(self, name: str, stands_for: Constant | Kind | Mapping[str, Declared]) -> Iterator[None]:
        """Within this, the name is a value, or an element of a list."""
        before = self._scope
        of_list = not isinstance(stands_for, Constant)
        self._depth += of_list
        bound = stands_for if isinstance(stands_for, Constant) else Element(self._depth, stands_for)
        self._scope = {**before, name: bound}
        try:
            yield
        finally:
            self._scope = before
            self._depth -= of_list

    def term(self, node: Node) -> Term:
        """What a node that is no condition stands for. Raises Wrong."""
        match node:
            case Value():
                return Constant(node.value, _kind(node.value))
            case Items():
                return self._items(node)
            case Name():
                return self._name(node)
            case Select():
                return self._select(node)
            case Index():
                return self._index(node)
            case Call(name="coverage", of=None):
                return Coverage(self._only_category(node))
            case Call():
                raise self._no_such_call(node)
        raise AssertionError(f"{node} is a condition")

    def category(self, node: Node) -> str:
        """The category written there. Raises Wrong."""
        if isinstance(node, Name) and node.name not in self._scope:
            raise Wrong(node.at, "a category is written in quotes", f'write "{node.name}"')
        term = self.term(node)
        if not isinstance(term, Constant) or not isinstance(term.value, str):
            raise Wrong(start(node), "a category is a text written here", 'like "hate"')
        taxonomy = self._vocabulary.taxonomy
        if not taxonomy.knows(term.value):
            raise Wrong(start(node), f"unknown category '{term.value}'", taxonomy.suggest(term.value), _UNKNOWN)
        return term.value

    def learn(self, field: Field, shape: Shape) -> Field:
        """The undeclared field, of the shape it is used with."""
        self.learnt[field.path] = Declared(shape)
        return Field(field.root, field.name, shape)

    def declared(self, field: Field) -> Declared:
        """What is known of a field that was declared, or used before."""
        said = self._known(field.root, field.name)
        assert said is not None  # noqa: S101 - it has a shape
        return said

    def part(self, node: Node, part: Part) -> Declared:
        """What is known of a part, or of the element itself."""
        name = node.of.name if isinstance(node, Select) and isinstance(node.of, Name) else ""
        element = self._scope.get(name)
        if isinstance(element, Element) and isinstance(element.elements, Mapping):
            return element.elements[part.name]
        return Declared(part.kind)

    def _known(self, root: str, name: str) -> Declared | None:
        return self.learnt.get((root, name)) or self._vocabulary.known(root, name)

    def _fields(self, root: str) -> dict[str, Declared]:
        used = {name: said for (where, name), said in self.learnt.items() if where == root}
        return {**self._vocabulary.fields(root), **used}

    def _items(self, node: Items) -> Constants:
        items = [self.term(item) for item in node.items]
        if not all(isinstance(item, Constant) for item in items):
            raise Wrong(node.at, "a list holds values written here", "write x == a || x == b", "not_in_profile")
        written = [item for item in items if isinstance(item, Constant)]
        kinds = {item.kind for item in written}
        if kinds == {Kind.INT, Kind.DOUBLE}:
            kinds = {Kind.DOUBLE}
        if len(kinds) > 1:
            raise Wrong(node.at, "a list holds values of one kind", " and ".join(sorted(told(kind) for kind in kinds)))
        return Constants(tuple(item.value for item in written), kinds.pop() if kinds else Kind.UNSAID)

    def _name(self, node: Name) -> Term:
        found = self._scope.get(node.name)
        if isinstance(found, Constant):
            return found
        if isinstance(found, Element):
            if not isinstance(found.elements, Kind):
                raise Wrong(
                    node.at,
                    f"{node.name} is a whole record",
                    f"ask for a part of it: {_listed(found.elements, node.name)}",
                )
            return Part("", self._own(node, found).elements)  # type: ignore[arg-type]
        if node.name in self._streams:
            return Field(node.name, "", self._streams[node.name].shape)
        raise self._no_such_name(node)

    def _own(self, node: Name, element: Element) -> Element:
        if element.depth != self._depth:
            message = f"{node.name} belongs to the list outside; a macro speaks of its own element"
            raise Wrong(node.at, message, "", "not_in_profile")
        return element

    def _select(self, node: Select) -> Term:
        root = node.of.name if isinstance(node.of, Name) else ""
        found = self._scope.get(root)
        if isinstance(found, Element) and isinstance(node.of, Name):
            return self._part(node, self._own(node.of, found))
        if found is None:
            if root == "lists":
                return self._list(node)
            if root in (CONTEXT, USER, OCR):
                return self._field(node, root)
            if root == "scores":
                raise Wrong(node.at, "a score is asked for by its category", f'write scores["{node.name}"]')
            if root in self._streams:
                raise Wrong(node.at, f"{root} is a list", f"write {root}.exists(x, x.{node.name} == …)")
        of = self.term(node.of)
        raise Wrong(
            node.at, f"{spelled(node.of)} is {told(shape_of(of))} and has no parts", "fields are one level deep"
        )

    def _part(self, node: Select, element: Element) -> Part:
        if isinstance(element.elements, Kind):
            raise Wrong(node.at, f"{spelled(node.of)} is {told(element.elements)} and has no parts")
        if node.name not in element.elements:
            hint = (
                did_you_mean(node.name, element.elements) or f"there are {_listed(element.elements, spelled(node.of))}"
            )
            raise Wrong(node.at, f"unknown part '{node.name}'", hint, _UNKNOWN)
        kind = element.elements[node.name].shape
        assert isinstance(kind, Kind)  # noqa: S101 - records hold no lists
        return Part(node.name, kind)

    def _list(self, node: Select) -> Constants:
        lists = self._vocabulary.lists
        if node.name not in lists:
            hint = did_you_mean(node.name, lists) or (_known(lists) if lists else "this policy has no lists")
            raise Wrong(node.at, f"unknown list '{node.name}'", hint, _UNKNOWN)
        return Constants(tuple(dict.fromkeys(lists[node.name])), Kind.TEXT)

    def _field(self, node: Select, root: str) -> Field:
        said = self._known(root, node.name)
        if said is not None:
            return Field(root, node.name, said.shape, said.default)
        if not self._vocabulary.allows_more(root):
            fields = self._fields(root)
            raise Wrong(
                node.at,
                f"unknown field '{root}.{node.name}'",
                did_you_mean(node.name, fields) or _known(fields),
                _UNKNOWN,
            )
        return Field(root, node.name, Kind.UNSAID)

    def _index(self, node: Index) -> Score:
        root = node.of.name if isinstance(node.of, Name) else ""
        if root == "scores" and root not in self._scope:
            return Score(self.category(node.key))
        if root in (CONTEXT, USER, OCR):
            raise Wrong(node.at, f"a field of {root} is asked for by its name", f"write {root}.name", "not_in_profile")
        if not root or root in self._scope or root in ROOTS:
            raise Wrong(
                node.at, f"{spelled(node.of)}[…] is not in the profile", 'only scores["…"] is', "not_in_profile"
            )
        raise self._no_such_name(node.of)  # type: ignore[arg-type]

    def _only_category(self, node: Call) -> str:
        if len(node.arguments) != 1:
            raise Wrong(node.at, "coverage needs one category", 'write coverage("hate") >= 2')
        return self.category(node.arguments[0])

    def _no_such_name(self, node: Name) -> Wrong:
        name = node.name
        if name == "scores":
            return Wrong(node.at, "scores is not a value by itself", 'write scores["hate"]')
        if name in ROOTS:
            return Wrong(node.at, f"{name} is not a value by itself", f"write {name}.name")
        if name in FUNCTIONS:
            return Wrong(node.at, f"{name} is a function", f'write {name}("hate"…)')
        return Wrong(node.at, f"unknown name '{name}'", self._meant(name), _UNKNOWN)

    def _meant(self, name: str) -> str:
        """What a name that stands for nothing may have been meant for."""
        if name in NAMES_INSTEAD:
            return f"did you mean '{NAMES_INSTEAD[name]}'?"
        if self._vocabulary.taxonomy.knows(name):
            return f'a score is written scores["{name}"]'
        if name in self._vocabulary.lists:
            return f"a list is written lists.{name}"
        roots = [root for root in (CONTEXT, USER, OCR) if self._known(root, name)]
        if roots:
            return f"a field is written {roots[0]}.{name}"
        return did_you_mean(name, [*ROOTS, *FUNCTIONS, *self._scope]) or "a text is written in quotes"

    def _no_such_call(self, node: Call) -> Wrong:
        if node.name in ABSENT:
            return Wrong(node.at, f"{node.name} is not in the profile", ABSENT[node.name], "not_in_profile")
        if node.name == "votes" and not node.of:
            return Wrong(node.at, "votes(…) is compared with one whole number", 'write votes("hate", 0.7) >= 2')
        what = "method" if node.of else "function"
        known = {*METHODS, *MACROS} if node.of else FUNCTIONS
        here = node.name in {*METHODS, *MACROS, *FUNCTIONS}
        other = f"write x.{node.name}(…)" if not node.of else f'write {node.name}("hate"…)'
        return Wrong(
            node.at,
            f"unknown {what} '{node.name}'",
            other if here else did_you_mean(node.name, known) or _known(known),
            _UNKNOWN,
        )


def shape_of(term: Term) -> Shape:
    """The shape of a term; of a list that is written out, that of its values."""
    match term:
        case Constant() | Constants() | Part():
            return term.kind
        case Score():
            return Kind.SCORE
        case Coverage():
            return Kind.INT
        case Field():
            return term.shape


def is_list(term: Term) -> bool:
    """Whether it is a list, written out or of the request."""
    return isinstance(term, Constants) or isinstance(shape_of(term), Many)


def _kind(value: bool | int | float | str) -> Kind:
    if isinstance(value, bool):
        return Kind.BOOL
    return Kind.INT if isinstance(value, int) else Kind.DOUBLE if isinstance(value, float) else Kind.TEXT


def _listed(parts: Mapping[str, Declared], name: str) -> str:
    return ", ".join(f"{name}.{part}" for part in parts)


def _known(names: Mapping[str, object] | set[str] | frozenset[str]) -> str:
    return f"known are {', '.join(sorted(names))}" if 0 < len(names) <= _MOST_LISTED else ""
