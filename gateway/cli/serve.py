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
from typing import Annotated

import structlog
import typer
import uvloop
from aiohttp import web

from gateway.cli.common import ConfigOption, configuration, stderr
from gateway.config import Config, check_exposure
from gateway.errors import ConfigError
from gateway.logs import set_up_logs
from gateway.web.app import make_app
from gateway.web.endpoint import DESK

log = structlog.get_logger("modgate.serve")

DRAIN = 30.0  # seconds that work under way may take after SIGTERM
READ_AHEAD = 8_192  # bytes of a body that waits for its turn, give or take one read; left out, it is 640 KB of each
_WORKER = "MODGATE_WORKER"  # set in the environment of the processes that --workers starts

TRY_IT = (
    "curl -s {address}/v1/moderate -H 'Content-Type: application/json' -d "
    """'{{"text": "A walk on the beach with my dog"}}'"""
)


def serve(
    config: ConfigOption = None,
    host: Annotated[str | None, typer.Option(help="Instead of server.host.")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Instead of server.port; 0 takes a free one.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes that share the port.")] = 1,
) -> None:
    """Serve the API until SIGTERM or Ctrl-C; work under way is finished first.

    Example: modgate serve --port 8080
    """
    set_up_logs()
    settings = configuration(config)
    settings = settings.listening_on(host or settings.server.host, settings.server.port if port is None else port)
    check_exposure(settings.server.host, settings.auth)
    if workers > 1:
        sys.exit(_supervise(settings, workers))
    uvloop.run(_serve(settings))


async def _serve(config: Config) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    app = make_app(config)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=DRAIN, read_bufsize=READ_AHEAD)
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
            _greet(config, runner.addresses[0][1])
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


def _greet(config: Config, port: int) -> None:
    host = f"[{config.server.host}]" if ":" in config.server.host else config.server.host
    address = f"http://{host}:{port}"
    stderr.print(f"[bold]modgate[/] serves {address}   docs: {address}/docs", highlight=False)
    stderr.print("Try it:", highlight=False)
    stderr.print("  " + TRY_IT.format(address=address), highlight=False, soft_wrap=True)


def _supervise(config: Config, workers: int) -> int:
    """Start the processes, pass signals on, and end with the first that ends by itself."""
    with _held_port(config) as held, tempfile.TemporaryDirectory(prefix="modgate-metrics-") as metrics:
        port = held.getsockname()[1]
        command = [sys.executable, "-m", "gateway.cli", "serve", "--config", str(config.file)]
        command += ["--host", config.server.host, "--port", str(port)]
        environment = {**os.environ, _WORKER: "1", "PROMETHEUS_MULTIPROC_DIR": metrics}
        children = [subprocess.Popen(command, env=environment) for _ in range(workers)]  # noqa: S603  # our own program

        def pass_on(*_: object) -> None:
            for child in children:
                child.terminate()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, pass_on)
        _greet(config, port)
        codes = [child.wait() for child in children]
    return max(abs(code) for code in codes)


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
