"""What every simulated vendor is told in: a request as it hears it, an answer as it gives it, and its errors by name.

A vendor answers without waiting and without a socket; the server keeps the time, and sends. So its answer can still be
changed by a fault before anybody sees it.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from hashlib import sha256
from typing import Annotated, Any, ClassVar, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field

from adapters.simulator.answer import Answer
from adapters.simulator.images import Picture
from adapters.simulator.truth import Bad, Oracle, Truth
from adapters.simulator.words import Words
from gateway.units import Rate

_KINDS = {
    401: "refused_key",
    402: "quota",
    403: "forbidden",
    404: "not_found",
    413: "too_large",
    429: "throttled",
    503: "overloaded",
    529: "overloaded",
}

REFUSED_KEY = "refused-key"  # the one key that no vendor takes, whatever else is configured


@dataclass(frozen=True)
class Heard:
    """One request. `path` is the vendor's own, `written` the path as it stands in the request, still encoded.

    `now` is the vendor's clock, UTC. `number` counts this vendor's requests from 1. `shift` is what a fault adds to
    every score. `seen` gathers what the request was about, for the journal.
    """

    method: str
    path: str
    written: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    now: datetime
    number: int = 1
    shift: float = 0.0
    spare: int | None = None  # requests left in this vendor's limit, -1 over it; None: no limit
    whole: bool = True  # False: the body was too large to be read
    fetched: Mapping[str, Picture | None] = field(default_factory=dict)  # what is behind the addresses that are reached
    seen: list[str] = field(default_factory=list)

    @cached_property
    def json(self) -> Any:
        """The body; ValueError where it is not JSON."""
        return orjson.loads(self.body)

    @cached_property
    def digest(self) -> bytes:
        """The same for the same request: what ids and small numbers are made of, so that runs replay."""
        return sha256(b"%d|%s|" % (self.number, self.path.encode()) + self.body).digest()

    def token(self, length: int = 32) -> str:
        """An id in hex."""
        return self.digest.hex()[:length]

    @property
    def uuid(self) -> str:
        """An id in the form of a UUID."""
        token = self.token()
        return "-".join((token[:8], token[8:12], "4" + token[13:16], "a" + token[17:20], token[20:32]))

    @property
    def bearer(self) -> str:
        """The key of `Authorization: Bearer`, or nothing."""
        scheme, _, key = self.headers.get("Authorization", "").partition(" ")
        return key.strip() if scheme.lower() == "bearer" else ""


@dataclass(frozen=True)
class Trouble:
    """One of a vendor's errors: its status, its words, and what else stands in it. `retry_after` is in seconds."""

    status: int
    message: str
    type: str = ""
    retry_after: float | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


class Refusal(Exception):
    """The vendor says no, by the name its table of troubles has for it."""

    def __init__(self, code: str, message: str = "", /, **extra: Any):
        super().__init__(code)
        self.code = code
        self.message = message
        self.extra = extra


class Options(BaseModel):
    """What every vendor takes under `vendors:` in a script.

    `keys`: those it accepts; left out, any but refused-key. `limit`: requests it answers, as 5/s, before it throttles;
    `documented` is what its pages grant a new account, and nothing where they do not say. Left out, no limit.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    keys: tuple[Annotated[str, Field(min_length=1)], ...] | None = None
    limit: Rate | Literal["documented"] | None = None


class Vendor(ABC):
    """One vendor's wire. Subclasses answer; this class knows the words of its table, its keys and its errors.

    `troubles` are its errors by its own code. `kinds` says which of them it gives for the things that happen to all:
    refused_key, forbidden, quota, throttled, rejected, not_found, too_large, server_error, overloaded.
    """

    name: ClassVar[str]
    routes: ClassVar[Mapping[str, str]]  # pattern of a path → the methods it answers there
    at_root: ClassVar[bool] = True
    documented: ClassVar[float | None] = None  # requests a second of a new account
    Settings: ClassVar[type[Options]] = Options
    options: Options
    troubles: ClassVar[Mapping[str, Trouble]]
    kinds: ClassVar[Mapping[str, str]]

    def __init__(self, options: Options, oracle: Oracle):
        self.options = options
        self.oracle = oracle
        self.words = Words(self.name, oracle)

    @abstractmethod
    def answer(self, heard: Heard) -> Answer:
        """What this vendor says to that. Raises Refusal, or Bad where it cannot know what is true."""

    @abstractmethod
    def apology(self, code: str, trouble: Trouble, heard: Heard) -> Answer:
        """An error in the vendor's own shape, with the headers it puts on one."""

    def methods(self, path: str) -> list[str]:
        """What can be asked at this path; nothing where it is no address of this vendor."""
        return next((methods.split() for route, methods in self.routes.items() if re.fullmatch(route, path)), [])

    def allowance(self, heard: Heard) -> tuple[str, float | None]:
        """Which of its limits a request counts towards, and how many a second that one allows; None: any number."""
        limit = self.options.limit
        return "", self.documented if limit == "documented" else limit

    def kind_of(self, status: int) -> str:
        """The kind of trouble that comes with an HTTP status."""
        return _KINDS.get(status, "server_error" if status >= 500 else "rejected")

    def respond(self, heard: Heard) -> Answer:
        """An answer, whatever happens: its own, its own refusal, or its words for a script that cannot be followed."""
        try:
            return self.answer(heard)
        except Refusal as no:
            return self.refuse(no.code, heard, no.message, **no.extra)
        except Bad as mistake:
            return self.refuse(self.kinds["rejected"], heard, f"simulator: {mistake}")

    def refuse(self, code: str, heard: Heard, message: str = "", /, **extra: Any) -> Answer:
        """One of its errors, by its own code or by the kind of thing that happened."""
        code = self.kinds.get(code, code)
        known = self.troubles[code]
        trouble = Trouble(
            known.status, message or known.message, known.type, known.retry_after, {**known.extra, **extra}
        )
        answer = self.apology(code, trouble, heard)
        if trouble.retry_after is not None:
            answer.headers.setdefault("Retry-After", f"{trouble.retry_after:g}")
        return answer

    def takes(self, key: str) -> bool:
        """Whether this key opens the door."""
        return bool(key) and key != REFUSED_KEY and (self.options.keys is None or key in self.options.keys)

    def told(self, heard: Heard, text: str) -> Truth:
        """What is true of a text."""
        heard.seen.append(text)
        return self.oracle.of_text(text).shifted(heard.shift)

    def shown(self, heard: Heard, picture: Picture) -> Truth:
        """What is true of a picture."""
        heard.seen.append(f"sha256:{picture.digest}")
        return self.oracle.of_picture(picture).shifted(heard.shift)

    def pointed_to(self, heard: Heard, address: str) -> Truth | None:
        """What is true of the picture at an address; None where a vendor could not download it."""
        if address in heard.fetched:
            picture = heard.fetched[address]
            return self.shown(heard, picture) if picture else None
        heard.seen.append(address)
        truth = self.oracle.of_address(address)
        return truth.shifted(heard.shift) if truth else None
