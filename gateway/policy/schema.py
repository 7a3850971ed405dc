"""The shape of a policy file. What it means is in policy.py and decide.py."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from gateway.domain import FULL

DEFAULT = "default"


def cut(written: Any) -> int | None:
    """A threshold as people write it, 0..1 with at most four decimals, in 0..10,000; `-` is None: never."""
    if written == "-":
        return None
    refused = ValueError('a threshold is a number from 0 to 1 with at most 4 decimals, or "-" for never')
    if isinstance(written, bool) or not isinstance(written, int | float):
        raise refused
    exact = Decimal(str(written)) * FULL
    if not exact.is_finite() or not 0 <= exact <= FULL or exact != int(exact):
        raise refused
    return int(exact)


Cut = Annotated[int | None, BeforeValidator(cut)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Threshold(_Strict):
    """A score at or above `block` blocks, else at or above `review` goes to review. Left out or "-" is never."""

    review: Cut = None
    block: Cut = None
    reason: str | None = Field(default=None, pattern=r"^[A-Za-z][A-Za-z0-9_]*$")
    message: str | None = None


class CoverageRule(_Strict):
    """How many providers must have looked before allow is possible, and what happens where they have not."""

    min_providers: int = Field(default=1, ge=1)
    on_missing: Literal["review", "block"] = "review"


class Combine(_Strict):
    """How the scores of several providers become one."""

    default: Literal["max"] = "max"


class Signals(_Strict):
    """What has to be known, and how it is put together."""

    combine: Combine = Combine()
    coverage: dict[str, CoverageRule] = {}


class PolicyFile(_Strict):
    """One policy. Its identity is the hash of all this; `version` is a counter for people."""

    policy: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    version: int = Field(default=1, ge=0)
    taxonomy: str = "1"
    description: str = ""
    locale: str = "en"
    signals: Signals = Signals()
    thresholds: dict[str, Threshold]
    messages: dict[str, dict[str, str]] = {}
