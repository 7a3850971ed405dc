"""Records → rows as layout.py has them, and what was found on their inputs."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from gateway.domain import Answer, Reading
from gateway.policy.cel.shapes import TEXTS, Kind
from gateway.policy.compile.facts import Facts, Incomplete, fit
from gateway.policy.evidence import facts_of as evidence_of
from gateway.policy.judging import MISSING, UNKNOWN
from gateway.policy.making import load_policy
from gateway.policy.messages import Messages
from gateway.policy.policy import Policy
from gateway.policy.tally import hear, tally
from gateway.record import Record
from gateway.replay import Sees, facts_of, too_few
from gateway.sweep.layout import (
    ACTIONS,
    ALL,
    HASH,
    LABEL,
    NOBODY,
    SHORT,
    SOME,
    UNSEEN,
    WORD,
    kept_as,
    kind_of,
    numbers_of,
)
from gateway.taxonomy import Taxonomy

Row = dict[str, Any]

ALWAYS = frozenset({"context.surface", "context.country", "context.audience"})  # fields that are kept in any case
_MISSED = (MISSING, UNKNOWN)


class Bits:
    """Rule and action → the number of their bit. New ones get the next."""

    def __init__(self, known: list[tuple[str, str]]):
        self._known = known
        self._numbers = {pair: number for number, pair in enumerate(known)}

    def number(self, rule: str, action: str) -> int:
        pair = (rule, action)
        if pair not in self._numbers:
            self._numbers[pair] = len(self._known)
            self._known.append(pair)
        return self._numbers[pair]


class Rows:
    """Takes records one after the other; what it holds is had with `take`. `everything` is everything.yaml, read."""

    def __init__(self, everything: Policy, sees: Sees, fields: Collection[str], bits: Bits):
        self._everything = everything
        self._taxonomy = everything.taxonomy
        self._sees = sees
        self._fields = fields
        self._bits = bits
        self.rows: list[Row] = []
        self.found: list[Row] = []

    def add(self, record: Record) -> None:
        """Raises ValueError where the id is not one of ours."""
        time, random = numbers_of(record.id)
        for index, heard in enumerate(hear(facts_of(record, self._sees))):
            fact = heard.fact
            row: Row = {
                "id.time": time,
                "id.random": random,
                "input": index,
                "of": len(record.content),
                "modality": str(fact.modality),
                "route": record.route,
                "policy": record.policy.resolved or record.policy.hash,
                "action": ACTIONS.index(record.decision.inputs[index]),
                "gap": SHORT * too_few(record, index) + UNSEEN * bool(fact.unseen),
            }
            row |= self._signals(fact.answers, index)
            facts = evidence_of(self._everything, tally(self._everything, heard))
            row |= self._given(facts)
            row |= self._reasons(record, index)
            row |= self._things(facts)
            self.rows.append(row)

    def take(self) -> tuple[list[Row], list[Row]]:
        """Rows, and what was found on them by their place among these."""
        taken = self.rows, self.found
        self.rows, self.found = [], []
        return taken

    def _signals(self, answers: Iterable[Answer], index: int) -> Row:
        row: Row = {}
        for answer in answers:
            provider = answer.outcome.provider
            if not isinstance(answer.outcome, Reading):
                row.setdefault(f"p.{provider}", 1)
                continue
            row[f"p.{provider}"] = 0
            for signal in answer.outcome.signals:
                if signal.input != index:
                    continue
                slug = kept_as(signal.category, self._taxonomy)
                if signal.score is not None:
                    name = f"s.{provider}.{slug}"
                    row[name] = max(signal.score, row.get(name, 0))
                elif signal.below is not None:
                    name = f"q.{provider}.{slug}"
                    row[name] = min(signal.below, row.get(name, signal.below))
        return row

    def _given(self, facts: Facts) -> Row:
        roots: dict[str, Mapping[str, Any]] = {"context": facts.context, "user": facts.user, "ocr": facts.ocr}
        row: Row = {}
        for field in self._fields:
            root, _, name = field.partition(".")
            value = roots[root].get(name)
            kind = _kind(value)
            if kind:
                row[f"{field}:{kind}"] = [*(value or ())] if kind == "list" else value
        return row

    def _reasons(self, record: Record, index: int) -> Row:
        hits = unknown = 0
        for reason in record.decision.reasons:
            if reason.input == index:
                bit = 1 << self._bits.number(reason.rule, reason.action.value)
                hits |= bit
                unknown |= bit if reason.code in _MISSED else 0
        words = range(-(-hits.bit_length() // WORD))
        low = (1 << WORD) - 1
        return {
            f"{name}.{n}": mask >> n * WORD & low
            for name, mask in (("hits", hits), ("unknown", unknown))
            for n in words
            if mask >> n * WORD & low
        }

    def _things(self, facts: Facts) -> Row:
        here = len(self.rows)
        for name, confidence, provider in facts.labels or ():
            self.found.append(_thing(LABEL, here, name, confidence, provider))
        for hit in facts.hashes or ():
            self.found.append(_thing(HASH, here, hit.list, None, None))
        return {"labels": _state(facts.labels), "hashes": _state(facts.hashes)}


def _thing(kind: str, row: int, name: str, confidence: int | None, provider: str | None) -> Row:
    known = None if confidence is None or confidence < 0 else confidence
    return {"kind": kind, "name": name, "confidence": known, "provider": provider, "row": row}


def _state(found: Sequence[Any] | None) -> int:
    if found is None:
        return NOBODY
    return SOME if type(found) is Incomplete else ALL


def _kind(value: Any) -> str | None:
    """Of which kind a value is; None for what no rule can compare."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, str):
        return "string" if fit(Kind.TEXT, value) is not None else None
    if isinstance(value, int):
        return "int" if fit(Kind.INT, value) is not None else None
    if isinstance(value, float):
        return "double" if math.isfinite(value) else None
    return "list" if fit(TEXTS, value) is not None else None


def everything(taxonomy: Taxonomy, messages: Messages) -> Policy:
    """The policy that asks for everything."""
    return load_policy(Path(__file__).with_name("everything.yaml"), taxonomy, messages)


def frame_of(rows: list[Row]) -> pl.DataFrame:
    """Rows as columns, each of its type."""
    names = dict.fromkeys(name for row in rows for name in row)
    return pl.DataFrame(
        [pl.Series(name, [row.get(name) for row in rows], dtype=kind_of(name), strict=True) for name in names]
    )
