"""A read file: where each value stands, and how it may be shown.

A *where* is a tuple of keys and list indices, like ("routes", "default", "text", "ask", 0).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from gateway.yamlfile.nodes import Node
from gateway.yamlfile.problem import Problem

Where = tuple[str | int, ...]

_SECRET = re.compile(r"keys?$|secret|passw|passphrase|token|credential|authorization$", re.IGNORECASE)
_SIGN_IN = re.compile(r"(?<=://)[^/@\s]*@")
_LONGEST = 60  # characters of a value in a message
_SHORT = 4  # a shorter value is only hidden where it stands alone: else it would be cut out of ordinary words


def looks_secret(name: str) -> bool:
    """Whether what is called this is not for showing: api_key, client_secret, password, token …"""
    return _SECRET.search(name) is not None


def dotted(where: Where) -> str:
    """`routes.default.text.ask[0]`, as people write it."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in where)
    return "".join(parts).removeprefix(".")


class Tree:
    """The places of one file. Its repr shows no value."""

    def __init__(self, root: Node, file: str):
        self.file = file
        self._root = root

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.file}>"

    def at(self, where: Where, *, key: bool = False) -> tuple[int, int]:
        """Line and column, from 1, of the value there, or of its key; of the nearest one above if there is none.

        What an alias stands for is where its anchor is.
        """
        node = self._root
        place = node.line, node.column
        for index, part in enumerate(where):
            child = _child(node, part)
            if child is None:
                return place
            last = index == len(where) - 1
            on_key = key and last and part in node.keys
            place = node.keys[str(part)] if on_key else (child.line, child.column)
            node = child
        return place

    def error(
        self, where: Where, detail: str, hint: str = "", *, key: bool = False, code: str = "bad_value"
    ) -> Problem:
        """A problem with what stands there, to be raised or collected."""
        line, column = self.at(where, key=key)
        return Problem(detail, code=code, file=self.file, line=line, column=column, hint=hint)

    def shown(self, where: Where, *, secret: bool = False) -> str:
        """What stands there, for a message: `"abc"`, `true`, `"${NAME}"`, `a list`; of a secret only its kind."""
        node = self.find(where)
        if node is None:
            return "nothing"
        value = node.value
        if isinstance(value, dict):
            return "a mapping" if value else "an empty mapping"
        if isinstance(value, list):
            return "a list" if value else "an empty list"
        if value is None:
            return "empty"
        if secret or self.secret(where):
            return f"{_kind(value)} (not shown)"
        if isinstance(value, bool):
            return "true" if value else "false"
        return quoted(node.written or value) if isinstance(value, str) else str(value)[:_LONGEST]

    def secret(self, where: Where) -> bool:
        """Whether the name of what stands there says that it is not for showing."""
        return looks_secret(next((part for part in reversed(where) if isinstance(part, str)), ""))

    def concealed(self, text: str, where: Where) -> str:
        """Somebody else's sentence about what stands there, without secrets and without what variables hold."""
        for value, instead in self._unspeakable(where):
            pattern = re.escape(value) if len(value) >= _SHORT else rf"(?<!\w){re.escape(value)}(?!\w)"
            text = re.sub(pattern, instead.replace("\\", r"\\"), text)
        return without_sign_in(text)

    def find(self, where: Where) -> Node | None:
        """The node there."""
        node: Node | None = self._root
        for part in where:
            node = _child(node, part) if node else None
        return node

    def _unspeakable(self, where: Where) -> Iterator[tuple[str, str]]:
        node = self.find(where)
        if node is None:
            return
        if isinstance(node.value, dict | list):
            for part in node.value if isinstance(node.value, dict) else range(len(node.value)):
                yield from self._unspeakable((*where, part))
        elif node.value not in (None, "") and self.secret(where):
            yield str(node.value), "***"
        elif node.written is not None and node.value:
            yield str(node.value), node.written


def without_sign_in(text: str) -> str:
    """`https://***@host` for an address that holds a user and password."""
    return _SIGN_IN.sub("***@", text)


def quoted(text: str) -> str:
    """`"abc"`, cut where it is long, without the user and password of an address."""
    text = without_sign_in(text)
    cut = text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
    return f'"{cut}"'


def _kind(value: str | int | float | bool) -> str:
    if isinstance(value, bool):
        return "true or false"
    return "a text" if isinstance(value, str) else "a number"


def _child(node: Node, part: str | int) -> Node | None:
    if isinstance(node.value, dict) and isinstance(part, str):
        return node.value.get(part)
    if isinstance(node.value, list) and isinstance(part, int) and 0 <= part < len(node.value):
        return node.value[part]
    return None
