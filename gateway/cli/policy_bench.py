"""`modgate policy bench`: how long a policy takes to decide, and to be compiled."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.common import ConfigOption, JsonOption, print_json, stderr, stdout
from gateway.cli.policy_files import compiled, messages
from gateway.policytools.timing import measure


def bench(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The policy.")],
    decisions: Annotated[int, typer.Option(min=100, help="How many to measure.")] = 4000,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure a policy: CPU time for a decision with four providers' answers, and to read and compile it.

    Example: modgate policy bench config/policies/social.yaml
    """
    policy = compiled(file)
    with stderr.status(f"Deciding {decisions} times …"):
        found = measure(policy, messages(), decisions)
    if as_json:
        print_json(found)
        return
    took = found["decision_us"]
    stdout.print(
        f"{found['policy']}: {found['rules']} rules, {found['categories']} thresholds, {found['overlays']} overlays\n"
        f"decision  {took['p50']} µs p50, {took['p99']} µs p99, of CPU\n"
        f"compile   {found['compile_ms']} ms",
        highlight=False,
    )
