"""What a client should be told, by the tables of config/ alone: they are read here a second time, in another way.

Nothing of the gateway is used, so that the two can disagree. The rules are those of docs/dialects.md.
"""

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import yaml

from adapters.simulator.rekognition_labels import MODERATION

CONFIG = Path(__file__).parents[2] / "config"
AZURES = "azure_content_safety"
NOBODYS = {"state": "scored", "action": "allow"}  # the verdict on a category that the policy does not name
AS_GOOD_AS_NOTHING = 0.01  # a score up to here is the small number of what is not there
FLAGS = ("Nudity", "Sexual Activity", "Suggestive", "Violence", "Drug Use")


@cache
def read(name):
    return yaml.safe_load((CONFIG / f"{name}.yaml").read_text())


def kin(category):
    """The category and those above it, nearest first."""
    parts = category.split("/")
    return ["/".join(parts[:depth]) for depth in range(len(parts), 0, -1)]


def kind(category):
    known = read("taxonomy")["categories"]
    return next((known[slug]["kind"] for slug in kin(category) if slug in known), "context")


def means(vendor, label):
    """The categories that a label scores, and those that it may be about."""
    written = read(f"vendors/{vendor}")["labels"][label]
    if isinstance(written, str):
        return [written], []
    return [written["slug"], *written.get("and", [])], written.get("also", [])


def on_scale(vendor, share, kind):
    """What is left of a share of 0..1 when this vendor says it: the nearest step, where its scale has steps."""
    scale = read(f"vendors/{vendor}")["scale"]
    if not isinstance(scale, dict):
        return share
    step = min(scale, key=lambda step: abs(scale[step] - share))
    return scale[in_image(step) if kind == "image" and vendor == AZURES else step]


def in_image(severity):
    """Of an image Azure says four of its eight severities."""
    return severity - severity % 2


def seen_in(vendor, modality):
    """The labels that this vendor can raise in a text or an image."""
    table = read(f"vendors/{vendor}")
    return table.get(modality, list(table["labels"]))


def policy_counts(category):
    """Whether the shipped policy draws anything from a category."""
    rules = read("policies/social")["thresholds"]
    rule = next((rules[slug] for slug in kin(category) if slug in rules), {"review": 0})
    return any(value != "-" for action, value in rule.items() if action in ("review", "block"))


@dataclass(frozen=True)
class Vocabulary:
    """The words of a dialect: each label, and the one above it."""

    vendor: str
    parents: dict[str, str]

    @property
    def tops(self):
        return [label for label, above in self.parents.items() if not above]

    def meaning(self, label):
        return means(self.vendor, label)[0][0]

    def chain(self, label):
        return [label, *self.chain(self.parents[label])] if label else []

    def exactly(self, category):
        """The label that means this, else that may be about it; nearest to the top."""
        for which in (0, 1):
            found = [label for label in self.parents if category in means(self.vendor, label)[which]]
            if found:
                return [min(found, key=lambda label: len(self.chain(label)))]
        return []

    def above(self, category):
        return next(filter(None, map(self.exactly, kin(category))), [])

    def below(self, category):
        """The labels of the nearest narrower categories that have one."""
        narrower = [slug for slug in read("taxonomy")["categories"] if category in kin(slug)[1:] and self.exactly(slug)]
        narrower = [slug for slug in narrower if kind(slug) != "context"]
        nearest = [slug for slug in narrower if not set(kin(slug)[1:]) & set(narrower)]
        return [label for slug in nearest for label in self.exactly(slug)]

    def words(self, category):
        if self.exactly(category):
            return self.exactly(category)
        if kind(category) == "context":
            return []
        return self.above(category) or next(filter(None, map(self.below, kin(category))), [])

    def words_of(self, heard):
        """The labels that tell one signal of the evidence, where `alarm` says what the policy made of its category."""
        own = heard.label in self.parents and heard.category in means(self.vendor, heard.label)[0]
        if own:
            return self.chain(heard.label)
        if self.above(heard.category):
            told = bool(self.exactly(heard.category)) or policy_counts(heard.category)
        else:
            told = bool(self.below(heard.category)) or heard.alarm
        return [name for label in self.words(heard.category) for name in self.chain(label)] if told else []

    def unseen(self, evidence, looked):
        """The labels of which nobody can say that there is nothing, where these categories were looked at."""
        missing = {label for slug in evidence["coverage"]["missing"] for label in self.words(slug)}
        return {label for label in self.tops if label in missing or not self.rests_on(label) & looked}

    def rests_on(self, label):
        """The categories of which one looked at is enough."""
        own = self.meaning(label)
        return {own, *(wider for wider in kin(own)[1:] if label in self.words(wider))}


@dataclass(frozen=True)
class Exactly(Vocabulary):
    """Where each label is one category of ours and nothing else: it is as high as what falls under it."""

    def words_of(self, heard):
        return [label for label in self.parents if self.meaning(label) in kin(heard.category)]

    def unseen(self, evidence, looked):
        verdicts = evidence["categories"]
        return {label for label in self.parents if verdicts.get(self.meaning(label), {}).get("state") != "scored"}


OPENAI = Exactly("openai", dict.fromkeys(read("vendors/openai")["labels"], ""))
AZURE = Vocabulary(AZURES, dict.fromkeys(read(f"vendors/{AZURES}")["labels"], ""))
REKOGNITION = Vocabulary("rekognition", {label: place.parent for label, place in MODERATION.items()})
PIXICULAR = Vocabulary("pixicular", dict.fromkeys(FLAGS, ""))
SIEVE = {
    modality: Vocabulary("sieve", dict.fromkeys(read("vendors/sieve")[modality], "")) for modality in ("text", "image")
}


@dataclass(frozen=True)
class Heard:
    """One signal of the evidence, and whether the policy alarms over its category."""

    category: str
    label: str
    score: float
    alarm: bool


@dataclass
class Expected:
    """What the client is to be told: 0..1 by label, without what is as good as nothing; and what nobody looked at.

    `alarms` are the labels by which something is told that the policy does not allow.
    """

    told: dict[str, float] = field(default_factory=dict)
    alarms: set[str] = field(default_factory=set)
    unseen: set[str] = field(default_factory=set)


def expected(words, evidence):
    """From the evidence of the native endpoint on the same content."""
    verdicts = evidence["categories"]
    out = Expected()
    looked = set()
    for signal in evidence["signals"]:
        category, score = signal["category"], signal["score"]
        verdict = verdicts.get(category, NOBODYS)
        if score is None:
            looked |= {category} if signal["label"] == "" and verdict["state"] == "scored" else set()
            continue
        looked.add(category)
        heard = Heard(category, signal["label"], score, verdict["action"] != "allow")
        for label in words.words_of(heard):
            if score > AS_GOOD_AS_NOTHING:
                out.told[label] = max(score, out.told.get(label, 0))
            out.alarms |= {label} if heard.alarm else set()
    out.unseen = words.unseen(evidence, looked)
    return out


def gaps(evidence):
    """The reasons which are no finding."""
    return [reason for reason in evidence["reasons"] if reason["score"] is None]
