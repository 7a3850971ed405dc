"""`modgate policy backtest`: stored decisions under two policies, and where they differ."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway.cli.common import ConfigOption, JsonOption
from gateway.cli.sweep import CacheOption, OutOption, RebuildOption, SampleOption, SinceOption, report


def backtest(
    old: Annotated[str, typer.Argument(help="A policy: a name or a file.")],
    new: Annotated[str, typer.Argument(help="What it is to become.")],
    since: SinceOption = "30d",
    sample: SampleOption = None,
    out: OutOption = None,
    cache: CacheOption = False,
    rebuild: RebuildOption = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask both policies about decisions that were made, and tell which would be others. No vendor is asked.

    Example: modgate policy backtest social social-next.yaml --since 30d --out report.html
    """
    plan = {"old": old, "new": new, "since": since, "sample": sample, "cache": cache, "rebuild": rebuild}
    report(plan, out, config, as_json=as_json)
