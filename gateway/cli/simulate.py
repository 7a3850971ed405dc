"""`modgate simulate`: every vendor on one port of this machine, for rehearsals without keys, cost or network."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Annotated, Any

import typer
import uvloop

from gateway import registry
from gateway.cli.common import JsonOption, print_json, stderr
from gateway.errors import ConfigError


def simulate(
    host: Annotated[str, typer.Option(help="Where to listen.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8090,
    script: Annotated[
        Path | None, typer.Option(metavar="FILE", help="What is true of which picture, and what goes wrong.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Taken as by every command, and not read.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Answer as every vendor, until SIGTERM or Ctrl-C. No gateway.yaml is read: point yours at it.

    Example: modgate simulate --port 8090 --script rehearsal.yaml
    """
    uvloop.run(_run(script, host, port, as_json))


async def _run(script: Path | None, host: str, port: int, as_json: bool) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    package = registry.simulator()
    understood = package.read(script)
    try:
        async with package.running(understood, host, port) as (_, address):
            _greet(address, sorted(understood.vendors), as_json)
            await stop.wait()
    except OSError as error:
        detail = f"cannot listen on {host}:{port}: {os.strerror(error.errno or 0)}"
        raise ConfigError(detail, hint="--port 0 takes a free one") from error


def _greet(address: str, vendors: list[str], as_json: bool) -> None:
    control = f"{address}/_simulator"
    if as_json:
        mounts: dict[str, Any] = {name: f"{address}/{name}" for name in vendors}
        print_json({"address": address, "control": control, "vendors": mounts})
        return
    plain: dict[str, Any] = {"highlight": False, "soft_wrap": True}
    stderr.print(f"[bold]modgate simulate[/] answers on {address}   control: {control}", **plain)
    stderr.print(f"Each vendor also below its name: {', '.join(f'/{name}' for name in vendors)}", **plain)
