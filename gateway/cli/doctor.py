"""`modgate doctor`: is everything as it must be? Asks every provider about something harmless."""

from __future__ import annotations

import asyncio
import io
import logging
from typing import Any

import PIL
import typer
from PIL import Image as Pillow
from PIL import features
from rich.table import Table

from gateway.cli.common import ConfigOption, JsonOption, configuration, print_json, stderr, stdout
from gateway.config import Config, check_exposure
from gateway.dispatch.deadline import Deadline
from gateway.dispatch.question import Provider, Question, put
from gateway.domain import Content, Failure
from gateway.intake import Picture
from gateway.logs import set_up_logs
from gateway.service import Service, open_service

_SAFE_TEXT = "A walk on the beach with my dog."
_LEAST_WEBP = (1, 3, 2)  # CVE-2023-4863 is mended there
_PATIENCE = 15.0  # seconds for one provider


def doctor(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Check the configuration, storage, image libraries and every provider.

    Example: modgate doctor
    """
    set_up_logs(level=logging.CRITICAL)
    settings = configuration(config)
    check_exposure(settings.server.host, settings.auth)
    if stderr.is_terminal:
        with stderr.status("Asking every provider about a walk on the beach …"):
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
        picture = Picture("doctor", data=_safe_picture())
        content = await service.intake.content(_SAFE_TEXT, [picture], {})
        probes = await asyncio.gather(*(_probe(provider, content) for provider in service.providers.values()))
        checks = _checks(service)
    providers = [*probes, *_disabled(config)]
    ok = all(probe["status"] in ("ok", "disabled") for probe in providers) and all(check["ok"] for check in checks)
    return {"ok": ok, "providers": providers, "checks": checks, "configuration": config.public()}


async def _probe(provider: Provider, content: Content) -> dict[str, Any]:
    """One question for each kind of content the provider takes; the first failure tells."""
    latency = 0.0
    models = []
    for part in content.inputs:
        if provider.accepts(part.modality):
            outcome = await put(Question(Content((part,)), {part.modality: 0}), provider, Deadline.after(_PATIENCE))
            latency = max(latency, outcome.latency_ms)
            if isinstance(outcome, Failure):
                detail = f"{part.modality.value}: {outcome.detail}"
                return {
                    "name": provider.name,
                    "status": outcome.status,
                    "latency_ms": round(latency, 1),
                    "detail": detail,
                }
            models.append(outcome.model or provider.adapter.settings.adapter)
    detail = ", ".join(dict.fromkeys(models))
    return {"name": provider.name, "status": "ok", "latency_ms": round(latency, 1), "detail": detail}


def _disabled(config: Config) -> list[dict[str, Any]]:
    return [
        {"name": name, "status": "disabled", "latency_ms": None, "detail": "enabled: false"}
        for name, settings in config.providers.items()
        if not settings.enabled
    ]


def _checks(service: Service) -> list[dict[str, Any]]:
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
            "detail": f"Pillow {PIL.__version__}, libjpeg {features.version('jpg')}, libwebp {webp}",
        },
    ]


def _safe_picture() -> bytes:
    """A small picture of a beach, near enough: sky, sea, sand."""
    picture = Pillow.new("RGB", (320, 240), (236, 214, 160))
    picture.paste((135, 190, 235), (0, 0, 320, 110))
    picture.paste((30, 110, 160), (0, 110, 320, 160))
    held = io.BytesIO()
    picture.save(held, "PNG")
    return held.getvalue()


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
