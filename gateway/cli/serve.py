"""`modgate serve`: the gateway until SIGTERM, in one process or several."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import structlog
import typer
import uvloop
from aiohttp import web

from gateway.cli.common import ConfigOption, JsonOption, configuration, print_json, stderr
from gateway.config import Config, check_exposure
from gateway.errors import ConfigError
from gateway.logs import set_up_logs
from gateway.web.app import make_app
from gateway.web.door import Runner
from gateway.web.endpoint import DESK

log = structlog.get_logger("modgate.serve")

DRAIN = 30.0  # seconds that work under way may take after SIGTERM
READ_AHEAD = 8_192  # bytes of a body that waits for its turn, give or take one read; left out, it is 640 KB of each
_LOOK_EVERY = 0.5  # seconds until it is seen that a process is gone
_WORKER = "MODGATE_WORKER"  # set in the environment of the processes that --workers starts

TRY_IT = (
    "curl -s {address}/v1/moderate{key} -H 'Content-Type: application/json' -d "
    """'{{"text": "A walk on the beach with my dog"}}'"""
)


def serve(
    config: ConfigOption = None,
    host: Annotated[str | None, typer.Option(help="Instead of server.host.")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Instead of server.port; 0 takes a free one.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes that share the port.")] = 1,
    address_file: Annotated[
        Path | None,
        typer.Option(
            envvar="MODGATE_ADDRESS_FILE", metavar="FILE", help="Write the address there too, for health checks."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Serve the API until SIGTERM or Ctrl-C; work under way is finished first. With --json it prints where.

    Example: modgate serve --port 8080
    """
    set_up_logs()
    settings = configuration(config)
    settings = settings.listening_on(host or settings.server.host, settings.server.port if port is None else port)
    check_exposure(settings.server.host, settings.auth)
    if workers > 1:
        sys.exit(_supervise(settings, workers, address_file, as_json))
    uvloop.run(_serve(settings, address_file, as_json))


async def _serve(config: Config, address_file: Path | None, as_json: bool) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    app = make_app(config)
    runner = Runner(app, access_log=None, shutdown_timeout=DRAIN, read_bufsize=READ_AHEAD)
    try:
        await runner.setup()
        shared = _WORKER in os.environ
        site = web.TCPSite(runner, config.server.host, config.server.port, reuse_port=shared or None)
        try:
            await site.start()
        except OSError as error:
            where = f"{config.server.host}:{config.server.port}"
            raise ConfigError(
                f"cannot listen on {where}: {os.strerror(error.errno or 0)}", hint="--port 0 takes a free one"
            ) from error
        if not shared:
            _greet(config, runner.addresses[0][1], address_file, as_json)
        _settle_memory()
        log.info("serving", address=config.server.host, port=runner.addresses[0][1])
        await stop.wait()
        app[DESK].draining = True
        log.info("draining", seconds=DRAIN)
    finally:
        await runner.cleanup()


def _settle_memory() -> None:
    """What is loaded stays: keep the collector from walking through it again and again (measured: 15 % of all CPU)."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def _greet(config: Config, port: int, address_file: Path | None, as_json: bool) -> None:
    host = f"[{config.server.host}]" if ":" in config.server.host else config.server.host
    address = f"http://{host}:{port}"
    if address_file:
        _write_down(address, address_file)
    if as_json:
        print_json({"address": address, "docs": f"{address}/docs"})
        return
    stderr.print(f"[bold]modgate[/] serves {address}   docs: {address}/docs", highlight=False)
    stderr.print("Try it:", highlight=False)
    key = " -H 'Authorization: Bearer KEY'" if config.auth else ""
    stderr.print("  " + TRY_IT.format(address=address, key=key), highlight=False, soft_wrap=True)


def _write_down(address: str, file: Path) -> None:
    try:
        file.write_text(f"{address}\n", encoding="utf-8")
    except OSError as error:
        detail = f"the address cannot be written there: {os.strerror(error.errno or 0)}"
        raise ConfigError(detail, file=str(file), hint="--address-file FILE names another place") from error


def _supervise(config: Config, workers: int, address_file: Path | None, as_json: bool) -> int:
    """Start the processes on one port, and pass signals on to them."""
    with _held_port(config) as held, tempfile.TemporaryDirectory(prefix="modgate-metrics-") as metrics:
        port = held.getsockname()[1]
        command = [sys.executable, "-m", "gateway.cli", "serve", "--config", str(config.file)]
        command += ["--host", config.server.host, "--port", str(port)]
        environment = {**os.environ, _WORKER: "1", "PROMETHEUS_MULTIPROC_DIR": metrics}
        _greet(config, port, address_file, as_json)
        return _keep(lambda: subprocess.Popen(command, env=environment), workers)  # noqa: S603  # our own program


def _keep(begin: Callable[[], subprocess.Popen[bytes]], many: int) -> int:
    """So many of them until a signal comes: one that was killed is replaced, one that gave up by itself ends all."""
    children = [begin() for _ in range(many)]
    ending = False

    def pass_on(*_: object) -> None:
        nonlocal ending
        ending = True
        for child in children:
            child.terminate()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, pass_on)
    while not ending:
        time.sleep(_LOOK_EVERY)
        for place, child in enumerate(children):
            code = None if ending else child.poll()
            if code is not None and code < 0:
                log.error("worker_killed", pid=child.pid, signal=-code)
                children[place] = begin()
                if ending:  # while it began; a second signal would cut the others short
                    children[place].terminate()
            elif code is not None:
                pass_on()
    codes = [child.wait() for child in children]
    return max(0 if code == -signal.SIGTERM else abs(code) for code in codes)  # told so before it could listen


def _held_port(config: Config) -> socket.socket:
    """The port, taken once so that all workers get the same one and a taken one is told at once."""
    family = socket.AF_INET6 if ":" in config.server.host else socket.AF_INET
    held = socket.socket(family, socket.SOCK_STREAM)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        held.bind((config.server.host, config.server.port))
    except OSError as error:
        held.close()
        raise ConfigError(f"cannot listen on port {config.server.port}: {os.strerror(error.errno or 0)}") from error
    return held
