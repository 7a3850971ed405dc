"""What was asked and answered, without keys, texts or pictures that nobody should find in a log."""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Iterable
from typing import Any

from adapters.simulator.answer import Answer
from adapters.simulator.faults import Plan
from adapters.simulator.wire import Heard

LAST = 500  # calls remembered
TELLING = (  # headers that say who asks and which attempt it is; never one that holds a key
    *("content-type", "content-length", "user-agent", "traceparent", "x-amz-target", "amz-sdk-request"),
    *("x-stainless-retry-count", "x-ms-client-request-id", "anthropic-version"),
)
PLAIN = ("api-version",)  # query parameters that are shown; all others are only named
MOST = 200  # characters of a text


class Journal:
    """Counts by vendor, status and fault, and the last calls."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self.calls: Counter[str] = Counter()
        self._by_status: dict[str, Counter[str]] = {}
        self._by_fault: dict[str, Counter[str]] = {}
        self._last: deque[dict[str, Any]] = deque(maxlen=LAST)

    def note(self, vendor: str, heard: Heard, answer: Answer, plan: Plan, took: float) -> None:
        """Keep one call. `took` is in seconds."""
        self._by_status.setdefault(vendor, Counter())[str(answer.status)] += 1
        self._by_fault.setdefault(vendor, Counter()).update(plan.what)
        self._last.append(
            {
                "vendor": vendor,
                "number": heard.number,
                "at": heard.now.isoformat(timespec="milliseconds"),
                "method": heard.method,
                "path": heard.path,
                "query": {name: value if name in PLAIN else "***" for name, value in heard.query.items()},
                "headers": {name: heard.headers[name] for name in TELLING if name in heard.headers},
                "about": [_short(thing) for thing in heard.seen],
                "status": answer.status,
                "faults": plan.what,
                "ms": round(took * 1000, 1),
            }
        )

    def as_dict(self, vendors: Iterable[str], last: int, vendor: str | None = None) -> dict[str, Any]:
        """For the control address: counts of every vendor, and the last calls, newest last."""
        counts = {
            name: {
                "calls": self.calls[name],
                "status": dict(self._by_status.get(name, ())),
                "faults": dict(self._by_fault.get(name, ())),
            }
            for name in vendors
        }
        calls = [call for call in self._last if vendor in (None, call["vendor"])]
        return {"vendors": counts, "last": calls[-last:] if last else []}


def _short(thing: str) -> str:
    thing = re.sub(r"[?#].*", "?…", thing) if re.match(r"https?://", thing) else thing  # a signed address holds a key
    return thing if len(thing) <= MOST else f"{thing[:MOST]}…"
