"""gateway.yaml → Config: read, checked against itself, and every mistake told at once with its place.

What only an adapter knows is handed in: which adapters there are, and the Settings of each. Whether a provider can see
what a route asks of it is checked where the adapters are at hand, by way of `Config.document.error`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretBytes, SecretStr

from gateway.adapter import VendorSettings
from gateway.crosscheck import DEFAULT_ROUTE, check_exposure, contradictions
from gateway.domain import Modality
from gateway.settings import (
    AuthSettings,
    CacheSettings,
    CanarySettings,
    DebtSettings,
    FetchSettings,
    FileSettings,
    LegSettings,
    LimitSettings,
    PoliciesSettings,
    RouteSettings,
    ServerSettings,
    StorageSettings,
)
from gateway.suggest import did_you_mean
from gateway.yamlfile import Document, load
from gateway.yamlfile.problem import Problem, together
from gateway.yamlfile.tree import looks_secret, quoted, without_sign_in

__all__ = ["Config", "SettingsFor", "check_exposure", "load_config"]

_PROVIDER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")

SettingsFor = Callable[[str], type[VendorSettings]]


class _Entry(BaseModel):
    """What every provider must say before its adapter can be asked for the rest."""

    adapter: str


@dataclass(frozen=True, slots=True)
class Config:
    """Everything gateway.yaml says, checked. Secrets are SecretStr and appear in no repr; paths are absolute."""

    file: Path
    server: ServerSettings
    auth: AuthSettings | None
    storage: StorageSettings
    fetch: FetchSettings
    limits: LimitSettings
    cache: CacheSettings
    canaries: CanarySettings
    debt: DebtSettings
    providers: Mapping[str, VendorSettings]
    routes: Mapping[str, RouteSettings]
    policies: PoliciesSettings
    document: Document = field(repr=False)

    def leg(self, route: str, modality: Modality) -> LegSettings | None:
        """Whom a route asks about a modality, the default route's where it names nobody. KeyError: no such route."""
        return self.routes[route].leg(modality) or self.routes[DEFAULT_ROUTE].leg(modality)

    def listening_on(self, host: str, port: int) -> Config:
        """The same on another address: what the command line says goes before the file."""
        return replace(self, server=self.server.model_copy(update={"host": host, "port": port}))

    def stored_in(self, folder: Path) -> Config:
        """The same with its data elsewhere."""
        return replace(self, storage=self.storage.model_copy(update={"dir": folder}))

    def public(self) -> dict[str, Any]:
        """All of it as plain JSON types for `doctor` and the console, with `***` for every secret."""
        sections = ("server", "auth", "storage", "fetch", "limits", "cache", "canaries", "debt")
        all_of_it = (*sections, "providers", "routes", "policies")
        return {"file": str(self.file)} | {name: _public(name, getattr(self, name)) for name in all_of_it}


def load_config(path: Path, env: Mapping[str, str], settings_for: SettingsFor, adapters: Collection[str]) -> Config:
    """Read gateway.yaml. Raises Problem with everything that is wrong, as one error.

    `settings_for` gives the Settings of an adapter and raises KeyError where there is none; `adapters` are all of them.
    """
    document = load(path, env=env)
    providers, problems = _providers(document, settings_for, adapters)
    file: FileSettings | None = None
    try:
        file = document.parse(FileSettings, context={"folder": path.absolute().parent})
    except Problem as error:
        problems += error.problems
    if file is not None:
        problems += contradictions(document, file, providers)
    if file is None or problems:
        raise together(problems)
    return Config(
        file=path,
        server=file.server,
        auth=file.auth,
        storage=file.storage,
        fetch=file.fetch,
        limits=file.limits,
        cache=file.cache,
        canaries=file.canaries,
        debt=file.debt,
        providers={name: settings for name, settings in providers.items() if settings is not None},
        routes=file.routes,
        policies=file.policies,
        document=document,
    )


def _providers(
    document: Document, settings_for: SettingsFor, adapters: Collection[str]
) -> tuple[dict[str, VendorSettings | None], list[Problem]]:
    """Every provider by name, None where its settings are wrong; and what is wrong."""
    providers: dict[str, VendorSettings | None] = {}
    problems: list[Problem] = []
    written = document.data.get("providers")
    for name in written if isinstance(written, dict) else ():
        providers[name] = None
        try:
            providers[name] = _provider(document, name, settings_for, adapters)
        except Problem as error:
            problems += error.problems
    return providers, problems


def _provider(document: Document, name: str, settings_for: SettingsFor, adapters: Collection[str]) -> VendorSettings:
    where = ("providers", name)
    if not _PROVIDER_NAME.fullmatch(name):
        hint = "letters, digits, - and _ make a name, and a letter or digit begins it"
        raise document.error(where, f"{quoted(name)} is not a provider's name", hint, key=True)
    adapter = document.parse(_Entry, where).adapter
    try:
        settings = settings_for(adapter)
    except KeyError:
        hint = did_you_mean(adapter, adapters) or f"there are {', '.join(sorted(adapters))}"
        at = (*where, "adapter")
        raise document.error(at, f"unknown adapter {document.shown(at)}", hint, code="unknown_name") from None
    return document.parse(settings, where, context={"folder": Path(document.file).absolute().parent})


def _public(name: str, value: Any) -> Any:
    if isinstance(value, BaseModel):
        return {key: _public(key, getattr(value, key)) for key in type(value).model_fields}
    if isinstance(value, Mapping):
        return {key: _public(key, inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_public(name, inner) for inner in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    secret = isinstance(value, SecretStr | SecretBytes) or looks_secret(name)
    return "***" if secret else without_sign_in(str(value))
