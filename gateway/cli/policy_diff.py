"""`modgate policy diff`: what two policies say differently, whatever their text looks like."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from gateway.cli.common import ConfigOption, JsonOption, print_json, stdout
from gateway.cli.policy_files import taxonomy
from gateway.policy.reading import read
from gateway.policytools.meaning import Difference, differences

_MARK = {"added": ("+", "green"), "removed": ("-", "red"), "stricter": ("↑", "red"), "milder": ("↓", "green")}


def diff(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="The policy as it is.")],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="The policy as it will be.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what two policies mean differently: thresholds, rules, coverage, lists, messages, overlays.

    Example: modgate policy diff config/policies/social.yaml social.next.yaml
    """
    found = differences(read(old, taxonomy()), read(new, taxonomy()))
    if as_json:
        print_json({"same": not found, "differences": [each.as_dict() for each in found]})
        return
    for difference in found:
        stdout.print(_line(difference), soft_wrap=True)
    if not found:
        stdout.print("No difference but in comments and order.", highlight=False)


def _line(difference: Difference) -> Text:
    mark, colour = _MARK.get(difference.change, ("~", "yellow"))
    where = f"{difference.where}{'.' if difference.field else ''}{difference.field}"
    line = Text.assemble((f"{mark} ", colour), (where, "bold"), "  ")
    if difference.change in ("added", "removed"):
        return line.append(_told(difference.after if difference.change == "added" else difference.before))
    line.append(f"{_told(difference.before)} → {_told(difference.after)}")
    return line.append(f"  {difference.change}" if difference.change in _MARK else "", "dim")


def _told(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_told(each)}" for name, each in value.items())
    if isinstance(value, list):
        return ", ".join(map(_told, value)) or "none"
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
