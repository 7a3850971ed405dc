"""Rules that are true in few rows, which are found without a look at the others, as decide says it.

Everybody answered and nothing is missing: of no kind of row is anything known beforehand.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from gateway.domain import Action, Answer, Coverage, Decision, Modality, Reading, Role, Signal
from gateway.policy.making import load_policy
from gateway.record import InputDigest, Record
from gateway.sweep import highest, kernel
from gateway.sweep.layout import numbers_of
from gateway.sweep.manifest import Manifest, Store
from gateway.sweep.numbers import room
from gateway.sweep.question import Plan, Question
from gateway.sweep.sweeping import Swept
from tests.sweep.chance import CATEGORIES, SHIPPED, TAXONOMY_READ, Chance, decided, exported
from tests.sweep.test_agreement import agree, asked

MANY = 400
PROVIDERS = ("acme", "beta", "cone")
SEES = {"default": {"image": dict.fromkeys(PROVIDERS, CATEGORIES)}}
LABELS = ("weapon/knife", "weapon/gun", "person/face", "sky")
RULES = (
    ("review", 'scores["hate"] >= 0.5 && context.country in ["DE", "AT"]'),
    ("block", 'scores["weapons"] >= 0.5 && !(context.surface in ["shop", "kitchen"])'),
    ("review", 'user.strikes_90d >= 3 && (scores["hate"] >= 0.3 || scores["spam"] >= 0.3)'),
    ("block", 'votes("violence", 0.5) >= 2'),
    ("review", 'scores["spam"] >= 0.8 && user.account_age_days < 7'),
    ("review", 'labels.exists(l, l.name == "weapon/knife" && l.confidence >= 0.5)'),
    ("block", 'labels.exists(l, l.name.startsWith("weapon") && l.confidence < 0.2) && scores["weapons"] >= 0.4'),
    ("review", 'labels.exists_one(l, l.name == "person/face") && scores["hate"] >= 0.4'),
    ("block", 'context.audience == "minors" && scores["sexual"] >= 0.3'),
    ("block", 'scores["violence"] >= 0.9 || scores["sexual/nudity"] >= 0.95'),
)
OF_KINDS = ("block", 'context.country == "US" && context.surface == "shop"')  # rows of a kind are alike in it

POLICY = """
policy: sparse
context: {{surface: string, country: string, audience: string}}
user: {{strikes_90d: int, account_age_days: int}}
thresholds:
  hate: {{review: 0.6, block: {block}}}
  sexual/nudity: {{review: 0.5, block: 0.9}}
  violence/graphic: {{review: 0.7}}
exempt:
  - {{id: artists, from: [thresholds.sexual/nudity.block], when: 'context.country == "AT"', because: they show bodies}}
rules:
"""


def policy(folder: Path, name: str, block: float, rules):
    file = folder / f"{name}.yaml"
    unknown = "if_unknown: ignore, because: tested"
    lines = [f"  - {{id: r{n}, action: {led}, when: '{when}', {unknown}}}" for n, (led, when) in enumerate(rules)]
    file.write_text(POLICY.format(block=block) + "\n".join(lines) + "\n")
    return load_policy(file, TAXONOMY_READ, SHIPPED)


def record(chance: Chance, number: int, of) -> Record:
    """Calm in most, alarming in one thing or another."""
    random = chance.random
    height = {slug: random.choice((0, 0, 0, 3000, 6000, 10_000)) for slug in CATEGORIES}

    def said(name: str) -> Reading:
        scores = [Signal(slug, random.randint(top // 2, top), name, slug, 0) for slug, top in height.items()]
        seen = random.sample(LABELS, random.randrange(3)) if name == "cone" else []
        things = [Signal(f"label/{label}", random.randint(0, 10_000), name, label, 0) for label in seen]
        return Reading(name, (0,), (*scores, *things), None, None, (), 1, 0.0)

    bare = replace(
        chance.record(number, of, SEES),
        route="default",
        context={
            "surface": random.choice(("post", "shop")),
            "country": random.choice(("DE", "AT", "US")),
            "audience": random.choice(("adults", "minors")),
            "user": {"strikes_90d": random.randrange(5), "account_age_days": random.randrange(14)},
        },
        content=(InputDigest(Modality.IMAGE, "", unseen=0),),
        answers=tuple(Answer(0, Role.ASK, said(name)) for name in PROVIDERS),
        decision=Decision(Action.ALLOW, (), {}, (), Coverage(), None, None),
    )
    return decided(bare, of, SEES)


class World:
    """Decisions of one policy, and another that is asked about them."""

    def __init__(self, folder: Path, old, new):
        chance = Chance(7, folder)
        self.old, self.new = old, new
        self.manifest, self.store = Manifest(sees=SEES), Store(folder / "sweep")
        self.records = [record(chance, number, old) for number in range(MANY)]
        self.part = exported(self.store, self.manifest, self.records, [old, new])

    def agrees(self) -> None:
        """Columns say what decide says, and of all of them."""
        assert agree(self.store, self.manifest, self.part, self.records, self.old, self.new) == MANY

    def asked(self, question: Question) -> Swept:
        return asked(self.store, Plan(self.manifest, question), self.part)


@pytest.fixture(autouse=True)
def _poisoned(monkeypatch):
    """What lies in a room is what another file left there."""

    def poisoned(name: str, many: int):
        found = room(name, many)
        found.fill(2)
        return found

    monkeypatch.setattr(kernel, "room", poisoned)


@pytest.mark.parametrize("few", [1000, 5, 0], ids=["all scores by row", "the highest", "next to none"])
def test_what_is_true_in_few_rows_is_found_in_these(tmp_path, monkeypatch, few):
    monkeypatch.setattr(highest, "_FEW", few)
    other = [*RULES[1:], ("block", RULES[0][1].replace("0.5", "0.4"))]
    here = World(tmp_path, policy(tmp_path, "old", 0.9, RULES), policy(tmp_path, "new", 0.8, other))
    found = {reason.rule for each in here.records for reason in each.decision.reasons}
    assert found >= {f"rules.r{n}" for n in range(len(RULES))}  # each has something to find
    here.agrees()


def test_what_rows_are_alike_in_can_block(tmp_path):
    World(tmp_path, policy(tmp_path, "old", 0.9, RULES), policy(tmp_path, "new", 0.9, [*RULES, OF_KINDS])).agrees()


def test_who_asks_since_when_and_for_a_share_hears_of_these_alone(tmp_path):
    old, new = policy(tmp_path, "old", 0.9, RULES), policy(tmp_path, "new", 0.7, RULES[:4])
    here = World(tmp_path, old, new)
    whole = here.asked(Question(new, old))
    ids = sorted(numbers_of(r.id) for r in here.records)
    since, half = ids[MANY // 2][0], 1 << 63
    for question, among in (
        (Question(new, old, since=since), {id for id in ids if id[0] >= since}),
        (Question(new, old, share=0.5), {id for id in ids if id[1] < half}),
    ):
        told = here.asked(question)
        assert sum(told.counts.values()) == len(among)
        flips = [row for row in whole.flips.sort("id.time").rows() if row[:2] in among]
        assert 0 < len(flips) < whole.flips.height
        assert told.flips.sort("id.time").rows() == flips
