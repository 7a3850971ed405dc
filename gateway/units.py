"""The units people write in YAML: `500ms`, `2s`, `5m` · `10MB` · `50/s` · `./a/path`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, ValidationInfo

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_BYTES = {"B": 1, "KB": 1000, "MB": 1000**2, "GB": 1000**3, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
_PER = {"s": 1.0, "m": 60.0, "h": 3600.0}


def duration(written: Any) -> float:
    """`500ms`, `2s`, `5m`, `1h` in seconds; raises ValueError for anything else, bare numbers too."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h)", str(written).strip())
    if not match or not float(match[1]):
        raise ValueError("a duration is a number above 0 with its unit, like 500ms, 2s or 5m")
    return float(match[1]) * _SECONDS[match[2]]


def size(written: Any) -> int:
    """`10MB` (10,000,000) or `10MiB` (10,485,760) in bytes; raises ValueError for anything else."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMG]i?B|B)", str(written).strip())
    if not match or not float(match[1]):
        raise ValueError("a size is a number above 0 with its unit, like 500KB, 10MB or 1GiB")
    return int(float(match[1]) * _BYTES[match[2]])


def rate(written: Any) -> float:
    """`50/s`, `300/m`, `1000/h` in events a second; raises ValueError for anything else."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*/\s*(s|m|h)", str(written).strip())
    if not match or not float(match[1]):
        raise ValueError("a rate is a number above 0 per s, m or h, like 50/s")
    return float(match[1]) / _PER[match[2]]


def located(written: Path, info: ValidationInfo) -> Path:
    """A path relative to the folder of the file that names it, the validation context's `folder`; `~` is home."""
    folder = (info.context or {}).get("folder", Path())
    return Path(folder) / written.expanduser()


Duration = Annotated[float, BeforeValidator(duration)]
Size = Annotated[int, BeforeValidator(size)]
Rate = Annotated[float, BeforeValidator(rate)]
Located = Annotated[Path, AfterValidator(located)]
