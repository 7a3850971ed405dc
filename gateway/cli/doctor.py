"""`modgate doctor`: is everything as it must be? Asks every provider what it has to know (see canaries)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import typer
from rich.table import Table

from gateway.canaries.verdict import Verdict, worst
from gateway.cli.common import ConfigOption, JsonOption, configuration, print_json, stderr, stdout
from gateway.config import Config, check_exposure
from gateway.logs import set_up_logs
from gateway.service import Service, open_service

_LEAST_WEBP = (1, 3, 2)  # CVE-2023-4863 is mended there


def doctor(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Check the configuration, storage, image libraries and every provider.

    Example: modgate doctor
    """
    set_up_logs(level=logging.CRITICAL)
    settings = configuration(config)
    check_exposure(settings.server.host, settings.auth)
    if stderr.is_terminal:
        with stderr.status("Asking every provider what it has to know …"):
            report = asyncio.run(_examine(settings))
    else:
        report = asyncio.run(_examine(settings))
    if as_json:
        print_json(report)
    else:
        _show(report)
    raise typer.Exit(0 if report["ok"] else 1)


async def _examine(config: Config) -> dict[str, Any]:
    async with open_service(config) as service:
        verdicts = await service.canaries.ask_all()
        checks = _checks(service)
    providers = [*(_told(name, given) for name, given in verdicts.items()), *_disabled(config)]
    ok = all(probe["status"] in ("ok", "disabled") for probe in providers) and all(check["ok"] for check in checks)
    return {"ok": ok, "providers": providers, "checks": checks, "configuration": config.public()}


def _told(name: str, verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """One provider; the worst of its answers tells."""
    found = worst(verdicts)
    models = ", ".join(dict.fromkeys(verdict.model for verdict in verdicts if verdict.model))
    return {
        "name": name,
        "status": found.word,
        "latency_ms": round(max(verdict.latency_ms for verdict in verdicts), 1),
        "detail": f"{found.probe}: {found.detail}" if found.detail else models,
        "canaries": {verdict.probe: {"status": verdict.status.value, "detail": verdict.detail} for verdict in verdicts},
    }


def _disabled(config: Config) -> list[dict[str, Any]]:
    return [
        {"name": name, "status": "disabled", "latency_ms": None, "detail": "enabled: false"}
        for name, settings in config.providers.items()
        if not settings.enabled
    ]


def _checks(service: Service) -> list[dict[str, Any]]:
    features = import_module("PIL.features")  # which is loaded here only: the decoders have their own
    webp = features.version("webp") or "0"
    fetch = service.config.fetch
    exceptions = [*map(str, fetch.allow_networks), *fetch.allow_hosts, *map(str, fetch.allow_ports)]
    return [
        {"name": "configuration", "ok": True, "detail": str(service.config.file)},
        {"name": "policies", "ok": True, "detail": ", ".join(service.policies.names)},
        {"name": "storage", "ok": True, "detail": str(service.config.storage.dir)},
        {"name": "keys", "ok": True, "detail": "asked" if service.config.auth else "not asked; loopback only"},
        {
            "name": "fetch",
            "ok": True,
            "detail": f"exceptions: {', '.join(exceptions)}" if exceptions else "public addresses only",
        },
        {
            "name": "images",
            "ok": tuple(int(part) for part in webp.split(".")[:3]) >= _LEAST_WEBP,
            "detail": f"Pillow {features.version('pil')}, libjpeg {features.version('jpg')}, libwebp {webp}",
        },
    ]


def _show(report: dict[str, Any]) -> None:
    table = Table("", "what", "", box=None, padding=(0, 2, 0, 0), show_header=False)
    for check in report["checks"]:
        table.add_row("[green]✓[/]" if check["ok"] else "[red]✗[/]", check["name"], check["detail"])
    for probe in report["providers"]:
        good = probe["status"] in ("ok", "disabled")
        took = f"{probe['latency_ms']:.0f} ms  " if probe["latency_ms"] is not None else ""
        table.add_row(
            "[green]✓[/]" if good else "[red]✗[/]",
            f"provider {probe['name']}",
            f"{probe['status']}  {took}{probe['detail']}",
        )
    stdout.print(table)
    stdout.print("[green]All well.[/]" if report["ok"] else "[red]Something needs you: see ✗.[/]")
