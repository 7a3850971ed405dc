"""A drill's report as one page: figures, and two plots drawn as SVG in it. Nothing is loaded from anywhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from jinja2 import Environment, PackageLoader

from gateway.cli.drilling.figures import findings
from gateway.cli.drilling.traffic import Sent

OUTCOMES = ("allow", "review", "block", "lost")
_ROWS = ("requests", "p50_ms", "p95_ms", "p99_ms", *OUTCOMES, "degraded", "calls_per_request")
_WIDTH, _HEIGHT, _FLOOR = 960.0, 260.0, 240.0  # the plots, and where their zero is
_BARS = 60
_MARKS = 6  # along the time

_PAGES = Environment(loader=PackageLoader("gateway.cli", "drilling"), autoescape=True)


def page(report: Mapping[str, Any], sent: Sequence[Sent]) -> str:
    """HTML."""
    return _PAGES.get_template("page.html").render(
        report=report, findings=findings(report), rows=_ROWS, outcomes=OUTCOMES, plot=_plot(report, sent)
    )


def _plot(report: Mapping[str, Any], sent: Sequence[Sent]) -> dict[str, Any]:
    whole = max((one.at + one.took for one in sent), default=1.0)
    slowest = max((one.took for one in sent), default=0.0) or 1.0
    across = _WIDTH / whole
    return {
        "width": _WIDTH,
        "height": _HEIGHT,
        "floor": _FLOOR,
        "from": round(report["spoiled"]["from_s"] * across, 1),
        "until": round(report["spoiled"]["until_s"] * across, 1),
        "heights": [
            {"y": round(_FLOOR * (1 - share) + 10, 1), "text": f"{slowest * share * 1000:.0f} ms"}
            for share in (1.0, 0.5)
        ],
        "times": [
            {"x": round(_WIDTH * mark / _MARKS, 1), "text": f"{whole * mark / _MARKS:.1f} s"} for mark in range(_MARKS)
        ],
        "dots": [
            {
                "x": round(one.at * across, 1),
                "y": round(_FLOOR * (1 - one.took / slowest), 1),
                "outcome": one.outcome,
            }
            for one in sent
        ],
        "bars": list(_bars(sent, whole)),
    }


def _bars(sent: Sequence[Sent], whole: float) -> Iterator[dict[str, Any]]:
    """The shares of the outcomes, piled up, of those sent within each part of the time."""
    width = _WIDTH / _BARS
    for place in range(_BARS):
        counts = Counter(one.outcome for one in sent if int(one.at / whole * _BARS) == place)
        top = _FLOOR
        for outcome in OUTCOMES:
            height = _FLOOR * counts[outcome] / (counts.total() or 1)
            top -= height
            if height:
                shape = {"x": place * width, "y": top, "width": width - 1, "height": height}
                yield {"outcome": outcome, **{name: round(value, 1) for name, value in shape.items()}}
