"""A report as Markdown, and where it goes in docs/performance.md."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bench.goals import GOALS, Report, Verdict, verdicts
from bench.ratios import Span, added, figure, ratio, spanned

PAGE = Path(__file__).resolve().parent.parent / "docs" / "performance.md"


def filled(page: str, mark: str, text: str) -> str:
    """The page with what stands between its marks of this name replaced. ValueError where it has none."""
    marks = re.compile(f"(<!-- {mark} -->\n).*?(<!-- /{mark} -->)", re.S)
    if not marks.search(page):
        raise ValueError(f"the page has no <!-- {mark} --> … <!-- /{mark} -->")
    return marks.sub(lambda found: found[1] + "\n" + text + "\n" + found[2], page)


def part(report: Report) -> str:
    """All tables."""
    sections = [_about(report), judged(verdicts(report, GOALS))]
    if report["rounds"]:
        sections += ["![CPU µs a request](performance.svg)\n", _flat_out(report), _paced(report), _slow(report)]
    sections += [make(report) for name, make in _SCENARIOS.items() if report.get(name)]
    return "\n".join(sections)


def table(head: Iterable[str], lines: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    titles = list(head)
    rows = [titles, ["---"] * len(titles), *map(list, lines)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def spelt(span: Span | None, digits: int = 2) -> str:
    """`1.20 (1.10..1.31)`; the span only where there was more than one round."""
    if span is None:
        return "–"
    if span.least == span.most:
        return f"{span.median:,.{digits}f}"
    return f"{span.median:,.{digits}f} ({span.least:,.{digits}f}..{span.most:,.{digits}f})"


def _about(report: Report) -> str:
    machine = report["machine"]
    return (
        f"Measured {report['made']} on {machine['cores']} cores of {machine['cpu']}, load average before "
        f"{machine['load']:.1f}; {len(report['rounds'])} rounds, medians with the least and the most of all rounds.\n"
    )


def judged(goals: Iterable[Verdict]) -> str:
    """What was to be reached, what was measured, and whether that is it."""
    words = {True: "reached", False: "**missed**", None: "not measured"}
    lines = [[one.what, one.goal, spelt(one.span), words[one.reached]] for one in goals]
    return table(("what", "goal", "measured", ""), lines)


def _flat_out(report: Report) -> str:
    rounds = report["rounds"]
    lines = [
        [
            about,
            spelt(figure(rounds, "cpu_us", name), 0),
            spelt(ratio(rounds, "cpu_us", name, "relay")),
            spelt(figure(rounds, "rps", name), 0),
            spelt(ratio(rounds, "rps", name, "relay")),
            spelt(figure(rounds, "calls", name)),
            spelt(figure(rounds, "memory_mb", name), 0),
        ]
        for name, about in report["targets"].items()
    ]
    missing = [[name, why, *[""] * 5] for name, why in report["missing"].items()]
    head = ("flat out, 32 connections", "CPU µs", "× relay", "requests/s", "× relay", "vendor calls", "memory MB")
    return table(head, [*lines, *missing])


def _paced(report: Report) -> str:
    """`errors` are those of all loops."""
    rounds = report["rounds"]
    lines = [
        [
            about,
            spelt(figure(rounds, "cpu_us_at_25", name), 0),
            _both(rounds, name, 25),
            _both(rounds, name, 250),
            f"{sum(one[name]['errors'] for one in rounds if name in one):.0f}",
        ]
        for name, about in report["targets"].items()
    ]
    head = ("at a steady rate", "CPU µs at 25/s", "added p50 · p99 ms at 25/s", "the same at 250/s", "errors")
    return table(head, lines)


def _both(rounds: Any, name: str, rate: int) -> str:
    p50, p99 = (added(rounds, f"{quantile}_ms_at_{rate}", name) for quantile in ("p50", "p99"))
    return "–" if p50 is None or p99 is None else f"{p50.median:.2f} · {p99.median:.2f}"


def _slow(report: Report) -> str:
    slow = report["slow"]
    lines = [
        [
            about,
            spelt(figure(slow, "rps", name), 0),
            spelt(ratio(slow, "rps", name, "relay")),
            spelt(figure(slow, "cpu_us", name), 0),
            spelt(figure(slow, "p50_ms", name), 0),
            spelt(figure(slow, "p99_ms", name), 0),
        ]
        for name, about in report["targets"].items()
        if name != "direct"
    ]
    head = ("vendor of 50 ms, 256 in flight", "requests/s", "× relay", "CPU µs a request", "p50 ms", "p99 ms")
    return table(head, lines)


def _overload(report: Report) -> str:
    over = report["overload"]
    names = {
        "peak": "the peak before it, good answers a second",
        "sent": "sent a second",
        "goodput": "good answers a second",
        "share": "of the peak",
        "p99_ms": "p99 ms of good answers",
        "refused": "refused a second",
        "refusal_p99_ms": "p99 ms of refusals",
        "lost": "given up after 1 s, a second",
        "load_share": "share of a core the load and the vendor used",
    }
    lines = [[name, *(spelt(spanned(each[key])) for each in over["times"].values())] for key, name in names.items()]
    what = f"Overload, vendor of 50 ms, `limits.concurrency: {over['cap']}`"
    return table((what, *(f"{times} × peak" for times in over["times"])), lines)


def _rest(name: str, words: Mapping[str, str]) -> Any:
    """A table of a scenario's plain figures."""

    def made(report: Report) -> str:
        return table((name, ""), [[said, f"{report[name][key]:,.1f}"] for key, said in words.items()])

    return made


_SCENARIOS: Mapping[str, Any] = {
    "overload": _overload,
    "refusal": _rest("refusal", {"cpu_us": "CPU µs of one", "rps": "a second, 32 connections", "p99_ms": "p99 ms"}),
    "memory": _rest(
        "memory",
        {
            "largest_mb": "MB of the largest process, without local models",
            "together_mb": "MB of all its processes, decoders included",
            "uploads_peak_mb": "MB of all at the most, 100 uploads of 5 MB at once",
            "uploads_decided": "of these uploads decided; the others were refused",
            "start_cpu_s": "CPU seconds from the start until it listens",
        },
    ),
    "stall": _rest(
        "stall",
        {
            "usual_ms": "ms that /healthz usually takes",
            "stall_ms": "ms longer beside a picture of 5 MB, the middle of all pictures",
            "most_ms": "the most",
        },
    ),
}
