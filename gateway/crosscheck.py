"""Where one part of gateway.yaml does not fit another: what no single key can be wrong about."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import ip_address

from gateway.adapter import VendorSettings
from gateway.domain import Modality
from gateway.errors import ConfigError
from gateway.settings import AuthSettings, FileSettings, LegSettings
from gateway.suggest import did_you_mean
from gateway.yamlfile import Document
from gateway.yamlfile.problem import Problem
from gateway.yamlfile.tree import Where, quoted

DEFAULT_ROUTE = "default"
_EXPOSED = "without auth only a loopback host is listened on"
_EXPOSED_HINT = "add keys under auth, or use 127.0.0.1"

Providers = Mapping[str, VendorSettings | None]  # None where its settings are wrong


def check_exposure(host: str, auth: AuthSettings | None) -> None:
    """Refuse to be open to the network with no key leg. Raises ConfigError. For a host of the command line."""
    if _is_exposed(host, auth):
        raise ConfigError(f"the host {quoted(host)} is refused: {_EXPOSED}", hint=_EXPOSED_HINT)


def contradictions(document: Document, file: FileSettings, providers: Providers) -> Iterator[Problem]:
    """Everything that does not fit, each at its place in the file."""
    yield from _wrong_auth(document, file)
    if not providers:
        hint = "name at least one, like vendor: {adapter: …}"
        yield document.error(("providers",), "there are no providers to ask", hint, key=True, code="missing_key")
    yield from _wrong_routes(document, file, providers)


def _is_exposed(host: str, auth: AuthSettings | None) -> bool:
    if auth is not None or host == "localhost":
        return False
    try:
        return not ip_address(host.removeprefix("[").removesuffix("]")).is_loopback
    except ValueError:
        return True


def _wrong_auth(document: Document, file: FileSettings) -> Iterator[Problem]:
    if "auth" in document.data and file.auth is None:
        hint = "take the line away to ask for no key, or write keys: under it"
        yield document.error(("auth",), "auth is empty", hint, key=True)
    elif _is_exposed(file.server.host, file.auth):
        at = ("server", "host")
        yield document.error(at, f"server.host is {document.shown(at)}: {_EXPOSED}", _EXPOSED_HINT)
    names: set[str] = set()
    secrets: set[str] = set()
    for index, key in enumerate(file.auth.keys if file.auth else ()):
        if key.name in names:
            at_name = ("auth", "keys", index, "name")
            yield document.error(at_name, f"a key named {document.shown(at_name)} is already above")
        secret = key.key.get_secret_value() if key.key else ""
        if secret in secrets:
            yield document.error(("auth", "keys", index, "key"), "another name above already has this key")
        names.add(key.name)
        secrets |= {secret} - {""}


def _wrong_routes(document: Document, file: FileSettings, providers: Providers) -> Iterator[Problem]:
    if not file.routes:
        hint = "name at least one, like default: {text: {ask: [vendor]}}"
        yield document.error(("routes",), "there are no routes", hint, key=True, code="missing_key")
    elif DEFAULT_ROUTE not in file.routes:
        hint = did_you_mean(DEFAULT_ROUTE, file.routes) or "it is asked wherever nothing else is named"
        yield document.error(("routes",), "there is no route 'default'", hint, key=True, code="missing_key")
    for name, route in file.routes.items():
        where = ("routes", name)
        if route.text is None and route.image is None:
            detail = f"the route {quoted(name)} names neither text nor image"
            yield document.error(where, detail, key=True, code="missing_key")
        for modality in Modality:
            leg = route.leg(modality)
            if leg is not None:
                yield from _wrong_leg(document, (*where, modality.value), leg, providers)
                yield from _wrong_near(document, (*where, modality.value, "cache", "near_duplicates"), leg, file)


def _wrong_leg(document: Document, where: Where, leg: LegSettings, providers: Providers) -> Iterator[Problem]:
    yield from _wrong_strategy(document, where, leg)
    named: set[str] = set()
    for part, names in (("ask", leg.ask), ("fallback", leg.fallback), ("shadow", leg.shadow)):
        for index, name in enumerate(names):
            split = part == "ask" and leg.split is not None
            at = (*where, "split", name) if split else (*where, part, index)
            if name in named:
                shown = _shown(document, at, name, split)
                yield document.error(at, f"{shown} is named twice", "each provider is asked once", key=split)
            else:
                yield from _wrong_provider(document, at, name, providers, key=split)
            named.add(name)
    most = (1 if leg.split else len(leg.ask)) + len(leg.fallback)
    if leg.need > most:
        detail = f"need is {document.shown((*where, 'need'))}, more than the {most} in ask and fallback"
        yield document.error((*where, "need"), detail)


def _wrong_near(document: Document, at: Where, leg: LegSettings, file: FileSettings) -> Iterator[Problem]:
    if leg.cache.near_duplicates and at[2] != Modality.IMAGE:
        yield document.error(at, "near_duplicates is for image", "texts are compared as they stand", key=True)
    elif leg.cache.near_duplicates and not file.cache.enabled:
        hint = "take the line away here, or cache: {enabled: false}"
        yield document.error(at, "near_duplicates needs what cache.enabled switches off", hint, key=True)


def _wrong_strategy(document: Document, where: Where, leg: LegSettings) -> Iterator[Problem]:
    if leg.strategy == "split" and leg.split is None:
        hint = "write split: {provider: weight, …} instead of ask"
        yield document.error((*where, "strategy"), "strategy split lacks its weights", hint)
    elif leg.split is not None and leg.strategy != "split":
        yield document.error((*where, "split"), f"split is not for strategy {leg.strategy}", key=True)
    elif leg.split is not None and leg.ask != tuple(leg.split):
        yield document.error((*where, "ask"), "split names whom to ask", "leave ask out", key=True)
    if leg.hedge_after is not None and leg.strategy != "hedge":
        yield document.error((*where, "hedge_after"), "hedge_after is for strategy hedge", key=True)


def _wrong_provider(document: Document, at: Where, name: str, providers: Providers, *, key: bool) -> Iterator[Problem]:
    if name not in providers:
        hint = did_you_mean(name, providers) or f"there are {', '.join(providers) or 'none'}"
        detail = f"unknown provider {_shown(document, at, name, key)}"
        yield document.error(at, detail, hint, key=key, code="unknown_name")
        return
    settings = providers[name]
    if settings is not None and not settings.enabled:
        detail = f"the provider {_shown(document, at, name, key)} is disabled"
        yield document.error(at, detail, "take it away here, or enable it", key=key)


def _shown(document: Document, at: Where, name: str, key: bool) -> str:
    """A provider's name as the file has it: as the key of a weight, or as an item of a list."""
    return quoted(name) if key else document.shown(at)
