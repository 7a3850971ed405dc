"""What a route is: one row that the router, the role check and the API description are all made from."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from pydantic import BaseModel

from gateway.errors import RequestError
from gateway.intake import Intake
from gateway.inverse import Inverse
from gateway.service import Service
from gateway.web.admission import Admission
from gateway.web.allowance import Allowances
from gateway.web.auth import Caller, Keyring, Role
from gateway.web.metrics import Metrics
from gateway.web.problems import ProblemOut, as_problem
from gateway.web.room import Room, Share


@dataclass
class Desk:
    """What every request shares. `draining` once SIGTERM came: work under way ends, nothing new is taken up.

    `spoken` are the words of the dialects that answer by a vendor's table.
    """

    service: Service
    keyring: Keyring
    metrics: Metrics
    spoken: Mapping[str, Inverse]
    admission: Admission
    allowances: Allowances
    room: Room
    draining: bool = False


DESK = web.AppKey("desk", Desk)


@dataclass(slots=True)
class Visit:
    """One request on its way. `caller` is anonymous where no keys are asked; `note` goes into the log line.

    After `until`, on the clock of time.perf_counter, nobody is asked about it any more. `share` is the room that its
    body takes, given back once no more than its content is held.
    """

    request: web.Request
    desk: Desk
    caller: Caller
    id: str
    until: float
    share: Share
    timings: dict[str, float] = field(default_factory=dict)  # milliseconds, for Server-Timing
    note: dict[str, Any] = field(default_factory=dict)

    @property
    def intake(self) -> Intake:
        """The way in, for as long as the caller waits."""
        return self.desk.service.intake.wanted(self.until)


Handler = Callable[[Visit], Awaitable[web.StreamResponse]]
Problem = Callable[[RequestError, str], web.Response]


@dataclass(frozen=True)
class Endpoint:
    """`roles` empty means open to all; else one of them, or admin, is needed.

    `signed` names the service that callers sign their requests for, instead of sending a key; it goes with `admitted`.
    `reply` is the shape of what has a status of `replied`; `headers` and `query` are what may be sent beside the body,
    and what for. `problem` tells its errors, of the shape `refusal`.
    """

    method: str
    path: str
    handle: Handler
    summary: str
    roles: frozenset[Role] = frozenset()
    body: type[BaseModel] | None = None
    multipart: Mapping[str, str] = field(default_factory=dict)  # field → what it holds
    example: Mapping[str, Any] | None = None
    reply: type[BaseModel] | None = None
    reply_type: str = "application/json"
    replied: tuple[int, ...] = (200,)
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    answers: Mapping[int, str] = field(default_factory=lambda: {200: "The answer"})
    problem: Problem = as_problem
    refusal: type[BaseModel] = ProblemOut
    admitted: bool = False  # counts against limits.concurrency
    signed: str = ""

    @property
    def refusal_type(self) -> str:
        """The media type of its errors: a dialect tells them as it tells the rest."""
        return "application/problem+json" if self.refusal is ProblemOut else self.reply_type
