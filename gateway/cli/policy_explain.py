"""`modgate policy explain`: a stored decision, and why it is as it is."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Column, Table
from sqlalchemy import select

from gateway.cli.common import ConfigOption, JsonOption, configuration, print_json, stdout
from gateway.cli.policy_files import compiled, messages, seen_by_routes, taxonomy
from gateway.config import Config
from gateway.errors import NotFound
from gateway.history import deciding
from gateway.ledger import DatabaseLedger
from gateway.policy.book import PolicyBook
from gateway.policy.explain import explain as explain_with
from gateway.policy.policy import Policy
from gateway.record import Case, Record
from gateway.replay import facts_of
from gateway.store.database import Database
from gateway.store.tables import decisions
from gateway.store.versions import Versions

_COLOUR = {"allow": "green", "review": "yellow", "block": "red"}


def explain(
    id: Annotated[str, typer.Argument(metavar="ID", help="The id of a decision, mod_….")],
    by: Annotated[
        Path | None,
        typer.Option("--policy", metavar="FILE", help="By this file; else by the version that decided."),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say why a decision is as it is: what contributed by which values, what was missing, what was nearly enough.

    It is decided again from the stored answers, by the version that decided or as a file has it. Where that version was
    not kept it is the policy of that name as it is now, and it says so.

    Example: modgate policy explain mod_01JD8Z
    """
    settings = configuration(config)
    case, policy = asyncio.run(_found(settings, id, by))
    record = case.record
    policy = policy.under(record.context, record.tenant)
    found = {
        "id": record.id,
        **explain_with(policy, facts_of(record, seen_by_routes(settings)), _locale(record)),
        "decided": _decided(case, policy),
    }
    if as_json:
        print_json(found)
    else:
        _show(found)


async def _found(config: Config, id: str, by: Path | None) -> tuple[Case, Policy]:
    """The record with what came after it, of whichever tenant, and by what to explain it. Raises NotFound."""
    database = await Database.open(config.storage.dir)
    try:
        case = await _case(database, config, id)
        return case, compiled(by) if by else await _policy(config, case.record, Versions(database.reader))
    finally:
        await database.close()


async def _case(database: Database, config: Config, id: str) -> Case:
    async with database.reader.connect() as connection:
        whose = (await connection.execute(select(decisions.c.tenant).where(decisions.c.id == id))).scalar()
    if whose is None:
        hint = f"Decisions are read from {config.storage.dir}; --config names another gateway's."
        raise NotFound("unknown_decision", f"There is no decision '{id}'.", hint=hint)
    return await DatabaseLedger(database).find(id, whose)


async def _policy(config: Config, record: Record, versions: Versions) -> Policy:
    """The version that decided; where it was not kept, the policy of that name as it is now."""
    book = PolicyBook(config.policies.dir, config.policies.default, taxonomy(), messages())
    book.load()
    try:
        return await deciding(record, book, versions)
    except NotFound:
        return book.get(record.policy.name)


def _locale(record: Record) -> str | None:
    locale = record.context.get("locale")
    return locale if isinstance(locale, str) else None


def _decided(case: Case, policy: Policy) -> dict[str, Any]:
    """What was decided then, and what holds now."""
    record = case.record
    return {
        "action": record.action.value,
        "reasons": [reason.rule for reason in record.decision.reasons],
        "holds": case.action.value,
        "hash": record.policy.hash,
        "same_policy": record.policy.hash == policy.hash,
    }


# ---- for people


def _show(found: dict[str, Any]) -> None:
    decided, policy = found["decided"], found["policy"]
    colour = _COLOUR[found["action"]]
    under = f", under {'; '.join(policy['overlays'])}" if policy["overlays"] else ""
    stdout.print(
        f"[bold white on {colour}] {found['action'].upper()} [/]  {found['reason'] or 'no reason against it'}  "
        f"[dim]{escape(policy['name'])} version {policy['version']}{escape(under)}[/]",
        highlight=False,
    )
    if found["message"]:
        stdout.print(f"  {escape(found['message'])}", highlight=False)
    if not decided["same_policy"]:
        stdout.print(
            "[yellow]This is not the policy that decided:[/] "
            f"then it was {decided['action']}, by {decided['hash'][:19]}…",
            highlight=False,
        )
    if decided["holds"] != decided["action"]:
        stdout.print(f"[yellow]Decided again since: {decided['holds']} holds.[/]", highlight=False)
    _contributions(found)
    _nearest(found)
    _rest(found)


def _table(*columns: str | Column) -> Table:
    return Table(*columns, box=None, padding=(0, 2, 0, 0), header_style="dim")


def _contributions(found: dict[str, Any]) -> None:
    if not found["contributions"]:
        return
    table = _table(Column("rule", overflow="fold"), "", "by", Column("at", overflow="fold"))
    for each in found["contributions"]:
        colour = _COLOUR[each["action"]]
        unknown = " unknown" if each["value"] == "unknown" else ""
        by = "\n".join(_because(because) for because in each.get("because", ()))
        table.add_row(escape(each["rule"]), f"[{colour}]{each['action']}{unknown}[/]", escape(by), each.get("at", ""))
    stdout.print(table)


def _because(because: dict[str, Any]) -> str:
    values = "; ".join(_value(value) for value in because["values"])
    return f"{because['expr']}: {values}" if values else str(because["expr"])


def _value(value: dict[str, Any]) -> str:
    return " ".join(
        "missing" if each is None else f"{each:g}" if isinstance(each, float) else str(each) for each in value.values()
    )


def _nearest(found: dict[str, Any]) -> None:
    if found["nearest"]:
        table = _table("nearly", "has", "needs")
        for each in found["nearest"]:
            table.add_row(escape(each["rule"]), f"{each['has']:g}", f"{each['needs']:g}")
        stdout.print(table)


def _rest(found: dict[str, Any]) -> None:
    missing = [f"{name} ({why})" for name, why in found["providers"]["missing"].items()]
    lifted = [f"{each['lifted']} by {each['exemption']}: {each['because']}" for each in found["exempted"]]
    for what, names in (
        ("unknown", found["unknown"]),
        ("answered", found["providers"]["answered"]),
        ("missing", missing),
        ("lifted", lifted),
        ("effects", found["effects"]),
        ("watching", [each["rule"] for each in found["shadow"]]),
    ):
        if names:
            stdout.print(f"[dim]{what}[/]  {escape(', '.join(names))}", highlight=False, soft_wrap=True)
