"""`modgate policy compile`: the rules of a policy for other people's warehouses."""

from __future__ import annotations

from enum import StrEnum
from importlib import import_module
from pathlib import Path
from typing import Annotated

import orjson
import typer

from gateway.cli.common import ConfigOption, JsonOption, print_json, stderr, stdout
from gateway.cli.policy_files import compiled
from gateway.domain import Modality
from gateway.errors import ConfigError
from gateway.policy.compile.columns import Columns
from gateway.policy.compile.sql import Dialect, select
from gateway.policy.policy import Policy
from gateway.policytools.given import asked

_THRESHOLDS = "a threshold is one comparison with its category's column, and only what stands under rules: is compiled"


class Target(StrEnum):
    """What the rules become."""

    DUCKDB = "duckdb"
    SQLITE = "sqlite"
    POLARS = "polars"
    PYTHON = "python"


def compile_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The policy.")],
    target: Annotated[Target, typer.Option(help="polars gives its expressions as JSON, by rule.")] = Target.DUCKDB,
    provider: Annotated[
        list[str] | None, typer.Option(help="One that has columns of its own; repeatable. Default: signals.providers.")
    ] = None,
    table: Annotated[str, typer.Option(help="What the table of decisions is called.")] = "decisions",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the rules as a query with one column for each: true, false, or NULL where it is unknown.

    Thresholds, exemptions and overlays are not in it. Columns are those of stored decisions: s.<category>,
    s.<provider>.<category>, context.<name>, labels.

    Example: modgate policy compile forum.yaml --target duckdb
    """
    policy = compiled(file)
    if not policy.clauses:
        stderr.print(f"{file}: this policy has no rules: {_THRESHOLDS}.", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(1)
    columns = _columns(policy, provider or list(policy.expected))
    text = _text(policy, target, columns, table)
    if as_json:
        print_json({"policy": policy.name, "hash": policy.hash, "target": target.value, "text": text})
    else:
        stdout.print(text, highlight=False, markup=False, soft_wrap=True)


def _columns(policy: Policy, providers: list[str]) -> Columns:
    slugs = dict.fromkeys(slug for modality in Modality for slug in asked(policy, modality))
    return Columns({slug: tuple(providers) for slug in slugs})


def _text(policy: Policy, target: Target, columns: Columns, table: str) -> str:
    conditions = {clause.id: clause.tree.root for clause in policy.clauses}
    match target:
        case Target.PYTHON:
            return policy.program.source
        case Target.POLARS:
            return _polars(policy, columns)
    return select(conditions, columns, Dialect(target.value), table)


def _polars(policy: Policy, columns: Columns) -> str:
    try:
        polars = import_module("gateway.policy.compile.polars")
    except ModuleNotFoundError:
        hint = "pip install 'modgate[sweep]'"
        raise ConfigError("--target polars needs the package polars", hint=hint) from None
    made = {clause.id: polars.expression(clause.tree.root, columns) for clause in policy.clauses}
    plain = {name: orjson.loads(each.meta.serialize(format="json")) for name, each in made.items()}
    return orjson.dumps(plain, option=orjson.OPT_INDENT_2).decode()
