"""The commands put together. Exit 0 fine, 1 failed, 2 wrong usage or configuration; moderate adds 3 review, 4 block."""

from __future__ import annotations

import sys
from importlib.metadata import version
from typing import Annotated

import typer

from gateway.cli.common import stderr, stdout
from gateway.cli.doctor import doctor
from gateway.cli.drill import drill
from gateway.cli.keys import keys
from gateway.cli.moderate import moderate
from gateway.cli.policy import policy
from gateway.cli.serve import serve
from gateway.cli.simulate import simulate
from gateway.cli.sweep import sweep
from gateway.errors import ConfigError, RequestError

app = typer.Typer(
    name="modgate",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def _tell_version(asked: bool) -> None:
    if asked:
        stdout.print(f"modgate {version('modgate')}", highlight=False)
        raise typer.Exit


@app.callback()
def modgate(
    tell: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Say which version this is.")
    ] = False,
) -> None:
    """May this be published? Several vendors asked, one policy, an answer with reasons.

    Example: modgate moderate --text "See you at noon" photo.jpg
    """


app.command()(serve)
app.command()(moderate)
app.command()(doctor)
app.command()(simulate)
app.command()(drill)
app.command()(sweep)
app.add_typer(keys, name="keys")
app.add_typer(policy, name="policy")


def main() -> None:
    """Run a command; our own errors become one line on stderr and an exit code."""
    try:
        app()
    except ConfigError as error:
        stderr.print(f"[bold red]configuration:[/] {_plain(error)}", highlight=False, soft_wrap=True)
        sys.exit(2)
    except RequestError as error:
        at = f" ({error.at})" if error.at else ""
        stderr.print(
            f"[bold red]{error.code}:[/] {_plain(error.detail)}{at} {_plain(error.hint)}",
            highlight=False,
            soft_wrap=True,
        )
        sys.exit(2 if error.http in (400, 404) else 1)
    except KeyboardInterrupt:
        sys.exit(130)


def _plain(text: object) -> str:
    """No markup out of somebody else's words."""
    return str(text).replace("[", r"\[")
