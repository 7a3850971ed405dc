"""Vendors that fail, on real sockets: what callers notice, and what it costs the vendors.

    python -m bench.outage [--only killed] [--quick] [--json] [--docs]

Each part is a gateway of its own before two `modgate simulate`, of which the first fails and the second is its
fallback. Callers come on their own time, with texts of which no two are equal. Goals are counts and ratios, or seconds
held against a deadline. The report goes to bench/out/outage.json, with --docs into docs/performance.md too.
"""

from __future__ import annotations

import argparse
import math
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from secrets import token_hex
from typing import Any
from urllib.request import Request, urlopen

import aiohttp
import orjson
import uvloop
import yaml
from rich.console import Console
from rich.markdown import Markdown

from bench.goals import Goal, plain, verdicts
from bench.page import PAGE, filled, judged
from bench.processes import allow_many_connections, free_port, load_average, memory_mb, open_files, peak, running
from bench.targets import POLICIES
from gateway.cli.drilling.figures import figures
from gateway.cli.drilling.traffic import Sent, Traffic
from gateway.domain import Modality

OUT = Path(__file__).resolve().parent / "out" / "outage.json"
RATE = 100.0  # submissions a second; of what is killed twice as many
SECONDS, QUICK = 10.0, 1.0  # that a vendor is in trouble
DEADLINE = 3.0  # seconds, of each submission but those of `stalls`

Settings = Mapping[str, Any]
NONE: Settings = {}
USUAL: Settings = {"latency": {"lognormal": {"p50": "60ms", "p99": "150ms"}}}
STALLS: Settings = {"vendor": "openai", "share": 0.02, "latency": {"uniform": ["1500ms", "4s"]}}
HANGS: Settings = {"vendor": "openai", "hang": True}
ERRORS: Settings = {"vendor": "openai", "error": "server_error"}
NO_BREAKER: Settings = {"circuit": {"enabled": False}}

stderr = Console(stderr=True)


@dataclass(frozen=True, slots=True)
class Stage:
    """A gateway, of which this is the process id, and its vendors; all else are ports."""

    pid: int
    port: int
    first: int
    second: int

    def fails(self, *faults: Settings) -> None:
        """The first vendor does so from now on, and its calls are counted from 0; so are the second's."""
        told = {"faults": [*faults], "seed": 1}
        urlopen(Request(_control(self.first, "faults"), orjson.dumps(told), method="PUT")).close()
        for port in (self.first, self.second):
            urlopen(Request(_control(port, "calls"), method="DELETE")).close()

    def calls(self, port: int) -> int:
        """How often this vendor was asked."""
        with urlopen(_control(port, "calls")) as answer:
            return sum(told["calls"] for told in orjson.loads(answer.read())["vendors"].values())

    def traffic(self, client: aiohttp.ClientSession, rate: float = RATE) -> Traffic:
        return Traffic(client, rate, frozenset({Modality.TEXT}), None)

    def sent(self, seconds: float) -> list[Sent]:
        """What became of so many seconds of submissions."""

        async def all_answered() -> list[Sent]:
            async with _client(self.port) as client:
                traffic = self.traffic(client)
                await traffic.run("during", "default", token_hex(4), seconds)
                return traffic.sent

        return uvloop.run(all_answered())


def killed(folder: Path, seconds: float) -> dict[str, float]:
    """The first vendor's process is killed, and started again after so many seconds."""
    with _staged(folder) as (stage, stack, vendor):

        async def lived() -> tuple[list[Sent], float, float]:
            async with _client(stage.port) as client:
                traffic = stage.traffic(client, 2 * RATE)
                await traffic.run("before", "default", "outage", seconds / 2)
                os.kill(vendor, signal.SIGKILL)
                begun = traffic.elapsed()
                await traffic.run("during", "default", "outage", seconds)
                stack.enter_context(_vendor(folder, stage.first))
                ended = traffic.elapsed()
                await traffic.run("after", "default", "outage", max(seconds, 2 * QUICK))
                return traffic.sent, begun, ended

        sent, begun, ended = uvloop.run(lived())
    told = figures(sent, "one", begun, ended)
    return {
        "requests": len(sent),
        "lost_before": sum(one.lost for one in sent if one.phase == "before"),
        "lost_later": sum(one.lost for one in sent if one.at > begun + 1),
        "refused": sum(one.status == HTTPStatus.SERVICE_UNAVAILABLE for one in sent),
        "late": _late(sent),
        "silent": told["silent_allows"],
        "open_s": _or_never(told["breaker_open_after_s"]),
        "closed_s": _or_never(told["recovered_after_s"]),
    }


def hung(folder: Path, seconds: float, **more: Any) -> dict[str, float]:
    """The first vendor takes calls, and never answers."""
    with _staged(folder, **more) as (stage, *_):
        stage.sent(seconds / 2)
        files, memory = open_files(stage.pid), memory_mb(stage.pid)
        stage.fails(HANGS)
        with (
            peak(lambda: open_files(stage.pid), every=0.25) as most_files,
            peak(lambda: memory_mb(stage.pid), every=0.25) as most_memory,
        ):
            sent = stage.sent(seconds)
    return {
        "requests": len(sent),
        "lost": sum(one.lost for one in sent),
        "late": _late(sent),
        "silent": sum(one.silent for one in sent),
        "p99_share": _p99(sent) / DEADLINE,
        "files": most_files.most - files,
        "memory_mb": most_memory.most - memory,
    }


def stalls(folder: Path, seconds: float) -> dict[str, float]:
    """Two in a hundred answers of the first vendor stall: with strategy `first`, then with `hedge`."""
    found = {}
    for strategy in ("first", "hedge"):
        leg = {"strategy": strategy, "deadline": "10s"}
        with _staged(folder, leg=leg, timeout="8s") as (stage, *_):
            stage.fails(USUAL, STALLS)
            sent = stage.sent(2 * seconds)
            found[strategy] = _p99(sent), (stage.calls(stage.first) + stage.calls(stage.second)) / len(sent)
    (alone_s, alone), (hedged_s, hedged) = found["first"], found["hedge"]
    return {
        "alone_p99_s": alone_s,
        "hedged_p99_s": hedged_s,
        "better": 1 - hedged_s / alone_s,
        "calls": hedged / alone - 1,
    }


def errors(folder: Path, seconds: float, **more: Any) -> dict[str, float]:
    """The first vendor answers 500 to all. Second looks, which ask it at a time of their own, are not counted."""
    with _staged(folder, debt={"most": 0}, **more) as (stage, *_):
        stage.fails(ERRORS)
        sent = stage.sent(seconds)
        first, second = stage.calls(stage.first), stage.calls(stage.second)
    return {
        "requests": len(sent),
        "lost": sum(one.lost for one in sent),
        "silent": sum(one.silent for one in sent),
        "first": first / len(sent),
        "calls": (first + second) / len(sent),
    }


PARTS: Mapping[str, Callable[[Path, float], dict[str, float]]] = {
    "killed": killed,
    "hung": hung,
    "hung, no breaker": lambda folder, seconds: hung(folder, seconds, **NO_BREAKER),
    "stalls": stalls,
    "errors": errors,
    "errors, no breaker": lambda folder, seconds: errors(folder, seconds, **NO_BREAKER),
}
GOALS = (
    Goal("killed at 200/s: not decided, from a second after on", "≤", 0, plain, ("killed", "lost_later")),
    Goal("killed: answers past the deadline", "≤", 0, plain, ("killed", "late")),
    Goal("killed: allowed in silence", "≤", 0, plain, ("killed", "silent")),
    Goal("killed: seconds until the breaker is open", "≤", 5, plain, ("killed", "open_s")),
    Goal("back again: seconds until it is closed", "≤", 10, plain, ("killed", "closed_s")),
    Goal("hung: p99 over the deadline", "≤", 1, plain, ("hung", "p99_share")),
    Goal("hung, no breaker: p99 over the deadline", "≤", 1, plain, ("hung, no breaker", "p99_share")),
    Goal("hung, no breaker: sockets more than before", "≤", 2 * RATE * DEADLINE, plain, ("hung, no breaker", "files")),
    Goal("hung, no breaker: MB more than before", "≤", 30, plain, ("hung, no breaker", "memory_mb")),
    Goal("stalls: how much less p99 is with hedges", "≥", 0.6, plain, ("stalls", "better")),
    Goal("stalls: how many more calls hedges are", "≤", 0.05, plain, ("stalls", "calls")),
    Goal("errors: calls a request, of both vendors", "≤", 1.2, plain, ("errors", "calls")),
    Goal("errors, no breaker: calls a request, of the one", "≤", 1.2, plain, ("errors, no breaker", "first")),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=PARTS, help="this part; may be said again")
    parser.add_argument("--quick", action="store_true", help="a second each: whether it works, not how well")
    parser.add_argument("--json", action="store_true", help="the report on stdout, instead of a table")
    parser.add_argument("--docs", action="store_true", help="write docs/performance.md")
    asked = parser.parse_args()
    allow_many_connections()
    report: dict[str, Any] = {"made": datetime.now(UTC).date().isoformat(), "load": load_average()}
    for name in asked.only or PARTS:
        stderr.print(f"{name.capitalize()} …")
        with tempfile.TemporaryDirectory(prefix="modgate-outage-") as folder:
            report[name] = PARTS[name](Path(folder), QUICK if asked.quick else SECONDS)
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2))
    if asked.docs:
        PAGE.write_text(filled(PAGE.read_text("utf-8"), "outage", told(report)), "utf-8")
    if asked.json:
        sys.stdout.buffer.write(OUT.read_bytes() + b"\n")
    else:
        Console().print(Markdown(told(report)))


def told(report: Mapping[str, Any]) -> str:
    """As Markdown. Where not even well vendors let all be decided, it is the machine that is at fault."""
    about = f"Measured {report['made']}, load average before {report['load']:.1f}."
    if lost := report.get("killed", {}).get("lost_before"):
        about += f" Too busy a machine: {lost} submissions were not decided before anything was killed."
    return f"{about}\n\n{judged(verdicts(report, GOALS))}"


@contextmanager
def _staged(
    folder: Path, leg: Settings = NONE, debt: Settings = NONE, **more: Any
) -> Iterator[tuple[Stage, ExitStack, int]]:
    """All of it, up; and the first vendor's process id, with what its successor's life may be put into.

    `leg` and `debt` are settings of the route and of second looks, `more` those of the first provider.
    """
    port, first, second = free_port(), free_port(), free_port()
    home = folder / f"modgate-{port}"
    home.mkdir()
    file = home / "gateway.yaml"
    file.write_text(yaml.safe_dump({**_gateway(port, first, second, leg, more), "debt": dict(debt)}))
    with ExitStack() as stack:
        vendor = stack.enter_context(_vendor(folder, first))
        stack.enter_context(_vendor(folder, second))
        command = ("-m", "gateway.cli", "serve", "--config", str(file))
        pid = stack.enter_context(running(*command, port=port, log=home / "log"))
        yield Stage(pid, port, first, second), stack, vendor


def _gateway(port: int, first: int, second: int, leg: Settings, more: Settings) -> dict[str, Any]:
    """The configuration as data."""
    both = {"api_key": "rehearsal", "timeout": "1s"}
    one = {"adapter": "openai", "base_url": f"http://127.0.0.1:{first}/v1", **both, **more}
    two = {"adapter": "azure_content_safety", "endpoint": f"http://127.0.0.1:{second}", **both}
    return {
        "server": {"host": "127.0.0.1", "port": port},
        "storage": {"dir": "var"},
        "providers": {"one": one, "two": two},
        "routes": {"default": {"text": {"ask": ["one"], "fallback": ["two"], "deadline": f"{DEADLINE}s", **leg}}},
        "policies": {"dir": str(POLICIES), "default": "social"},
    }


@contextmanager
def _vendor(folder: Path, port: int) -> Iterator[int]:
    command = ("-m", "gateway.cli", "simulate", "--port", str(port))
    with running(*command, port=port, log=folder / f"vendor-{port}.log") as pid:
        yield pid


def _control(port: int, what: str) -> str:
    return f"http://127.0.0.1:{port}/_simulator/{what}"


def _client(port: int) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(f"http://127.0.0.1:{port}", connector=aiohttp.TCPConnector(limit=0))


def _late(sent: list[Sent]) -> int:
    return sum(one.took > DEADLINE for one in sent)


def _or_never(seconds: float | None) -> float:
    return math.inf if seconds is None else seconds


def _p99(sent: list[Sent]) -> float:
    took = sorted(one.took for one in sent)
    return took[int(0.99 * len(took))]


if __name__ == "__main__":
    main()
