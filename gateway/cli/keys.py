"""`modgate keys`: make, list and revoke API keys. A key is shown once; only its SHA-256 is kept."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, TypeVar

import typer
from rich.table import Table
from sqlalchemy import insert, select, update

from gateway.cli.common import ConfigOption, JsonOption, configuration, print_json, stderr, stdout
from gateway.config import Config
from gateway.errors import BadContent
from gateway.store.database import Database
from gateway.store.reader import Statements
from gateway.store.tables import api_keys
from gateway.units import rate
from gateway.web.auth import Role, digest

T = TypeVar("T")

keys = typer.Typer(
    help="Make, list and revoke API keys.\n\nExample: modgate keys create app --role submit",
    no_args_is_help=True,
)


class Priority(StrEnum):
    """Whose turn it is where there is little room."""

    LIVE = "live"
    BATCH = "batch"


def _rate(written: str) -> float:
    try:
        return rate(written)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


_NameArgument = Annotated[str, typer.Argument(help="A name for it: letters, digits, . _ -")]


@keys.command()
def create(
    name: _NameArgument,
    tenant: Annotated[str, typer.Option(help="Whose decisions it sees.")] = "default",
    role: Annotated[
        list[Role] | None, typer.Option(help="submit, review or admin; repeatable. Default: submit.")
    ] = None,
    rate_limit: Annotated[
        float | None, typer.Option(parser=_rate, metavar="RATE", help="Requests it may send, like 50/s or 1000/h.")
    ] = None,
    daily_spend: Annotated[
        float | None,
        typer.Option(min=0.0001, help="What its requests may cost a day, in the currency of price_per_1k."),
    ] = None,
    priority: Annotated[
        Priority, typer.Option(help="live, or batch: that takes what room live traffic leaves.")
    ] = Priority.LIVE,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a key. It is shown once.

    Example: modgate keys create app --role submit --rate-limit 50/s
    """
    settings = configuration(config)
    key = "mg_live_" + secrets.token_urlsafe(32)
    roles = ",".join(sorted(set(role or [Role.SUBMIT])))
    limits = {"rate_limit": rate_limit, "daily_spend": daily_spend, "priority": priority.value}
    row = {"name": name, "tenant": tenant, "roles": roles, "hash": digest(key), "created_at": time.time(), **limits}

    async def add(connection: Statements) -> None:
        if (await connection.execute(select(api_keys.c.name).where(api_keys.c.name == name))).first():
            raise BadContent("name_taken", f"There already is a key named '{name}'.", hint="Choose another name.")
        await connection.change(insert(api_keys).values(**row))

    _run(settings, add)
    if as_json:
        made = {"name": name, "tenant": tenant, "roles": roles.split(","), "key": key, "hash": row["hash"]}
        print_json({**made, **limits})
    else:
        stdout.print(key, highlight=False, soft_wrap=True)
        stderr.print("Shown once. A running gateway takes it within 2 seconds.", highlight=False, soft_wrap=True)
    if settings.auth is None:
        stderr.print(
            "[yellow]No keys are asked yet:[/] add `auth: {}` to the configuration.", highlight=False, soft_wrap=True
        )


@keys.command("list")
def list_keys(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Every key: those in the configuration and those made here, never the keys themselves.

    Example: modgate keys list --json
    """
    settings = configuration(config)

    async def read(connection: Statements) -> list[Any]:
        return list((await connection.execute(select(api_keys).order_by(api_keys.c.created_at))).all())

    fixed = [
        {
            "name": entry.name,
            "tenant": entry.tenant,
            "roles": list(entry.roles),
            "source": "configuration",
            "state": "good",
            "rate_limit": entry.rate_limit,
            "daily_spend": entry.daily_spend,
            "priority": entry.priority,
        }
        for entry in (settings.auth.keys if settings.auth else ())
    ]
    made = [
        {
            "name": row.name,
            "tenant": row.tenant,
            "roles": row.roles.split(","),
            "source": "database",
            "state": "revoked" if row.revoked_at else "good",
            "created_at": datetime.fromtimestamp(row.created_at, UTC).isoformat(timespec="seconds"),
            "rate_limit": row.rate_limit,
            "daily_spend": row.daily_spend,
            "priority": row.priority,
        }
        for row in _run(settings, read)
    ]
    if as_json:
        print_json({"keys": [*fixed, *made]})
        return
    table = Table(
        "name", "tenant", "roles", "limits", "from", "state", box=None, padding=(0, 2, 0, 0), header_style="dim"
    )
    for entry in (*fixed, *made):
        roles, limits = ", ".join(entry["roles"]), ", ".join(_limits(entry))
        table.add_row(entry["name"], entry["tenant"], roles, limits, entry["source"], entry["state"])
    stdout.print(table)


def _limits(entry: dict[str, Any]) -> Iterator[str]:
    if entry["rate_limit"] is not None:
        yield f"{entry['rate_limit']:g}/s"
    if entry["daily_spend"] is not None:
        yield f"{entry['daily_spend']:g} a day"
    if entry["priority"] != Priority.LIVE:
        yield entry["priority"]


@keys.command()
def revoke(name: _NameArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Make a key useless, at once for new processes and within 2 seconds for running ones.

    Example: modgate keys revoke app
    """
    settings = configuration(config)

    async def end(connection: Statements) -> int:
        good = (api_keys.c.name == name) & api_keys.c.revoked_at.is_(None)
        return await connection.change(update(api_keys).where(good).values(revoked_at=time.time()))

    if not _run(settings, end):
        hint = "`modgate keys list` shows them; one that stands in the configuration is removed there."
        raise BadContent("unknown_key", f"There is no good key named '{name}' in the database.", hint=hint)
    if as_json:
        print_json({"name": name, "state": "revoked"})
    else:
        stdout.print(f"{name} is revoked.", highlight=False, soft_wrap=True)


def _run(config: Config, work: Callable[[Statements], Awaitable[T]]) -> T:
    async def run() -> T:
        database = await Database.open(config.storage.dir)
        try:
            async with database.reader.begin() as connection:
                return await work(connection)
        finally:
            await database.close()

    return asyncio.run(run())
