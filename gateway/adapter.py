"""The seam between the core and a vendor.

Dispatch sees `Adapter`. A vendor behind HTTP is a `VendorAdapter`: it fills in `ask` and `read`, which are pure, and
this base class owns the order of events. A model in this process is a `LocalAdapter`: it is handed a workshop and does
its own looking, off the event loop.
"""

from __future__ import annotations

import asyncio
import math
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Literal, Protocol, TypeVar, cast

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationInfo, field_validator

from gateway.domain import Content, Exchange, Finding, Image, Look, Minimum, Modality, Opinion, Text
from gateway.errors import (
    Overloaded,
    RequestError,
    VendorDenied,
    VendorDrift,
    VendorError,
    VendorRejected,
    VendorThrottled,
    VendorTimeout,
    VendorUnavailable,
)
from gateway.units import Duration, Located, Rate
from gateway.wire import Call, Client, Reply, Transport, retry_after

__all__ = [  # all that an adapter needs from here
    "Adapter",
    "Address",
    "Call",
    "CircuitSettings",
    "Client",
    "LocalAdapter",
    "OwnLabel",
    "Reply",
    "RetrySettings",
    "Transport",
    "VendorAdapter",
    "VendorSettings",
    "Workshop",
    "decoded",
    "merge",
    "one_image_each",
]

T = TypeVar("T")


def _address(written: str) -> str:
    if not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", written):
        raise ValueError("an address is http(s)://host[:port][/path], without user, query or fragment")
    return written.rstrip("/")


Address = Annotated[str, AfterValidator(_address)]


class RetrySettings(BaseModel):
    """`attempts` counts the first one; 1 means never ask the same provider twice."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    attempts: int = Field(default=2, ge=1, le=5)


class CircuitSettings(BaseModel):
    """When to stop asking a provider that fails, and for how long.

    It opens after `failures` in a row; or where, of at least `min_calls` within `window`, `failure_rate` failed or
    `slow_rate` took longer than `slow_after` (default: 80 % of the provider's timeout). It stays open for `open_for`,
    twice as long each time it fails again, at most `open_most`; then `probes` calls are let through to see.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    enabled: bool = True
    failures: int = Field(default=5, ge=1)
    min_calls: int = Field(default=10, ge=1)
    window: Duration = 10.0
    failure_rate: float = Field(default=0.5, gt=0, le=1)
    slow_rate: float = Field(default=0.8, gt=0, le=1)
    slow_after: Duration | None = None
    open_for: Duration = 2.0
    open_most: Duration = 8.0
    probes: int = Field(default=1, ge=1)


@dataclass(frozen=True, slots=True)
class OwnLabel:
    """A label that a provider's settings themselves give a meaning: its category, and where in them it stands."""

    name: str
    category: str
    where: tuple[str | int, ...]


class VendorSettings(BaseModel):
    """What every provider takes in `providers:`. An adapter adds its own keys in a subclass.

    `table` is a table of its own instead of the adapter's, of the same shape: for a model with categories of its own.
    `transport: sdk` sends through the vendor's own client, where it has one here, for those who need its sign-in.
    More than `rate_limit` is not asked: the next provider is. A Retry-After is kept: an hour at most where the vendor
    says that we ask too much, and with a 503, which may be one node of many, `circuit.open_most` at most.
    `price_per_1k` is what 1,000 requests cost.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    sdk: ClassVar[str] = ""  # whose client there is under adapters/sdk: not that of a dialect which inherits from it
    adapter: str
    enabled: bool = True
    timeout: Duration = 3.0
    max_concurrency: int = Field(default=64, ge=1)
    rate_limit: Rate | None = None
    retry: RetrySettings = RetrySettings()
    circuit: CircuitSettings = CircuitSettings()
    price_per_1k: float = Field(default=0.0, ge=0)
    transport: Literal["direct", "sdk"] = "direct"
    table: Located | None = None

    @field_validator("transport")
    @classmethod
    def _has_a_client(cls, written: str, info: ValidationInfo) -> str:
        if written == "sdk" and info.data.get("adapter") != cls.sdk:
            raise ValueError("this vendor has no client of its own here; leave it out, or write direct")
        return written

    def secrets(self) -> Iterable[str]:
        """What is cut out of every answer before anybody reads or keeps it."""
        values = (getattr(self, name) for name in type(self).model_fields)
        return (value.get_secret_value() for value in values if isinstance(value, SecretStr))

    def own_labels(self) -> Iterable[OwnLabel]:
        """Labels beside those of the table."""
        return ()


class Workshop(Protocol):
    """Where local models work: never on the event loop."""

    async def decode(self, work: Callable[[bytes], T], data: bytes, /) -> T:
        """Run a module-level function on image bytes in the guarded pool, where a crash or a loop hurts nobody."""

    async def think(self, work: Callable[..., T], /, *args: Any) -> T:
        """Run a function that releases the GIL, or is short, in a thread."""


class Adapter(Protocol):
    """What dispatch sees of a provider."""

    settings: VendorSettings
    accepts: frozenset[Modality]
    together: bool  # takes a text and an image in one question, and judges each in the light of the other
    tier: ClassVar[int]  # 0 a list of known things, 1 a model in this process, 2 a vendor

    async def open(self, workshop: Workshop) -> None:
        """Load and warm up. Raises ConfigError where that cannot work."""

    async def look(self, content: Content, send: Transport) -> Look:
        """Ask about this content. Raises VendorError, nothing else."""

    async def close(self) -> None:
        """Give back what `open` took."""


_FAULTS: Mapping[int, type[VendorError]] = {
    400: VendorRejected,
    401: VendorDenied,
    402: VendorDenied,
    403: VendorDenied,
    404: VendorDenied,  # a wrong address or model name: ours to mend
    408: VendorTimeout,
    413: VendorRejected,
    415: VendorRejected,
    422: VendorRejected,
    429: VendorThrottled,
    504: VendorTimeout,
}


class VendorAdapter(ABC):
    """A vendor behind HTTP. Subclasses say what to send and how to read it, and do no I/O.

    `faults` names what an error means, keyed by HTTP status or by the vendor's own error code (see `fault_code`); 5xx,
    sockets and the usual 4xx are known here.
    """

    Settings: ClassVar[type[VendorSettings]] = VendorSettings
    accepts: frozenset[Modality]
    together: bool = False
    tier: ClassVar[int] = 2
    faults: ClassVar[Mapping[int | str, type[VendorError]]] = {}

    def __init__(self, settings: VendorSettings):
        self.settings = settings

    @property
    @abstractmethod
    def address(self) -> str:
        """What precedes the paths of the calls, without a slash at its end."""

    @abstractmethod
    def ask(self, content: Content) -> Iterable[Call]:
        """The calls that put this content to the vendor. VendorRejected where it cannot be put."""

    @abstractmethod
    def read(self, reply: Reply) -> Iterable[Finding | Opinion | Minimum]:
        """The vendor's words in a 200. Trust the documented shape: a surprise becomes VendorDrift by itself."""

    def sign(self, call: Call, now: datetime) -> Call:
        """The call as it is sent, where a vendor wants it signed at that moment (UTC). Its own client signs itself."""
        return call

    def version(self, reply: Reply) -> str | None:
        """The model that answered, in the vendor's words."""
        return None

    def fault_code(self, reply: Reply) -> str | None:
        """The vendor's own name for an error, where it gives one."""
        return None

    async def open(self, workshop: Workshop) -> None:
        """Nothing to load: the shared transport is the connection."""

    async def close(self) -> None:
        """Nothing to give back."""

    async def look(self, content: Content, send: Transport) -> Look:
        """Send what `ask` says, read every answer, and put together what was said of the same thing."""
        calls = list(self.ask(content))
        if len(calls) == 1:
            return await self._exchange(calls[0], send)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._view(call, send)) for call in calls]
        looks = [task.result() for task in tasks]
        failed = next((look for look in looks if isinstance(look, VendorError)), None)
        if failed:  # a picture of which one view was not seen was not seen
            raise failed
        return merge([look for look in looks if isinstance(look, Look)])

    async def _view(self, call: Call, send: Transport) -> Look | VendorError:
        try:
            return await self._exchange(call, send)
        except VendorError as error:
            return error

    async def _exchange(self, call: Call, send: Transport) -> Look:
        signed = call if self.settings.transport == "sdk" else self.sign(call, datetime.now(UTC))
        reply = await send(self.address, signed)
        reply.about = call.about
        return self._understand(reply)

    def _understand(self, reply: Reply) -> Look:
        if reply.status != 200:
            raise self._fault(reply)
        try:
            said = list(self.read(reply))
            model = self.version(reply)
        except (LookupError, TypeError, ValueError, AttributeError) as surprise:
            detail = f"the answer is not of the documented shape: {type(surprise).__name__} {str(surprise)[:120]}"
            raise VendorDrift(detail, http=reply.status, raw=reply.body[:2048]) from surprise
        findings, others = _apart(said)
        return Look(
            findings=findings,
            opinion=next((word for word in others if isinstance(word, Opinion)), None),
            minimum=next((word.value for word in others if isinstance(word, Minimum)), None),
            model=model,
            exchanges=(Exchange(reply.status, reply.text, reply.latency_ms),),
        )

    def _fault(self, reply: Reply) -> VendorError:
        try:
            code = self.fault_code(reply)
        except (VendorDrift, LookupError, TypeError, ValueError, AttributeError):
            code = None  # an error page of somebody in between
        status = reply.status
        kind = self.faults.get(code or "") or self.faults.get(status) or _FAULTS.get(status)
        if kind is None:
            kind = VendorUnavailable if status >= 500 else VendorRejected if status >= 400 else VendorDrift
        detail = f"HTTP {status}" + (f" {code}" if code else "")
        return kind(detail, http=status, retry_after=retry_after(reply.headers), raw=reply.body[:2048])


def _apart(said: list[Finding | Opinion | Minimum]) -> tuple[tuple[Finding, ...], list[Opinion | Minimum]]:
    """The findings, and what else was said: most vendors give nothing but findings."""
    others = [] if set(map(type, said)) == {Finding} else [word for word in said if not isinstance(word, Finding)]
    return tuple([word for word in said if isinstance(word, Finding)] if others else cast(list[Finding], said)), others


class LocalAdapter(ABC):
    """A model in this process. `open` loads it once; `look` works in the workshop and ignores the transport."""

    Settings: ClassVar[type[VendorSettings]] = VendorSettings
    accepts: frozenset[Modality]
    together: bool = False
    tier: ClassVar[int] = 1

    def __init__(self, settings: VendorSettings):
        self.settings = settings

    @abstractmethod
    async def open(self, workshop: Workshop) -> None:
        """Load and warm up. Raises ConfigError where the weights are missing or not the expected ones."""

    @abstractmethod
    async def look(self, content: Content, send: Transport) -> Look:
        """Look at this content. Raises VendorError, nothing else."""

    async def close(self) -> None:
        """Nothing to give back unless a model says so."""


async def decoded(workshop: Workshop, work: Callable[[bytes], T], data: bytes) -> T:
    """What `work` makes of image bytes in the guarded pool. Raises VendorRejected; VendorThrottled while it is full."""
    try:
        return await workshop.decode(work, data)
    except Overloaded as busy:
        raise VendorThrottled(busy.detail, retry_after=busy.retry_after) from busy
    except RequestError as refused:
        raise VendorRejected(refused.detail) from refused


def one_image_each(content: Content) -> Iterator[Content]:
    """The same content with one view of one image at a time, the text beside each; the text alone if there is none."""
    texts = tuple(part for part in content.inputs if isinstance(part, Text))
    views = [
        Image(image.digest, (view,), image.source_type, image.frames, image.unseen, image.url)
        for image in content.images
        for view in image.views
    ]
    for image in views:
        yield Content((*texts, image), content.context)
    if not views:
        yield Content(texts, content.context)


def _height(finding: Finding) -> float:
    """What is no number comes out on top: the table that translates it shall see it."""
    value = finding.value
    if value is None:
        return -math.inf
    return value if isinstance(value, int | float) and not math.isnan(value) else math.inf


def merge(looks: list[Look]) -> Look:
    """Several looks at views of one thing as one: the highest value of each label, not looked only where nobody did."""
    best: dict[str, Finding] = {}
    for finding in (finding for look in looks for finding in look.findings):
        known = best.get(finding.label)
        if known is None or _height(finding) > _height(known):
            best[finding.label] = finding
    return Look(
        findings=tuple(best.values()),
        opinion=next((look.opinion for look in looks if look.opinion), None),
        minimum=max((look.minimum for look in looks if look.minimum is not None), default=None),
        model=next((look.model for look in looks if look.model), None),
        exchanges=tuple(exchange for look in looks for exchange in look.exchanges),
    )
