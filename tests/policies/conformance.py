"""CEL's own conformance files against our profile: every case is right, or refused before it is ever asked.

`make conformance CEL_SPEC=<folder of *.textproto>`; the files are `tests/simple/testdata` of google/cel-spec.
Core is what POLICY says of CEL itself: no protobuf messages, enums, name spaces or extensions. A case that is refused is
one outside the profile; what refused it is counted. Cases with variables of their own are refused for their names.
"""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.policy.cel import ExpressionError, check, parse
from gateway.policy.cel.typed import Condition
from gateway.policy.compile.facts import Facts
from gateway.policy.compile.python import Program
from tests.policies.back_ends import duckdb, in_polars, pl, sql, sqlite3
from tests.policies.random_rules import COLUMNS, VOCABULARY
from tests.policies.textproto import read

CORE = (
    *("basic", "comparisons", "fields", "fp_math", "integer_math", "lists"),
    *("logic", "macros", "parse", "plumbing", "string"),
)


@dataclass(frozen=True)
class Case:
    """One test of a file. `expected` is the bool it should give, None for an error, or "other"."""

    name: str
    text: str
    expected: bool | str | None


def cases(file: Path) -> list[Case]:
    """All cases of one file."""
    found = []
    for section in read(file.read_text(encoding="utf-8")).get("section", []):
        for test in section.get("test", []):
            name = f"{file.stem}/{_text(section['name'])}/{_text(test['name'])}"
            found.append(Case(name, _text(test["expr"]), _expected(test)))
    return found


def _text(values: list[bytes]) -> str:
    return values[0].decode("utf-8", "surrogateescape")


def _expected(test: dict[str, list[Any]]) -> bool | str | None:
    if "eval_error" in test or "any_eval_errors" in test:
        return None
    typed = test.get("typed_result", [{}])[0].get("result", [{}])
    value = test.get("value", typed)[0] if {"value", "typed_result"} & test.keys() else {"bool_value": ["true"]}
    return value["bool_value"][0] == "true" if "bool_value" in value else "other"


def outcomes(condition: Condition) -> dict[str, bool | None]:
    """What each back end says of a rule that needs no facts."""
    hits, unknown = Program([condition]).ask(Facts())
    text = {dialect: f"SELECT {sql.expression(condition, COLUMNS, dialect)}" for dialect in sql.Dialect}
    in_sqlite = sqlite3.connect(":memory:").execute(text[sql.Dialect.SQLITE]).fetchone()[0]
    return {
        "python": bool(hits) if not unknown else None,
        "polars": pl.select(in_polars.expression(condition, COLUMNS)).item(),
        "duckdb": duckdb.execute(text[sql.Dialect.DUCKDB]).fetchone()[0],  # type: ignore[index]
        "sqlite": None if in_sqlite is None else bool(in_sqlite),
    }


def main(folder: Path, *, verbose: bool) -> int:
    """Prints one line for each file; the number of wrong answers."""
    wrong = 0
    total: Counter[str] = Counter()
    files = sorted(folder.glob("*.textproto"))
    if not files:
        sys.exit(f"there are no *.textproto in {folder}")
    for file in files:
        told: Counter[str] = Counter()
        for case in cases(file):
            try:
                condition = check(parse(case.text), VOCABULARY).root
            except ExpressionError as error:
                told[f"refused: {error.mistakes[0].code}"] += 1
                if verbose:
                    print(f"{case.name}: {case.text!r} {error.message}")
                continue
            said = outcomes(condition)
            right = all(outcome is case.expected for outcome in said.values())
            told["right" if right else "WRONG"] += 1
            if not right:
                print(f"WRONG {case.name}: {case.text!r} is {case.expected}, and here {said}")
        wrong += told["WRONG"]
        core = file.stem in CORE
        total.update({f"{'core' if core else 'rest'} {what}": count for what, count in told.items()})
        print(f"{file.stem}{' (core)' if core else ''}: {dict(sorted(told.items()))}")
    print(dict(sorted(total.items())))
    return wrong


if __name__ == "__main__":
    sys.exit(bool(main(Path(sys.argv[1]), verbose="-v" in sys.argv)))
