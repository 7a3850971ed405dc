"""Breakers hear of each other: one that opens or closes at one replica is a reason to look at all the others.

A hint is never a verdict. Where one opens elsewhere, ours goes half-open: the next call is a probe, everybody else is
sent on to another provider until it has ended, and what it finds decides. So a vendor that is down costs each further
replica one call instead of a run of failures; and a replica that is itself cut off, or a stranger in this Redis, stops
nobody. Where one closes elsewhere, ours may probe at once instead of waiting for its time.

Hints are messages, and nothing is kept: who was not listening finds out alone, as without Redis.
"""

from __future__ import annotations

import asyncio
import math
import random
import secrets
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from redis.asyncio import Connection

from gateway.dispatch.breaker import Circuit, State
from gateway.dispatch.question import Provider
from gateway.domain import Modality
from gateway.replicas.line import FAULTS, Line

_AGAIN = (0.25, 1.0)  # seconds between two tries to listen


class _Hint(BaseModel):
    """A message. `version` is that of the provider: another address or account is another breaker."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)
    sender: str = Field(max_length=32)
    version: str = Field(max_length=64)
    operation: Literal["text", "image"]
    state: Literal["open", "closed"]


class Hints:
    """`changed` for each change of a breaker here; `listen` for ever, as a task. `versions` are by provider."""

    def __init__(self, line: Line, versions: Mapping[str, str]):
        self._line = line
        self._versions = versions
        self._me = secrets.token_hex(8)
        self._channel = f"modgate:1:{line.database}:circuits"  # messages know no databases
        self.listening = False

    def changed(self, name: str, operation: Modality, circuit: Circuit) -> None:
        """Tell the others what was found here, and nothing that was only heard."""
        if circuit.heard or circuit.state is State.HALF_OPEN:
            return
        state: Literal["open", "closed"] = "open" if circuit.state is State.OPEN else "closed"
        hint = _Hint(sender=self._me, version=self._versions[name], operation=operation.value, state=state)
        self._line.tell("hint", "PUBLISH", self._channel, hint.model_dump_json())

    async def listen(self, providers: Mapping[str, Provider]) -> None:
        """Pass on to the breakers of these providers what others say."""
        while True:
            connection = self._line.connection()
            try:
                await self._hear(connection, providers)
            except FAULTS:
                self._line.missed("hint", "lost")
            finally:
                self.listening = False
                await connection.disconnect(nowait=True)
            await asyncio.sleep(random.uniform(*_AGAIN))  # noqa: S311

    async def _hear(self, connection: Connection, providers: Mapping[str, Provider]) -> None:
        """Raises one of FAULTS, some time."""
        await connection.connect()  # type: ignore[no-untyped-call]
        await connection.send_command("SUBSCRIBE", self._channel)
        while True:
            kind, _, said = await connection.read_response(disable_decoding=True, timeout=math.inf)
            self.listening = True
            if kind == b"message":
                self._heed(said, providers)

    def _heed(self, said: Any, providers: Mapping[str, Provider]) -> None:
        try:
            hint = _Hint.model_validate_json(said)
        except ValidationError:
            self._line.missed("hint", "broken")
            return
        if hint.sender == self._me:
            return
        now = asyncio.get_running_loop().time()
        for name, provider in providers.items():
            if self._versions[name] == hint.version:
                breaker = provider.health.breakers[Modality(hint.operation)]
                (breaker.doubt if hint.state == "open" else breaker.hope)(now)
