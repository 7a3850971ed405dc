"""How long others wait while a picture of five megabytes is taken in, as seen from outside: /healthz, asked all along.

What a ping waits beyond the usual is the loop's stall, and whatever else the machine did meanwhile. So nothing is
pinned here, and the figure is the middle of many pictures, each with its longest. The upload has a thread and a plain
socket, which lets go of the interpreter: a client that stalls itself would be measured instead.
"""

from __future__ import annotations

import os
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

from bench.pictures import as_json
from bench.processes import pin
from bench.targets import PATH, Target, modgate

_BETWEEN = 0.0005  # seconds from an answer to the next ping
_QUIET = 300  # pings before, to know what is usual
_TIMEOUT = 60.0  # seconds


def measured(folder: Path, vendor: Target, pictures: int) -> dict[str, float]:
    """Milliseconds that the longest ping of a picture took beyond the usual: the middle and the most of them."""
    pin(os.getpid())
    with (
        modgate(folder, vendor.port) as target,
        closing(_line(target)) as pings,
        closing(_line(target)) as uploads,
        ThreadPoolExecutor(1) as thread,
    ):
        usual = statistics.median(_ping(pings) for _ in range(_QUIET))
        _upload(uploads, target, as_json())  # decoders and connections are warm after one
        longest = []
        for _ in range(pictures):
            uploading = thread.submit(_upload, uploads, target, as_json())
            took = [_ping(pings)]
            while not uploading.done():
                took.append(_ping(pings))
                time.sleep(_BETWEEN)
            uploading.result()
            longest.append(max(took) - usual)
    return {
        "pictures": float(pictures),
        "usual_ms": usual * 1000,
        "stall_ms": statistics.median(longest) * 1000,
        "most_ms": max(longest) * 1000,
    }


def _line(target: Target) -> HTTPConnection:
    return HTTPConnection("127.0.0.1", target.port, timeout=_TIMEOUT)


def _ping(line: HTTPConnection) -> float:
    begun = time.perf_counter()
    line.request("GET", "/healthz")
    line.getresponse().read()
    return time.perf_counter() - begun


def _upload(line: HTTPConnection, target: Target, body: bytes) -> None:
    line.request("POST", PATH, body, {**target.headers, "Content-Type": "application/json"})
    answer = line.getresponse()
    said = answer.read()
    if answer.status != 200:
        raise RuntimeError(f"a picture was answered {answer.status}: {said[:200]!r}")
