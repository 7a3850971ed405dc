"""Who is told of everything that happens, for metrics and alarms. This one listens and does nothing."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.dispatch.breaker import Circuit
from gateway.domain import Answer, Modality
from gateway.record import Record, Revision


class Witness:
    """Override what you want to hear of. Called on the event loop: be quick."""

    def decided(self, record: Record) -> None:
        """A decision was recorded."""

    def came_late(self, record: Record, late: Sequence[Answer], revision: Revision | None) -> None:
        """Answers came after a decision; with a revision where they made it stricter."""

    def circuit_changed(self, provider: str, operation: Modality, circuit: Circuit) -> None:
        """A breaker opened or closed."""

    def decoder_lost(self, cause: str) -> None:
        """An image decoder had to be killed, for one of a few causes."""
