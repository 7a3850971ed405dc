"""gateway.yaml as models: which keys there are, their units, their defaults. config.py checks one against another.

Durations are seconds, sizes bytes. Relative paths are resolved against the validation context's `folder`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    model_validator,
)
from pydantic_core import PydanticCustomError

from gateway.domain import Modality
from gateway.units import Duration, Located, Rate, Size

KeyRole = Literal["submit", "review", "admin"]
Priority = Literal["live", "batch"]
Strategy = Literal["all", "first", "race", "hedge", "cascade", "quorum", "split"]


def _whole(written: Any) -> Any:
    """pydantic takes true for 1; a person who wrote `port: true` meant something else."""
    if isinstance(written, bool):
        raise PydanticCustomError("wrong_type", "should be a whole number, but is true or false")
    return written


def _network(written: Any) -> IPv4Network | IPv6Network:
    try:
        return ip_network(written if isinstance(written, str) else "")
    except ValueError as error:
        raise ValueError("a network is an address with its length, like 10.1.0.0/16 or fd00::/8") from error


def _digest(written: SecretStr) -> SecretStr:
    if not re.fullmatch(r"sha256:[0-9a-f]{64}", written.get_secret_value()):
        raise ValueError("a hash is sha256: and 64 hexadecimal digits, as modgate keys create prints it")
    return written


def _public_url(written: str) -> str:
    if not re.fullmatch(r"https://[^\s/?#@]+(/[^\s?#]*)?", written):
        raise ValueError("a public_url is https://host[:port][/path], without user, query or fragment")
    return written.rstrip("/")


def _redis(written: SecretStr) -> SecretStr:
    """The form alone, and no word of what was written: there is a password in it."""
    sign_in, place = r"([^\s/?#@]*@)?", r"[^\s/?#@]+"
    forms = (rf"rediss?://{sign_in}{place}(/\d{{0,4}})?", rf"unix://{sign_in}/{place}(/{place})*")
    if not any(re.fullmatch(form, written.get_secret_value()) for form in forms):
        raise ValueError("a Redis is redis[s]://[[user]:password@]host[:port][/number], or unix:// and a path")
    return written


def _not_available(written: Any) -> Any:
    if written is not None and written != []:
        raise PydanticCustomError("not_available", "is not available in this version")
    return written


Name = Annotated[str, Field(min_length=1, max_length=128)]
Whole = Annotated[int, BeforeValidator(_whole)]
Money = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Port = Annotated[Whole, Field(ge=1, le=65_535)]
Network = Annotated[IPv4Network | IPv6Network, BeforeValidator(_network)]
PublicUrl = Annotated[str, AfterValidator(_public_url)]
RedisUrl = Annotated[SecretStr, AfterValidator(_redis)]
Later = Annotated[None, BeforeValidator(_not_available)]


class Settings(BaseModel):
    """Closed and unchanging, as every part of the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ServerSettings(Settings):
    """Where to listen. Anything but a loopback host asks for `auth`. Port 0 takes any that is free.

    `public_url` is where vendors reach this gateway: those that take pictures by address only fetch them there.
    `drills` allows an admin to make a provider fail on purpose.
    """

    host: Name = "127.0.0.1"
    port: Annotated[Whole, Field(ge=0, le=65_535)] = 8080
    public_url: PublicUrl | None = None
    drills: bool = False


class KeySettings(Settings):
    """One caller. The key itself, or its hash as `modgate keys create` prints it.

    More than `rate_limit` is answered 429; so is everything once `daily_spend` is spent, by the providers'
    `price_per_1k` and within a day of UTC. What has `priority: batch` gets a quarter of `limits.concurrency`, and
    nothing while the rest is busy.
    """

    name: Annotated[Name, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    key: SecretStr | None = Field(default=None, min_length=1)
    hash: Annotated[SecretStr, AfterValidator(_digest)] | None = None
    tenant: Name = "default"
    roles: tuple[KeyRole, ...] = Field(default=("submit",), min_length=1)
    rate_limit: Rate | None = None
    daily_spend: Money | None = None
    priority: Priority = "live"

    @model_validator(mode="after")
    def _one_of_both(self) -> KeySettings:
        if (self.key is None) == (self.hash is None):
            raise ValueError("a key has exactly one of key and hash")
        return self


class AuthSettings(Settings):
    """Who may call. An empty list of keys still asks for one: then only those in the database open."""

    keys: tuple[KeySettings, ...] = ()


class StorageSettings(Settings):
    """Where decisions and media are kept. `redis` is what replicas share of limits, answers and breakers."""

    dir: Located = Field(default=Path("var"), validate_default=True)
    database: Later = None
    objects: Later = None
    redis: RedisUrl | None = None


class FetchSettings(Settings):
    """What image addresses and webhooks may reach beyond the public internet's ports 80 and 443."""

    allow_networks: tuple[Network, ...] = ()
    allow_hosts: tuple[Name, ...] = ()
    allow_ports: tuple[Port, ...] = ()


class LimitSettings(Settings):
    """What one submission may bring, and how many may be under way.

    `wait` is how long one may take to come in and be made ready, its body and pictures included: after that nobody is
    asked about it, since its caller hardly waits any more. `held_bytes` is how much of bodies a process holds at once,
    each until its pictures are decoded; what comes beyond waits for its turn, and a larger body comes in alone. Left
    out, it is three times `image_bytes`.
    """

    image_bytes: Size = 10_000_000
    text_chars: Annotated[Whole, Field(ge=1)] = 50_000
    images: Annotated[Whole, Field(ge=1)] = 16
    concurrency: Annotated[Whole, Field(ge=1)] = 256
    wait: Duration = 10.0
    body_bytes: Size = 64_000_000
    held_bytes: Size | None = None

    @property
    def held(self) -> int:
        return self.held_bytes or 3 * self.image_bytes


class CacheSettings(Settings):
    """Whether what providers said is remembered, for how long, and in how much memory a process."""

    enabled: bool = True
    ttl: Duration = 600.0
    size: Size = 8_000_000


class CanarySettings(Settings):
    """Whether every provider is asked, `every` so often, what it has to know (`modgate doctor` asks in any case).

    Off unless switched on: a round is up to three calls to each provider, and they are paid for.
    """

    enabled: bool = False
    every: Duration = 900.0


class DebtSettings(Settings):
    """Decisions made with less than was asked for are looked at again once the vendors are back.

    Not before `after` to twice that time. Until then their content is kept: for so long, so many, and so many bytes of
    them. `most: 0` keeps none.
    """

    after: Duration = 5.0
    keep: Duration = 86_400.0
    most: Annotated[Whole, Field(ge=0)] = 10_000
    bytes: Size = 500_000_000


class NearSettings(Settings):
    """Whether a picture nearly the same as another may have its answers, and how many of 256 bits of PDQ may differ.

    For `image` only, and off unless switched on: a small change that matters may be as near.
    """

    near_duplicates: bool = False
    distance: Annotated[Whole, Field(ge=0, le=31)] = 8


class LegSettings(Settings):
    """Whom a route asks about one modality. `need` is how many must answer, `deadline` seconds for all of it.

    `split` is instead of `ask`: each provider with its weight. `hedge_after` is for strategy hedge, left out the
    provider's usual p95. `shadow` providers are asked and recorded, never waited for, never counted.
    """

    ask: tuple[Name, ...] = Field(min_length=1)
    strategy: Strategy = "all"
    fallback: tuple[Name, ...] = ()
    need: Annotated[Whole, Field(ge=1)] = 1
    deadline: Duration = 5.0
    shadow: tuple[Name, ...] = ()
    hedge_after: Duration | None = None
    split: dict[Name, Annotated[float, Field(gt=0)]] | None = Field(default=None, min_length=1)
    cache: NearSettings = NearSettings()

    @model_validator(mode="before")
    @classmethod
    def _split_says_it_all(cls, written: Any) -> Any:
        """`split: {a: 90, b: 10}`, or `strategy: {split: {a: 90, b: 10}}`, is the strategy and whom to ask at once."""
        if not isinstance(written, dict):
            return written
        strategy = written.get("strategy")
        if isinstance(strategy, dict) and set(strategy) == {"split"} and "split" not in written:
            written = {**written, **strategy}
            del written["strategy"]
        if isinstance(written.get("split"), dict):
            written = {"strategy": "split", "ask": list(written["split"]), **written}
        return written


class RouteSettings(Settings):
    """One route. A modality it does not name is asked of the route `default`."""

    text: LegSettings | None = None
    image: LegSettings | None = None

    def leg(self, modality: Modality) -> LegSettings | None:
        """Whom this route itself names for the modality."""
        return self.text if modality is Modality.TEXT else self.image


class PoliciesSettings(Settings):
    """The folder of policies, and the one used where a caller names none."""

    dir: Located = Field(default=Path("policies"), validate_default=True)
    default: Name = "social"


class FileSettings(Settings):
    """The file as a whole. `providers` stay raw: each is read with its adapter's own Settings."""

    server: ServerSettings
    auth: AuthSettings | None = None
    storage: StorageSettings
    fetch: FetchSettings
    limits: LimitSettings
    cache: CacheSettings
    canaries: CanarySettings
    debt: DebtSettings
    providers: Mapping[str, Any]
    routes: Mapping[str, RouteSettings]
    policies: PoliciesSettings

    @model_validator(mode="before")
    @classmethod
    def _empty_sections(cls, written: Mapping[str, Any]) -> Mapping[str, Any]:
        """A section left out, or with every line commented out, is an empty one. `auth` is not: that opens the door."""
        sections = [name for name in cls.model_fields if name != "auth"]
        return {**written, **{name: {} for name in sections if written.get(name) is None}}
