"""Everything joined once: files read, adapters found and opened, routes laid, the database at hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from pydantic import SecretStr

from gateway import paths, registry
from gateway.adapter import Adapter, LocalAdapter, Transport, VendorSettings
from gateway.config import Config
from gateway.dispatch.fanout import Route
from gateway.dispatch.question import Provider
from gateway.dispatch.strategies import Leg
from gateway.dispatch.transport import Discreet, HttpTransport
from gateway.domain import Modality
from gateway.intake import Intake
from gateway.ledger import DatabaseLedger
from gateway.mapping import VendorTable
from gateway.media.addresses import Rules
from gateway.media.fetch import Fetcher
from gateway.media.pool import PRELOAD, DecodePool
from gateway.media.workshop import Workshop
from gateway.moderation import Moderator
from gateway.policy.book import PolicyBook
from gateway.policy.messages import Messages
from gateway.record import Record
from gateway.store.database import Database
from gateway.store.replays import Replays
from gateway.taxonomy import Taxonomy


@dataclass(frozen=True)
class Service:
    """A gateway ready to answer, without its web."""

    config: Config
    taxonomy: Taxonomy
    providers: Mapping[str, Provider]
    policies: PolicyBook
    database: Database
    ledger: DatabaseLedger
    replays: Replays
    intake: Intake
    moderator: Moderator


@asynccontextmanager
async def open_service(
    config: Config, notice: Callable[[Record], None], on_loss: Callable[[str], None] = lambda cause: None
) -> AsyncIterator[Service]:
    """Open everything, models warmed up; close it in the opposite order. Raises ConfigError.

    `notice` is told of every record, `on_loss` of every image decoder that had to be killed, and why.
    """
    taxonomy = Taxonomy.from_file(paths.TAXONOMY)
    policies = PolicyBook(config.policies.dir, config.policies.default, taxonomy, Messages.from_file(paths.MESSAGES))
    policies.load()
    tables = load_tables(config, taxonomy)
    async with AsyncExitStack() as stack:
        database = await Database.open(config.storage.dir)
        stack.push_async_callback(database.close)
        transport = HttpTransport()
        await transport.open()
        stack.push_async_callback(transport.close)
        providers = make_providers(config, tables, transport)
        routes = lay_routes(config, providers)
        pool = DecodePool(preload=(*PRELOAD, *_decoding(providers)), on_loss=on_loss)
        stack.push_async_callback(pool.close)
        fetcher = Fetcher(_rules(config), max_bytes=config.limits.image_bytes)
        await fetcher.open()
        stack.push_async_callback(fetcher.close)
        workshop = Workshop(pool)
        stack.callback(workshop.close)
        for provider in providers.values():
            stack.push_async_callback(provider.adapter.close)
        await asyncio.gather(pool.warm(), *(provider.adapter.open(workshop) for provider in providers.values()))
        ledger = DatabaseLedger(database)
        objects = tuple(name for name in providers if tables[config.providers[name].adapter].objects)
        moderator = Moderator(routes, policies, ledger, objects, notice)
        replays = Replays(database.reader)
        intake = Intake(config.limits, pool, fetcher)
        yield Service(config, taxonomy, providers, policies, database, ledger, replays, intake, moderator)


def load_tables(config: Config, taxonomy: Taxonomy) -> dict[str, VendorTable]:
    """The table of every adapter in use."""
    adapters = {settings.adapter for settings in config.providers.values()}
    return {name: VendorTable.from_file(paths.VENDORS / f"{name}.yaml", taxonomy) for name in adapters}


def make_providers(config: Config, tables: Mapping[str, VendorTable], send: Transport) -> dict[str, Provider]:
    """Every enabled provider by name, not yet open."""
    providers = {}
    for name, settings in config.providers.items():
        if settings.enabled:
            adapter, table = registry.make(settings), tables[settings.adapter]
            sees = {modality: _sees(adapter, table, modality) for modality in Modality}
            providers[name] = Provider(name, adapter, table.translate, sees, Discreet(send, _secrets(settings)))
    return providers


def lay_routes(config: Config, providers: Mapping[str, Provider]) -> dict[str, Route]:
    """The routes, each with a leg for both modalities. ConfigError where a provider cannot see what it is asked."""
    return {
        name: Route(name, {modality: _leg(config, name, modality, providers) for modality in Modality})
        for name in config.routes
    }


def _leg(config: Config, route: str, modality: Modality, providers: Mapping[str, Provider]) -> Leg:
    settings = config.leg(route, modality)
    if settings is None:  # nobody sees this: whatever comes is reviewed, for no provider answered
        return Leg("all", (), (), need=1, deadline=1.0)
    for key in ("ask", "fallback"):
        for place, name in enumerate(getattr(settings, key)):
            if not providers[name].accepts(modality):
                able = [other.name for other in providers.values() if other.accepts(modality)]
                where = ("routes", route, modality.value, key, place)
                hint = f"these do: {', '.join(able)}" if able else "no provider here does"
                raise config.document.error(where, f"provider '{name}' takes no {modality.value}", hint)
    return Leg(
        settings.strategy,
        tuple(providers[name] for name in settings.ask),
        tuple(providers[name] for name in settings.fallback),
        settings.need,
        settings.deadline,
    )


def _sees(adapter: Adapter, table: VendorTable, modality: Modality) -> frozenset[str]:
    return table.covers(modality) if modality in adapter.accepts else frozenset()


def _secrets(settings: VendorSettings) -> tuple[bytes, ...]:
    values = (getattr(settings, name) for name in type(settings).model_fields)
    return tuple(value.get_secret_value().encode() for value in values if isinstance(value, SecretStr) and value)


def _decoding(providers: Mapping[str, Provider]) -> list[str]:
    """Modules whose functions run in the decoder processes: imported there once, not with each worker's first image."""
    local = (type(provider.adapter) for provider in providers.values() if isinstance(provider.adapter, LocalAdapter))
    return sorted({kind.__module__ for kind in local if Modality.IMAGE in kind.accepts})


def _rules(config: Config) -> Rules:
    """What image addresses may reach; never this gateway itself, whatever the exceptions say."""
    host, port = config.server.host, config.server.port
    own = ("127.0.0.1", "::1") if host in ("0.0.0.0", "::", "localhost") else (host,)  # noqa: S104  # not bound here
    fetch = config.fetch
    return Rules.of(map(str, fetch.allow_networks), fetch.allow_hosts, fetch.allow_ports, ((at, port) for at in own))
