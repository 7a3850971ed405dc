"""What Redis is asked, whoever carries it there. The client itself (line.py) is loaded where there is a Redis only."""

from __future__ import annotations

from typing import Any, Literal, Protocol

from gateway.errors import GatewayError

Purpose = Literal["cache", "rate", "spend", "hint"]
Command = tuple[str | bytes | int | float, ...]


class NoAnswer(GatewayError):
    """Redis said nothing that is of use. `why`: lost · slow · full · refused, the last being an error it answered."""

    def __init__(self, why: str):
        super().__init__(why)
        self.why = why


class Asked(Protocol):
    """A line to Redis."""

    async def ask(self, purpose: Purpose, *command: str | bytes | int | float) -> Any:
        """What it answers, soon. Raises NoAnswer."""

    def tell(self, purpose: Purpose, *command: str | bytes | int | float) -> None:
        """The same without waiting. What cannot be told is not."""

    def missed(self, purpose: Purpose, why: str) -> None:
        """Something was done without Redis."""
