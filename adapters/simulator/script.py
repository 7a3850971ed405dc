"""The script of a rehearsal: what is true of which picture, how the vendors are set up, and what goes wrong.

seed: 7
images:                                   # by SHA-256 of the bytes a vendor gets, or by address
  9f86d081884c7d65…: {violence: 0.9, "rekognition:Weapons": 88}
hosts: [media.example.com]                # addresses a vendor could download from; nothing is fetched
reaches: {"https://modgate.example": "http://127.0.0.1:8080"}     # but from these, there
vendors:
  openai: {keys: [sk-rehearsal], limit: 500/m}
faults:
  - {vendor: openai, share: 0.1, error: throttled, retry_after: 2}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from adapters.simulator.faults import Fault
from adapters.simulator.truth import Bad, Oracle
from adapters.simulator.wire import Options, Vendor
from gateway.paths import VENDORS
from gateway.suggest import did_you_mean
from gateway.yamlfile import Document, load, loads

RESERVED = ("example", "example.com", "example.net", "example.org")  # nobody's: RFC 2606


Begins = Annotated[str, Field(pattern=r"^https?://[^/\s]+$")]  # scheme, host and port of addresses


class FaultList(BaseModel):
    """What goes wrong, alone: what the control address takes."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    seed: int | None = None
    faults: tuple[Fault, ...]


class ImageList(BaseModel):
    """What is true of pictures, alone."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    images: dict[str, dict[str, float]]


class ReachList(BaseModel):
    """Which addresses are reached, alone."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    reaches: dict[Begins, Begins]


class ScriptFile(BaseModel):
    """The shape of a script."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    seed: int = 0
    images: dict[str, dict[str, float]] = {}
    colours: bool = True
    hosts: tuple[str, ...] = RESERVED
    reaches: dict[Begins, Begins] = {}
    vendors: dict[str, dict[str, Any]] = {}
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True)
class Script:
    """A script understood: the vendors stand ready."""

    seed: int
    oracle: Oracle
    vendors: Mapping[str, Vendor]
    faults: tuple[Fault, ...]
    reaches: Mapping[str, str]


def simulated() -> dict[str, type[Vendor]]:
    """The vendors there are: those with a table in config/vendors and a file of the same name here."""
    names = sorted(file.stem for file in VENDORS.glob("*.yaml"))
    modules = (f"adapters.simulator.{name}" for name in names)
    return {name.rpartition(".")[2]: import_module(name).Simulated for name in modules if find_spec(name)}


def read(path: Path | None = None) -> Script:
    """The script in this file; without one, nothing is scripted. Raises Problem with everything that is wrong in it."""
    return understand(load(path, env=None) if path else loads("{}", file="no script", env=None))


def understand(document: Document) -> Script:
    """Raises Problem."""
    kinds = simulated()
    file = document.parse(ScriptFile, context=known(kinds))
    for name in file.vendors:
        if name not in kinds:
            hint = did_you_mean(name, kinds)
            raise document.error(("vendors", name), f"there is no vendor '{name}' here", hint=hint, key=True)
    try:
        oracle = Oracle(kinds, file.images, file.hosts, file.colours)
    except Bad as mistake:
        raise document.error(("images",), str(mistake), key=True) from None
    vendors = {name: kind(_options(document, name, kind, file), oracle) for name, kind in kinds.items()}
    return Script(file.seed, oracle, vendors, file.faults, file.reaches)


def known(vendors: Mapping[str, type[Vendor]] | Mapping[str, Vendor]) -> dict[str, Any]:
    """What a fault has to know to be checked."""
    return {"troubles": {name: {*vendor.kinds, *vendor.troubles} for name, vendor in vendors.items()}}


def _options(document: Document, name: str, kind: type[Vendor], file: ScriptFile) -> Options:
    return document.parse(kind.Settings, ("vendors", name)) if name in file.vendors else kind.Settings()
