"""What tests of policies say of one input: who answered what, who failed, and under which policy it is decided."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from gateway.domain import FULL, Action, Answer, Decision, Failure, Modality, Reading, Role, Signal
from gateway.paths import MESSAGES, TAXONOMY
from gateway.policy.decide import decide
from gateway.policy.making import load_policy
from gateway.policy.messages import Messages
from gateway.policy.policy import Policy
from gateway.policy.tally import InputFacts
from gateway.taxonomy import Taxonomy

TAXONOMY_READ = Taxonomy.from_file(TAXONOMY)
SHIPPED = Messages.from_file(MESSAGES)
FILES = Path(__file__).parent / "files"
TEXT, IMAGE = Modality.TEXT, Modality.IMAGE
ALLOW, REVIEW, BLOCK = Action.ALLOW, Action.REVIEW, Action.BLOCK


def read(file: Path, providers: frozenset[str] | None = None) -> Policy:
    return load_policy(file, TAXONOMY_READ, SHIPPED, providers)


@cache
def policy(body: str, thresholds: str = "{}", signals: str = "{}") -> Policy:
    """A policy of these thresholds and signals, and whatever else `body` says."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "p.yaml"
        file.write_text(f"policy: p\nsignals: {signals}\nthresholds: {thresholds}\n{body}\n", encoding="utf-8")
        return read(file)


def rule(when: str, more: str = "", action: str = "block") -> str:
    """A policy's rules: one, of that condition."""
    return f"rules:\n  - id: it\n    action: {action}\n    reason: IT\n    when: |\n      {when}\n    {more}\n"


def said(
    provider: str,
    scores: Mapping[str, float | None] = {},
    labels: Mapping[str, float] = {},
    *,
    below: float | None = None,
    at: int = 0,
) -> Answer:
    """An answer. Scores are 0..1; None is a category of which nothing above `below` is reported."""
    signals = [
        Signal(
            *(slug, None if score is None else round(score * FULL), provider, slug, at),
            below=None if below is None or score is not None else round(below * FULL),
        )
        for slug, score in scores.items()
    ]
    signals += [Signal(f"label/{name}", round(sure * FULL), provider, name, at) for name, sure in labels.items()]
    return Answer(at, Role.ASK, Reading(provider, (at,), tuple(signals), None, None, (), 1, 1.0))


def failed(provider: str, status: str = "timeout", *, at: int = 0) -> Answer:
    return Answer(at, Role.ASK, Failure(provider, (at,), status, "", 1, 1.0))


def listed(*names: str) -> Answer:
    """What lists of known things say: on these, or on none."""
    on = {"label/listed": 1.0 if names else 0.0}
    signals = [Signal(slug, round(score * FULL), "lists", "listed", 0) for slug, score in on.items()]
    signals += [Signal(f"label/known_good/{name}", FULL, "lists", name, 0) for name in names]
    return Answer(0, Role.ASK, Reading("lists", (0,), tuple(signals), None, None, (), 1, 1.0))


def facts(
    *answers: Answer,
    modality: Modality = IMAGE,
    context: Mapping[str, Any] | None = None,
    objects: Iterable[str] = (),
    sees: Mapping[str, set[str]] | None = None,
    need: int = 1,
) -> InputFacts:
    able = {name: frozenset(slugs) for name, slugs in (sees or {}).items()}
    return InputFacts(modality, answers, able, need, context=context or {}, objects=tuple(objects))


def decided(
    rules: Policy, *answers: Answer, tenant: str = "default", locale: str | None = None, **how: Any
) -> Decision:
    """The decision on one input, under the overlays its context and tenant come under."""
    fact = facts(*answers, **how)
    return decide(rules.under(fact.context, tenant), [fact], locale)


def codes(decision: Decision) -> list[str]:
    return [reason.code for reason in decision.reasons]
