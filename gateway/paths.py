"""Where the shipped tables are: beside the code in a checkout, inside the package in a wheel."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_IN_WHEEL = _PACKAGE / "_config"

SHIPPED = _IN_WHEEL if _IN_WHEEL.is_dir() else _PACKAGE.parent / "config"

TAXONOMY = SHIPPED / "taxonomy.yaml"
MESSAGES = SHIPPED / "messages.yaml"
VENDORS = SHIPPED / "vendors"
GATEWAY = SHIPPED / "gateway.yaml"
