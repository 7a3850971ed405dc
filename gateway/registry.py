"""Finds adapters by the names of the files in config/vendors: the core knows none of them.

`config/vendors/hive.yaml` means that `adapters/hive.py` has a class `Adapter`.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

from gateway.adapter import Adapter, Client, VendorSettings
from gateway.paths import VENDORS


@cache
def names() -> tuple[str, ...]:
    """Every adapter there is."""
    return tuple(sorted(file.stem for file in VENDORS.glob("*.yaml")))


@cache
def adapter_class(name: str) -> Any:
    """The class `Adapter` of adapters/<name>.py. Raises KeyError for a name without a table."""
    if name not in names():
        raise KeyError(name)
    return import_module(f"adapters.{name}").Adapter


def settings_for(name: str) -> type[VendorSettings]:
    """The model that checks the settings of a provider with this adapter. Raises KeyError."""
    settings: type[VendorSettings] = adapter_class(name).Settings
    return settings


def simulator() -> Any:
    """The package that answers as every vendor, for rehearsals; loaded only where it is asked for."""
    return import_module("adapters.simulator")


def client(settings: VendorSettings) -> Client:
    """The vendor's own client, not yet open: `Client` of adapters/sdk/<name>.py, loaded only where it is asked for.

    Raises ModuleNotFoundError where its package is not installed, ConfigError where it cannot be made.
    """
    made: Client = import_module(f"adapters.sdk.{settings.adapter}").Client(settings)
    return made


def make(settings: VendorSettings) -> Adapter:
    """An adapter, not yet open."""
    adapter: Adapter = adapter_class(settings.adapter)(settings)
    return adapter
