"""Which policy of a folder is in force by which name, and which stand beside it.

A file with `rollout: {shadow: true}` or a `canary_percent` below 100 is a version beside the one of the same name in
another file. A shadow with a name of its own stands beside the default.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from gateway.errors import ConfigError
from gateway.policy.canary import Canary
from gateway.policy.policy import Policy
from gateway.policy.standing import Standing

_BESIDE = "a version beside the one in force has rollout: {shadow: true}, or a canary_percent"
_APART = "leave the version in force in its file, and put this one into another"


def placed(by_file: Mapping[Path, Policy], default: str, canary_of: Callable[[Policy], Canary]) -> dict[str, Standing]:
    """Policies by the name they give themselves, and by their file's where no other has it. Raises ConfigError.

    `canary_of` finds the state of a canary that goes on.
    """
    standings = _in_force(by_file)
    for file, policy in by_file.items():
        if policy.rollout.beside:
            name = _beside_whom(file, policy, standings, default)
            if name is not None:
                standings[name] = _joined(file, standings[name], policy, canary_of)
    named = dict(standings)
    for file, policy in by_file.items():
        if not policy.rollout.beside:
            named.setdefault(file.stem, standings[policy.name])
    return named


def _in_force(by_file: Mapping[Path, Policy]) -> dict[str, Standing]:
    found: dict[str, Standing] = {}
    for file, policy in by_file.items():
        if policy.rollout.beside:
            continue
        if policy.name in found:
            raise ConfigError(f"a second policy named '{policy.name}'", file=str(file), line=1, column=1, hint=_BESIDE)
        found[policy.name] = Standing(policy)
    return found


def _beside_whom(file: Path, policy: Policy, standings: Mapping[str, Standing], default: str) -> str | None:
    if policy.name in standings:
        return policy.name
    if policy.rollout.shadow:
        return default if default in standings else None
    detail = f"canary_percent leaves the rest to another version of '{policy.name}', and there is none here"
    raise ConfigError(detail, file=str(file), line=1, column=1, hint=_APART)


def _joined(file: Path, standing: Standing, policy: Policy, canary_of: Callable[[Policy], Canary]) -> Standing:
    if policy.rollout.shadow:
        return Standing(standing.policy, (*standing.shadows, policy), standing.canary)
    if standing.canary is not None:
        detail = f"a second canary beside '{policy.name}'; the first is in {standing.canary.policy.file.name}"
        raise ConfigError(detail, file=str(file), line=1, column=1, hint="one at a time; others can be shadows")
    return Standing(standing.policy, standing.shadows, canary_of(policy))
