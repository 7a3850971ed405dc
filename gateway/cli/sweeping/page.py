"""A sweep's report as one page: figures, and plots drawn as SVG in it. Nothing is loaded from anywhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader

from gateway.cli.sweeping.findings import ACTIONS, findings

_WIDTH, _BAR, _LEFT, _FLOOR = 960.0, 22.0, 300.0, 200.0
_MOST = 20  # rules drawn

_PAGES = Environment(loader=PackageLoader("gateway.cli", "sweeping"), autoescape=True)


def page(told: Mapping[str, Any]) -> str:
    """HTML."""
    return _PAGES.get_template("page.html").render(
        told=told,
        actions=ACTIONS,
        flips=sum(told["flips"].values()),
        findings=findings(told),
        rules=_rules(told["per_rule"]),
        days=_days(told["review_load"]["by_day"]),
    )


def _rules(counted: Mapping[str, int]) -> dict[str, Any]:
    """Bars from the left, the longest rule first."""
    shown = list(counted.items())[:_MOST]
    most = max((many for _, many in shown), default=1)
    bars = [
        {"name": name, "many": many, "y": place * (_BAR + 6), "width": round((_WIDTH - _LEFT - 80) * many / most, 1)}
        for place, (name, many) in enumerate(shown)
    ]
    return {"width": _WIDTH, "left": _LEFT, "bar": _BAR, "height": max(1, len(bars)) * (_BAR + 6), "bars": bars}


def _days(by_day: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    """Two columns a day: reviews before and after."""
    most = max((value for day in by_day.values() for value in day.values()), default=0.0) or 1.0
    width = _WIDTH / (len(by_day) or 1)
    columns = [
        {
            "day": day,
            "which": which,
            "many": value,
            "x": round(place * width + (0.08 if which == "before" else 0.5) * width, 1),
            "y": round(_FLOOR * (1 - value / most), 1),
            "width": round(0.4 * width, 1),
            "height": round(_FLOOR * value / most, 1),
        }
        for place, (day, reviews) in enumerate(by_day.items())
        for which, value in reviews.items()
    ]
    return {"width": _WIDTH, "height": _FLOOR + 20, "floor": _FLOOR, "most": most, "columns": columns, "step": width}
