"""What a sweep or a backtest found, in words: the same on a terminal and on a page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

ACTIONS = ("allow", "review", "block")


def findings(told: Mapping[str, Any]) -> list[str]:
    """What one has to know besides, in sentences."""
    lines = [f"{flip}: {', '.join(ids[:3])}" for flip, ids in told["samples"].items()]
    if told["sampled"] is not None:
        lines.append(f"A sample of {told['sampled']:.1%}; with 95 % certainty, as shares of all decisions:")
        lines += [f"  {flip}: {low:.2%} to {high:.2%}" for flip, (low, high) in told["intervals"].items()]
    if told["one_by_one"]:
        lines.append(f"{told['one_by_one']:,} were decided one by one.")
    if told["gone"]:
        lines.append(f"Of {told['gone']:,} the record is no more there: nothing is said of them.")
    if told["unreadable"]:
        lines.append(f"{told['unreadable']:,} stored decisions could not be read.")
    lines += [f"{field} was not kept of {many:,} inputs: unknown there." for field, many in told["unkept"].items()]
    return [*lines, f"All of them: {told['flips_in']}"]
