"""The shape of a policy file. What it means is in policy.py and judging.py; what fits together, in checks.py."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, Strict, model_validator

from gateway.domain import FULL
from gateway.policy.cel.shapes import DECLARABLE

DEFAULT = "default"
NAME = r"^[a-z0-9][a-z0-9_-]*$"
CODE = r"^[A-Za-z][A-Za-z0-9_]*$"
ID = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
WORD = r"^[A-Za-z_][A-Za-z0-9_]*$"
TONGUE = r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*$"
_QUORUM = re.compile(r"quorum\(([1-9][0-9]?)\)")
_PERCENT = re.compile(r"([0-9]{1,3}(?:\.[0-9]+)?)\s*%?")
_LIKE_CODE = "letters, digits and _, like HATE_SPEECH"
_COMBINERS = "max, mean, median, quorum(2), or {calibrated: {provider: {slope: …, intercept: …}}}"


def cut(written: Any) -> int | None:
    """A threshold as people write it, 0..1 with at most four decimals, in 0..10,000; `-` is None: never."""
    if written == "-":
        return None
    if isinstance(written, bool) or not isinstance(written, int | float):
        raise _no_cut(written)
    exact = Decimal(str(written)) * FULL
    if not exact.is_finite() or not 0 <= exact <= FULL or exact != int(exact):
        raise _no_cut(written)
    return int(exact)


def _no_cut(written: Any) -> ValueError:
    """With what would be right, where it can be guessed: of 60 and "60%", and of "0.6"."""
    words = 'a threshold is a number from 0 to 1 with at most 4 decimals, or "-" for never'
    match = _PERCENT.fullmatch(str(written))
    if match and 1 < float(match[1]) <= 100:
        return ValueError(f"{words}; {match[1]} % is written {float(match[1]) / 100:g}")
    return ValueError(f"{words}; take the quotes away" if match and isinstance(written, str) else words)


def quorum(written: str) -> int | None:
    """The k of `quorum(k)`, 1 to 99."""
    match = _QUORUM.fullmatch(written)
    return int(match[1]) if match else None


def _combiner(written: Any) -> Any:
    if isinstance(written, str) and written not in ("max", "mean", "median") and quorum(written) is None:
        raise ValueError(f"scores are combined by {_COMBINERS}")
    return written


def _many(written: Any) -> Any:
    if isinstance(written, bool | int | float):
        raise ValueError("this is a text, or a list of texts: put quotes round it")
    return (written,) if isinstance(written, str) else written


def _like(pattern: str, words: str) -> BeforeValidator:
    """A text of this form; `words` say it to people, the pattern beside it says it to editors."""

    def checked(written: Any) -> Any:
        if isinstance(written, str) and re.fullmatch(pattern, written) is None:
            raise ValueError(words)
        return written

    return BeforeValidator(checked)


def _some(words: str) -> Callable[[str], str]:
    """Not only spaces."""

    def checked(written: str) -> str:
        if not written.strip():
            raise ValueError(words)
        return written

    return checked


Cut = Annotated[int | None, BeforeValidator(cut)]
Words = Annotated[tuple[str, ...], BeforeValidator(_many), Field(min_length=1)]
Whole = Annotated[int, Strict()]  # `true` is no 1, and "3" no 3
Number = Annotated[float, Strict()]
Name = Annotated[
    str, Field(pattern=NAME), _like(NAME, "a policy's name is small letters, digits, - and _, like kids-avatars")
]
Code = Annotated[str, Field(pattern=CODE), _like(CODE, "a code is letters, digits and _, like HATE_SPEECH")]
Id = Annotated[str, Field(pattern=ID), _like(ID, "an id is letters, digits, - . and _, like hate-agreed")]
Word = Annotated[str, Field(pattern=WORD), _like(WORD, "a name is letters, digits and _, like banned_goods")]
Tongue = Annotated[str, Field(pattern=TONGUE), _like(TONGUE, "a language is written like en, de or pt-BR")]
Why = Annotated[str, Field(min_length=1), AfterValidator(_some("say why, for whoever reads it in two years"))]
Said = Annotated[
    str, Field(min_length=1), AfterValidator(_some("a message is a text for people: leave the line out for none"))
]
Texts = dict[str, Annotated[dict[Tongue, Said], Field(min_length=1)]]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Threshold(_Strict):
    """A score at or above `block` blocks, else at or above `review` goes to review. Left out or "-" is never."""

    review: Cut = None
    block: Cut = None
    reason: Code | None = Field(default=None, description=_LIKE_CODE)
    message: str | None = None


class CoverageRule(_Strict):
    """How many providers must have looked before allow is possible, and what happens where they have not."""

    min_providers: Whole = Field(default=1, ge=1)
    on_missing: Literal["review", "block"] = "review"


class Platt(_Strict):
    """What a provider's score s is worth: log-odds of slope * logit(s) + intercept, counted `weight` times."""

    slope: Number = Field(gt=0, allow_inf_nan=False)
    intercept: Number = Field(default=0.0, allow_inf_nan=False)
    weight: Number = Field(default=1.0, gt=0, allow_inf_nan=False)


class Calibrated(_Strict):
    """The weighted mean of calibrated log-odds. Fitted elsewhere; here are only its numbers, by provider."""

    calibrated: dict[str, Platt] = Field(min_length=1)


Combiner = Annotated[str | Calibrated, BeforeValidator(_combiner)]


class Signals(_Strict):
    """What has to be known, and how it is put together.

    `combine` is how the scores of several providers become one, by category; below a category as for it. `providers`
    are those whose answers are expected: one that gave none is missing.
    """

    combine: dict[str, Combiner] = {}
    providers: tuple[str, ...] | None = None
    coverage: dict[str, CoverageRule] = {}


class WordList(_Strict):
    """Words of a policy: written here, or one a line in a file beside it; a line that begins with # is none."""

    values: tuple[str, ...] | None = None
    file: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _no_plain_list(cls, written: Any) -> Any:
        if isinstance(written, list):
            raise ValueError("write the words as {values: […]}, or {file: …} where they stand in a file")
        return written

    @model_validator(mode="after")
    def _one_of_both(self) -> WordList:
        if (self.values is None) == (self.file is None):
            raise ValueError("a list has either values: or file:")
        return self


class FieldSpec(_Strict):
    """A declared field of context or user. Where the request lacks it, it has the default, if there is one."""

    type: Literal["bool", "int", "double", "string", "list"]
    default: bool | int | float | str | None = None
    values: tuple[str, ...] | None = None


def _spec(written: Any) -> Any:
    if not isinstance(written, str):
        return written
    if written not in DECLARABLE:
        raise ValueError(f"a field is one of {', '.join(DECLARABLE)}")
    return {"type": written}


Spec = Annotated[FieldSpec, BeforeValidator(_spec)]


class _Consequence(_Strict):
    """What follows where a rule is true, or unknown."""

    action: Literal["review", "block"] = "review"
    reason: Code | None = Field(default=None, description=_LIKE_CODE)
    message: str | None = None
    if_unknown: Literal["review", "block", "ignore"] = "review"
    because: str = ""
    priority: Whole = Field(default=0, ge=-1000, le=1000)
    effects: tuple[Code, ...] = ()
    mode: Literal["live", "shadow"] = "live"


class RuleRow(_Consequence):
    """One rule. `hard`: no exemption, overlay or canary can lift it. `mode: shadow` is evaluated and told only."""

    id: Id = Field(description="what decisions and tests call it, like hate-agreed")
    action: Literal["review", "block"] = Field(description="review, or block")
    when: str = Field(description='its condition, like scores["hate"] >= 0.7')
    hard: bool = False


class RulePatch(_Consequence):
    """What an overlay says otherwise of a rule: the fields that are named, and no others."""


class Exempt(_Strict):
    """What is lifted where `when` is true, and why: thresholds.<category>.review or .block, or a rule by its id."""

    id: Id = Field(description="what decisions call it, like art-collection")
    from_: tuple[str, ...] = Field(
        alias="from", min_length=1, description="what it lifts, like [thresholds.sexual/nudity.review]"
    )
    when: str = Field(description='its condition, like context.surface == "art"')
    because: Why = Field(description="why, for whoever reads it in two years")


class Match(_Strict):
    """Whom an overlay is for: each that is named must fit, by one of its values."""

    surface: Words | None = None
    country: Words | None = None
    tenant: Words | None = None

    @model_validator(mode="after")
    def _names_something(self) -> Match:
        if not self.model_fields_set:
            raise ValueError("an overlay is for some surface, country or tenant")
        return self


class Overlay(_Strict):
    """What is otherwise for some. Named fields are set, rules named in `disable` are off; all else stays."""

    match: Match
    thresholds: dict[str, Threshold] = {}
    coverage: dict[str, CoverageRule] = {}
    rules: dict[str, RulePatch] = {}
    disable: tuple[str, ...] = ()
    messages: Texts = {}


def _band(written: Any) -> Any:
    """A number is the most there may be."""
    return (0, written) if isinstance(written, int | float) and not isinstance(written, bool) else written


Rate = Annotated[float, Strict(), Field(ge=0, le=1, allow_inf_nan=False)]
Band = Annotated[tuple[Rate, Rate], BeforeValidator(_band)]


class Halt(_Strict):
    """When a canary ends by itself: shares, 0..1, of the last `after` decisions.

    `flips` is how many of them may come out otherwise than under the version in force, `block_rate` how many the canary
    may block: at most a number, or between the two of a list.
    """

    flips: Rate | None = None
    block_rate: Band | None = None
    after: Whole = Field(default=200, ge=1, le=100_000)

    @model_validator(mode="after")
    def _some_band(self) -> Halt:
        if self.flips is None and self.block_rate is None:
            raise ValueError("a halt has flips: or block_rate:, a share from 0 to 1")
        if self.block_rate is not None and self.block_rate[0] > self.block_rate[1]:
            raise ValueError("block_rate is a most, or [least, most]")
        return self


class Rollout(_Strict):
    """How a version comes in beside the one in force: only heard (`shadow`), or deciding for a share of subjects."""

    shadow: bool = False
    canary_percent: Number = Field(default=100, ge=0, le=100, allow_inf_nan=False)
    halt: Halt | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Rollout:
        if self.shadow and self.canary:
            raise ValueError("a version is a shadow, or decides for canary_percent, but not both")
        return self

    @property
    def canary(self) -> bool:
        """Whether it decides for some, and another version for the rest."""
        return self.canary_percent < 100

    @property
    def beside(self) -> bool:
        """Whether another version is in force."""
        return self.shadow or self.canary


class PolicyFile(_Strict):
    """One policy. Its identity is the hash of all this; `version` is a counter for people."""

    policy: Name = Field(description="its name, like social or kids-avatars")
    version: Whole = Field(default=1, ge=0)
    taxonomy: str = "1"
    description: str = ""
    locale: Tongue = "en"
    context: dict[Word, Spec] = {}
    user: dict[Word, Spec] = {}
    signals: Signals = Signals()
    lists: dict[Word, WordList] = {}
    thresholds: dict[str, Threshold] = Field(
        description="from which score on a category is reviewed and blocked; {} where rules say it all"
    )
    rules: tuple[RuleRow, ...] = Field(default=(), max_length=2_000)
    exempt: tuple[Exempt, ...] = Field(default=(), max_length=1_000)
    overlays: tuple[Overlay, ...] = Field(default=(), max_length=1_000)
    messages: Texts = {}
    rollout: Rollout = Rollout()
