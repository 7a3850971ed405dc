"""When to stop asking a provider that fails, and when to try it again.

One breaker for each provider and operation (a vendor's image path may be dead while its text path is well). It opens on
a run of failures, or on a share of bad calls among enough of them: calls the transport lost, answers that were no use,
and calls that were slow are counted apart, so its reason says what is wrong. Half-open it lets exactly so many probes
through. Whoever gives up on waiting counts for nothing, and so do throttling and a refusal of this content. A refused
key opens it for long: no waiting mends that.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from msgspec import Struct

from gateway.adapter import CircuitSettings
from gateway.errors import VendorError, VendorHeld

_SLOTS = 10  # the window is this many slots, of a tenth of it each
_DENIED_FOR = 300.0  # seconds after a refused key
_REFUSED = "our key, credit or region is refused"
_HEARD = "another replica's breaker has opened"


class Harm(StrEnum):
    """What a call did to our trust in a provider."""

    NONE = "none"
    TRANSPORT = "transport"  # no answer: timeout, refused, reset, DNS, TLS
    ANSWER = "answer"  # one that is no use: 5xx, another shape
    DENIED = "denied"  # our key, credit or region


class State(StrEnum):
    """closed: it is asked. open: it is not. half_open: a few are, to see."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Circuit(Struct, frozen=True):
    """How a breaker stands. `next_probe_in` is seconds, None while it is closed.

    `heard`: for what another replica said, and not for what was found here.
    """

    state: State
    reason: str = ""
    next_probe_in: float | None = None
    heard: bool = False


@dataclass(slots=True)
class _Slot:
    """Calls that ended within one tenth of the window."""

    number: int
    calls: int = 0
    transport: int = 0
    answers: int = 0
    slow: int = 0


class Breaker:
    """`admit` before a call, then exactly one of `ended` and `abandoned`. Times are seconds on one clock.

    A probe goes by the number of the opening that it is of: one that ends after a later opening is no probe of that.
    """

    def __init__(
        self, settings: CircuitSettings, jitter: Callable[[], float], on_change: Callable[[Circuit], None] | None = None
    ):
        """`jitter` gives a number in 0..1; `on_change` is told of every opening and closing."""
        self._settings = settings
        self._jitter = jitter
        self._on_change = on_change
        self._slots: deque[_Slot] = deque()
        self._run = 0  # failures since the last success
        self._number = 0  # of the last opening
        self._grown = 0  # openings without a closing between them
        self._open_until: float | None = None
        self._reason = ""
        self._probes = 0  # under way
        self._passed = 0  # probes that did well since it is half-open
        self._sure_until = 0.0  # until then we know better than other replicas

    def admit(self, now: float) -> int:
        """The number by which this call is a probe, 0 if it is none. Raises as `check` does."""
        if self._open_until is None:
            return 0
        self.check(now)
        self._probes += 1
        return self._number

    def check(self, now: float) -> None:
        """Raises VendorHeld where the provider is not asked now."""
        if self._open_until is None:
            return
        if now < self._open_until:
            raise VendorHeld(f"not asked: {self._reason}", retry_after=self._open_until - now)
        if self._probes + self._passed >= self._settings.probes:
            raise VendorHeld(f"not asked while a probe is under way: {self._reason}")

    def ended(self, now: float, took: float, probe: int, harm: Harm) -> None:
        """A call that we saw the end of, after `took` seconds."""
        if not self._settings.enabled:
            return
        if probe and probe == self._number:
            self._probes -= 1
            self._judge_probe(now, took, harm)
        elif harm is Harm.DENIED:
            if self._reason != _REFUSED:  # else this is one more that was under way when the first was refused
                self._open(now, _REFUSED, _DENIED_FOR)
        elif self._open_until is None:
            self._count(now, took, harm)

    def abandoned(self, probe: int) -> None:
        """It ended in a way that says nothing about the provider: the caller went away."""
        if probe and probe == self._number:
            self._probes -= 1

    def doubt(self, now: float) -> None:
        """Another replica's breaker has opened: where ours is closed, a probe decides.

        Where it does well, nobody is believed for as long as a breaker stays open at most: a replica that is itself
        cut off says the same again and again.
        """
        if self._settings.enabled and self._open_until is None and now >= self._sure_until:
            self._open(now, _HEARD, 0.0)

    def hope(self, now: float) -> None:
        """Another replica's breaker has closed: a probe may be made at once."""
        if self._open_until is not None:
            self._open_until = min(self._open_until, now)

    def circuit(self, now: float) -> Circuit:
        """How it stands now."""
        if self._open_until is None:
            return Circuit(State.CLOSED)
        heard = self._reason == _HEARD
        if now < self._open_until:
            return Circuit(State.OPEN, self._reason, self._open_until - now, heard)
        return Circuit(State.HALF_OPEN, self._reason, 0.0, heard)

    def _judge_probe(self, now: float, took: float, harm: Harm) -> None:
        if harm is Harm.DENIED:
            self._open(now, _REFUSED, _DENIED_FOR)
        elif harm is not Harm.NONE:
            self._open(now, f"its probe failed: {harm.value}", None)
        elif self._is_slow(took):
            self._open(now, "its probe was slow", None)
        else:
            self._passed += 1
            if self._passed >= self._settings.probes:
                self._close(now)

    def _count(self, now: float, took: float, harm: Harm) -> None:
        slot = self._slot(now)
        slot.calls += 1
        if harm is Harm.NONE:
            slot.slow += self._is_slow(took)
            self._run = 0
            if not slot.slow:
                return
        else:
            slot.transport += harm is Harm.TRANSPORT
            slot.answers += harm is Harm.ANSWER
            self._run += 1
        if reason := self._verdict():
            self._open(now, reason, None)

    def _is_slow(self, took: float) -> bool:
        return self._settings.slow_after is not None and took > self._settings.slow_after

    def _slot(self, now: float) -> _Slot:
        number = int(now / self._settings.window * _SLOTS)
        while self._slots and self._slots[0].number <= number - _SLOTS:
            self._slots.popleft()
        if not self._slots or self._slots[-1].number != number:
            self._slots.append(_Slot(number))
        return self._slots[-1]

    def _verdict(self) -> str:
        """Why it has to open, or nothing."""
        settings = self._settings
        if self._run >= settings.failures:
            return f"{self._run} failures in a row"
        calls = sum(slot.calls for slot in self._slots)
        if calls < settings.min_calls:
            return ""
        shares = (
            ("without an answer", sum(slot.transport for slot in self._slots), settings.failure_rate),
            ("with an answer of no use", sum(slot.answers for slot in self._slots), settings.failure_rate),
            ("slow", sum(slot.slow for slot in self._slots), settings.slow_rate),
        )
        return next((f"{bad} of {calls} calls {what}" for what, bad, rate in shares if bad >= rate * calls), "")

    def _open(self, now: float, reason: str, seconds: float | None) -> None:
        settings = self._settings
        if seconds is None:
            seconds = min(settings.open_for * 2**self._grown, settings.open_most)
            self._grown = min(self._grown + 1, 16)
        self._open_until = now + seconds * (1 - 0.2 * self._jitter())
        self._number += 1
        self._reason = reason
        self._probes = 0
        self._passed = 0
        self._slots.clear()
        self._run = 0
        if self._on_change:
            self._on_change(self.circuit(now))

    def _close(self, now: float) -> None:
        heard = self._reason == _HEARD
        if heard:
            self._sure_until = now + self._settings.open_most
        self._open_until = None
        self._grown = 0
        self._reason = ""
        if self._on_change:
            self._on_change(Circuit(State.CLOSED, heard=heard))


def harm_of(error: VendorError) -> Harm | None:
    """What a failure did to our trust. None: throttling and a refusal of this content say nothing of the provider."""
    return _HARM.get(error.status, Harm.TRANSPORT if error.http is None else Harm.ANSWER)


_HARM = {
    "throttled": None,
    "rejected": None,
    "denied": Harm.DENIED,
    "timeout": Harm.TRANSPORT,
    "drift": Harm.ANSWER,
}
