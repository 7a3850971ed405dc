"""Protobuf's text format → dicts, for the conformance files. Every field is a list, for any may be repeated."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Any

_TOKEN = re.compile(
    r"""
      (?P<space> \s+ | \#[^\n]* )
    | (?P<text> "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*' )
    | (?P<type> \[ [A-Za-z_][\w./-]* \] )
    | (?P<word> -?[\w.+-]+ )
    | (?P<mark> [{}<>:;,\[\]] )
    """,
    re.VERBOSE,
)


def read(text: str) -> dict[str, list[Any]]:
    """The message a file holds. Texts are bytes, which CEL's tests need; other values are as written."""
    tokens = [(match.lastgroup, match[0]) for match in _scanned(text) if match.lastgroup != "space"]
    return _Reader([(kind or "", written) for kind, written in tokens]).message(None)


def _scanned(text: str) -> Iterator[re.Match[str]]:
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise ValueError(f"no token at line {text.count(chr(10), 0, at) + 1}")
        yield match
        at = match.end()


class _Reader:
    def __init__(self, tokens: list[tuple[str, str]]):
        self._tokens = tokens
        self._next = 0

    def message(self, close: str | None) -> dict[str, list[Any]]:
        fields: dict[str, list[Any]] = {}
        while self._next < len(self._tokens):
            kind, written = self._take()
            if written == close:
                return fields
            if written in (",", ";"):
                continue
            if kind not in ("word", "type"):
                raise ValueError(f"a field was expected, not {written}")
            self._skip(":")
            fields.setdefault(written, []).extend(self._values())
        return fields

    def _values(self) -> list[Any]:
        if self._peek() == "[":
            self._take()
            values: list[Any] = []
            while self._peek() != "]":
                values.append(self._value())
                self._skip(",")
            self._take()
            return values
        return [self._value()]

    def _value(self) -> Any:
        kind, written = self._take()
        if written in ("{", "<"):
            return self.message("}" if written == "{" else ">")
        if kind != "text":
            return written
        whole = ast.literal_eval(f"b{_ascii(written)}")
        while self._next < len(self._tokens) and self._tokens[self._next][0] == "text":
            whole += ast.literal_eval(f"b{_ascii(self._take()[1])}")
        return whole

    def _peek(self) -> str:
        return self._tokens[self._next][1]

    def _skip(self, mark: str) -> None:
        if self._next < len(self._tokens) and self._peek() == mark:
            self._next += 1

    def _take(self) -> tuple[str, str]:
        self._next += 1
        return self._tokens[self._next - 1]


def _ascii(text: str) -> str:
    r"""Letters beyond ASCII as the escapes of their UTF-8; \u and \U, which bytes do not have, likewise."""
    text = re.sub(
        r"(?<!\\)((?:\\\\)*)\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))",
        lambda m: m[1] + chr(int(m[2] or m[3], 16)),
        text,
    )
    return "".join(char if char < "\x80" else "".join(f"\\x{byte:02x}" for byte in char.encode()) for char in text)
