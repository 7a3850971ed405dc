"""A list of known hashes in a file. Two forms, told apart by the first line that says something:

* a hash a line, each with its kind: `sha256:` or `pdq:` and 64 hex digits; what follows a `#` is a comment;
* CSV with a header that names a column `sha256`, `pdq` or both; other columns are ignored, an empty cell is no hash.

Both kinds are 64 hex digits, so one that does not say which it is is refused. So is a file without any hash: one that
is just being written shall not take the place of the list in use.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from time import sleep

import numpy as np
from numpy.typing import NDArray

from gateway.errors import ConfigError

SAME, ALIKE = "sha256", "pdq"
KINDS = (SAME, ALIKE)
PAUSE_EVERY = 1_000  # entries, some 2 ms of work
_DIGITS = re.compile(r"[0-9a-fA-F]{64}")
_FORMS = "write sha256: or pdq: and 64 hex digits a line, or CSV with a header that names a column sha256 or pdq"

Bytes = NDArray[np.uint8]
Entry = tuple[int, int, str, str]  # line and column, from 1; kind, or nothing; what should be 64 hex digits


@dataclass(frozen=True, slots=True)
class HashFile:
    """The hashes of a file, shape (n, 32) each."""

    sha256: Bytes
    pdq: Bytes


def read_hashes(file: Path, *, only_same: bool = False) -> HashFile:
    """All of a file, some 3 s a million. Raises ConfigError, with line and column of the first thing that is wrong.

    `only_same`: PDQ is wrong too. What is merely alike may differ in what matters.

    It pauses again and again: a thread that reads on and on keeps the event loop waiting, for up to 0.9 s as measured.
    """
    found = {kind: bytearray() for kind in KINDS}
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            for count, (line, column, kind, said) in enumerate(_entries(lines)):
                if count % PAUSE_EVERY == 0:
                    sleep(0.0001)
                if wrong := _wrong(kind, said, only_same):
                    raise ConfigError(wrong, file=str(file), line=line, column=column, hint=_FORMS)
                found[kind] += bytes.fromhex(said)
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", file=str(file)) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise ConfigError("is neither text in UTF-8 nor CSV", file=str(file), hint=_FORMS) from error
    if not any(found.values()):
        raise ConfigError("there is no hash in it", file=str(file), hint=_FORMS)
    known = [np.frombuffer(found[kind], np.uint8).reshape(-1, 32) for kind in KINDS]
    return HashFile(*known)


def _wrong(kind: str, said: str, only_same: bool) -> str:
    """Why this is no hash of such a list; nothing where it is one."""
    if kind not in KINDS:
        return f"{kind[:20]!r} is no kind of hash" if kind else f"{said[:20]!r} does not say which kind of hash it is"
    if kind == ALIKE and only_same:
        return "a list of good things holds no pdq, which only says that a picture is much like another"
    return "" if _DIGITS.fullmatch(said) else f"{said[:20]!r} is not 64 hex digits"


def _entries(lines: Iterable[str]) -> Iterator[Entry]:
    numbered = enumerate(lines, 1)
    for number, line in numbered:
        if not line.partition("#")[0].strip():
            continue
        names = [name.strip().lower() for name in line.split(",")]
        if set(KINDS) & set(names):
            return _under(names, number, (line for _, line in numbered))
        return _plain(chain([(number, line)], numbered))
    return iter(())


def _plain(numbered: Iterable[tuple[int, str]]) -> Iterator[Entry]:
    for number, line in numbered:
        said = line.partition("#")[0].strip()
        if said:
            kind, _, digits = said.rpartition(":")
            yield number, line.index(said) + 1, kind.strip().lower(), digits.strip()


def _under(names: list[str], header: int, lines: Iterator[str]) -> Iterator[Entry]:
    """The cells under a header. A row with fewer or more cells gives something that is no hash."""
    wanted = [(at, name) for at, name in enumerate(names) if name in KINDS]
    reader = csv.reader(lines)
    for cells in reader:
        if not cells or cells[0].lstrip().startswith("#"):
            continue
        number = header + reader.line_num
        if len(cells) != len(names):
            yield number, 1, "", ",".join(cells)
        for at, kind in wanted:
            if cells[at].strip():
                yield number, 1 + sum(len(cell) + 1 for cell in cells[:at]), kind, cells[at].strip()
