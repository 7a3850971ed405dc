"""A world drawn from a seed: vendors with moods, a route, a policy, and people who submit."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from gateway.aftermath import Aftermath
from gateway.dispatch.breaker import State
from gateway.dispatch.cache import Asker
from gateway.dispatch.fanout import Route
from gateway.dispatch.memory import Memory
from gateway.dispatch.question import Provider
from gateway.dispatch.strategies import Leg
from gateway.domain import Answer, Content, Image, Modality, Text
from gateway.mapping import VendorTable
from gateway.moderation import Moderator, Submission
from gateway.paths import MESSAGES, TAXONOMY
from gateway.policy.making import load_policy
from gateway.policy.messages import Messages
from gateway.policy.policy import Policy
from gateway.policy.standing import Standing
from gateway.record import Case, Record, Revision
from gateway.taxonomy import Taxonomy
from gateway.yamlfile import loads
from tests.simulation.checker import Asked, Rules, Violation, check, check_nothing_is_forgotten
from tests.simulation.vendors import SLUGS, Mood, Moody

TAXONOMY_READ = Taxonomy.from_file(TAXONOMY)
SHIPPED = Messages.from_file(MESSAGES)
_STRATEGIES = ("all", "all", "first", "race", "hedge", "cascade", "quorum", "split")


class Kept:
    """A ledger in memory, which counts."""

    def __init__(self) -> None:
        self.records: dict[str, Record] = {}
        self.late = 0
        self.revised = 0
        self.again = 0  # second looks

    async def record(self, record: Record, debt: object = None) -> None:
        if record.id in self.records:
            raise Violation("I2: two decisions of one id")
        self.records[record.id] = record

    async def amend(self, record: Record, late: Sequence[Answer], revision: Revision | None) -> None:
        if record.id not in self.records:
            raise Violation("something came after a decision that was never made")
        if revision and revision.decision.action.strictness <= record.action.strictness:
            raise Violation("revised, and not stricter")
        self.late += len(late)
        self.revised += revision is not None

    async def find(self, id: str, tenant: str) -> Case:
        return Case(self.records[id])


class OnePolicy:
    """A book with one policy, and nothing beside it."""

    def __init__(self, policy: Policy):
        self._standing = Standing(policy)

    def standing(self, name: str | None) -> Standing:
        return self._standing


class World:
    """`run` submits so many contents, one after the other and beside each other, and checks every decision."""

    def __init__(self, seed: int):
        self.seed = seed
        self._dice = Random(seed)
        random.seed(seed)  # the dispatcher's jitter, and its retries'
        self.rules = self._drawn_rules()
        self.providers = [self._provider(f"v{number}") for number in range(self._dice.randint(1, 5))]
        self.legs = {modality: self._leg() for modality in Modality}
        self.kept = Kept()
        self.noticed = 0
        self.aftermath = Aftermath(self.kept, lambda record, late, revision: None)
        memory = Memory(self._dice.choice([1.0, 60.0]), 100_000) if self._dice.random() < 0.7 else None
        with TemporaryDirectory() as folder:
            file = Path(folder) / "simulated.yaml"
            file.write_text(self._yaml(), encoding="utf-8")
            policy = load_policy(file, TAXONOMY_READ, SHIPPED)
        routes = {"default": Route("default", self.legs)}
        self.moderator = Moderator(
            routes, OnePolicy(policy), Asker(memory), self.kept, self.aftermath, (), self._notice
        )

    async def run(self, requests: int) -> None:
        """I7 at the end: nothing is left running, no turn and no probe is held."""
        before = len(asyncio.all_tasks())
        pending: set[asyncio.Task[None]] = set()
        for number in range(requests):
            if number % 50 == 0:
                self._change_moods()
            pending.add(asyncio.create_task(self._submit(number)))
            await asyncio.sleep(self._dice.expovariate(20))
            done = {task for task in pending if task.done()}
            for task in done:
                task.result()
            pending -= done
        await asyncio.gather(*pending)
        await asyncio.sleep(30)  # what lingers has its own deadline
        left = len(asyncio.all_tasks()) - before
        if left:
            raise Violation(f"I7: {left} tasks are left")
        if self.noticed != len(self.kept.records):
            raise Violation(f"I6: {self.noticed} decisions noticed, {len(self.kept.records)} recorded")
        for provider in self.providers:
            self._check_idle(provider)

    def _notice(self, record: Record) -> None:
        self.noticed += 1

    def _check_idle(self, provider: Provider) -> None:
        if provider.adapter.busy or provider.turns._value != provider.adapter.settings.max_concurrency:
            raise Violation(f"I7: {provider.name} is still held")
        for breaker in provider.health.breakers.values():
            circuit = breaker.circuit(asyncio.get_running_loop().time())
            if breaker._probes:
                raise Violation(f"I7: a probe of {provider.name} was never given back")
            if circuit.state is State.CLOSED and circuit.reason:
                raise Violation("a closed breaker gives a reason")

    async def _submit(self, number: int) -> None:
        content = self._content(number)
        legs = [self.legs[part.modality] for part in content.inputs]
        asked = Asked([leg.need for leg in legs], [leg.deadline for leg in legs])
        clock = asyncio.get_running_loop().time
        started = clock()
        if self._dice.random() < 0.03:  # a caller who hangs up
            task = asyncio.create_task(self.moderator.moderate(Submission(content)))
            await asyncio.sleep(self._dice.uniform(0, 0.4))
            task.cancel()
            await asyncio.wait([task])
            return
        submission = Submission(content, tenant=self._dice.choice(["a", "b"]))
        record = await self.moderator.moderate(submission)
        check(record, self.rules, asked, clock() - started)
        if record.degraded and self._dice.random() < 0.05:
            await asyncio.sleep(self._dice.uniform(0, 10))
            started = clock()
            again = await self.moderator.look_again(submission, record.answers)
            check(again, self.rules, asked, clock() - started)
            check_nothing_is_forgotten(record, again)
            self.kept.again += 1

    def _content(self, number: int) -> Content:
        dice = self._dice
        name = f"{self.seed}-{number if dice.random() < 0.8 else dice.randrange(20)}"
        text, image = Text(name), Image(f"image {name}", (), "png")
        return Content(dice.choice([(text,), (text,), (image,), (text, image), (image, Image(f"2 {name}", (), "png"))]))

    def _change_moods(self) -> None:
        for provider in self.providers:
            if self._dice.random() < 0.4:
                provider.adapter.mood = self._dice.choice([*Mood, Mood.WELL, Mood.WELL, Mood.WELL])

    def _provider(self, name: str) -> Provider:
        dice = self._dice
        sees = tuple(slug for slug in SLUGS if dice.random() < 0.8) or SLUGS[:1]
        adapter = Moody(
            sees,
            dice,
            together=dice.random() < 0.3,
            timeout=dice.choice(["500ms", "2s", "5s"]),
            max_concurrency=dice.choice([1, 3, 64]),
            retry={"attempts": dice.randint(1, 3)},
            circuit={"enabled": dice.random() < 0.8, "probes": dice.choice([1, 2])},
            rate_limit=dice.choice([None, None, "5/s"]),
            price_per_1k=1.0,
        )
        labels = ", ".join(f"{slug}: {slug}" for slug in sees)
        table = VendorTable(
            name,
            loads(f"measures: x\nscale: [0, 1]\nsilence: drift\nlabels: {{{labels}}}\n", file=f"{name}.yaml"),
            TAXONOMY_READ,
        )
        return Provider(name, adapter, table.translate, dict.fromkeys(Modality, frozenset(sees)), _unused)

    def _leg(self) -> Leg:
        dice = self._dice
        order = dice.sample(self.providers, len(self.providers))
        asked = dice.randint(1, len(order))
        spare = order[asked:]
        shadows = [spare.pop()] if spare and dice.random() < 0.3 else []
        strategy = dice.choice(_STRATEGIES)
        most = (1 if strategy == "split" else asked) + len(spare)
        return Leg(
            strategy,
            tuple(order[:asked]),
            tuple(spare),
            dice.randint(1, most) if strategy == "quorum" else 1,
            dice.choice([0.5, 2.0, 5.0]),
            tuple(shadows),
            dice.choice([None, 0.2]) if strategy == "hedge" else None,
            tuple(dice.uniform(1, 10) for _ in range(asked)) if strategy == "split" else (),
        )

    def _drawn_rules(self) -> Rules:
        dice = self._dice
        thresholds = {}
        for slug in SLUGS:
            if dice.random() < 0.8:
                review = dice.randrange(500, 9000)
                thresholds[slug] = (review, dice.randrange(review + 1, 10_000))
        coverage = {slug: dice.choice([1, 1, 2]) for slug in thresholds if dice.random() < 0.4}
        return Rules(thresholds, coverage)

    def _yaml(self) -> str:
        rows = [
            f"  {slug}: {{review: {review / 10_000}, block: {block / 10_000}}}"
            for slug, (review, block) in self.rules.thresholds.items()
        ]
        coverage = ", ".join(f"{slug}: {{min_providers: {n}}}" for slug, n in self.rules.coverage.items())
        table = "\n".join(["thresholds:", *rows]) if rows else "thresholds: {}"
        return f"policy: simulated\nsignals: {{coverage: {{{coverage}}}}}\n{table}\n"


async def _unused(address: str, call: Any, /) -> Any:
    raise AssertionError("a simulated vendor sends nothing")
