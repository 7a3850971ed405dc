"""Asks every provider what it has to know, on a schedule or when somebody wants it, and marks those that do not.

The questions go the way of all others (dispatch/question.put), as of a provider with a breaker, a budget and limits of
its own: they take nothing from callers' questions and no failure of theirs opens a breaker. No cache answers them, and
no decision comes of them. They are paid for, and count as spent.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from importlib import import_module

import orjson
import structlog
from sqlalchemy.exc import SQLAlchemyError

from gateway.canaries.book import Book, Mark, State
from gateway.canaries.probes import PROBES, Probe
from gateway.canaries.verdict import Status, Table, Verdict, judge, worst
from gateway.dispatch.deadline import Deadline
from gateway.dispatch.question import Provider, Question, put
from gateway.domain import Content, Failure, Input, Look, Modality, Reading, Signal, Text
from gateway.errors import RequestError
from gateway.intake import Intake, Picture
from gateway.mapping import VendorTable
from gateway.store.commit import WriterClosed
from gateway.store.database import Database
from gateway.store.tables import OPERATORS, events
from gateway.taxonomy import Taxonomy
from gateway.witness import Witness

log = structlog.get_logger("modgate.canaries")

PATIENCE = 15.0  # seconds for one question


class Canaries:
    """`asked` says what each provider is asked about by the routes; one that no route names, by what it takes."""

    def __init__(
        self,
        providers: Mapping[str, Provider],
        tables: Mapping[str, VendorTable],
        asked: Mapping[str, Set[Modality]],
        taxonomy: Taxonomy,
        intake: Intake,
        database: Database,
        book: Book,
        witness: Witness,
    ):
        self._providers = providers
        self._tables = tables
        self._asked = asked
        self._taxonomy = taxonomy
        self._intake = intake
        self._database = database
        self._book = book
        self._witness = witness

    async def patrol(self, every: float) -> None:
        """A round now and each `every` seconds, until cancelled, where no other process on this folder does it."""
        while True:
            try:
                if await asyncio.to_thread(self._book.my_turn):
                    await self.round()
            except (OSError, SQLAlchemyError, WriterClosed, RequestError) as error:
                log.error("canaries_failed", problem=str(error)[:200])  # nothing is marked, nothing cleared
            await asyncio.sleep(every)

    async def round(self) -> None:
        """Ask everybody, and mark or clear each."""
        verdicts = await self.ask_all()
        for name, given in verdicts.items():
            for verdict in given:
                if verdict.status is not Status.UNJUDGED:
                    self._witness.probed(name, verdict.probe, verdict.status is Status.OK)
            await self._settle(name, given)

    async def ask_all(self) -> dict[str, list[Verdict]]:
        """What every provider is to be told of, by name. What one says for the first time is kept."""
        card = await self._intake.content(None, [Picture("test card", data=await asyncio.to_thread(_drawn))], {})
        state = await asyncio.to_thread(self._book.read)
        given = await asyncio.gather(*(self._ask(name, card.images[0], state) for name in self._providers))
        verdicts = dict(zip(self._providers, given, strict=True))
        await asyncio.to_thread(self._book.change, lambda state: _remember(state, verdicts))
        return verdicts

    async def marks(self) -> Mapping[str, Mark]:
        """How each provider stood when it was last judged; one that never was is not here."""
        try:
            state = await asyncio.to_thread(self._book.read)
        except OSError as error:
            log.error("canaries_unread", problem=str(error)[:200])
            return {}
        return {name: mark for name, mark in state.marks.items() if name in self._providers}

    async def _ask(self, name: str, card: Input, state: State) -> list[Verdict]:
        """One question after the other."""
        provider = self._providers[name]
        about = self._asked.get(name) or provider.adapter.accepts
        verdicts = []
        for probe in PROBES:
            if probe.modality in about:
                part = card if probe.modality is Modality.IMAGE else Text(probe.text)
                verdicts.append(await self._judged(provider, probe, part, state))
        return verdicts

    async def _judged(self, provider: Provider, probe: Probe, part: Input, state: State) -> Verdict:
        if (wait := provider.health.parked_until - asyncio.get_running_loop().time()) > 0:
            detail = f"not asked: it asked us to wait, {wait:.0f} s more"
            return Verdict(probe.name, Status.UNJUDGED, detail, "throttled", 0.0, "", {})
        outcome, look = await _put(provider, part)
        table = Table(*self._tables[provider.name].strange(look)) if look else Table()
        model = (outcome.model or "") if isinstance(outcome, Reading) else ""
        first = state.said_first(provider.name, probe.name, model)
        return judge(probe, outcome, table, provider.sees[probe.modality], self._taxonomy, first)

    async def _settle(self, name: str, verdicts: Sequence[Verdict]) -> None:
        """Keep how it stands, and tell of it where that has changed."""
        judged = [verdict for verdict in verdicts if verdict.status is not Status.UNJUDGED]
        if not judged:
            return
        found = worst(judged)
        known = (await self.marks()).get(name)
        if not found.status.marks and len(judged) < len(verdicts) and known and known.status != Status.OK:
            return  # what it was marked for may be what was not judged
        detail = f"{found.probe}: {found.detail}" if found.detail else ""
        mark = Mark(found.status.value, detail, time.time())
        if mark.status != (known.status if known else Status.OK):
            await self._tell(name, mark)
        await asyncio.to_thread(self._book.change, lambda state: state.marks.update({name: mark}))

    async def _tell(self, name: str, mark: Mark) -> None:
        """Where the event cannot be written nothing is changed, and the next round tells again."""
        kind = "provider.cleared" if mark.status == Status.OK else "provider.marked"
        body = orjson.dumps({"provider": name, "status": mark.status, "detail": mark.detail})
        row = {"tenant": OPERATORS, "created_at": mark.at, "kind": kind, "subject": name[:40], "body": body}
        await self._database.writer.put(events, row)
        tell = log.info if mark.status == Status.OK else log.error
        tell(kind.replace(".", "_"), provider=name, status=mark.status, detail=mark.detail)


async def _put(provider: Provider, part: Input) -> tuple[Reading | Failure, Look | None]:
    """What came of it, and what the adapter read before the table made anything of it."""
    looks: list[Look] = []

    def translate(look: Look, name: str, inputs: Mapping[Modality, int]) -> tuple[Signal, ...]:
        looks.append(look)
        return provider.translate(look, name, inputs)

    twin = replace(provider, translate=translate, on_change=lambda *_: None)  # with a health of its own
    outcome = await put(Question(Content((part,)), {part.modality: 0}), twin, Deadline.after(PATIENCE))
    provider.health.calls += twin.health.calls
    return outcome, looks[-1] if looks else None


def _drawn() -> bytes:
    """The test card, and Pillow with it: who asks no canaries has that in the decoders only."""
    card: bytes = import_module("gateway.canaries.card").draw_card()
    return card


def _remember(state: State, verdicts: Mapping[str, Sequence[Verdict]]) -> None:
    for name, given in verdicts.items():
        for verdict in given:
            if verdict.status is Status.OK:
                state.remember(name, verdict.probe, verdict.model, dict(verdict.scores))
