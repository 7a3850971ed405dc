"""`<policy>.test.yaml`: what is given, what is expected, and how much of the policy the cases must show."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from gateway.domain import Action, Modality
from gateway.policy.policy import Policy
from gateway.policy.schema import cut
from gateway.suggest import did_you_mean
from gateway.yamlfile import Document, Problem
from gateway.yamlfile.tree import Where

CLEAR = "all_clear"
ENDING = ".test.yaml"
_PERCENT = re.compile(r"(100|[0-9]{1,2})(\.[0-9]+)?%")


def _score(written: Any) -> int | None:
    if written is None:
        return None
    with suppress(ValueError):
        found = cut(written)
        if found is not None:
            return found
    raise ValueError("a score is a number from 0 to 1 with at most 4 decimals, or null where nobody looked")


def _share(written: Any) -> float:
    if isinstance(written, str) and _PERCENT.fullmatch(written):
        return float(written.rstrip("%")) / 100
    if isinstance(written, int | float) and not isinstance(written, bool) and 0 <= written <= 1:
        return float(written)
    raise ValueError("a share is written 90%, or as a number from 0 to 1")


def _hit(written: Any) -> Any:
    return written["list"] if isinstance(written, dict) and written.keys() == {"list"} else written


Score = Annotated[int | None, BeforeValidator(_score)]
Share = Annotated[float, BeforeValidator(_share)]
Hit = Annotated[str, BeforeValidator(_hit)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LabelGiven(_Strict):
    """A thing somebody saw.

    A provider that is named, and gives scores too, names what they are of as well, as it does in life.
    """

    name: str
    confidence: Score = None
    provider: str | None = None


class OcrGiven(_Strict):
    """What was read in the picture."""

    terms: tuple[str, ...] = ()
    has_phone: bool = False
    has_email: bool = False
    has_url: bool = False


Scores = dict[str, Score]


class Given(_Strict):
    """What is known of one input.

    `scores` are by provider. Whatever else the policy asks about, a provider that is named looked at and found nothing;
    a score of null is one it did not give; `all_clear` is nothing found at all. `missing` were asked and gave no
    answer. Labels, hashes and OCR that are left out were looked for and not found; null is: nobody looked.
    """

    scores: dict[str, Scores | Literal["all_clear"]] | Literal["all_clear"] = {}
    missing: tuple[str, ...] = ()
    labels: tuple[LabelGiven, ...] | None = ()
    hashes: tuple[Hit, ...] | None = ()
    ocr: OcrGiven | None = OcrGiven()
    context: dict[str, Any] = {}
    user: dict[str, Any] = {}
    tenant: str = "default"
    type: Modality = Modality.IMAGE
    need: int = Field(default=1, ge=1)
    locale: str | None = None


class Expect(_Strict):
    """What should come of it. `rules` are true, or with [] none is; `not_rules` are not; `unknown` are unknown.

    `reason` is the code of the first reason, letter case apart.
    """

    action: Action
    reason: str | None = None
    rules: tuple[str, ...] | None = None
    not_rules: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    effects: tuple[str, ...] = ()
    message: str | None = None


class Case(_Strict):
    name: str
    given: Given = Given()
    expect: Expect


class Least(_Strict):
    """How much must be shown. A rule is shown when some case has it true and some has it false."""

    min_rules: Share = 0.0
    min_branches: Share = 0.0
    min_thresholds: Share = 0.0


class CaseFile(_Strict):
    """The shape of a test file. `policy` is the file it tests, from its own folder."""

    policy: str | None = None
    cases: tuple[Case, ...] = Field(min_length=1)
    coverage: Least = Least()


def tests_of(policy: Path) -> Path:
    """Where the tests of a policy stand."""
    return policy.with_name(f"{policy.stem}{ENDING}")


def policy_of(tests: Path, said: CaseFile) -> Path:
    """The policy a test file is for."""
    return tests.parent / (said.policy or f"{tests.name.removesuffix(ENDING)}.yaml")


def mistakes(document: Document, said: CaseFile, policy: Policy) -> Iterator[Problem]:
    """Names that are not there, each at its place."""
    names: dict[str, int] = {}
    for number, case in enumerate(said.cases):
        where: Where = ("cases", number)
        if case.name in names:
            line, column = document.at(("cases", names[case.name], "name"))
            detail = f"the case '{case.name}' is already at {line}:{column}"
            yield document.error((*where, "name"), detail, "each has a name of its own", code="duplicate_key")
        names.setdefault(case.name, number)
        yield from _categories(document, where, case.given, policy)
        yield from _rules(document, (*where, "expect"), case.expect, policy)
        yield from _both(document, where, case.given)


def _categories(document: Document, where: Where, given: Given, policy: Policy) -> Iterator[Problem]:
    for provider, scores in given.scores.items() if isinstance(given.scores, dict) else ():
        for slug in scores if isinstance(scores, dict) else ():
            if not policy.taxonomy.knows(slug):
                at = (*where, "given", "scores", provider, slug)
                hint = policy.taxonomy.suggest(slug)
                yield document.error(at, f"unknown category '{slug}'", hint, key=True, code="unknown_name")


def _rules(document: Document, where: Where, expect: Expect, policy: Policy) -> Iterator[Problem]:
    known = [clause.id for clause in policy.clauses]
    for key in ("rules", "not_rules"):
        for number, name in enumerate(getattr(expect, key) or ()):
            if "." not in name and name not in known:
                hint = did_you_mean(name, known) or f"rules are {', '.join(known) or 'none'}"
                yield document.error((*where, key, number), f"unknown rule '{name}'", hint, code="unknown_name")


def _both(document: Document, where: Where, given: Given) -> Iterator[Problem]:
    for number, name in enumerate(given.missing):
        if isinstance(given.scores, dict) and name in given.scores:
            detail = f"'{name}' gives scores and is missing"
            yield document.error((*where, "given", "missing", number), detail, "it is one or the other")
