"""`${NAME}` and `${NAME:-default}` in a value: the environment's part of a file.

`${NAME:-default}` takes the default where NAME is unset or empty, as a shell does. `$${` is a literal `${`. What a
variable holds is not expanded again, and a default holds no variable.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.suggest import did_you_mean

_VARIABLE = re.compile(r"\$\$\{|\$\{([^}]*)(\}?)")
_INSIDE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(:-.*)?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a value does not expand. Never quotes what stands in the braces, unless it is a well-formed name."""

    code: str
    detail: str
    hint: str


@dataclass(frozen=True, slots=True)
class Expansion:
    """`text` after expanding, whether anything in it came by way of a variable, and what went wrong."""

    text: str
    from_environment: bool
    faults: tuple[Fault, ...]


def expand(written: str, environment: Mapping[str, str]) -> Expansion:
    """Every variable of one value. A variable that does not expand becomes empty text and a fault."""
    used = False
    faults: list[Fault] = []

    def replacement(match: re.Match[str]) -> str:
        nonlocal used
        if match[0] == "$${":
            return "${"
        used = True
        got = _look_up(match, environment)
        if isinstance(got, str):
            return got
        faults.append(got)
        return ""

    text = _VARIABLE.sub(replacement, written)
    return Expansion(text, used, tuple(faults))


def _look_up(match: re.Match[str], environment: Mapping[str, str]) -> str | Fault:
    inside = _INSIDE.fullmatch(match[1])
    if not inside or not match[2] or "${" in match[1]:
        hint = "write ${NAME} or ${NAME:-default}, without another variable inside; $${ is a literal ${"
        return Fault("bad_variable", "'${' begins no variable here", hint)
    name, default = inside[1], inside[2]
    if default is not None:
        return environment.get(name) or default.removeprefix(":-")
    if name in environment:
        return environment[name]
    near = did_you_mean(name, environment)
    return Fault("unset_variable", f"the environment variable {name} is not set", near or f"set {name}")
