"""`modgate policy bench`: how long a policy takes to decide, and to be compiled."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.common import ConfigOption, JsonOption, print_json, stderr, stdout
from gateway.cli.policy_files import compiled, messages
from gateway.domain import Modality
from gateway.mapping import VendorTable
from gateway.policy.policy import Policy
from gateway.policytools.given import asked
from gateway.policytools.timing import measure
from gateway.yamlfile import loads

_STEPS = {"translation_us": "translation", "decision_us": "decision", "shadow_us": "one shadow more"}


def bench(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The policy.")],
    decisions: Annotated[int, typer.Option(min=100, help="How many to measure.")] = 4000,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure a policy: CPU time to translate answers, to decide on them, and to read and compile it.

    Example: modgate policy bench config/policies/social.yaml
    """
    policy = compiled(file)
    with stderr.status(f"Deciding {decisions} times …"):
        found = measure(policy, messages(), _table(policy).translate, decisions)
    if as_json:
        print_json(found)
        return
    stdout.print(
        f"{found['policy']}: {found['rules']} rules, {found['categories']} thresholds, {found['overlays']} overlays; "
        f"allows {found['allowed']:.0%} of what is drawn\n"
        f"µs of CPU, p50 · p99  one provider    four\n"
        + "".join(
            f"{words:<22}{_pair(found['one_provider'][step]):<16}{_pair(found[step])}\n"
            for step, words in _STEPS.items()
        )
        + f"compile               {found['compile_ms']} ms",
        highlight=False,
    )


def _table(policy: Policy) -> VendorTable:
    """That of a vendor which has a label for each category the policy asks about."""
    labels = {slug: slug for slug in asked(policy, Modality.IMAGE)}
    said = {"measures": "confidence", "scale": [0, 1], "silence": "drift", "labels": labels}
    return VendorTable("vendor", loads(json.dumps(said), file="vendor.yaml"), policy.taxonomy)


def _pair(took: dict[str, float]) -> str:
    return f"{took['p50']} · {took['p99']}"
