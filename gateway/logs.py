"""Structured lines on stderr: JSON for machines, colours on a terminal. Never content, never a secret.

Under load a system call a line costs as much as a policy decision, so lines are gathered for a moment and written
together: after 100 ms, at 64 kB, at once for an error, and when the process ends.
"""

from __future__ import annotations

import atexit
import logging
import sys
import threading
import time
from contextlib import suppress
from typing import Any, BinaryIO

import orjson
import structlog
from structlog.typing import EventDict

WRITE_AFTER = 0.1  # seconds
_FULL = 65_536  # bytes


def set_up_logs(level: int = logging.INFO) -> None:
    """Call once, before the first line."""
    on_terminal = sys.stderr.isatty()
    # Plain tracebacks in both: those with local variables would print content and secrets
    render: list[Any] = (
        [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
        if on_terminal
        else [structlog.processors.format_exc_info, _as_json]
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            _Stamp(),
            *render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr) if on_terminal else _Gathered(sys.stderr.buffer),
        cache_logger_on_first_use=True,
    )


class _Stamp:
    """`timestamp` in ISO 8601, UTC, milliseconds; the part down to the second is made once a second."""

    def __init__(self) -> None:
        self._second = (0, "")

    def __call__(self, _logger: Any, _method: str, line: EventDict) -> EventDict:
        now = time.time()
        second = int(now)
        if second != self._second[0]:
            self._second = (second, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second)))
        line["timestamp"] = f"{self._second[1]}.{int((now - second) * 1000):03d}Z"
        return line


def _as_json(_logger: Any, _method: str, line: EventDict) -> bytes:
    return orjson.dumps(line, default=str)


class _Gathered:
    """A logger factory whose one logger holds lines back for a moment. Used from any thread."""

    def __init__(self, out: BinaryIO):
        self._out = out
        self._lines: list[bytes] = []
        self._size = 0
        self._lock = threading.Lock()
        self._some = threading.Event()
        self._writer: threading.Thread | None = None
        atexit.register(self.flush)

    def __call__(self, *_args: Any) -> _Gathered:
        return self

    def info(self, line: bytes) -> None:
        with self._lock:
            first = not self._lines
            self._lines.append(line)
            self._size += len(line)
            full = self._size >= _FULL
            if self._writer is None:
                self._writer = threading.Thread(target=self._write, name="modgate-logs", daemon=True)
                self._writer.start()
        if full:
            self.flush()
        elif first:
            self._some.set()

    def error(self, line: bytes) -> None:
        self.info(line)
        self.flush()

    debug = info
    warning = critical = exception = error

    def flush(self) -> None:
        """Write what is held, whole lines only, in order."""
        with self._lock:
            held, self._lines, self._size = self._lines, [], 0
            if held:
                with suppress(OSError, ValueError):  # a full disk or a closed stream fails nobody who wanted a line
                    self._out.write(b"\n".join(held) + b"\n")
                    self._out.flush()

    def _write(self) -> None:
        while self._some.wait():
            self._some.clear()
            time.sleep(WRITE_AFTER)
            self.flush()
