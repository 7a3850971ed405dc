"""What every command shares: --config and --json, where the configuration is found, how we print."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console

from gateway import paths, registry
from gateway.config import Config, load_config
from gateway.errors import ConfigError

stdout = Console(emoji=False)  # there are none, and their list is 2 MB of every process
stderr = Console(stderr=True, emoji=False)

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", envvar="MODGATE_CONFIG", metavar="FILE", help="Default: config/gateway.yaml."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def configuration(given: Path | None) -> Config:
    """The configuration of this command. Without --config and without ./config/gateway.yaml, the shipped one.

    The shipped one then keeps its database in ./var, not inside the installed package.
    """
    here = Path("config/gateway.yaml")
    file = given or (here if here.is_file() else paths.GATEWAY)
    if not file.is_file():
        raise ConfigError(
            "there is no such file", file=str(file), hint="--config FILE or $MODGATE_CONFIG names another"
        )
    config = load_config(file, os.environ, registry.settings_for, registry.names())
    return config if given or here.is_file() else config.stored_in(Path.cwd() / "var")


def print_json(data: Any) -> None:
    """One JSON document on stdout."""
    sys.stdout.buffer.write(orjson.dumps(data, option=orjson.OPT_INDENT_2) + b"\n")
    sys.stdout.buffer.flush()
