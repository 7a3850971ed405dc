"""YAML text → a tree of values that know where they stand.

The dialect is YAML as a reader expects it, which is YAML 1.2's core schema, less what surprises:

* only true and false (also True, TRUE, …) are booleans: `no`, `off`, `yes` and `NO`, the country, are text. Where true
  or false is expected, pydantic takes those words as well, so `enabled: off` does what it says;
* dates, times and `1:30` are text; so are numbers with a leading zero (`007`), infinity, not-a-number, and whole
  numbers of more than 64 bits, which no database and no JSON of ours holds;
* keys are always text, as written: `no: …` is the key "no", `1: …` the key "1";
* tags (`!x`, `!!str`) and merges (`<<`) are refused. Aliases are fine; a tree may not grow past a limit by them.

libyaml's event stream is read instead of its `compose()`: that one recurses in C, and 30,000 brackets end the process.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

import yaml

from gateway.yamlfile.expand import expand
from gateway.yamlfile.problem import Problem, together

MAX_DEPTH = 64
_BEYOND = 2**63
MAX_NODES = 250_000  # aliases counted as often as they are used

_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_PLAIN = re.compile(
    r"(?P<empty>~|null|Null|NULL|)"
    r"|(?P<true>true|True|TRUE)"
    r"|(?P<false>false|False|FALSE)"
    r"|(?P<int>[-+]?(?:0|[1-9][0-9]{0,299}))"
    r"|(?P<oct>0o[0-7]{1,300})"
    r"|(?P<hex>0x[0-9a-fA-F]{1,300})"
    r"|(?P<float>[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?)"
)
_BRACKET = 'close the bracket; in it a value like "${NAME}" needs quotes, as does a text with ": "'
_HINTS = {
    "mapping values are not allowed in this context": "check the indentation; a text with ': ' in it needs quotes",
    "did not find expected key": "check the indentation of this line and the one before",
    "could not find expected ':'": "a key needs a colon and a space after it",
    "did not find expected '-' indicator": "check the indentation of this line and the one before",
    "found character that cannot start any token": "indent by spaces; a text that begins with @ % or ` needs quotes",
    "did not find expected ',' or '}'": _BRACKET,
    "did not find expected ',' or ']'": _BRACKET,
    "found unexpected end of stream": "the quote that begins here is not closed",
    "found a tab character that violates indentation": "indent by spaces",
}
_TELLING = (  # how a line begins that is not what it looks like
    (re.compile("(<{7}|={7}|>{7})"), "this is left of a merge: keep one side of it"),
    (re.compile("\\s*[\u2013\u2014]"), "an entry of a list begins with -, this is a longer dash"),
    (re.compile(" *\u00a0"), "a line here is indented by no-break spaces: indent by spaces"),
)
_QUOTED = re.compile(r"""(["'])[^"']*\1\s*$""")
_BRACKETED = re.compile(r":\s+[\[{].*[\]}]\s*$")
_BEGAN = "a text that begins with [ or { needs quotes round the whole"
_ENDED = "the text ends at its second quote: put the other kind round the whole, like 'a == \"b\"'"

_SCALAR, _ALIAS, _MAPPING, _MAPPING_END, _LIST_END = (
    *(yaml.ScalarEvent, yaml.AliasEvent, yaml.MappingStartEvent, yaml.MappingEndEvent, yaml.SequenceEndEvent),
)

Scalar = str | int | float | bool | None


@dataclass(slots=True)
class Node:
    """A value and its place, both counted from 1. `written` is how it stands in the file, where a variable made it.

    `size` is how many nodes it is made of, itself included. A mapping also knows the place of each key.
    """

    line: int
    column: int
    value: Scalar | list[Node] | dict[str, Node]
    keys: dict[str, tuple[int, int]] = field(default_factory=dict)
    written: str | None = None
    size: int = 1


def plain(node: Node) -> Any:
    """The value as dict, list, str, int, float, bool and None."""
    if isinstance(node.value, dict):
        return {key: plain(child) for key, child in node.value.items()}
    if isinstance(node.value, list):
        return [plain(child) for child in node.value]
    return node.value


def grow(text: str, file: str, environment: Mapping[str, str] | None) -> Node:
    """The tree of one document whose root is a mapping. Raises Problem with everything that is wrong.

    Variables are expanded in values where there is an environment. `file` is only for messages.
    """
    found = _UNPRINTABLE.search(text)
    if found:
        before = text[: found.start()]
        place = before.count("\n") + 1, found.start() - (before.rfind("\n") + 1) + 1
        hint = "save it as text, in UTF-8" if found[0] == "\0" else "take it out"
        raise _bad(f"the character U+{ord(found[0]):04X} is not allowed in YAML", file, *place, hint)
    grower = _Grower(text, file, environment)
    root = grower.document()
    if grower.problems:
        raise together(grower.problems)
    return root


def _bad(detail: str, file: str, line: int, column: int, hint: str = "", code: str = "bad_yaml") -> Problem:
    return Problem(detail, code=code, file=file, line=line, column=column, hint=hint)


def _place(mark: Any) -> tuple[int, int]:
    return mark.line + 1, mark.column + 1


class _Grower:
    """Reads events one after the other. What can be read past is collected in `problems`, the rest raised at once."""

    def __init__(self, text: str, file: str, environment: Mapping[str, str] | None):
        self._event = yaml.CSafeLoader(text).get_event
        self._file = file
        self._lines = text.split("\n")
        self._last_line = text.rstrip().count("\n") + 1
        self._environment = environment
        self._anchors: dict[str, Node | None] = {}  # None while what the anchor names is not yet finished
        self._nodes = 0
        self.problems: list[Problem] = []

    def document(self) -> Node:
        self._next()  # the stream begins
        if isinstance(self._next(), yaml.StreamEndEvent):
            raise _bad("the file is empty", self._file, 1, 1, "it should be a mapping, like key: value", "wrong_type")
        first = self._next()
        if not isinstance(first, yaml.MappingStartEvent):
            detail = "the file should be a mapping, like key: value"
            self._stop(detail, first, code="wrong_type")
        root = self._node(first, 0)
        self._next()  # the document ends
        after = self._next()
        if not isinstance(after, yaml.StreamEndEvent):
            self._stop("a second document begins here", after, "one file holds one document: take the --- away")
        return root

    def _next(self) -> Any:
        try:
            return self._event()
        except yaml.YAMLError as error:
            broken = self._broken(error)
        raise together([*self.problems, broken])

    def _broken(self, error: yaml.YAMLError) -> Problem:
        if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
            return _bad("broken YAML", self._file, 1, 1)
        said, place, began = error.problem or "", _place(error.problem_mark), error.context_mark
        detail = f"broken YAML: {said}"
        if began and self._is_told_too_late(said, place[0]):
            place = _place(began)
        elif began and _place(began) != place:
            detail += f" {error.context} that begins at {began.line + 1}:{began.column + 1}"
        return _bad(detail, self._file, *place, self._hint(said, *place))

    def _hint(self, said: str, line: int, column: int) -> str:
        """By how the line, or the one before, begins; by what ends just before what was not expected; by the words."""
        around = self._lines[max(line - 2, 0) : line]
        for telling, hint in _TELLING:
            if any(telling.match(each) for each in around):
                return hint
        before = "".join(around[-1:])[: column - 1]
        if said.startswith("did not find expected"):
            if _QUOTED.search(before):
                return _ENDED
            if said == "did not find expected key" and _BRACKETED.search(before):
                return _BEGAN
        return _HINTS.get(said, "")

    def _is_told_too_late(self, said: str, line: int) -> bool:
        """What is never closed is noticed at the end of the file, a key without its colon on the next line."""
        return line > self._last_line or said in ("could not find expected ':'", "found unexpected end of stream")

    def _problem(self, detail: str, event: Any, hint: str = "", code: str = "bad_yaml") -> Problem:
        return _bad(detail, self._file, *_place(event.start_mark), hint, code)

    def _note(self, detail: str, event: Any, hint: str = "", code: str = "bad_yaml") -> None:
        self.problems.append(self._problem(detail, event, hint, code))

    def _stop(self, detail: str, event: Any, hint: str = "", code: str = "bad_yaml") -> NoReturn:
        raise together([*self.problems, self._problem(detail, event, hint, code)])

    def _node(self, event: Any, depth: int) -> Node:
        self._nodes += 1
        kind = type(event)
        if kind is _ALIAS:
            return self._alias(event)
        if depth > MAX_DEPTH:
            self._stop(f"nested deeper than {MAX_DEPTH} levels", event)
        if event.tag is not None:
            self._note("tags like !this are not used here", event, "put quotes round a text that begins with !")
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        node = Node(*_place(event.start_mark), None)
        if kind is _SCALAR:
            self._fill_scalar(node, event)
        elif kind is _MAPPING:
            self._fill_mapping(node, depth)
        else:
            self._fill_list(node, depth)
        if node.size > MAX_NODES or self._nodes > MAX_NODES:
            self._stop(f"more than {MAX_NODES} values, aliases included", event)
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _alias(self, event: Any) -> Node:
        node = self._anchors.get(event.anchor)
        if node is None:
            recursive = event.anchor in self._anchors
            detail = "stands inside what it names" if recursive else "names nothing above it"
            self._stop(f"the alias *{event.anchor} {detail}", event)
        return node

    def _fill_mapping(self, node: Node, depth: int) -> None:
        children: dict[str, Node] = {}
        while type(event := self._next()) is not _MAPPING_END:
            key = self._key(event)
            child = self._node(self._next(), depth + 1)
            node.size += child.size
            if key in children:
                line, column = node.keys[key]
                self._note(f"the key '{key}' is already at {line}:{column}", event, "keep one", "duplicate_key")
                continue
            children[key] = child
            node.keys[key] = _place(event.start_mark)
        node.value = children

    def _key(self, event: Any) -> str:
        if type(event) is not _SCALAR:
            self._stop("a key should be text", event, 'put quotes round it, like "{x}": …')
        self._nodes += 1
        if event.tag is not None or event.anchor is not None:
            self._note("a key takes no tag and no anchor", event, "put quotes round a text that begins with ! or &")
        if event.value == "<<" and event.implicit[0]:
            self._note("merges (<<) are not used here", event, "write the keys out, or use *alias as a whole value")
        if self._environment is not None and "${" in event.value:
            self._note("variables are expanded in values, not in keys", event, code="bad_variable")
        return str(event.value)

    def _fill_list(self, node: Node, depth: int) -> None:
        children: list[Node] = []
        while type(event := self._next()) is not _LIST_END:
            child = self._node(event, depth + 1)
            node.size += child.size
            children.append(child)
        node.value = children

    def _fill_scalar(self, node: Node, event: Any) -> None:
        if self._environment is None or "${" not in event.value:
            node.value = _resolve(event.value) if event.implicit[0] else event.value
            return
        expansion = expand(event.value, self._environment)
        for fault in expansion.faults:
            self._note(fault.detail, event, fault.hint, fault.code)
        node.value = expansion.text
        node.written = event.value if expansion.from_environment else None


def _resolve(text: str) -> Scalar:
    """What a scalar without quotes means; see the top of this file."""
    match = _PLAIN.fullmatch(text)
    match match.lastgroup if match else None:
        case "empty":
            return None
        case "true":
            return True
        case "false":
            return False
        case "int" if abs(int(text)) < _BEYOND:
            return int(text)
        case "oct" | "hex" if int(text, 0) < _BEYOND:
            return int(text, 0)
        case "float" if math.isfinite(float(text)):
            return float(text)
    return text
