"""Writes the cases that every vendor needs and nobody should write by hand, out of its clean one.

python -m tests.contract.broken lantern categories violence.score

The vendor, where its labels stand in the answer, and from there one score. A case that is there already is left alone,
but for its response.http: line ends of the head and Content-Length are put right. What the errors say is made up:
where the vendor's pages show its own words, put them in.
"""

from __future__ import annotations

import copy
import gzip
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from gateway import paths

FIXTURES = Path(__file__).parents[2] / "fixtures"
DAY = "Sat, 21 Nov 2026 08:00:00 GMT"
ERROR = {"error": {"code": "made_up", "message": "made up"}}
BROKEN = "the clean answer, broken on purpose"

Case = tuple[str, dict[str, Any], bytes]  # its name, what case.yaml says beside the content, response.http
Place = list[str | int]


def main(vendor: str, labels: str, score: str) -> None:
    """Write what is missing, and say what was written."""
    folder = FIXTURES / vendor
    for file in sorted(folder.glob("*/response.http")):
        file.write_bytes(put_right(file.read_bytes()))
    clean = yaml.safe_load((folder / "clean/case.yaml").read_text())
    answer = (folder / "clean/response.http").read_bytes().partition(b"\r\n\r\n")[2]
    for name, says, response in cases(vendor, clean, answer, steps(labels), steps(score)):
        if not (folder / name).exists():
            (folder / name).mkdir()
            written = {"origin": "synthetic", "source": BROKEN, "content": clean["content"], **says}
            (folder / name / "case.yaml").write_text(yaml.safe_dump(written, sort_keys=False))
            (folder / name / "request.json").write_text((folder / "clean/request.json").read_text())
            (folder / name / "response.http").write_bytes(response)
            print(f"wrote fixtures/{vendor}/{name}")


def cases(vendor: str, clean: dict[str, Any], answer: bytes, labels: Place, score: Place) -> Iterator[Case]:
    yield from errors()
    yield from other_answers(answer)
    yield from changed_answers(json.loads(answer), labels, score)
    yield unknown_label(vendor, clean, json.loads(answer), labels, score)


def errors() -> Iterator[Case]:
    """As HTTP has them. `source` says whose words they are: nobody's."""
    for name, status, error, more in (
        ("throttled-seconds", "429 Too Many Requests", "VendorThrottled", {"retry-after": "2"}),
        ("throttled-date", "429 Too Many Requests", "VendorThrottled", {"Retry-After": DAY.replace("00:00", "00:30")}),
        ("quota-exhausted", "402 Payment Required", "VendorDenied", {}),
        ("refused-key", "401 Unauthorized", "VendorDenied", {}),
        ("rejected-content", "400 Bad Request", "VendorRejected", {}),
        ("server-error", "500 Internal Server Error", "VendorUnavailable", {}),
        ("overloaded-503", "503 Service Unavailable", "VendorUnavailable", {"Retry-After": "5"}),
    ):
        wait = {"throttled-seconds": 2, "throttled-date": 30, "overloaded-503": 5}.get(name)
        expected = {"error": error, "http": int(status[:3])} | ({"retry_after": wait} if wait else {})
        source = "status by HTTP's own meaning; the body is made up"
        yield name, {"source": source, "expected": expected}, said(json.dumps(ERROR).encode(), status, **more)


def other_answers(answer: bytes) -> Iterator[Case]:
    """A 200 that is not the answer, or not all of it, or not in time."""
    drift = {"expected": {"error": "VendorDrift", "http": 200}}
    page = b"<!doctype html><html><title>Welcome</title><p>The service moved.</p></html>"
    yield "empty-200", drift, said(b"{}")
    yield "empty-body", drift, said(b"")
    yield "html-200", drift, said(page, **{"Content-Type": "text/html; charset=utf-8"})
    yield "truncated-body", drift, said(answer[: len(answer) // 2])
    yield "gzipped", drift, said(gzip.compress(answer, mtime=0), **{"Content-Encoding": "gzip"})
    yield "huge", {"pad": 1_100_000, **drift}, said(answer, **{"Content-Length": "", "Connection": "close"})
    late = {"settings": {"timeout": "150ms"}, "delay": 5, "expected": {"error": "VendorTimeout"}}
    yield "slow", late, said(answer)


def changed_answers(answer: Any, labels: Place, score: Place) -> Iterator[Case]:
    """The answer with one thing wrong."""
    drift = {"expected": {"error": "VendorDrift", "http": 200}}
    yield "changed-shape", drift, without(answer, labels)
    yield "missing-label", drift, without(answer, [*labels, score[0]])
    for name, written in (
        ("null-score", "null"),
        ("string-number", '"0.9"'),
        ("nan-token", "NaN"),
        ("huge-number", "1e308"),
        ("wrong-scale", "9700.0"),
    ):
        document, (*way, last) = copy.deepcopy(answer), [*labels, *score]
        found(document, way)[last] = "@@"
        yield name, drift, said(json.dumps(document, indent=1).replace('"@@"', written).encode())


def without(answer: Any, place: Place) -> bytes:
    document, (*way, last) = copy.deepcopy(answer), place
    del found(document, way)[last]
    return said(json.dumps(document, indent=1).encode())


def unknown_label(vendor: str, clean: dict[str, Any], answer: Any, labels: Place, score: Place) -> Case:
    """One more label, the like of the one that is named."""
    holder = found(answer, labels)
    holder["quackery"] = copy.deepcopy(holder[score[0]])
    value = found(holder, score)
    low, high = yaml.safe_load((paths.VENDORS / f"{vendor}.yaml").read_text())["scale"]
    expected = copy.deepcopy(clean["expected"])
    expected["findings"]["quackery"] = expected["findings"][score[0]]
    expected["signals"] = {f"unmapped/{vendor}/quackery": (value - low) / (high - low)}
    return "unknown-label", {"expected": expected}, said(json.dumps(answer, indent=1).encode())


def found(document: Any, place: Place) -> Any:
    for step in place:
        document = document[step]
    return document


def steps(place: str) -> Place:
    """`results.0.scores` as keys and indices."""
    return [int(step) if step.isdigit() else step for step in place.split(".")]


def said(body: bytes, status: str = "200 OK", **headers: str) -> bytes:
    """A whole response; a header that is empty is left out."""
    head = {"Date": DAY, "Content-Type": "application/json", "Content-Length": str(len(body)), **headers}
    lines = [f"{name}: {value}" for name, value in head.items() if value]
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode() + body


def put_right(response: bytes) -> bytes:
    """What was written with an editor, as it goes over the wire. What has its line ends is left as it is."""
    if b"\r\n" in response:
        return response
    head, _, body = response.partition(b"\n\n")
    lines = [line for line in head.split(b"\n") if not re.match(rb"content-length:", line, re.I)]
    return b"\r\n".join([*lines, b"Content-Length: %d" % len(body), b"", body])


if __name__ == "__main__":
    main(*sys.argv[1:])
