"""CEL's own conformance files against our profile: every case is right, or refused before it is ever asked.

`make conformance CEL_SPEC=<folder of *.textproto>`; the files are `tests/simple/testdata` of google/cel-spec. Core is
CEL itself, without protobuf messages, enums, name spaces and extensions.

Rules are true or false, so a case that gives another value is asked whether it equals that value. Each case that is not
refused goes through every back end. `-v` shows what refused the others.
"""

from __future__ import annotations

import math
import sqlite3
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from gateway.policy.cel import ExpressionError, check, parse
from gateway.policy.cel.typed import Condition
from gateway.policy.compile import polars as in_polars
from gateway.policy.compile import sql
from gateway.policy.compile.facts import Facts
from gateway.policy.compile.python import Program
from tests.policies.random_rules import COLUMNS, VOCABULARY, quoted
from tests.policies.textproto import read

CORE = frozenset(
    (
        "basic",
        "comparisons",
        "fields",
        "fp_math",
        "integer_math",
        "lists",
        "logic",
        "macros",
        "parse",
        "plumbing",
        "string",
    )
)


@dataclass(frozen=True)
class Case:
    """One test of a file, as a condition. `expected` None is an error."""

    name: str
    text: str
    expected: bool | None


def cases(file: Path) -> Iterator[Case]:
    """All cases of one file."""
    for section in read(file.read_text(encoding="utf-8")).get("section", []):
        for test in section.get("test", []):
            name = f"{file.stem}/{_text(section['name'])}/{_text(test['name'])}"
            yield Case(name, *_asked(_text(test["expr"]), test))


def _text(values: list[bytes]) -> str:
    return values[0].decode("utf-8", "surrogateescape")


def _asked(text: str, test: dict[str, list[Any]]) -> tuple[str, bool | None]:
    if test.keys() & {"eval_error", "any_eval_errors"}:
        return text, None
    typed = test.get("typed_result", [{}])[0].get("result")
    value = (test.get("value") or typed or [{"bool_value": ["true"]}])[0]
    if "bool_value" in value:
        return text, value["bool_value"][0] == "true"
    literal = _literal(value)
    return (f"({text}\n) == {literal}", True) if literal else (text, True)


def _literal(value: dict[str, list[Any]]) -> str:
    """The value as CEL writes it; empty where the profile has none of its kind."""
    [(kind, [given])] = value.items()
    if kind == "string_value":
        return quoted(given.decode())
    if kind == "int64_value":
        return str(given)
    if kind == "double_value" and math.isfinite(float(given)):
        return repr(float(given))
    if kind == "list_value":
        items = [_literal(item) for item in given.get("values", [])]
        return f"[{', '.join(items)}]" if all(items) else ""
    return ""


def outcomes(condition: Condition) -> dict[str, bool | None]:
    """What each back end says of a rule that needs no facts."""
    hits, unknown = Program([condition]).ask(Facts())
    text = {dialect: f"SELECT {sql.expression(condition, COLUMNS, dialect)}" for dialect in sql.Dialect}
    in_sqlite = sqlite3.connect(":memory:").execute(text[sql.Dialect.SQLITE]).fetchone()[0]
    return {
        "python": None if unknown else bool(hits),
        "polars": pl.select(in_polars.expression(condition, COLUMNS)).item(),
        "duckdb": duckdb.execute(text[sql.Dialect.DUCKDB]).fetchall()[0][0],
        "sqlite": None if in_sqlite is None else bool(in_sqlite),
    }


def verdict(case: Case, *, verbose: bool = False) -> str:
    """right, WRONG, or what refused it."""
    try:
        condition = check(parse(case.text), VOCABULARY).root
    except ExpressionError as error:
        if verbose:
            print(f"{case.name}: {error.mistakes[0].code}: {error.message}: {case.text!r}")
        return f"refused: {error.mistakes[0].code}"
    said = outcomes(condition)
    if all(outcome is case.expected for outcome in said.values()):
        return "right"
    print(f"WRONG {case.name}: {case.text!r} is {case.expected}, and here {said}")
    return "WRONG"


def main(folder: Path, *, verbose: bool) -> int:
    """Prints the verdicts on each file, and gives the number of wrong ones."""
    files = sorted(folder.glob("*.textproto"))
    if not files:
        sys.exit(f"there is no *.textproto in {folder}")
    total: dict[str, Counter[str]] = {"core": Counter(), "rest": Counter()}
    for file in files:
        told = Counter(verdict(case, verbose=verbose) for case in cases(file))
        part = "core" if file.stem in CORE else "rest"
        total[part] += told
        print(f"{part} {file.stem}: {dict(sorted(told.items()))}")
    for part, told in total.items():
        print(f"{part}: {sum(told.values())} cases, {dict(sorted(told.items()))}")
    return sum(told["WRONG"] for told in total.values())


if __name__ == "__main__":
    sys.exit(bool(main(Path(sys.argv[1]), verbose="-v" in sys.argv)))
