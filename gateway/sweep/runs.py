"""A question asked of all files, several at a time, and what came of each kept: a run that broke off goes on.

runs/<question>/<file>.json and .flips.parquet, the latter with the decisions that would be others: id, old and new
action, and the rules that are new in it or gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import orjson
import polars as pl
from pydantic import TypeAdapter

from gateway.store.reader import Reader
from gateway.sweep.again import with_slow
from gateway.sweep.layout import ACTIONS, ID, id_of, ids_of
from gateway.sweep.manifest import Part, Store, replace
from gateway.sweep.question import Asked, Plan
from gateway.sweep.sweeping import Swept, swept
from gateway.sweep.workers import Workers

_SAMPLES = 10  # ids told of each kind of flip and file


@dataclass(frozen=True)
class Outcome:
    """What one file came to. `counts` by old and new action, `surfaces` and `samples` by flip as `allow->block`.

    `rules` are the flips that each had a part in. `slow` were decided one by one, `gone` could not be: their record is
    in the database no more.
    """

    day: str
    counts: dict[str, int]
    surfaces: dict[str, dict[str, int]]
    rules: dict[str, int]
    samples: dict[str, list[str]]
    slow: int
    gone: int


_KEPT = TypeAdapter(Outcome)


class Run:
    """One question to one store. `told` hears how many inputs are done."""

    def __init__(self, store: Store, plan: Plan, reader: Reader, workers: Workers, told: Callable[[int], None]):
        self._store = store
        self._plan = plan
        self._reader = reader
        self._workers = workers
        self._told = told
        self.folder = store.folder / "runs" / _name(plan)

    async def outcomes(self) -> list[Outcome]:
        """Of every file; those that are done already are only read."""
        self.folder.mkdir(parents=True, exist_ok=True)
        room = asyncio.Semaphore(self._workers.many)
        found = await asyncio.gather(*(self._outcome(part, room) for part in self._plan.parts))
        self._tidy()
        return found

    async def _outcome(self, part: Part, room: asyncio.Semaphore) -> Outcome:
        file = self.folder / f"{_file(part, self._plan)}.json"
        async with room:
            if not file.is_file():
                await self._ask(part, file)
        self._told(part.rows)
        return _KEPT.validate_json(file.read_bytes())

    async def _ask(self, part: Part, file: Path) -> None:
        plan = self._plan
        rest = await self._workers.do(_asked, self._store, part, plan.asked(part), file)
        if rest is not None:
            whole, gone = await with_slow(rest, self._reader, plan.question, plan.manifest.sees)
            await self._workers.do(_keep, part, whole, gone, file)

    def _tidy(self) -> None:
        """Remove what came of files that are parts of others by now."""
        known = {_file(part, self._plan) for part in self._plan.parts}
        for file in self.folder.glob("*"):
            if file.name.split(".")[0] not in known:
                file.unlink()


def _asked(store: Store, part: Part, asked: Asked, file: Path) -> Swept | None:
    """What came of a file is kept, unless some of it is to be decided one by one."""
    found = swept(store, part, asked)
    if found.slow:
        return found
    _keep(part, found, 0, file)
    return None


def _keep(part: Part, swept: Swept, gone: int, file: Path) -> None:
    """Whoever finds `file` finds the rest."""
    flips = file.with_suffix(".flips.parquet")
    beside = flips.with_name(f".{flips.name}.new")
    found = swept.flips.sort(ID)
    _readable(found).write_parquet(beside)
    beside.rename(flips)
    replace(file, orjson.dumps(_outcome(part, swept, found, gone)))


def _name(plan: Plan) -> str:
    """The same for the same question; another where what providers can see is configured otherwise."""
    question = plan.question
    told = [question.new.hash, question.old.hash if question.old else "", question.share, plan.manifest.sees]
    return sha256(orjson.dumps(told, option=orjson.OPT_SORT_KEYS)).hexdigest()[:20]


def _file(part: Part, plan: Plan) -> str:
    """A part's name is given to no other; where only its end is asked for, from when is part of it."""
    cut = f"-since-{plan.question.since}" if plan.question.since > part.first else ""
    return part.name.replace("/", "_").replace(".", "_") + cut


def _outcome(part: Part, swept: Swept, found: pl.DataFrame, gone: int) -> Outcome:
    flips = found.with_columns(_flip().alias("flip"))
    surfaces: dict[str, dict[str, int]] = {}
    for surface, flip, many in flips.group_by("surface", "flip").len().sort("surface", "flip").rows():
        surfaces.setdefault(surface or "", {})[flip] = many
    pairs = flips.group_by("gained", "lost").agg(pl.len().alias("many"))  # few, where flips are many
    rules = pairs.select("many", pl.concat_list("gained", "lost").list.unique().alias("rule")).explode("rule")
    named = rules.drop_nulls().group_by("rule").agg(pl.col("many").sum()).sort("rule")
    samples = flips.group_by("flip", maintain_order=True).head(_SAMPLES).select("flip", "id.time", "id.random").rows()
    return Outcome(
        day=part.day,
        counts={f"{ACTIONS[old]}->{ACTIONS[new]}": many for (old, new), many in swept.counts.items()},
        surfaces=surfaces,
        rules=dict(named.rows()),
        samples={flip: [id_of(*rest) for name, *rest in samples if name == flip] for flip, *_ in samples},
        slow=len(swept.slow) - gone,
        gone=gone,
    )


def _readable(flips: pl.DataFrame) -> pl.DataFrame:
    """As people and other programs read it."""
    ids = ids_of(*(flips[name].to_numpy() for name in ID))
    return flips.select(ids, "surface", *(_word(name) for name in ("old", "new")), "gained", "lost")


def _word(name: str) -> pl.Expr:
    return pl.col(name).replace_strict(dict(enumerate(map(str, ACTIONS))), return_dtype=pl.String)


def _flip() -> pl.Expr:
    return _word("old") + "->" + _word("new")
