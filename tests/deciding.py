"""Policies of thresholds, and what providers say under them: the words of tests of decisions."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from gateway.domain import Action, Answer, Decision, Failure, Modality, Reading, Role, Signal
from gateway.paths import MESSAGES, TAXONOMY
from gateway.policy.making import load_policy
from gateway.policy.messages import Messages
from gateway.policy.policy import Policy
from gateway.policy.tally import InputFacts
from gateway.taxonomy import Taxonomy

TAXONOMY_READ = Taxonomy.from_file(TAXONOMY)
SHIPPED = Messages.from_file(MESSAGES)
TEXT, IMAGE = Modality.TEXT, Modality.IMAGE
ALLOW, REVIEW, BLOCK = Action.ALLOW, Action.REVIEW, Action.BLOCK


@cache
def policy(rows: str, coverage: str = "{}", more: str = "") -> Policy:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "p.yaml"
        file.write_text(f"policy: p\nsignals: {{coverage: {coverage}}}\nthresholds: {rows}\n{more}", encoding="utf-8")
        return load_policy(file, TAXONOMY_READ, SHIPPED)


def said(provider: str, scores: Mapping[str, int | None], *, at: int = 0, below: int | None = None) -> Answer:
    """A provider's reading. A score of None is a class that reports nothing under `below`."""
    signals = tuple(
        Signal(slug, score, provider, slug, at, None if score is not None else below) for slug, score in scores.items()
    )
    reading = Reading(
        provider=provider,
        inputs=(at,),
        signals=signals,
        model=None,
        opinion=None,
        exchanges=(),
        attempts=1,
        latency_ms=1.0,
    )
    return Answer(at, Role.ASK, reading)


def failed(provider: str, status: str = "unavailable", http: int | None = None, *, at: int = 0) -> Answer:
    failure = Failure(
        provider=provider, inputs=(at,), status=status, detail="", attempts=1, latency_ms=1.0, http=http, raw=""
    )
    return Answer(at, Role.ASK, failure)


def facts(
    *answers: Answer,
    modality: Modality = IMAGE,
    sees: Mapping[str, set[str]] | None = None,
    need: int = 1,
    unseen: int = 0,
) -> InputFacts:
    able = {provider: frozenset(slugs) for provider, slugs in (sees or {}).items()}
    return InputFacts(modality=modality, answers=answers, sees=able, need=need, unseen=unseen)


def codes(decision: Decision) -> list[str]:
    return [reason.code for reason in decision.reasons]
