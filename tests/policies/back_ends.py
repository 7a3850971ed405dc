"""Every back end asked the same rules about the same rows, and the oracle, Google's C++ implementation of CEL."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import duckdb
import polars as pl
from cel_expr_python import cel

from gateway.policy.cel import check, parse
from gateway.policy.cel.shapes import TEXTS, Declared, Kind
from gateway.policy.cel.typed import Condition
from gateway.policy.cel.vocabulary import OCR_FIELDS
from gateway.policy.compile import polars as in_polars
from gateway.policy.compile import sql
from gateway.policy.compile.python import Program
from tests.policies.random_rules import CATEGORIES, COLUMNS, FLAGS, LISTS, VOCABULARY, Row, Rule

Outcome = bool | str | None
TOO_DEEP = "too deep for SQLite"  # whose parser refuses what has over a hundred levels: no answer, so no wrong one
Outcomes = list[list[Outcome]]  # by rule, by row

_AT_ONCE = 50  # rules in one query
_POLARS = {Kind.TEXT: pl.String, Kind.INT: pl.Int64, Kind.DOUBLE: pl.Float64, Kind.BOOL: pl.Boolean}
_DUCKDB = {Kind.TEXT: "VARCHAR", Kind.INT: "BIGINT", Kind.DOUBLE: "DOUBLE", Kind.BOOL: "BOOLEAN"}


def conditions(rules: Sequence[Rule]) -> list[Condition]:
    """The rules checked."""
    return [check(parse(rule.ours), VOCABULARY).root for rule in rules]


def python(rules: Sequence[Rule], rows: Sequence[Row]) -> Outcomes:
    made = conditions(rules)
    program = Program(made)
    masks = [program.ask(row.facts) for row in rows]
    return [
        [True if hits >> n & 1 else None if unknown >> n & 1 else False for hits, unknown in masks]
        for n in range(len(made))
    ]


def polars(rules: Sequence[Rule], rows: Sequence[Row]) -> Outcomes:
    frame = pl.DataFrame([row.columns for row in rows], schema=dict(_polars_columns()), infer_schema_length=None)
    found: Outcomes = []
    for some in _batches(conditions(rules)):
        asked = [in_polars.expression(condition, COLUMNS).alias(f"r{n}") for n, condition in enumerate(some)]
        answers = frame.with_columns(asked)
        found += [answers[f"r{n}"].to_list() for n in range(len(some))]
    return found


def in_duckdb(rules: Sequence[Rule], rows: Sequence[Row]) -> Outcomes:
    database = duckdb.connect(config={"threads": 1})
    columns = dict(_duckdb_columns())
    database.execute(f"CREATE TABLE t ({', '.join(f'{sql.name(name)} {kind}' for name, kind in columns.items())})")
    marks = ", ".join(f"CAST(? AS {kind})" for kind in columns.values())
    database.executemany(f"INSERT INTO t VALUES ({marks})", [[row.columns[name] for name in columns] for row in rows])
    return _queried(rules, sql.Dialect.DUCKDB, lambda query: database.execute(query).fetchall())


def sqlite(rules: Sequence[Rule], rows: Sequence[Row]) -> Outcomes:
    database = sqlite3.connect(":memory:")
    names = list(rows[0].columns)
    database.execute(f"CREATE TABLE t ({', '.join(map(sql.name, names))})")
    stored = [[json.dumps(v) if isinstance(v, list) else v for v in row.columns.values()] for row in rows]
    database.executemany(f"INSERT INTO t VALUES ({', '.join('?' * len(names))})", stored)
    found: Outcomes = []
    for condition in conditions(rules):
        query = sql.select({"rule": condition}, COLUMNS, sql.Dialect.SQLITE, "t")
        try:
            answers = database.execute(query).fetchall()
        except sqlite3.OperationalError as refused:
            if str(refused) != "parser stack overflow":
                raise
            found.append([TOO_DEEP] * len(rows))
        else:
            found.append([None if each is None else bool(each) for (each,) in answers])
    return found


def _queried(rules: Sequence[Rule], dialect: sql.Dialect, ask: Callable[[str], list[tuple[Any, ...]]]) -> Outcomes:
    found: Outcomes = []
    for some in _batches(conditions(rules)):
        answers = ask(sql.select({f"r{n}": each for n, each in enumerate(some)}, COLUMNS, dialect, "t"))
        found += [[answer[n] for answer in answers] for n in range(len(some))]
    return found


def oracle(rules: Sequence[Rule], rows: Sequence[Row]) -> Outcomes:
    """Every rule compiles there, or this raises: none is left out."""
    current: dict[str, Row] = {}
    environment = _environment(current)
    compiled = [environment.compile(rule.oracle, disable_check=True) for rule in rules]
    found: Outcomes = [[] for _ in rules]
    for row in rows:
        current["row"] = row
        activation = environment.Activation(_activation(row))
        for outcomes, expression in zip(found, compiled, strict=True):
            answer = expression.eval(activation)
            outcomes.append(answer.value() if answer.type() == cel.Type.BOOL else None)
    return found


def _environment(current: Mapping[str, Row]) -> Any:
    def voices(category: str) -> list[Any]:
        return [current["row"].columns[name] for name in COLUMNS.voices(category)]

    def coverage(category: str) -> int:
        return sum(voice is not None for voice in voices(category))

    def reachable(category: str, threshold: float) -> list[int]:
        """Every number of votes that the silent ones could still make it."""
        certain = sum(voice is not None and voice / 10_000 >= threshold for voice in voices(category))
        return list(range(certain, certain + len(voices(category)) - coverage(category) + 1))

    text, some = cel.Type.STRING, cel.Type.Map(cel.Type.STRING, cel.Type.DYN)
    overloads = [
        cel.Overload(
            f"reachable_{kind.name()}", return_type=cel.Type.List(cel.Type.INT), parameters=[text, kind], impl=reachable
        )
        for kind in (cel.Type.DOUBLE, cel.Type.INT)
    ]
    counted = cel.Overload("coverage_text", return_type=cel.Type.INT, parameters=[text], impl=coverage)
    return cel.NewEnv(
        variables={
            **dict.fromkeys(("scores", "context", "user", "ocr", "lists"), some),
            **dict.fromkeys(("labels", "hashes"), cel.Type.List(some)),
        },
        functions=[cel.FunctionDecl("reachable", overloads), cel.FunctionDecl("coverage", [counted])],
    )


def _activation(row: Row) -> dict[str, Any]:
    """Scores as people write them; what is missing is not there."""
    labels = row.columns["labels"]
    given = {
        "scores": {category: score / 10_000 for category, score in row.beginning("s.", CATEGORIES).items()},
        "context": {**_defaults(VOCABULARY.context), **row.beginning("context.", VOCABULARY.context)},
        "user": row.beginning("user.", VOCABULARY.user),
        "ocr": row.beginning("ocr.", OCR_FIELDS),
        "lists": {name: list(values) for name, values in LISTS.items()},
        "labels": labels and [_label(label) for label in labels],
        "hashes": row.columns["hashes"],
    }
    return {name: value for name, value in given.items() if value is not None}


def _label(label: Mapping[str, Any]) -> dict[str, Any]:
    known = {name: value for name, value in label.items() if value is not None}
    return {**known, **({"confidence": known["confidence"] / 10_000} if "confidence" in known else {})}


def _defaults(fields: Mapping[str, Declared]) -> dict[str, Any]:
    return {name: said.default for name, said in fields.items() if said.default is not None}


def _polars_columns() -> Iterator[tuple[str, Any]]:
    label = pl.Struct({"name": pl.String, "confidence": pl.UInt16, "provider": pl.String})
    for name, kind in _columns(
        pl.UInt16, pl.List(pl.String), pl.Boolean, pl.List(label), pl.List(pl.Struct({"list": pl.String}))
    ):
        yield name, _POLARS.get(kind, kind)


def _duckdb_columns() -> Iterator[tuple[str, str]]:
    label = "STRUCT(name VARCHAR, confidence USMALLINT, provider VARCHAR)[]"
    for name, kind in _columns("USMALLINT", "VARCHAR[]", "BOOLEAN", label, "STRUCT(list VARCHAR)[]"):
        yield name, _DUCKDB.get(kind, kind)


def _columns(score: Any, texts: Any, boolean: Any, labels: Any, hashes: Any) -> Iterator[tuple[str, Any]]:
    for category in CATEGORIES:
        yield f"s.{category}", score
        yield from ((voice, score) for voice in COLUMNS.voices(category))
    for root, fields in (("context", VOCABULARY.context), ("user", VOCABULARY.user)):
        yield from ((f"{root}.{name}", texts if said.shape == TEXTS else said.shape) for name, said in fields.items())
    yield from (*((f"ocr.{name}", boolean) for name in FLAGS), ("ocr.terms", texts))
    yield from (("labels", labels), ("hashes", hashes))


def _batches(made: Sequence[Condition]) -> Iterator[Sequence[Condition]]:
    return (made[start : start + _AT_ONCE] for start in range(0, len(made), _AT_ONCE))


BACK_ENDS: Mapping[str, Callable[[Sequence[Rule], Sequence[Row]], Outcomes]] = {
    "python": python,
    "polars": polars,
    "duckdb": in_duckdb,
    "sqlite": sqlite,
    "oracle": oracle,
}
