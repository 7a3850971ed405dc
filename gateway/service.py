"""Everything joined once: files read, adapters found and opened, routes laid, the database at hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from gateway import paths, registry
from gateway.adapter import Adapter, LocalAdapter, Transport
from gateway.aftermath import Aftermath
from gateway.canaries.book import Book
from gateway.canaries.patrol import Canaries
from gateway.config import Config
from gateway.debt.owing import Owing
from gateway.debt.payer import Payer
from gateway.dispatch.breaker import Circuit
from gateway.dispatch.cache import Asker
from gateway.dispatch.fanout import Route
from gateway.dispatch.memory import Memory
from gateway.dispatch.question import Fit, Provider
from gateway.dispatch.strategies import Leg
from gateway.domain import Modality, Needs
from gateway.drills import Drills
from gateway.errors import ConfigError
from gateway.history import History
from gateway.intake import Intake
from gateway.ledger import DatabaseLedger
from gateway.mapping import VendorTable
from gateway.media.addresses import Rules
from gateway.media.fetch import Fetcher
from gateway.media.fitting import Fitter
from gateway.media.outbox import Outbox
from gateway.media.pool import PRELOAD, DecodePool
from gateway.media.workshop import Workshop
from gateway.moderation import Moderator
from gateway.policy.book import PolicyBook
from gateway.policy.messages import Messages
from gateway.policytools.own import try_own
from gateway.replicas.answers import SharedAnswers
from gateway.replicas.purse import Purse
from gateway.replicas.rates import Rates
from gateway.replicas.versions import version_of
from gateway.senders import open_senders
from gateway.spending import Spending
from gateway.store.database import Database
from gateway.store.debts import Debts
from gateway.store.replays import Replays
from gateway.store.spends import Spends
from gateway.taxonomy import Taxonomy
from gateway.witness import Witness

if TYPE_CHECKING:  # a client is loaded where there is a Redis only
    from gateway.replicas.hints import Hints
    from gateway.replicas.line import Line


@dataclass(frozen=True)
class Service:
    """A gateway ready to answer, without its web.

    `outbox` is None where no `server.public_url` is set, `line` and `hints` where no `storage.redis` is.
    """

    config: Config
    taxonomy: Taxonomy
    providers: Mapping[str, Provider]
    policies: PolicyBook
    history: History
    database: Database
    ledger: DatabaseLedger
    replays: Replays
    intake: Intake
    moderator: Moderator
    outbox: Outbox | None
    spends: Spends
    purse: Purse
    rates: Rates
    line: Line | None
    hints: Hints | None
    debts: Debts
    payer: Payer
    canaries: Canaries
    drills: Drills


@asynccontextmanager
async def open_service(config: Config, witness: Witness | None = None) -> AsyncIterator[Service]:
    """Open everything, models warmed up; close it in the opposite order. Raises ConfigError."""
    witness = witness or Witness()
    taxonomy = Taxonomy.from_file(paths.TAXONOMY)
    tables = load_tables(config, taxonomy)
    async with AsyncExitStack() as stack:
        database = await Database.open(config.storage.dir)
        stack.push_async_callback(database.close)
        history = History(database, witness)
        stack.push_async_callback(history.close)
        policies = _policies(config, taxonomy, history)
        await history.begin(policies)
        senders = await stack.enter_async_context(open_senders(config))
        line = await _open_line(config, witness, stack)
        versions = _versions(config)
        hints = _hints(line, versions) if line else None
        providers = make_providers(config, tables, senders, witness, hints)
        routes = lay_routes(config, providers)
        compares = any(leg.near is not None for route in routes.values() for leg in route.legs.values())
        also = [*_decoding(providers), *(["gateway.media.prints", "gateway.pdq"] if compares else [])]
        pool = DecodePool(preload=(*PRELOAD, *also), on_loss=witness.decoder_lost)
        stack.push_async_callback(pool.close)
        outbox = await Outbox.open(config.storage.dir, config.server.public_url) if config.server.public_url else None
        fitter = Fitter(pool, outbox)
        for name, provider in providers.items():
            provider.fit = _fit(fitter, tables[name])
        fetcher = Fetcher(_rules(config), max_bytes=config.limits.image_bytes)
        await fetcher.open()
        stack.push_async_callback(fetcher.close)
        workshop = Workshop(pool)
        stack.callback(workshop.close)
        for provider in providers.values():
            stack.push_async_callback(provider.adapter.close)
        await asyncio.gather(pool.warm(), *(provider.adapter.open(workshop) for provider in providers.values()))
        ledger = DatabaseLedger(database)
        objects = tuple(name for name in providers if tables[name].objects)
        spends, debts = Spends(database.reader), Debts(database.reader)
        purse = Purse(spends.add, spends.today, line)
        spending = Spending(_prices(config), purse.add, witness)
        aftermath = Aftermath(ledger, spending.came_late)
        stack.push_async_callback(aftermath.close)
        cache = config.cache
        shared = SharedAnswers(line, cache.ttl, versions) if line else None
        asker = Asker(Memory(cache.ttl, cache.size) if cache.enabled else None, shared)
        owing = Owing(config.debt, lambda: debts.tally, witness.debt_lost)
        moderator = Moderator(routes, policies, asker, ledger, aftermath, objects, spending.decided, owing.debt)
        payer = Payer(debts, moderator, ledger, providers, config.debt, witness)
        replays = Replays(database.reader)
        intake = Intake(config.limits, pool, fetcher, compares)
        book = Book(config.storage.dir)
        stack.callback(book.close)
        canaries = Canaries(providers, tables, _asked(routes), taxonomy, intake, database, book, witness)
        drills = Drills(config.server.drills, providers, routes, witness)
        stack.callback(drills.close)
        yield Service(
            config=config,
            taxonomy=taxonomy,
            providers=providers,
            policies=policies,
            history=history,
            database=database,
            ledger=ledger,
            replays=replays,
            intake=intake,
            moderator=moderator,
            outbox=outbox,
            spends=spends,
            purse=purse,
            rates=Rates(line),
            line=line,
            hints=hints,
            debts=debts,
            payer=payer,
            canaries=canaries,
            drills=drills,
        )


def _policies(config: Config, taxonomy: Taxonomy, history: History) -> PolicyBook:
    """Those of the configured folder, each tried with its own tests. Raises ConfigError."""
    messages, names = Messages.from_file(paths.MESSAGES), frozenset(config.providers)
    dir, default = config.policies.dir, config.policies.default
    policies = PolicyBook(dir, default, taxonomy, messages, names, try_own, history.halted)
    try:
        policies.load()
    except ConfigError as error:
        if error.file:
            raise
        raise config.document.error(("policies", "default"), error.detail, error.hint) from None
    return policies


async def _open_line(config: Config, witness: Witness, stack: AsyncExitStack) -> Line | None:
    if config.storage.redis is None:
        return None
    line: Line = import_module("gateway.replicas.line").Line(config.storage.redis.get_secret_value(), witness)
    stack.push_async_callback(line.close)
    await line.open()
    return line


def _hints(line: Line, versions: Mapping[str, str]) -> Hints:
    hints: Hints = import_module("gateway.replicas.hints").Hints(line, versions)
    return hints


def _versions(config: Config) -> dict[str, str]:
    """What the answers of each provider rest on."""
    tables = {name: _table_file(config, name).read_bytes() for name in config.providers}
    return {name: version_of(settings, tables[name]) for name, settings in config.providers.items()}


def _prices(config: Config) -> dict[str, float]:
    return {name: settings.price_per_1k for name, settings in config.providers.items()}


def load_tables(config: Config, taxonomy: Taxonomy) -> dict[str, VendorTable]:
    """The table of every provider: its own where its settings name one, else its adapter's; and its own labels."""
    files = {name: _table_file(config, name) for name in config.providers}
    read = {file: VendorTable.from_file(file, taxonomy) for file in set(files.values())}
    return {name: read[file].with_labels(_own_labels(config, name, taxonomy)) for name, file in files.items()}


def _table_file(config: Config, name: str) -> Path:
    settings = config.providers[name]
    if settings.table and not settings.table.is_file():
        where = ("providers", name, "table")
        raise config.document.error(where, f"there is no file {settings.table}", "a path starts at this file's folder")
    return settings.table or paths.VENDORS / f"{settings.adapter}.yaml"


def _own_labels(config: Config, name: str, taxonomy: Taxonomy) -> dict[str, str]:
    labels = {}
    for label in config.providers[name].own_labels():
        if not taxonomy.knows(label.category):
            detail, hint = f"'{label.category}' is not a category of the taxonomy", taxonomy.suggest(label.category)
            raise config.document.error(("providers", name, *label.where), detail, hint)
        labels[label.name] = label.category
    return labels


def make_providers(
    config: Config,
    tables: Mapping[str, VendorTable],
    senders: Mapping[str, Transport],
    witness: Witness,
    hints: Hints | None,
) -> dict[str, Provider]:
    """Every enabled provider by name, not yet open."""

    def changed(name: str, operation: Modality, circuit: Circuit) -> None:
        witness.circuit_changed(name, operation, circuit)
        if hints:
            hints.changed(name, operation, circuit)

    providers = {}
    for name, settings in config.providers.items():
        if settings.enabled:
            adapter, table = registry.make(settings), tables[name]
            sees = {modality: _sees(adapter, table, modality) for modality in Modality}
            providers[name] = Provider(
                name,
                adapter,
                table.translate,
                sees,
                senders[name],
                on_change=changed,
            )
    return providers


def lay_routes(config: Config, providers: Mapping[str, Provider]) -> dict[str, Route]:
    """The routes, each with a leg for both modalities. ConfigError where a provider cannot see what it is asked."""
    return {
        name: Route(name, {modality: _leg(config, name, modality, providers) for modality in Modality})
        for name in config.routes
    }


def _asked(routes: Mapping[str, Route]) -> dict[str, set[Modality]]:
    """What each provider is asked about, by any route."""
    asked: dict[str, set[Modality]] = {}
    for route in routes.values():
        for modality, leg in route.legs.items():
            for provider in (*leg.providers, *leg.shadow):
                asked.setdefault(provider.name, set()).add(modality)
    return asked


def _leg(config: Config, route: str, modality: Modality, providers: Mapping[str, Provider]) -> Leg:
    settings = config.leg(route, modality)
    if settings is None:  # nobody sees this: whatever comes is reviewed, for no provider answered
        return Leg("all", (), (), need=1, deadline=1.0)
    for key in ("ask", "fallback", "shadow"):
        for place, name in enumerate(getattr(settings, key)):
            if not providers[name].accepts(modality):
                able = [other.name for other in providers.values() if other.accepts(modality)]
                where = ("routes", route, modality.value, key, place)
                hint = f"these do: {', '.join(able)}" if able else "no provider here does"
                raise config.document.error(where, f"provider '{name}' takes no {modality.value}", hint)
    leg = Leg(
        settings.strategy,
        tuple(providers[name] for name in settings.ask),
        tuple(providers[name] for name in settings.fallback),
        settings.need,
        settings.deadline,
        tuple(providers[name] for name in settings.shadow),
        settings.hedge_after,
        tuple((settings.split or {}).values()),
        settings.cache.distance if settings.cache.near_duplicates else None,
    )
    _check_need(config, ("routes", route, modality.value, "need"), leg)
    return leg


def _check_need(config: Config, where: tuple[str, ...], leg: Leg) -> None:
    """A list of known things answers about anything and sees nothing of what is new: it may not be all that answers."""
    lists = [provider.name for provider in leg.providers if provider.adapter.tier == 0]
    if leg.need <= len(lists):
        detail = f"need: {leg.need} could be met by {' and '.join(lists)} alone, which only knows what is listed"
        raise config.document.error(where, detail, f"ask somebody else too, and write need: {len(lists) + 1}")


def _sees(adapter: Adapter, table: VendorTable, modality: Modality) -> frozenset[str]:
    return table.covers(modality) if modality in adapter.accepts else frozenset()


def _fit(fitter: Fitter, table: VendorTable) -> Fit | None:
    """How pictures are made such as this vendor takes; None for one that takes all there are."""
    media = table.media
    if media is None or (media.needs == Needs() and media.by == "bytes"):
        return None
    return partial(fitter.fit, media.needs, media.by == "address")


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
