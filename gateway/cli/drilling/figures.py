"""What a drill showed, in numbers. It held where every submission was decided, and nothing allowed in silence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from gateway.cli.drilling.traffic import Sent

PHASES = ("before", "during", "after")
_WELL = ("ok", "cached")


def figures(sent: Sequence[Sent], provider: str, begun: float, ended: float) -> dict[str, Any]:
    """`begun` and `ended` are when the provider was spoiled, in seconds since the drill began."""
    phases = {phase: _phase([one for one in sent if one.phase == phase], provider) for phase in PHASES}
    lost = sum(one.lost for one in sent)
    silent = sum(one.silent for one in sent)
    during = [one for one in sent if one.phase == "during"]
    return {
        "ok": not lost and not silent and any(one.of(provider) for one in during),
        "reached": any(one.of(provider) for one in during),
        "requests": len(sent),
        "lost": lost,
        "silent_allows": silent,
        "spoiled": {"from_s": round(begun, 3), "until_s": round(ended, 3)},
        "first_failure_after_s": _first(sent, provider, begun, lambda status: status not in _WELL),
        "breaker_open_after_s": _first(sent, provider, begun, lambda status: status == "open"),
        "recovered_after_s": _first(sent, provider, ended, lambda status: status in _WELL),
        "phases": phases,
        "change": {
            action: round(phases["during"][action] - phases["before"][action], 4) for action in ("review", "block")
        },
    }


def _first(sent: Sequence[Sent], provider: str, since: float, is_it: Any) -> float | None:
    """Seconds until the first answer in which the provider stood so; None where it never did."""
    times = [one.at + one.took - since for one in sent if one.at >= since and any(map(is_it, one.of(provider)))]
    return round(min(times), 3) if times else None


def _phase(sent: Sequence[Sent], provider: str) -> dict[str, Any]:
    """Rates are shares of the submissions, latencies milliseconds."""
    outcomes = Counter(one.outcome for one in sent)
    statuses = Counter(status for one in sent for status in one.of(provider))
    many = len(sent) or 1
    return {
        "requests": len(sent),
        **{outcome: round(outcomes[outcome] / many, 4) for outcome in ("allow", "review", "block", "lost")},
        "degraded": round(sum(bool(one.body.get("degraded")) for one in sent) / many, 4),
        "p50_ms": _quantile(sent, 0.5),
        "p95_ms": _quantile(sent, 0.95),
        "p99_ms": _quantile(sent, 0.99),
        "calls_per_request": round(sum(one.attempts for one in sent) / many, 3),
        "provider": dict(sorted(statuses.items())),
    }


def _quantile(sent: Sequence[Sent], share: float) -> float | None:
    took = sorted(one.took for one in sent)
    return round(took[min(len(took) - 1, int(share * len(took)))] * 1000, 1) if took else None


def debt_between(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, int]:
    """Second looks that were promised, had and given up meanwhile, those of other traffic included."""
    paid, lost = (after[name] - before[name] for name in ("paid", "lost"))
    raised = after["owed"] - before["owed"] + paid + lost
    told = {"raised": raised, "paid": paid, "lost": lost, "owed": after["owed"]}
    return {name: int(many) for name, many in told.items()}


def findings(report: Mapping[str, Any]) -> list[str]:
    """The same in sentences, for people."""
    debt = report["debt"]
    lines = [
        f"Lost: {report['lost']} of {report['requests']}. Allowed in silence: {report['silent_allows']}.",
        f"First failure after {_seconds(report['first_failure_after_s'])}, breaker open after "
        f"{_seconds(report['breaker_open_after_s'])}; well again after {_seconds(report['recovered_after_s'])}.",
        f"Sent to people: {report['change']['review']:+.1%}. Blocked: {report['change']['block']:+.1%}.",
        f"Second looks promised: {debt['raised']}, had: {debt['paid']}, given up: {debt['lost']}.",
    ]
    return lines if report["reached"] else [*lines, f"'{report['provider']}' was never asked: nothing was rehearsed."]


def _seconds(seconds: float | None) -> str:
    return "(never)" if seconds is None else f"{seconds:.2f} s"
