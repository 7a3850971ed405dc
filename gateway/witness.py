"""Who is told of everything that happens, for metrics and alarms. This one listens and does nothing."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.dispatch.breaker import Circuit
from gateway.domain import Action, Answer, Modality
from gateway.record import Record, Revision


class Witness:
    """Override what you want to hear of. Called on the event loop: be quick."""

    def decided(self, record: Record) -> None:
        """A decision was recorded."""

    def came_late(self, record: Record, late: Sequence[Answer], revision: Revision | None) -> None:
        """Answers came after a decision; with a revision where they made it stricter."""

    def circuit_changed(self, provider: str, operation: Modality, circuit: Circuit) -> None:
        """A breaker opened or closed."""

    def probed(self, provider: str, probe: str, well: bool) -> None:
        """A provider was asked what it has to know (see canaries); `well` if it does."""

    def owing(self, count: int, oldest: float | None) -> None:
        """So many second looks are owed, the oldest since then, in seconds since 1970."""

    def paid(self, record: Record, was: Action, now: Action) -> None:
        """A decision got the second look it was owed."""

    def debt_lost(self, reason: str, many: int = 1) -> None:
        """Second looks that will not be had: expired, full, given_up or unpayable."""

    def drilled(self, provider: str, scenario: str, on: bool) -> None:
        """A provider begins, or stops, to fail on purpose."""

    def redis_changed(self, well: bool, why: str) -> None:
        """What replicas share is there again, or gone; `why` is the kind of error."""

    def redis_missed(self, purpose: str, why: str) -> None:
        """Something was done without it: cache, rate, spend or hint; lost, slow, full, refused or broken."""

    def canary_halted(self, policy: str) -> None:
        """A version of this policy that decided for some goes on no more: it went too far."""

    def decoder_lost(self, cause: str) -> None:
        """An image decoder had to be killed, for one of a few causes."""
