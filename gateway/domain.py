"""The words everything else is told in. No I/O, no YAML, no vendor.

A *content* has inputs, each of one *modality*. A vendor gives *findings* in its own words; a *signal* is a finding in
ours: a category of the taxonomy and a score. A *policy* turns signals and gaps into a *decision* with *reasons*.

Scores are integers 0..10,000 everywhere inside, rounded half to even once, where a finding becomes a signal. So no
comparison in any back end is a comparison of floats. Null is "nobody looked", and never 0.

Nothing here is changed once made. A request makes dozens of these, so they are msgspec's structs: one is made in a
fifth of the time that a dataclass takes, and written as JSON in a third (measured 2026-11).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from hashlib import sha256
from typing import Any

from msgspec import Struct, field

from gateway.frozen import kept

FULL = 10_000  # the score that is written 1.0 outside


class _Word(StrEnum):
    """A word of a fixed few. As a key it is found as the text it is: an enumeration's own way is Python's, and slow."""

    __hash__ = str.__hash__


class Modality(_Word):
    """What kind of thing is looked at."""

    TEXT = "text"
    IMAGE = "image"


class Action(_Word):
    """What a policy decides; later in this list is stricter."""

    ALLOW = "allow"
    REVIEW = "review"
    BLOCK = "block"

    @property
    def strictness(self) -> int:
        """0 for allow, 1 for review, 2 for block."""
        return _STRICTNESS[self]

    @property
    def risk(self) -> str:
        """The same three as low, medium and high."""
        return _RISK[self]


_STRICTNESS = {Action.ALLOW: 0, Action.REVIEW: 1, Action.BLOCK: 2}
_RISK = {Action.ALLOW: "low", Action.REVIEW: "medium", Action.BLOCK: "high"}


def worst(actions: list[Action]) -> Action:
    """The strictest of some actions. An empty list is a bug of the caller: nothing looked at is not allow."""
    return max(actions, key=_STRICTNESS.__getitem__)


class State(_Word):
    """What is known of one category on one input."""

    SCORED = "scored"
    NOT_COVERED = "not_covered"  # nobody who was asked can see it
    ERRORED = "errored"  # somebody who can was asked, and failed
    SKIPPED = "skipped"  # somebody who can was not needed


class Role(_Word):
    """Why a provider was asked."""

    ASK = "ask"
    FALLBACK = "fallback"
    HEDGE = "hedge"
    SHADOW = "shadow"


class View(Struct, frozen=True):
    """One picture as a vendor gets it: normalised, without metadata.

    `url` is an address of ours where these very bytes can be had for a while, for vendors that take nothing else.
    """

    data: bytes
    media_type: str
    width: int
    height: int
    url: str | None = None


class Needs(Struct, frozen=True):
    """What a vendor takes of a picture. `size` is bytes before base64, `sides` the least and the most pixels of each.

    None and an empty `formats` are no limit. Vendors with equal needs get the same picture.
    """

    formats: tuple[str, ...] = ()
    size: int | None = None
    sides: tuple[int, int] | None = None
    pixels: int | None = None


class Text(Struct, frozen=True, dict=True):
    """A text as the caller sent it."""

    text: str

    @kept
    def digest(self) -> str:
        """SHA-256 (hex) of its UTF-8."""
        return sha256(self.text.encode("utf-8", "surrogatepass")).hexdigest()

    @property
    def modality(self) -> Modality:
        return Modality.TEXT


class Pdq(Struct, frozen=True):
    """What a picture nearly is: 32 bytes of hash, and how far it can be trusted, 0..100."""

    hash: bytes
    quality: int


class Image(Struct, frozen=True, weakref=True):
    """A picture after the guard: one view if it is still and opaque, several if it moves or is see-through.

    `digest` is the SHA-256 (hex) of the bytes as they came. `unseen` counts frames that no view shows.
    `url` is the address the caller gave, if any: some vendors take nothing else. `pdq` is of a picture with one view,
    where a route asks for it.
    """

    digest: str
    views: tuple[View, ...]
    source_type: str
    frames: int = 1
    unseen: int = 0
    url: str | None = None
    pdq: Pdq | None = None

    @property
    def modality(self) -> Modality:
        return Modality.IMAGE


Input = Text | Image


class Content(Struct, frozen=True):
    """What is judged together: in a submission all of it, in a question to a vendor one text, one image or both."""

    inputs: tuple[Input, ...]
    context: Mapping[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str | None:
        """The first text, if there is one."""
        return next((part.text for part in self.inputs if isinstance(part, Text)), None)

    @property
    def images(self) -> tuple[Image, ...]:
        return tuple(part for part in self.inputs if isinstance(part, Image))


class Finding(Struct, frozen=True):
    """One statement of a vendor: a label of its own and a value on its own scale.

    `value` None means the vendor says it did not look. `looked` are the modalities the value was computed on; None
    means all that were sent. `open` marks a word of an open vocabulary, which names a thing in the picture: where no
    table knows it, it is a `label/…` and no alarm.
    """

    label: str
    value: float | None
    looked: frozenset[Modality] | None = None
    open: bool = False


class Minimum(Struct, frozen=True):
    """The value, on the vendor's own scale, below which it names no label in this answer."""

    value: float


class Opinion(Struct, frozen=True):
    """A vendor's own verdict, in its word. Evidence beside the scores, never instead of them."""

    verdict: str


class Exchange(Struct, frozen=True):
    """One call as it happened, for the evidence. `body` is what came back, cut at the transport's cap, as text."""

    status: int
    body: str
    latency_ms: float


class Look(Struct, frozen=True):
    """Everything one provider said about one question, in its own words."""

    findings: tuple[Finding, ...]
    opinion: Opinion | None = None
    minimum: float | None = None
    model: str | None = None
    exchanges: tuple[Exchange, ...] = ()


class Signal(Struct, frozen=True):
    """A finding in our words, on one input of the submission.

    `score` is 0..10,000. It is None where the vendor gave no number: then `below` says under which score it reports
    nothing, and where that is None too, the vendor's class merely may be about this category.
    """

    category: str
    score: int | None
    provider: str
    label: str
    input: int
    below: int | None = None


class Fitted(Struct, frozen=True):
    """A view that one provider got otherwise than the others, because it takes no more: as what, of how many bytes.

    `view` counts from 0 in the input's views. `quality` is that of the encoder, None where it was not encoded again.
    `by_address`: it was to be fetched from us, not sent.
    """

    view: int
    width: int
    height: int
    bytes: int
    media_type: str
    sha256: str
    quality: int | None = None
    by_address: bool = False


class Alike(Struct, frozen=True):
    """The picture, by its SHA-256 (hex), for which another was taken, and how many of 256 bits of PDQ lie between."""

    sha256: str
    distance: int


class Reading(Struct, frozen=True, tag="reading", tag_field="kind"):
    """What one provider said about some inputs: in our words, and as it came.

    With `like` it was said of a picture that is nearly the same.
    """

    provider: str
    inputs: tuple[int, ...]
    signals: tuple[Signal, ...]
    model: str | None
    opinion: Opinion | None
    exchanges: tuple[Exchange, ...]
    attempts: int
    latency_ms: float
    status: str = "ok"
    fitted: tuple[Fitted, ...] = ()
    like: Alike | None = None


class Failure(Struct, frozen=True, tag="failure", tag_field="kind"):
    """That one provider gave no usable answer, and why.

    `status` is timeout, throttled, unavailable, denied, rejected or drift; `raw` the start of what it said instead.
    """

    provider: str
    inputs: tuple[int, ...]
    status: str
    detail: str
    attempts: int
    latency_ms: float
    http: int | None = None
    raw: str = ""
    fitted: tuple[Fitted, ...] = ()


class Answer(Struct, frozen=True):
    """A reading or a failure, as it bears on one input."""

    input: int
    role: Role
    outcome: Reading | Failure

    @property
    def reading(self) -> Reading | None:
        return self.outcome if isinstance(self.outcome, Reading) else None

    @property
    def failure(self) -> Failure | None:
        return self.outcome if isinstance(self.outcome, Failure) else None


class Reason(Struct, frozen=True):
    """Why a decision is not allow. Scores and thresholds are 0..10,000; `message` is for the user and holds neither."""

    code: str
    action: Action
    rule: str
    message: str
    category: str | None = None
    score: int | None = None
    threshold: int | None = None
    input: int | None = None


class CategoryVerdict(Struct, frozen=True):
    """One category over the whole submission. `score` is None unless `state` is scored."""

    score: int | None
    state: State
    action: Action
    providers: Mapping[str, int]


class Coverage(Struct, frozen=True):
    """Which categories had to be looked at, and which of them were not, on some input."""

    required: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


class Decision(Struct, frozen=True):
    """What the policy says of one submission, with everything needed to explain it.

    `effects` are what is to be done besides, `escalate` where a named person has to see it; `exempted` reads
    `<exemption>: <what it lifted>`; `shadow` are rules that were true and only watch. `hits` and `unknown` say of every
    rule, in the order of the file, whether it was true or unknown on some input: bits, in words of 64.
    """

    action: Action
    reasons: tuple[Reason, ...]
    categories: Mapping[str, CategoryVerdict]
    inputs: tuple[Action, ...]
    coverage: Coverage
    max_category: str | None
    max_score: int | None
    effects: tuple[str, ...] = ()
    exempted: tuple[str, ...] = ()
    shadow: tuple[str, ...] = ()
    hits: tuple[int, ...] = ()
    unknown: tuple[int, ...] = ()


class Aside(Struct, frozen=True):
    """What another version of a policy said of the same. `role` is shadow, canary, or in_force beside a canary.

    `action` is None where it broke: that is its own affair, and told in the log.
    """

    policy: str
    version: int
    hash: str
    role: str
    action: Action | None
