"""All policies of a folder, by name, kept up to date while the gateway runs.

A file that changes is read and checked off the event loop, then one reference is swapped: a request keeps the policy it
began with. A file that breaks, or goes away, changes nothing: the last good policy goes on, and the problem is told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import structlog

from gateway.errors import ConfigError, UnknownPolicy
from gateway.policy.making import load_policy
from gateway.policy.messages import Messages
from gateway.policy.policy import Policy
from gateway.suggest import did_you_mean
from gateway.taxonomy import Taxonomy

log = structlog.get_logger("modgate.policies")

LOOK_EVERY = 1.5  # seconds between looks at the folder

Stamp = tuple[int, ...]  # modification time in ns and size, of the file and of its lists


class PolicyBook:
    """Open with `load`; run `watch` as a task to follow the folder. `problems` is file name → what is wrong with it.

    `providers` are the names a policy may speak of; None where any may come.
    """

    def __init__(
        self,
        folder: Path,
        default: str,
        taxonomy: Taxonomy,
        messages: Messages,
        providers: frozenset[str] | None = None,
    ):
        self._folder = folder
        self._providers = providers
        self._taxonomy = taxonomy
        self._messages = messages
        self.default = default
        self._stamps: dict[Path, Stamp] = {}
        self._by_file: dict[Path, Policy] = {}
        self._by_name: Mapping[str, Policy] = {}
        self.problems: dict[str, str] = {}

    def load(self) -> None:
        """Read every policy. Raises the first ConfigError: a gateway does not start with a broken policy."""
        self._stamps = self._look()
        if not self._stamps:
            raise ConfigError("there is no policy here", file=str(self._folder), hint="put a <policy>.yaml in it")
        by_file = {file: self._read(file) for file in self._stamps}
        self._by_name = _named(by_file)
        self._by_file = by_file
        self._stamps = self._look()  # once more: now it is known which lists belong to them
        if self.default not in self._by_name:
            hint = did_you_mean(self.default, self._by_name)
            raise ConfigError(f"policies.default names '{self.default}', which is not in {self._folder}", hint=hint)

    def get(self, name: str | None) -> Policy:
        """A policy by its name or its file's; None is the default. Raises UnknownPolicy."""
        try:
            return self._by_name[name or self.default]
        except KeyError:
            hint = did_you_mean(str(name), self._by_name) or f"Policies are {', '.join(self.names)}."
            raise UnknownPolicy("unknown_policy", f"There is no policy '{name}'.", hint=hint, at="/policy") from None

    @property
    def names(self) -> list[str]:
        return sorted({policy.name for policy in self._by_name.values()})

    async def watch(self, told: Callable[[bool], None]) -> None:
        """Follow the folder for ever. `told` hears of each reload whether it worked."""
        while True:
            await asyncio.sleep(LOOK_EVERY)
            stamps = await asyncio.to_thread(self._look)
            changed = [file for file, stamp in stamps.items() if self._stamps.get(file) != stamp]
            for file in sorted(self._stamps.keys() - stamps.keys()):
                self._stamps.pop(file)
                self._complain(file, f"{file}: gone; its last policy goes on")
                told(False)
            for file in changed:
                self._stamps[file] = stamps[file]
                told(await self._renew(file))

    async def _renew(self, file: Path) -> bool:
        try:
            policy = await asyncio.to_thread(self._read, file)
            by_file = {**self._by_file, file: policy}
            by_name = _named(by_file)
            if self.default not in by_name:
                raise ConfigError(f"{file}: no policy is named '{self.default}' any more, which is the default")
        except ConfigError as error:
            self._complain(file, str(error))
            return False
        self._by_file, self._by_name = by_file, by_name
        self._stamps[file] = (*self._stamps[file][:2], *self._stamps_of_lists(file))
        self.problems.pop(file.name, None)
        log.info("policy_loaded", policy=policy.name, version=policy.version, hash=policy.hash)
        return True

    def _complain(self, file: Path, problem: str) -> None:
        self.problems[file.name] = problem
        log.error("policy_reload_failed", file=file.name, problem=problem)

    def _look(self) -> dict[Path, Stamp]:
        found = {}
        for file in sorted(self._folder.glob("*.yaml")):
            if not file.name.endswith(".test.yaml") and file.is_file():
                with suppress(FileNotFoundError):  # gone since
                    found[file] = (*_stamp(file), *self._stamps_of_lists(file))
        return found

    def _stamps_of_lists(self, file: Path) -> Iterator[int]:
        """A list that changes changes its policy."""
        policy = self._by_file.get(file)
        for each in policy.files[1:] if policy else ():
            yield from _stamp(each) if each.is_file() else (0, 0)

    def _read(self, file: Path) -> Policy:
        return load_policy(file, self._taxonomy, self._messages, self._providers)


def _stamp(file: Path) -> tuple[int, int]:
    status = file.stat()
    return status.st_mtime_ns, status.st_size


def _named(by_file: Mapping[Path, Policy]) -> dict[str, Policy]:
    """Policies by the name they give themselves, and by their file's where no other has it."""
    named: dict[str, Policy] = {}
    for file, policy in by_file.items():
        if policy.name in named:
            raise ConfigError(f"a second policy named '{policy.name}'", file=str(file), line=1, column=1)
        named[policy.name] = policy
    for file, policy in by_file.items():
        named.setdefault(file.stem, policy)
    return named
