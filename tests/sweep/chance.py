"""Policies and records at random, with everything a policy can say, and what came of them put into the layout."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import polars as pl
import yaml
from msgspec.structs import replace

from gateway.domain import Answer, Decision, Failure, Modality, Reading, Role, Signal
from gateway.paths import MESSAGES, TAXONOMY
from gateway.policy.decide import decide
from gateway.policy.making import load_policy
from gateway.policy.messages import Messages
from gateway.policy.policy import Policy
from gateway.record import InputDigest, PolicyName, Record, Timings
from gateway.replay import facts_of
from gateway.sweep import parts
from gateway.sweep.judge import fields_of
from gateway.sweep.layout import FOUND
from gateway.sweep.manifest import Manifest, Part, Store
from gateway.sweep.rows import ALWAYS, Bits, Rows, everything, frame_of
from gateway.taxonomy import Taxonomy
from gateway.yamlfile import Problem
from tests.policies.random_rules import LISTS, SCORES, WORDS, Rules

TAXONOMY_READ = Taxonomy.from_file(TAXONOMY)
SHIPPED = Messages.from_file(MESSAGES)
EVERYTHING = everything(TAXONOMY_READ, SHIPPED)

CATEGORIES = ("hate", "hate/symbols", "spam", "sexual", "sexual/nudity", "violence", "violence/graphic", "weapons")
ODD = ("unmapped/acme/odd", "label/knife", "label/listed", "sexual/minors")
PROVIDERS = ("acme", "beta", "cone", "known")
WAYS = ("max", "max", "quorum(2)", "quorum(3)", "mean", "median", {"calibrated": {"acme": {"slope": 1.2}}})
NEVER = "-"

CONTEXT = {
    "country": "string",
    "age": "int",
    "trust": "double",
    "minor": "bool",
    "tags": "list",
    "category": "string",
    "audience": "string",
    "surface": "string",
    "language": {"type": "string", "default": "DE"},
    "tries": {"type": "int", "default": 3},
}
USER = {"home": "string", "strikes": "int", "karma": "double", "strikes_90d": "double", "account_age_days": "double"}


class Chance:
    """One source of luck. `folder` is where policies are written."""

    def __init__(self, seed: int, folder: Path):
        self.random = Random(seed)
        self._rules = Rules(self.random)
        self._folder = folder
        self._many = 0

    # policies

    def pair(self) -> tuple[Policy, Policy]:
        """A policy, and the same with something otherwise. What the checker refuses is thrown again."""
        while True:
            said = self._said()
            with suppress(Problem):
                return self._policy(said), self._policy(self._changed(said))

    def _said(self) -> dict[str, Any]:
        """A policy as it would be written."""
        random = self.random
        rules = [self._rule(f"r{n}") for n in range(random.randrange(5))]
        thresholds = {slug: self._cuts() for slug in random.sample(CATEGORIES, random.randrange(1, 6))}
        slugs = random.sample(CATEGORIES, 2)
        said = {
            "policy": "chance",
            "context": CONTEXT,
            "user": USER,
            "lists": {name: {"values": list(values)} for name, values in LISTS.items()},
            "signals": {
                "combine": {"default": random.choice(WAYS[:-1]), **self._some(slugs, lambda: random.choice(WAYS))},
                "coverage": self._some([*slugs, "default"], self._coverage),
                **({"providers": random.sample(PROVIDERS, 2)} if random.random() < 0.3 else {}),
            },
            "thresholds": thresholds,
            "rules": rules,
            "exempt": self._exempt(thresholds, rules),
            "overlays": [self._overlay(thresholds, rules) for _ in range(random.choice((0, 0, 1, 2)))],
        }
        if random.random() < 0.7:
            said["signals"]["combine"] = {"default": "max"}
        return said

    def _changed(self, said: dict[str, Any]) -> dict[str, Any]:
        """The same with something otherwise."""
        random = self.random
        other = {**said, "thresholds": dict(said["thresholds"]), "rules": list(said["rules"])}
        for _ in range(random.randrange(1, 3)):
            what = random.random()
            if what < 0.5:
                slug = random.choice(sorted(other["thresholds"]))
                other["thresholds"][slug] = self._cuts()
            elif what < 0.7 and other["rules"]:
                place = random.randrange(len(other["rules"]))
                other["rules"][place] = {**self._rule("x"), "id": other["rules"][place]["id"]}
            elif what < 0.85:
                other["signals"] = {**other["signals"], "coverage": self._some(["hate", "spam"], self._coverage)}
            else:
                other["exempt"] = self._exempt(other["thresholds"], other["rules"])
        return other

    def _policy(self, said: dict[str, Any]) -> Policy:
        self._many += 1
        file = self._folder / f"{self._many}.yaml"
        file.write_text(yaml.safe_dump(said, sort_keys=False, allow_unicode=True), encoding="utf-8")
        return load_policy(file, TAXONOMY_READ, SHIPPED)

    def _cuts(self) -> dict[str, Any]:
        low, high = sorted(self.random.sample(SCORES[1:], 2))
        return {
            "review": self.random.choice((low / 10_000, low / 10_000, NEVER)),
            "block": self.random.choice((high / 10_000, high / 10_000, NEVER)),
        }

    def _rule(self, id: str) -> dict[str, Any]:
        random = self.random
        unknown = random.choice(("review", "review", "block", "ignore"))
        return {
            "id": id,
            "action": random.choice(("review", "block")),
            "when": self._when(),
            "if_unknown": unknown,
            **({"because": "a reason"} if unknown == "ignore" else {}),
            **({"hard": True} if random.random() < 0.2 else {}),
            **({"mode": "shadow"} if random.random() < 0.1 else {}),
        }

    def _when(self) -> str:
        """Half of them simple: what is at random is mostly unknown."""
        random, slug, score = self.random, self.random.choice(CATEGORIES), self.random.choice(SCORES[1:-1]) / 10_000
        return random.choice(
            (
                f'scores["{slug}"] >= {score}',
                f'votes("{slug}", {score}) >= {random.choice((1, 2, 3))}',
                f'coverage("{slug}") < 2 && context.country == "DE"',
                f'"{slug}" in scores && context.tries > 2',
                f"labels.exists(l, l.name in lists.prohibited && l.confidence >= {score})",
                f"labels.exists_one(l, l.confidence >= {score})",
                'hashes.exists(h, h.list == "iwf")',
                self._rules.rule().ours,
                self._rules.rule().ours,
            )
        )

    def _coverage(self) -> dict[str, Any]:
        return {"min_providers": self.random.choice((1, 1, 2)), "on_missing": self.random.choice(("review", "block"))}

    def _exempt(self, thresholds: dict[str, Any], rules: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        names = [f"thresholds.{slug}.{cut}" for slug, cuts in thresholds.items() for cut in cuts if cuts[cut] != NEVER]
        names += [rule["id"] for rule in rules if not rule.get("hard")]
        if not names or self.random.random() < 0.5:
            return []
        lifted = self.random.sample(names, min(2, len(names)))
        return [{"id": "lifts", "from": lifted, "when": self._when(), "because": "a reason"}]

    def _overlay(self, thresholds: dict[str, Any], rules: Sequence[dict[str, Any]]) -> dict[str, Any]:
        key, values = self.random.choice((("surface", ["post", "it's"]), ("country", "DE"), ("tenant", "default")))
        soft = [rule["id"] for rule in rules if not rule.get("hard")]
        return {
            "match": {key: values},
            "thresholds": {self.random.choice(sorted(thresholds)): self._cuts()},
            "disable": soft[:1] if self.random.random() < 0.5 else [],
        }

    def _some(self, names: Sequence[str], made: Any) -> dict[str, Any]:
        return {name: made() for name in names if self.random.random() < 0.5}

    # records

    def sees(self) -> dict[str, dict[str, dict[str, tuple[str, ...]]]]:
        """What each provider of the one route can see."""
        random = self.random
        able = {name: tuple(random.sample(CATEGORIES, 5)) for name in PROVIDERS[:3]} | {"known": ("label/listed",)}
        return {"default": {str(modality): able for modality in Modality}}

    def record(self, number: int, policy: Policy, sees: Any) -> Record:
        """One submission, decided by this policy."""
        random = self.random
        inputs = random.choice((1, 1, 1, 2))
        answers = tuple(answer for index in range(inputs) for answer in self._answers(index))
        undecided = Record(
            id=f"mod_{1_790_000_000_000 + number * 1000:012x}{random.getrandbits(64):016x}",
            created_at=1_790_000_000 + number,
            tenant="default",
            request_id="",
            route=random.choice(("default", "default", "gone")),
            policy=PolicyName("", 0, ""),
            context=self._context(),
            content=tuple(
                InputDigest(random.choice(list(Modality)), "", unseen=random.choice((0, 0, 0, 1)))
                for _ in range(inputs)
            ),
            answers=answers,
            decision=Decision((), (), {}, (), None, None, None),  # type: ignore[arg-type]
            degraded=False,
            tier=None,
            timings=Timings(0, 0, 0),
            objects=("cone",),
        )
        return decided(undecided, policy, sees, short=random.random() < 0.1)

    def _answers(self, index: int) -> list[Answer]:
        random = self.random
        found = []
        for name in random.sample(PROVIDERS, random.randrange(5)):
            failed = random.random() < 0.2
            outcome = Failure(name, (index,), "timeout", "", 1, 0.0) if failed else self._reading(name, index)
            found.append(Answer(index, Role.ASK, outcome))
        return found

    def _reading(self, name: str, index: int) -> Reading:
        random = self.random
        slugs = random.sample(CATEGORIES, random.randrange(len(CATEGORIES)))
        slugs += [random.choice(ODD)] if random.random() < 0.1 else []
        if name == "known":
            slugs = ["label/listed", random.choice(CATEGORIES)] if random.random() < 0.3 else []
        return Reading(name, (index,), tuple(self._signal(name, slug, index) for slug in slugs), None, None, (), 1, 0.0)

    def _signal(self, name: str, slug: str, index: int) -> Signal:
        random = self.random
        label = random.choice(("iwf", "ncmec", "weapon/knife", "person/face"))
        if random.random() < 0.75:
            return Signal(slug, random.choice(SCORES), name, label, index)
        return Signal(slug, None, name, label, index, random.choice((None, 0, 500, 3000, 9999)))

    def _context(self) -> dict[str, Any]:
        random = self.random
        context: dict[str, Any] = {}
        values: tuple[Any, ...] = (
            *WORDS,
            "post",
            "DE",
            "nul\0",
            True,
            False,
            0,
            3,
            2**53 + 1,
            2**63,
            2.5,
            float("inf"),
        )
        for name in CONTEXT:
            if random.random() < 0.6:
                context[name] = random.choice((*values, *values, ["a", "DE"], ["a", 3], None))
        if random.random() < 0.5:
            context["surface"] = random.choice(("post", "it's", "story"))
        if random.random() < 0.5:
            context["user"] = {name: random.choice(values) for name in USER if random.random() < 0.6}
        elif random.random() < 0.5:
            context |= {f"user.{name}": random.choice(values) for name in USER if random.random() < 0.6}
        if random.random() < 0.3:
            context["ocr"] = {"has_phone": random.random() < 0.5, "terms": random.choice((["it's"], [], ["x"]))}
        return context


def decided(record: Record, policy: Policy, sees: Any, *, short: bool = False) -> Record:
    """The record with what this policy says of it."""
    under = policy.under(record.context, record.tenant)
    facts = facts_of(record, sees)
    if short:
        facts = [replace(fact, need=fact.need + 1) for fact in facts]
    return replace(
        record,
        policy=PolicyName(under.name, under.version, under.hash, under.resolved, under.overlays),
        decision=decide(under, facts),
    )


def exported(store: Store, manifest: Manifest, records: Sequence[Record], policies: Sequence[Policy]) -> Part:
    """All of them as one part."""
    fields = ALWAYS.union(*map(fields_of, policies))
    rows = Rows(EVERYTHING, manifest.sees, fields, Bits(manifest.bits))
    for record in records:
        rows.add(record)
    made, found = rows.take()
    part = parts.write(
        store, "days/2026-09-21/default/part-1", "default", frame_of(made), pl.DataFrame(found, FOUND), fields
    )
    manifest.parts.append(part)
    return part
