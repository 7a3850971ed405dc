"""Numbers and texts as CEL writes them → their values. What is wrong is raised as ValueError in words for the user."""

from __future__ import annotations

import math
import re

_ESCAPE = re.compile(r"\\(?:[xX]([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-3][0-7]{2})|(.?))", re.DOTALL)
_ESCAPED = {
    **{"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"},
    **{"\\": "\\", "?": "?", '"': '"', "'": "'", "`": "`"},
}
_INT = range(-(2**63), 2**63)


def number(written: str) -> int | float:
    """`7`, `-7`, `0x1F`, `0.5`, `5e-1`: an int of 64 bits, or a double."""
    if re.search(r"[uU]$", written):
        raise ValueError("unsigned numbers are not in the profile")
    if re.fullmatch(r"-?(?:0[xX][0-9a-fA-F]+|[0-9]+)", written):
        whole = int(written, 16 if "x" in written.lower() else 10)
        if whole not in _INT:
            raise ValueError("this number is too large: a whole number has 64 bits")
        return whole
    value = float(written)
    if math.isinf(value):
        raise ValueError("this number is too large")
    return value


def text(written: str) -> str:
    """`"a\\n"`, `'a'`, `\"\"\"a\"\"\"` and `r"a"`: what stands between the quotes, escapes resolved."""
    prefix = re.match(r"[rRbB]*", written)[0].lower()  # type: ignore[index]
    if "b" in prefix:
        raise ValueError("bytes are not in the profile")
    inside = written[len(prefix) :]
    quotes = 3 if inside[:3] in ('"""', "'''") else 1
    inside = inside[quotes:-quotes]
    value = inside if "r" in prefix else _ESCAPE.sub(_unescape, inside)
    if "\0" in value:
        raise ValueError("the character U+0000 is not in the profile: databases do not agree about it")
    return value


def _unescape(match: re.Match[str]) -> str:
    octal, letter = match[4], match[5]
    digits = match[1] or match[2] or match[3]
    if digits or octal:
        code = int(digits, 16) if digits else int(octal, 8)
        if code > 0x10FFFF or 0xD800 <= code < 0xE000:
            raise ValueError(f"{match[0]} is no character")
        return chr(code)
    if letter not in _ESCAPED:
        raise ValueError(f"there is no escape {match[0]}")
    return _ESCAPED[letter]
