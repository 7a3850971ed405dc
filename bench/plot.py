"""Bars with their span, on a logarithmic scale, as an SVG that stands alone."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape

from bench.ratios import Span

_WIDTH, _BAR, _GAP, _TOP = 900.0, 22.0, 12.0, 44.0
_LEFT, _RIGHT = 250.0, 90.0  # for names, and for figures

Bars = Sequence[tuple[str, Span]]

_STYLE = """<style>
  svg { font: 13px system-ui, sans-serif; }
  .paper { fill: #f7f8fa; } .bar { fill: #2a7f9e; } .grid { stroke: #dde2ea; } .span { stroke: #1c2330; }
  text { fill: #1c2330; } .title { font-weight: 600; } .axis { fill: #5b6675; font-size: 11px; }
</style>"""


def bars(title: str, shown: Bars) -> str:
    """Each bar ends at the median, its line reaches from the least to the most. All are above 0."""
    least = 10 ** math.floor(math.log10(min(span.least for _, span in shown)))
    most = 10 ** math.ceil(math.log10(max(span.most for _, span in shown)) + 1e-9)
    height = _TOP + len(shown) * (_BAR + _GAP) + 24

    def across(value: float) -> float:
        share = math.log10(value / least) / math.log10(most / least)
        return round(_LEFT + share * (_WIDTH - _LEFT - _RIGHT), 1)

    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH:g} {height:g}" role="img">',
        f"<title>{escape(title)}</title>",
        _STYLE,
        f'<rect class="paper" width="{_WIDTH:g}" height="{height:g}"/>',
        f'<text class="title" x="16" y="26">{escape(title)}</text>',
    ]
    for power in range(round(math.log10(least)), round(math.log10(most)) + 1):
        x = across(10.0**power)
        lines.append(f'<line class="grid" x1="{x}" y1="{_TOP - 8:g}" x2="{x}" y2="{height - 20:g}"/>')
        lines.append(f'<text class="axis" x="{x}" y="{height - 6:g}" text-anchor="middle">{10**power:,}</text>')
    for place, (name, span) in enumerate(shown):
        lines += _bar(name, [across(value) for value in (span.least, span.median, span.most)], place, span.median)
    return "\n".join([*lines, "</svg>", ""])


def _bar(name: str, at: Sequence[float], place: int, value: float) -> Iterator[str]:
    least, median, most = at
    top = _TOP + place * (_BAR + _GAP)
    middle, base = top + _BAR / 2, top + _BAR * 0.7
    yield f'<text x="{_LEFT - 10:g}" y="{base:g}" text-anchor="end">{escape(name)}</text>'
    yield f'<rect class="bar" x="{_LEFT:g}" y="{top:g}" width="{median - _LEFT:.1f}" height="{_BAR:g}"/>'
    yield f'<line class="span" x1="{least}" y1="{middle:g}" x2="{most}" y2="{middle:g}"/>'
    yield f'<text x="{most + 8:.1f}" y="{base:g}">{value:,.0f}</text>'
