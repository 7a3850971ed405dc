"""What shall go wrong, with whom, when and how often: told in a script or over the control address, drawn by a seed.

The same seed draws the same: whether a call is hit depends on the seed, the fault, the vendor and the number of that
vendor's calls, not on who came first. A call can be hit by several; delays add up, of the rest the first counts.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, model_validator

from adapters.simulator.spoiling import INSTEAD
from gateway.suggest import did_you_mean
from gateway.units import Duration, duration

EVERYBODY = "*"
LONGEST = 600.0  # seconds: the tail of a distribution ends here
_Z99 = 2.3263478740408408  # standard deviations to the 99th percentile

Share = Annotated[float, Field(ge=0, le=1)]
HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]+$")]
HeaderValue = Annotated[str, Field(pattern=r"^[\t -~]*$")]


def _of_an_error(status: int) -> int:
    if status != 200 and not 400 <= status <= 599:
        raise ValueError("the status of an error is 400 to 599, or 200 where it comes as if nothing were wrong")
    return status


def _signed(written: Any) -> float:
    text = str(written).strip()
    return -duration(text[1:]) if text.startswith("-") else duration(text.removeprefix("+"))


class Percentiles(BaseModel):
    """A distribution by its middle and its tail."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    p50: Duration
    p99: Duration

    @model_validator(mode="after")
    def _in_order(self) -> Percentiles:
        if self.p50 >= self.p99:
            raise ValueError("p99 is above p50")
        return self


class Latency(BaseModel):
    """How long an answer takes. `fixed` may be written alone: `latency: 200ms`."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    fixed: Duration | None = None
    uniform: tuple[Duration, Duration] | None = None
    lognormal: Percentiles | None = None
    pareto: Percentiles | None = None

    @model_validator(mode="after")
    def _one(self) -> Latency:
        if len(self.model_fields_set) != 1:
            raise ValueError("a latency is one of fixed, uniform, lognormal and pareto")
        return self

    def draw(self, chance: Random) -> float:
        """Seconds."""
        if self.uniform:
            return chance.uniform(*self.uniform)
        if self.lognormal:
            middle, tail = self.lognormal.p50, self.lognormal.p99
            return min(LONGEST, chance.lognormvariate(math.log(middle), math.log(tail / middle) / _Z99))
        if self.pareto:
            middle, tail = self.pareto.p50, self.pareto.p99
            shape = math.log(50) / math.log(tail / middle)
            return min(LONGEST, middle / 2 ** (1 / shape) * chance.paretovariate(shape))
        return self.fixed or 0.0


def _plainly(written: Any) -> Any:
    return written if isinstance(written, dict) else {"fixed": written}


class Fault(BaseModel):
    """One thing that goes wrong. The first keys say with whom and when, the others what; at least one of those.

    `error` is a kind of trouble or one of the vendor's own codes, told in its own shape; `status` overrides its status.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)
    vendor: str = EVERYBODY
    about: str | None = None  # only calls about a text or address that holds this, or the picture of this SHA-256
    share: Share = 1.0
    after: Annotated[int, Field(ge=0)] = 0
    calls: Annotated[int, Field(ge=1)] | None = None
    since: Duration | None = Field(default=None, alias="from")
    until: Duration | None = None

    latency: Annotated[Latency, BeforeValidator(_plainly)] | None = None
    error: str | None = None
    status: Annotated[int, AfterValidator(_of_an_error)] | None = None
    retry_after: float | Literal["none"] | None = None
    retry_after_as: Literal["seconds", "date", "milliseconds"] = "seconds"
    headers: dict[HeaderName, HeaderValue | None] = {}
    hang: bool = False
    reset: Literal["before_answer", "mid_body"] | None = None
    drip: Duration | None = None
    truncate: Share | None = None
    instead: str | None = None
    remove: tuple[str, ...] = ()
    put: dict[str, Any] = Field(default={}, alias="set")
    rename: dict[str, str] = {}
    shift: Annotated[float, Field(ge=-1, le=1)] = 0.0
    clock: Annotated[float, BeforeValidator(_signed)] = 0.0

    @model_validator(mode="after")
    def _does_something(self) -> Fault:
        if not self.model_fields_set - _WHEN:
            raise ValueError(f"it does nothing: say one of {', '.join(sorted(_WHAT))}")
        if self.instead is not None and self.instead not in INSTEAD:
            raise ValueError(f"instead is one of {', '.join(INSTEAD)}")
        for pointer in (*self.remove, *self.put):
            if not pointer.startswith("/"):
                raise ValueError(f"'{pointer}' is no JSON pointer: /results/0/flagged is one")
        return self

    @model_validator(mode="after")
    def _is_known(self, info: ValidationInfo) -> Fault:
        """The context's `troubles` are the vendors there are and the names of their errors; without it any goes."""
        troubles: Mapping[str, Iterable[str]] | None = (info.context or {}).get("troubles")
        if troubles is None:
            return self
        if self.vendor != EVERYBODY and self.vendor not in troubles:
            raise ValueError(_strange(f"there is no vendor '{self.vendor}' here", self.vendor, troubles))
        for vendor in troubles if self.vendor == EVERYBODY else [self.vendor]:
            if self.error is not None and self.error not in troubles[vendor]:
                raise ValueError(_strange(f"{vendor} has no error '{self.error}'", self.error, troubles[vendor]))
        return self

    @property
    def what(self) -> list[str]:
        """The names of what it does."""
        return sorted(_WRITTEN.get(name, name) for name in self.model_fields_set - _WHEN)


def _strange(what: str, word: str, known: Iterable[str]) -> str:
    hint = did_you_mean(word, known)
    return f"{what}; {hint}" if hint else what


_WHEN = {"vendor", "about", "share", "after", "calls", "since", "until", "retry_after_as"}
_WRITTEN = {"put": "set"}
_WHAT = {_WRITTEN.get(name, name) for name in Fault.model_fields.keys() - _WHEN}


@dataclass
class Standing:
    """A fault, and how often it has met and hit a call of each vendor."""

    fault: Fault
    met: dict[str, int]
    hits: int = 0

    def as_dict(self) -> dict[str, Any]:
        """For the control address."""
        said = self.fault.model_dump(mode="json", by_alias=True, exclude_unset=True)
        return {**said, "met": sum(self.met.values()), "hits": self.hits}


@dataclass(frozen=True)
class Plan:
    """What happens to one call. `delay` is in seconds."""

    faults: tuple[Fault, ...] = ()
    delay: float = 0.0

    def first(self, name: str) -> Any:
        """The first that says something of this; None where nobody does."""
        return next((getattr(fault, name) for fault in self.faults if name in fault.model_fields_set), None)

    @property
    def shift(self) -> float:
        return sum(fault.shift for fault in self.faults)

    @property
    def clock(self) -> float:
        return sum(fault.clock for fault in self.faults)

    @property
    def what(self) -> list[str]:
        return [name for fault in self.faults for name in fault.what]


class Faults:
    """The faults that stand. `started` is when the time windows began, on the clock that `plan` is told."""

    def __init__(self, faults: Iterable[Fault] = (), seed: int = 0, started: float = 0.0):
        self.seed = seed
        self.started = started
        self.standing = [Standing(fault, {}) for fault in faults]

    def plan(self, vendor: str, seen: Iterable[str], now: float) -> Plan:
        """What happens to the next call of this vendor, which is about what was `seen`."""
        about = list(seen)
        hit: list[Fault] = []
        delay = 0.0
        for place, standing in enumerate(self.standing):
            if _concerns(standing.fault, vendor, about):
                chance = self._met(place, standing, vendor, now - self.started)
                if chance is not None:
                    hit.append(standing.fault)
                    delay += standing.fault.latency.draw(chance) if standing.fault.latency else 0.0
        return Plan(tuple(hit), delay)

    def _met(self, place: int, standing: Standing, vendor: str, age: float) -> Random | None:
        """The dice of a call that is hit, else None."""
        fault = standing.fault
        number = standing.met[vendor] = standing.met.get(vendor, 0) + 1
        chance = Random(f"{self.seed}/{place}/{vendor}/{number}")  # noqa: S311  # dice that have to replay
        in_time = (fault.since or 0.0) <= age < (fault.until or math.inf)
        left = fault.calls is None or standing.hits < fault.calls
        if not (in_time and left and number > fault.after and chance.random() < fault.share):
            return None
        standing.hits += 1
        return chance


def _concerns(fault: Fault, vendor: str, about: list[str]) -> bool:
    return fault.vendor in (EVERYBODY, vendor) and (fault.about is None or any(fault.about in thing for thing in about))
