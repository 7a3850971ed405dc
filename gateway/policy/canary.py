"""A version that decides for some subjects first, and stops by itself where it goes too far.

The same subject is always on the same side, here and at every replica. What it is judged by are the decisions of this
process, in their order: no clock and no chance is in it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from hashlib import blake2b

import structlog

from gateway.domain import Action
from gateway.policy.policy import Policy

log = structlog.get_logger("modgate.policies")

_SIDES = 10_000  # into which subjects fall: canary_percent counts in hundredths


class Canary:
    """`halted` says why it decides no more; empty while it does. `told` hears of that once."""

    def __init__(self, policy: Policy, told: Callable[[Canary], None]):
        self.policy = policy
        self.halted = ""
        self._told = told
        self._share = round(policy.rollout.canary_percent * _SIDES / 100)
        self._band = policy.rollout.halt
        self._last: deque[tuple[bool, bool]] = deque(maxlen=self._band.after if self._band else 0)
        self._flips = self._blocks = 0

    def takes(self, subject: str) -> bool:
        """Whether it decides for this one. Another version falls to others, a larger share to these and more."""
        salted = f"{self.policy.name}@{self.policy.version}\0{subject}".encode("utf-8", "surrogatepass")
        return int.from_bytes(blake2b(salted, digest_size=8).digest()) % _SIDES < self._share

    def count(self, new: Action, in_force: Action) -> None:
        """One decision, as it is under both. Both are counted whoever decided: what goes wrong is seen the sooner."""
        if self._band is None or self.halted:
            return
        if len(self._last) == self._band.after:
            flipped, blocked = self._last[0]
            self._flips -= flipped
            self._blocks -= blocked
        self._last.append((new is not in_force, new is Action.BLOCK))
        self._flips += new is not in_force
        self._blocks += new is Action.BLOCK
        if len(self._last) == self._band.after and (why := self._outside()):
            self.halt(why)

    def halt(self, why: str) -> None:
        """From now on the version in force decides for all."""
        if not self.halted:
            self.halted = why
            policy = self.policy
            log.error("canary_halted", policy=policy.name, version=policy.version, hash=policy.hash, why=why)
            self._told(self)

    def _outside(self) -> str:
        """Which rate is out of its band, in words; empty where none is."""
        band, many = self._band, len(self._last)
        if band is not None and band.flips is not None and self._flips > band.flips * many:
            return f"flips: {self._flips} of the last {many} decisions came out otherwise, {band.flips:g} is the most"
        if band is not None and band.block_rate is not None:
            least, most = band.block_rate
            if not least * many <= self._blocks <= most * many:
                return f"block_rate: {self._blocks} of the last {many} were blocked, {least:g} to {most:g} is expected"
        return ""
