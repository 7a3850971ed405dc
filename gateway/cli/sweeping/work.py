"""From a configuration and two policies to the figures: export, look ahead, ask every file, add up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from gateway import paths
from gateway.cli.common import stderr
from gateway.cli.policy_files import seen_by_routes
from gateway.config import Config
from gateway.errors import ConfigError
from gateway.policy.book import PolicyBook
from gateway.policy.making import load_policy
from gateway.policy.messages import Messages
from gateway.policy.policy import Policy
from gateway.store.database import Database
from gateway.sweep import parts
from gateway.sweep.export import Export
from gateway.sweep.figures import figures
from gateway.sweep.judge import fields_of
from gateway.sweep.manifest import Manifest, Store
from gateway.sweep.question import Outlook, Plan, Question, by_hash
from gateway.sweep.rows import ALWAYS, everything
from gateway.sweep.runs import Run
from gateway.sweep.workers import Workers
from gateway.taxonomy import Taxonomy


@dataclass(frozen=True)
class Asked:
    """What was typed. `old` None: against what was decided. `since` is seconds since 1970, `sample` how many."""

    new: str
    old: str | None = None
    since: float = 0.0
    sample: int | None = None
    rebuild: bool = False
    cache: bool = False
    ahead: Callable[[Outlook], None] = lambda outlook: None


def held(config: Config, asked: Asked) -> dict[str, Any]:
    """The figures. Raises ConfigError, and Problem for a policy that cannot be read."""
    return asyncio.run(_held(config, asked))


async def _held(config: Config, asked: Asked) -> dict[str, Any]:
    policies = _Policies(config)
    new, old = policies.named(asked.new), policies.named(asked.old) if asked.old else None
    store = Store(config.storage.dir / "sweep")
    database = await Database.open(config.storage.dir)
    try:
        if asked.rebuild:
            with store.locked():
                store.forget()
        with Workers(sum(part.rows for part in store.load().parts)) as workers:
            with _bar("Exporting decisions") as (bar, task), store.locked():
                every = [*policies.all, new, *([old] if old else [])]
                fields = ALWAYS.union(*map(fields_of, every))
                export = Export(database.reader, store, policies.everything, fields)
                sees = seen_by_routes(config)
                manifest = await export.run(sees, lambda done, of: bar.update(task, completed=done, total=of))
                plan = _plan(manifest, Question(new, old, by_hash(every), int(asked.since * 1000)), asked.sample)
                if asked.cache:
                    for part in plan.parts:
                        await asyncio.to_thread(parts.make_cache, store, part)
            outlook = plan.outlook()
            asked.ahead(outlook)
            with _bar("Asking") as (bar, task):
                bar.update(task, total=outlook.inputs)
                run = Run(store, plan, database.reader, workers, lambda rows: bar.advance(task, rows))
                outcomes = await run.outcomes()
    finally:
        await database.close()
    told = figures(outcomes, plan.question.share)
    return {**told, **_about(plan, outlook), "flips_in": str(run.folder), "unreadable": manifest.unreadable}


def _plan(manifest: Manifest, question: Question, sample: int | None) -> Plan:
    plan = Plan(manifest, question)
    many = sum(part.decisions for part in plan.parts)
    if sample is None or sample >= many:
        return plan
    return Plan(manifest, replace(question, share=sample / many))


def _about(plan: Plan, outlook: Outlook) -> dict[str, Any]:
    question = plan.question
    return {
        "applied": False,
        "old": _name(question.old) if question.old else None,
        "new": _name(question.new),
        "since": question.since / 1000,
        "changed": outlook.changed,
        "unkept": outlook.unkept,
    }


def _name(policy: Policy) -> dict[str, Any]:
    return {"name": policy.name, "version": policy.version, "hash": policy.hash}


class _Policies:
    """Those of the configured folder by name, any other by its file."""

    def __init__(self, config: Config):
        self.taxonomy, self._messages = Taxonomy.from_file(paths.TAXONOMY), Messages.from_file(paths.MESSAGES)
        self._book = PolicyBook(config.policies.dir, config.policies.default, self.taxonomy, self._messages)
        self._book.load()

    @property
    def all(self) -> list[Policy]:
        return [self._book.get(name) for name in self._book.names]

    @property
    def everything(self) -> Policy:
        return everything(self.taxonomy, self._messages)

    def named(self, name: str) -> Policy:
        """A file where there is one, else the policy of that name."""
        file = Path(name)
        if file.is_file():
            return load_policy(file, self.taxonomy, self._messages)
        if file.suffix in (".yaml", ".yml"):
            raise ConfigError("there is no such policy", file=name, hint="a file, or the name of one in policies.dir")
        return self._book.get(name)


@contextmanager
def _bar(what: str) -> Iterator[tuple[Progress, TaskID]]:
    """A progress bar on a terminal, nothing elsewhere."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=stderr, transient=True, disable=not stderr.is_terminal) as bar:
        yield bar, bar.add_task(what, total=None)
