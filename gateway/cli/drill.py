"""`modgate drill`: make a vendor fail at a running gateway, and tell what became of the decisions."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Literal

import aiohttp
import typer
from rich.table import Table

from gateway.cli.common import ConfigOption, JsonOption, configuration, print_json, stderr, stdout
from gateway.cli.drilling.figures import PHASES, debt_between, figures, findings
from gateway.cli.drilling.gateway import Gateway
from gateway.cli.drilling.traffic import LOST_AFTER, Traffic
from gateway.dispatch.rehearsal import Scenario
from gateway.drills import LONGEST
from gateway.errors import ConfigError
from gateway.units import duration, rate

_GRACE = 10.0  # seconds that the gateway goes on spoiling when we are gone, beyond what was asked for

Mode = Literal["shadow", "live"]


def drill(
    scenario: Annotated[Scenario, typer.Argument(help="What goes wrong.")],
    provider: Annotated[str, typer.Option(help="With whom, by its name in gateway.yaml.")],
    url: Annotated[
        str | None, typer.Option(help="The gateway. Default: where the configuration has it listen.")
    ] = None,
    key: Annotated[str | None, typer.Option(envvar="MODGATE_KEY", help="An admin's key, where keys are asked.")] = None,
    mode: Annotated[Mode, typer.Option(help="live spoils everybody's calls, shadow only the drill's own.")] = "shadow",
    route: Annotated[str, typer.Option(help="The route that is sent to.")] = "default",
    policy: Annotated[str | None, typer.Option(help="The policy that decides. Default: the gateway's.")] = None,
    share: Annotated[float, typer.Option(min=0.0, max=1.0, help="Of the provider's calls.")] = 1.0,
    often: Annotated[str, typer.Option("--rate", metavar="RATE", help="Submissions, like 20/s.")] = "20/s",
    during: Annotated[str, typer.Option(metavar="TIME", help="How long; half of it before and after.")] = "30s",
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the report as a page.")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send harmless content while a vendor fails on purpose. Exit 1 where any is lost, or allowed in silence.

    The gateway needs server.drills: true, and the key the role admin.

    Example: modgate drill vendor-outage --provider aws --rate 20/s --during 30s --out report.html
    """
    seconds, a_second = _read(duration, during, "--during"), _read(rate, often, "--rate")
    if 2 * seconds + _GRACE > LONGEST:
        raise typer.BadParameter(f"{during} is too long: {(LONGEST - _GRACE) / 2:.0f}s at most", param_hint="--during")
    address = url or _address(config)
    plan: dict[str, Any] = {
        "scenario": scenario.value,
        "provider": provider,
        "mode": mode,
        "route": route,
        "share": share,
    }
    plan |= {"policy": policy, "url": address, "rate": a_second, "during_s": seconds}
    quiet = as_json or not stderr.is_terminal
    with nullcontext() if quiet else stderr.status(f"{scenario.value} of {provider}: {2 * seconds:.0f} s …"):
        report, traffic = asyncio.run(hold(plan, key))
    if out is not None:
        _write(out, import_module("gateway.cli.drilling.page").page(report, traffic.sent))
    print_json(report) if as_json else show(report)
    raise typer.Exit(0 if report["ok"] else 1)


async def hold(plan: dict[str, Any], key: str | None) -> tuple[dict[str, Any], Traffic]:
    """The drill itself: its report, and what was sent. Raises RequestError for what the gateway refuses."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    patience = aiohttp.ClientTimeout(total=LOST_AFTER)
    connector = aiohttp.TCPConnector(limit=0)
    try:
        client = aiohttp.ClientSession(plan["url"], headers=headers, timeout=patience, connector=connector)
    except ValueError as error:
        raise ConfigError(f"--url {plan['url']}: {error}", hint="like http://127.0.0.1:8080") from None
    async with client:
        gateway = Gateway(client, plan["provider"])
        traffic = Traffic(client, plan["rate"], await gateway.sees(), plan["policy"])
        started, owed = datetime.now(UTC), await gateway.debt()
        try:
            begun, ended = await _phases(plan, gateway, traffic)
        finally:
            await gateway.mend()
        told = figures(traffic.sent, plan["provider"], begun, ended)
        debt = debt_between(owed, await gateway.debt())
    return {**plan, "started_at": started.isoformat(timespec="seconds"), **told, "debt": debt}, traffic


async def _phases(plan: dict[str, Any], gateway: Gateway, traffic: Traffic) -> tuple[float, float]:
    """Before, during and after; when the provider was spoiled, in seconds since the drill began."""
    during = plan["during_s"]
    times = {"before": during / 2, "during": during, "after": during / 2}
    turned = []
    for phase in PHASES:
        share = plan["share"] if phase == "during" else 0.0
        drill = await gateway.spoil(plan["scenario"], share, times[phase] + _GRACE, plan["mode"])
        turned.append(traffic.elapsed())
        if plan["route"] not in drill["routes"]:
            asking = ", ".join(drill["routes"])
            raise ConfigError(
                f"the route '{plan['route']}' does not ask '{plan['provider']}'", hint=f"these do: {asking}"
            )
        await traffic.run(phase, drill["routes"][plan["route"]], drill["id"], times[phase])
    return turned[1], turned[2]


def _read(read: Callable[[Any], float], written: str, option: str) -> float:
    try:
        return read(written)
    except ValueError as error:
        raise typer.BadParameter(f"{written}: {error}", param_hint=option) from None


def _address(config: Path | None) -> str:
    server = configuration(config).server
    host = f"[{server.host}]" if ":" in server.host else server.host
    return f"http://{host}:{server.port}"


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot write {file}: {os.strerror(error.errno or 0)}") from error


def show(report: Mapping[str, Any]) -> None:
    """A table and four sentences."""
    table = Table("", *PHASES, box=None, padding=(0, 2, 0, 0))
    rows = {
        "requests": "{requests}",
        "latency p50 / p95 / p99": "{p50_ms:.0f} / {p95_ms:.0f} / {p99_ms:.0f} ms",
        "allowed": "{allow:.1%}",
        "sent to people": "{review:.1%}",
        "blocked": "{block:.1%}",
        "degraded": "{degraded:.1%}",
        "calls a request": "{calls_per_request:.2f}",
    }
    for name, shape in rows.items():
        table.add_row(name, *(shape.format(**report["phases"][phase]) for phase in PHASES))
    table.add_row(report["provider"], *(_counts(report["phases"][phase]["provider"]) for phase in PHASES))
    stdout.print(table)
    for line in findings(report):
        stdout.print(line, highlight=False, markup=False, soft_wrap=True)
    stdout.print("[green]It held.[/]" if report["ok"] else "[red]It did not hold.[/]")


def _counts(statuses: Mapping[str, int]) -> str:
    return ", ".join(f"{many} {status}" for status, many in statuses.items()) or "not asked"
