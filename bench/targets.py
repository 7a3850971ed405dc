"""What is measured, and how it is started: our own comparisons, modgate with one vendor and with three.

modgate runs with all that a request passes in use: key check, rate limit, daily spend, cache, debts, metrics, a log
line, and evidence on disk (SQLite, synchronous=FULL) before the answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from bench.processes import free_port, pin, running

POLICIES = Path(__file__).resolve().parent.parent / "config" / "policies"
PATH = "/v1/moderations"
KEY = "sk-bench-0123456789"
SEEN, OURS = 0, 1  # the core of what is measured, and that of the vendor and the load


@dataclass(frozen=True, slots=True)
class Target:
    """Something that answers on `port`; `pid` is the root of its processes, `about` what a table calls it."""

    name: str
    about: str
    port: int
    pid: int
    headers: Mapping[str, str] = field(default_factory=lambda: {"Authorization": f"Bearer {KEY}"})


@contextmanager
def vendor(folder: Path) -> Iterator[Target]:
    """The vendor of all of them, on our core."""
    port = free_port()
    with running("-m", "bench.vendor", str(port), port=port, log=folder / "vendor.log") as pid:
        pin(pid, OURS)
        yield Target("direct", "the vendor itself", port, pid)


@contextmanager
def modgate(folder: Path, vendor_port: int, vendors: int = 1, **limits: Any) -> Iterator[Target]:
    """The gateway before so many vendors, on all cores. `limits` are those of gateway.yaml."""
    port = free_port()
    home = folder / f"modgate-{port}"
    home.mkdir()
    file = home / "gateway.yaml"
    file.write_text(yaml.safe_dump(gateway_yaml(port, vendor_port, vendors, limits), sort_keys=False))
    command = ("-m", "gateway.cli", "serve", "--config", str(file))
    about = "modgate, 1 vendor" if vendors == 1 else f"modgate, {vendors} vendors"
    with running(*command, port=port, log=home / "log") as pid:
        pin(pid)
        yield Target(f"modgate{vendors}", about, port, pid)


def gateway_yaml(port: int, vendor_port: int, vendors: int, limits: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration as data."""
    one = {
        "adapter": "openai",
        "base_url": f"http://127.0.0.1:{vendor_port}/v1",
        "api_key": "bench",
        "max_concurrency": 512,
        "price_per_1k": 0.01,
        "timeout": "20s",
    }
    names = [f"vendor{number}" for number in range(vendors)]
    leg = {"ask": names, "deadline": "30s"}
    key = {"name": "bench", "key": KEY, "rate_limit": "1000000/s", "daily_spend": 1_000_000}
    return {
        "server": {"host": "127.0.0.1", "port": port},
        "auth": {"keys": [key]},
        "storage": {"dir": "var"},
        "limits": {"concurrency": 512, **limits},
        "providers": dict.fromkeys(names, one),
        "routes": {"default": {"text": leg, "image": leg}},
        "policies": {"dir": str(POLICIES), "default": "social"},
    }


@contextmanager
def ours(folder: Path, vendor_port: int) -> Iterator[list[Target]]:
    """The two bare programs and the two gateways, each on the core of what is measured."""
    with ExitStack() as stack:
        targets = []
        for name, about in (("relay", "bare aiohttp relay"), ("fanout", "bare aiohttp fan-out of 3")):
            port = free_port()
            command = ("-m", f"bench.{name}", str(port), f"http://127.0.0.1:{vendor_port}{PATH}")
            pid = stack.enter_context(running(*command, port=port, log=folder / f"{name}.log"))
            targets.append(Target(name, about, port, pid))
        targets += [stack.enter_context(modgate(folder, vendor_port, vendors)) for vendors in (1, 3)]
        for target in targets:
            pin(target.pid, SEEN)
        yield targets
