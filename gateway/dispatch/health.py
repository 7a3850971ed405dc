"""What a provider has done lately, and so whether it is asked now: breakers, parking, rate, budget, pace."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

from gateway.adapter import VendorSettings
from gateway.dispatch.breaker import Breaker, Circuit, Harm, harm_of
from gateway.dispatch.budget import Budget
from gateway.dispatch.limits import RateLimit
from gateway.dispatch.pace import Pace
from gateway.domain import Modality
from gateway.errors import VendorError, VendorThrottled, VendorTimeout, VendorUnavailable

LONGEST_PARKING = 3600.0  # seconds; what a vendor that counts our calls asks for beyond that is a mistake of its
_SLOW = 0.8  # of the timeout


class Health:
    """One for each provider. The operation of a call is the image's where there is one, else the text's."""

    def __init__(
        self,
        settings: VendorSettings,
        jitter: Callable[[], float] = random.random,
        on_change: Callable[[Modality, Circuit], None] = lambda operation, circuit: None,
    ):
        circuit = settings.circuit
        if circuit.slow_after is None:
            circuit = circuit.model_copy(update={"slow_after": _SLOW * settings.timeout})
        self.breakers = {
            operation: Breaker(circuit, jitter, lambda circuit, operation=operation: on_change(operation, circuit))  # type: ignore[misc]
            for operation in Modality
        }
        self.paces = {operation: Pace() for operation in Modality}
        self.budget = Budget()
        self.parked_until = 0.0
        self._open_most = circuit.open_most
        self.outcomes: Counter[str] = Counter()  # attempts by how they ended
        self.calls = 0  # requests sent: a picture with several views, or asked about twice, is several
        self._limit = RateLimit(settings.rate_limit) if settings.rate_limit else None

    def check(self, operation: Modality, now: float) -> None:
        """Raises VendorThrottled and VendorHeld where the provider is not asked now."""
        self._check_parking(now)
        self.breakers[operation].check(now)

    def admit(self, operation: Modality, now: float) -> int:
        """The number by which this call is a probe, 0 if none. Raises as `check`, and where the rate is used up."""
        self._check_parking(now)
        probe = self.breakers[operation].admit(now)
        if self._limit and (wait := self._limit.take(now)):
            self.breakers[operation].abandoned(probe)
            raise VendorThrottled("our own rate_limit for this provider is used up", retry_after=wait)
        return probe

    def answered(self, operation: Modality, now: float, took: float, probe: int, calls: int) -> None:
        """A usable answer, after so many seconds and requests."""
        self.outcomes["ok"] += 1
        self.calls += calls
        self.breakers[operation].ended(now, took, probe, Harm.NONE)
        self.paces[operation].answered(took)

    def failed(
        self, operation: Modality, now: float, took: float, probe: int, error: VendorError, *, hurried: bool = False
    ) -> None:
        """No usable answer. A vendor that asks for patience is left alone; `hurried`: it had little time."""
        self.outcomes[error.status] += 1
        self.calls += 1
        harm = harm_of(error)
        ours = isinstance(error, VendorTimeout) and error.http is None and (hurried or self._hurried(operation, took))
        if harm is None or ours:
            self.breakers[operation].abandoned(probe)
        else:
            self.breakers[operation].ended(now, took, probe, harm)
        if error.retry_after and (longest := self._longest_parking(error)):
            self.parked_until = max(self.parked_until, now + min(error.retry_after, longest))

    def abandoned(self, operation: Modality, probe: int) -> None:
        """Nobody waited for the answer any more."""
        self.breakers[operation].abandoned(probe)

    def _longest_parking(self, error: VendorError) -> float:
        """How long it is believed, in seconds. Who counts our calls knows when we may call again. A 503 is the guess of
        one node, perhaps the only one that is ill: it holds a provider no longer than its breaker would.
        """
        if isinstance(error, VendorThrottled):
            return LONGEST_PARKING
        return self._open_most if isinstance(error, VendorUnavailable) else 0.0

    def _check_parking(self, now: float) -> None:
        if now < self.parked_until:
            raise VendorThrottled("not asked: it asked us to wait", retry_after=self.parked_until - now)

    def _hurried(self, operation: Modality, took: float) -> bool:
        """Whether it had less time than half of its answers take: then it is our deadline that was short."""
        usual = self.paces[operation].quantile(0.5)
        return usual is not None and took < usual
