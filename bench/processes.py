"""Starting what is measured, and reading what it cost, from Linux's own books."""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


def free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
        return port


@contextmanager
def running(*command: str, port: int, log: Path) -> Iterator[int]:
    """A program of this checkout, from when it listens; its process id."""
    with started([sys.executable, *command], port, log) as pid:
        yield pid


@contextmanager
def started(
    command: Sequence[str], port: int, log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[int]:
    """Any program, in a process group of its own. RuntimeError where it ends, or does not listen within two minutes."""
    with log.open("wb") as out:
        whole = {**os.environ, **(environment or {})}
        process = subprocess.Popen(command, stdout=out, stderr=out, env=whole, start_new_session=True)
        try:
            _wait(port, process, log)
            yield process.pid
        finally:
            process.terminate()
            try:
                process.wait(timeout=40)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def pin(pid: int, *cores: int) -> None:
    """Keep a process tree on these cores, so that its neighbours do not empty its caches; none named are all."""
    there = os.cpu_count() or 1
    wanted = {core % there for core in cores} or set(range(there))
    for each in tree(pid):
        for task in Path(f"/proc/{each}/task").iterdir():
            os.sched_setaffinity(int(task.name), wanted)


def _wait(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(2400):
        if process.poll() is not None:
            said = (log.read_text(errors="replace").strip().splitlines() or ["nothing"])[-1][:200]
            raise RuntimeError(f"it ended with {process.returncode} and said: {said}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"it does not listen on {port} within two minutes")


def tree(pid: int) -> list[int]:
    """A process and all its descendants."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except (OSError, IndexError):
                continue  # it ended while we looked
            parents.setdefault(parent, []).append(int(entry.name))
    found = [pid]
    for each in found:
        found += parents.get(each, [])
    return found


def cpu_seconds(pid: int) -> float:
    """CPU time of the whole tree so far, from the scheduler's nanosecond counters."""
    total = 0
    for each in tree(pid):
        for task in Path(f"/proc/{each}/task").glob("*/schedstat"):
            try:
                total += int(task.read_text().split()[0])
            except OSError:
                continue
    return total / 1e9


def memory_mb(pid: int) -> float:
    """Proportional set size of the tree in MB: shared pages are counted once."""
    return sum(map(process_mb, tree(pid)))


def process_mb(pid: int) -> float:
    """Proportional set size of one process in MB; 0 if it is gone."""
    lines = _read(Path(f"/proc/{pid}/smaps_rollup")).splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def open_files(pid: int) -> int:
    """Of the tree: sockets, pipes and files."""
    return sum(len(list(Path(f"/proc/{each}/fd").glob("*"))) for each in tree(pid))


@dataclass(slots=True)
class Peak:
    """The most that was seen."""

    most: float = 0.0


@contextmanager
def peak(look: Callable[[], float], every: float = 0.05) -> Iterator[Peak]:
    """Of what is looked at meanwhile, every so many seconds, from a thread of its own."""
    found, over = Peak(), threading.Event()

    def watch() -> None:
        while not over.wait(every):
            found.most = max(found.most, look())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield found
    finally:
        over.set()
        watcher.join()


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def load_average() -> float:
    return os.getloadavg()[0]


def allow_many_connections() -> None:
    """For this process and all it starts: as many open files as the system lets us have."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
