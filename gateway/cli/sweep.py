"""`modgate sweep`: what stored decisions would be under another policy. No vendor is asked, and nothing is changed."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from gateway.cli.common import ConfigOption, JsonOption, configuration, print_json, stderr, stdout
from gateway.cli.sweeping.findings import ACTIONS, findings
from gateway.errors import ConfigError

_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_WIDE = 12  # rules shown

SinceOption = Annotated[
    str | None, typer.Option(metavar="TIME", help="Decisions since then: 30d, 12h, or a date like 2026-11-01.")
]
SampleOption = Annotated[int | None, typer.Option(min=1, metavar="N", help="Look at about so many, by chance.")]
OutOption = Annotated[Path | None, typer.Option(metavar="FILE", help="Write the report as a page.")]
CacheOption = Annotated[
    bool, typer.Option("--cache", help="Keep columns uncompressed too: faster, about twice the room.")
]
RebuildOption = Annotated[bool, typer.Option("--rebuild", help="Export all decisions again first.")]


def sweep(
    policy: Annotated[str, typer.Option(help="The policy to ask: a name or a file.")],
    since: SinceOption = None,
    apply: Annotated[bool, typer.Option("--apply", help="Not there yet: nothing live is changed by a sweep.")] = False,
    sample: SampleOption = None,
    out: OutOption = None,
    cache: CacheOption = False,
    rebuild: RebuildOption = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare what was decided with what a policy would decide now. No vendor is asked.

    Example: modgate sweep --policy config/policies/social.yaml --since 30d
    """
    if apply:
        raise typer.BadParameter(
            "a sweep changes nothing yet: that comes with the live workflow. Without --apply it shows the flips",
            param_hint="--apply",
        )
    plan = {"new": policy, "since": since, "sample": sample, "cache": cache, "rebuild": rebuild}
    report(plan, out, config, as_json=as_json)


def report(asked: Mapping[str, Any], out: Path | None, config: Path | None, *, as_json: bool) -> None:
    """Ask, write the page, show the figures."""
    settings = configuration(config)
    work = import_module("gateway.cli.sweeping.work")  # loads Polars, which no other command needs
    question = {**asked, "since": _moment(asked["since"])}
    told = work.held(settings, work.Asked(**question, ahead=lambda outlook: _ahead(outlook, as_json)))
    if out is not None:
        _write(out, import_module("gateway.cli.sweeping.page").page(told))
    print_json(told) if as_json else show(told)


def _moment(written: str | None) -> float:
    """Seconds since 1970."""
    if written is None:
        return 0.0
    ago = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd])", written.strip())
    if ago:
        return time.time() - float(ago[1]) * _SECONDS[ago[2]]
    try:
        moment = datetime.fromisoformat(written)
    except ValueError:
        message = f"{written}: a time is like 30d, 12h, 2026-11-01 or 2026-11-01T12:00Z"
        raise typer.BadParameter(message, param_hint="--since") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _ahead(outlook: Any, quiet: bool) -> None:
    """What will be done, before it is."""
    if quiet:
        return
    _say(f"{outlook.inputs:,} inputs of stored decisions, {outlook.columns} columns of them.")
    if outlook.slow:
        _say(f"{outlook.slow:,} of them are decided one by one, which takes about a millisecond each.")
    for field, many in outlook.unkept.items():
        _say(f"{field} was not kept of {many:,} inputs: unknown there. --rebuild exports them again.")


def _say(text: str) -> None:
    stderr.print(text, highlight=False, markup=False, soft_wrap=True)


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot write {file}: {os.strerror(error.errno or 0)}") from error


def show(told: Mapping[str, Any]) -> None:
    """The matrix, the rules, the surfaces, the load."""
    stdout.print(f"{told['decisions']:,} decisions, {sum(told['flips'].values()):,} would be others.", highlight=False)
    matrix = Table("was", *(f"would be {name}" for name in ACTIONS), box=None, padding=(0, 2, 0, 0))
    for old in ACTIONS:
        matrix.add_row(old, *(f"{told['matrix'][old][new]:,}" for new in ACTIONS))
    stdout.print(matrix)
    if told["per_rule"]:
        rules = Table("rule", "flips", box=None, padding=(0, 2, 0, 0))
        for rule, many in list(told["per_rule"].items())[:_WIDE]:
            rules.add_row(rule, f"{many:,}")
        stdout.print(rules)
    if told["per_surface"]:
        flips = list(told["flips"])
        surfaces = Table("surface", *flips, box=None, padding=(0, 2, 0, 0))
        for surface, made in told["per_surface"].items():
            surfaces.add_row(surface, *(f"{made.get(flip, 0):,}" for flip in flips))
        stdout.print(surfaces)
    load = told["review_load"]
    line = "Reviews a day: {before_per_day:,.1f} before, {after_per_day:,.1f} after ({extra_per_day:+,.1f})."
    stdout.print(line.format(**load), highlight=False)
    for line in findings(told):
        stdout.print(line, highlight=False, markup=False, soft_wrap=True)
