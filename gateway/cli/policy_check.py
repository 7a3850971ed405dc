"""`modgate policy check`: what is wrong in policy files, and what looks as if it were meant otherwise."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.common import ConfigOption, JsonOption, print_json, stdout
from gateway.cli.policy_files import messages, policies, show, sight, taxonomy
from gateway.policytools.casefile import ENDING
from gateway.policytools.check import check as check_file
from gateway.policytools.check import check_tests
from gateway.policytools.sarif import sarif
from gateway.policytools.sight import Sight, gathered
from gateway.yamlfile import Problem


class Format(StrEnum):
    """For whom it is printed."""

    TEXT = "text"
    JSON = "json"
    SARIF = "sarif"


def check(
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="[FILE]...", help="Default: all of policies.dir.")
    ] = None,
    form: Annotated[Format, typer.Option("--format", help="sarif is what code hosts show beside a change.")] = (
        Format.TEXT
    ),
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what is wrong in policy files, with line and column, all of it at once. Exit 2 when something is.

    Test files beside policies are checked too where they are named. Warnings are rules that change nothing or that no
    test has seen, what nobody uses, and what no provider of the configuration can see; they alone are exit 0.

    Example: modgate policy check config/policies/social.yaml
    """
    asked = policies(files, config)
    seen = sight(config)
    found = [_problems(file, seen) for file in asked]
    problems = [problem for each in found for problem in each]
    ok = not any(problem.severity == "error" for problem in problems)
    if form is Format.SARIF:
        print_json(sarif(problems))
    elif as_json or form is Format.JSON:
        print_json({"ok": ok, "problems": [problem.as_dict() for problem in problems]})
    else:
        _show([problem for each in found for problem in gathered(each)], asked)
    raise typer.Exit(0 if ok else 2)


def _problems(file: Path, seen: Sight | None) -> list[Problem]:
    if file.name.endswith(ENDING):
        return check_tests(file, taxonomy(), messages())
    return check_file(file, taxonomy(), messages(), seen)


def _show(problems: list[Problem], files: list[Path]) -> None:
    for problem in problems:
        show(problem)
    errors = sum(problem.severity == "error" for problem in problems)
    warnings = len(problems) - errors
    tests = sum(file.name.endswith(ENDING) for file in files)
    what = [*_counted(len(files) - tests, "policy", "policies"), *_counted(tests, "test file", "test files")]
    found = [*_counted(errors, "error", "errors"), *_counted(warnings, "warning", "warnings")]
    stdout.print(f"{' and '.join(what)}, {' and '.join(found) or 'nothing wrong'}.", highlight=False)


def _counted(count: int, one: str, many: str) -> list[str]:
    """Nothing of none."""
    return [f"{count} {one if count == 1 else many}"] if count else []
