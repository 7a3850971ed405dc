"""`modgate policy`: the tools of those who write policies."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from gateway import paths
from gateway.cli.common import ConfigOption, JsonOption, configuration, print_json, stdout
from gateway.errors import ConfigError
from gateway.policy.messages import Messages
from gateway.policy.policy import load_policy
from gateway.taxonomy import Taxonomy
from gateway.yamlfile import Problem

policy = typer.Typer(help="Check policies.", no_args_is_help=True)


@policy.callback()
def group() -> None:
    """Check policies."""


@policy.command()
def check(
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="[FILE]...", help="Default: all of policies.dir.")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what is wrong in policy files, with line and column. Exit 2 when something is.

    Example: modgate policy check config/policies/social.yaml
    """
    taxonomy, messages = Taxonomy.from_file(paths.TAXONOMY), Messages.from_file(paths.MESSAGES)
    asked = files or _all(configuration(config).policies.dir)
    problems: list[dict[str, Any]] = []
    for file in asked:
        try:
            load_policy(file, taxonomy, messages)
        except Problem as error:
            problems += [each.as_dict() for each in error.problems]
    ok = not any(problem["severity"] == "error" for problem in problems)
    if as_json:
        print_json({"ok": ok, "problems": problems})
    else:
        _show(problems, len(asked))
    raise typer.Exit(0 if ok else 2)


def _all(folder: Path) -> list[Path]:
    found = [file for file in sorted(folder.glob("*.yaml")) if not file.name.endswith(".test.yaml")]
    if not found:
        raise ConfigError("there is no policy here", file=str(folder), hint="name a file")
    return found


def _show(problems: list[dict[str, Any]], files: int) -> None:
    for problem in problems:
        where = f"{problem['file']}:{problem['line']}:{problem['column']}"
        hint = f"; {problem['hint']}" if problem["hint"] else ""
        stdout.print(f"{where}: {problem['message']}{hint}", highlight=False, markup=False, soft_wrap=True)
    if not problems:
        stdout.print(f"{files} {'policy' if files == 1 else 'policies'}, nothing wrong.", highlight=False)
