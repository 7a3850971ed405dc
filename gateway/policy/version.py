"""A policy as it was taken up from its folder: its role, what its tests came to, and what it said."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gateway.errors import ConfigError
from gateway.policy.policy import Policy
from gateway.policy.reading import Checked
from gateway.policy.standing import CANARY, IN_FORCE, SHADOW

UNTRIED = "not tried"

Trial = Callable[[Policy], str]  # tries a policy's own tests; says what they came to, and raises TestsFailed


class TestsFailed(ConfigError):
    """A policy does not do what its own tests expect."""

    __test__ = False  # pytest would take it for a test


@dataclass(frozen=True)
class Version:
    """`tests` is what its tests came to, `source` its file's text, `lists` those of its lists by path beside it."""

    policy: Policy
    tests: str
    source: str
    lists: Mapping[str, str]

    @property
    def role(self) -> str:
        rollout = self.policy.rollout
        return SHADOW if rollout.shadow else CANARY if rollout.canary else IN_FORCE


def lists_of(checked: Checked) -> dict[str, str]:
    """The words of lists that stand in files, as they would stand there."""
    rows = checked.said.lists.items()
    return {row.file: "".join(f"{word}\n" for word in checked.lists[name]) for name, row in rows if row.file}
