"""What a test gives → what a policy is asked about: answers of providers, and failures of those that are missing."""

from __future__ import annotations

from typing import Any

from gateway.domain import FULL, Answer, Failure, Modality, Reading, Role, Signal
from gateway.policy.policy import Policy
from gateway.policy.tally import LISTED, InputFacts
from gateway.policytools.casefile import Given, LabelGiven
from gateway.taxonomy import kin

# Who tells what no score is of; they answer beside those who are asked, and are not counted for `need`
_THINGS = "things"
_HASHES = "hash-list"


def facts_given(policy: Policy, given: Given) -> InputFacts:
    """One input on which this is known."""
    scores = _by_provider(policy, given)
    answers = {provider: _scored(policy, given.type, provider, said) for provider, said in scores.items()}
    objects = _label(answers, given)
    known = _hashes(policy, answers, given)
    outcomes: list[Reading | Failure] = [_reading(provider, signals) for provider, signals in answers.items()]
    outcomes += [_failure(provider) for provider in given.missing]
    return InputFacts(
        modality=given.type,
        answers=tuple(Answer(0, Role.ASK, outcome) for outcome in outcomes),
        sees={_HASHES: frozenset({LISTED})} if known else {},
        need=given.need + len(answers.keys() & {_THINGS, _HASHES}),
        place=0,
        context=_context(given, bool(scores)),
        objects=objects,
    )


def _by_provider(policy: Policy, given: Given) -> dict[str, dict[str, int | None]]:
    """The scores that are written, by provider; `all_clear` of the whole is that of all the policy expects."""
    if isinstance(given.scores, dict):
        return {provider: dict(said) if isinstance(said, dict) else {} for provider, said in given.scores.items()}
    return {provider: {} for provider in policy.expected or _enough(policy, given) if provider not in given.missing}


def _enough(policy: Policy, given: Given) -> list[str]:
    """Names for as many providers as its coverage asks for, where the policy names none."""
    least = max((rule.min_providers for rules in policy.coverage.values() for rule in rules.values()), default=1)
    return [f"provider-{number}" for number in range(1, max(least, given.need) + 1)]


def _scored(policy: Policy, modality: Modality, provider: str, said: dict[str, int | None]) -> list[Signal]:
    """What is written; of whatever else the policy asks about nothing above 0, but for what nobody looked at."""
    blind = [slug for slug, score in said.items() if score is None]
    signals = [Signal(slug, score, provider, slug, 0) for slug, score in said.items() if score is not None]
    for slug in asked(policy, modality):
        if slug not in said and not any(slug in kin(hidden) or hidden in kin(slug) for hidden in blind):
            signals.append(Signal(slug, None, provider, slug, 0, below=0))
    return signals


def asked(policy: Policy, modality: Modality) -> list[str]:
    """The categories a policy has anything to say about."""
    slugs = [*policy.rules, *policy.coverage[modality], *(each.slug for each in policy.needs.categories)]
    return [slug for slug in dict.fromkeys(slugs) if slug.split("/", 1)[0] not in policy.taxonomy.open_roots]


def _label(answers: dict[str, list[Signal]], given: Given) -> tuple[str, ...]:
    """Adds the things that were seen; gives the providers that name things, or would have."""
    if given.labels is None:
        return ()
    if not answers and not given.labels:
        return given.missing
    names = dict.fromkeys(label.provider or _THINGS for label in given.labels) or {_THINGS: None}
    for name in names:
        answers.setdefault(name, []).extend(
            _thing(label, name) for label in given.labels if (label.provider or _THINGS) == name
        )
    return tuple(names)


def _thing(label: LabelGiven, provider: str) -> Signal:
    confidence = FULL if label.confidence is None else label.confidence
    return Signal(f"label/{label.name}", confidence, provider, label.name, 0)


def _hashes(policy: Policy, answers: dict[str, list[Signal]], given: Given) -> bool:
    """Adds the list of known things, where rules ask for it; says whether it was asked."""
    if given.hashes is None or not (given.hashes or (policy.needs.hashes and answers)):
        return False
    listed = Signal(LISTED, FULL if given.hashes else 0, _HASHES, "listed", 0)
    answers[_HASHES] = [listed, *(Signal(f"label/{name}", FULL, _HASHES, name, 0) for name in given.hashes)]
    return True


def _context(given: Given, looked: bool) -> dict[str, Any]:
    """`user` and `ocr` come inside the context."""
    context = dict(given.context)
    if given.user:
        context["user"] = given.user
    if given.ocr is not None and (looked or "ocr" in given.model_fields_set):
        context.setdefault("ocr", given.ocr.model_dump())
    return context


def _reading(provider: str, signals: list[Signal]) -> Reading:
    return Reading(
        provider=provider,
        inputs=(0,),
        signals=tuple(signals),
        model=None,
        opinion=None,
        exchanges=(),
        attempts=1,
        latency_ms=0.0,
    )


def _failure(provider: str) -> Failure:
    return Failure(provider=provider, inputs=(0,), status="timeout", detail="", attempts=1, latency_ms=0.0)
