"""All policies of a folder, by name, kept up to date while the gateway runs.

A file that changes is read, checked and tried with its own tests off the event loop, then one reference is swapped: a
request keeps the policy it began with. A file that breaks, fails its tests or goes away changes nothing: the last good
policy goes on, and the problem is told. Only a shadow or a canary ends when its file goes away.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import structlog

from gateway.errors import ConfigError, UnknownPolicy
from gateway.policy.canary import Canary
from gateway.policy.making import make
from gateway.policy.messages import Messages
from gateway.policy.placing import placed
from gateway.policy.policy import Policy
from gateway.policy.reading import read
from gateway.policy.restoring import restored
from gateway.policy.standing import Standing
from gateway.policy.version import UNTRIED, TestsFailed, Trial, Version, lists_of
from gateway.suggest import did_you_mean
from gateway.taxonomy import Taxonomy

log = structlog.get_logger("modgate.policies")

LOOK_EVERY = 1.5  # seconds between looks at the folder
_TESTS = ".test.yaml"

Stamp = tuple[int, ...]  # modification time in ns and size, of the file, its tests and its lists
_OWN = 4  # numbers of a stamp that are the file's and its tests'


Taken = Callable[[Version], Awaitable[None]]


async def _nobody(version: Version) -> None:
    """Hears of what was taken up where nobody else does."""


class PolicyBook:
    """Open with `load`; run `watch` as a task to follow the folder. `problems` is file name → what is wrong with it.

    `providers` are the names a policy may speak of; None where any may come. `trial` tries a policy's own tests; None
    where that is not wanted. `halted` hears of a canary that ended by itself.
    """

    def __init__(
        self,
        folder: Path,
        default: str,
        taxonomy: Taxonomy,
        messages: Messages,
        providers: frozenset[str] | None = None,
        trial: Trial | None = None,
        halted: Callable[[Canary], None] = lambda canary: None,
    ):
        self._folder = folder
        self._providers = providers
        self._taxonomy = taxonomy
        self._messages = messages
        self._trial = trial
        self._halted = halted
        self.default = default
        self._stamps: dict[Path, Stamp] = {}
        self._by_file: dict[Path, Version] = {}
        self._by_name: Mapping[str, Standing] = {}
        self._canaries: dict[str, Canary] = {}  # by the hash of their policy
        self._waiting: dict[Path, Version] = {}  # nothing wrong with them, but for the other files
        self.problems: dict[str, str] = {}

    def load(self) -> None:
        """Read every policy. Raises the first ConfigError: a gateway does not start with a broken policy."""
        self._stamps = self._look()
        if not self._stamps:
            raise ConfigError("there is no policy here", file=str(self._folder), hint="put a <policy>.yaml in it")
        self._place({file: self._read(file) for file in self._stamps})
        self._stamps = self._look()  # once more: now it is known which lists belong to them

    def get(self, name: str | None) -> Policy:
        """A policy by its name or its file's; None is the default. Raises UnknownPolicy."""
        return self.standing(name).policy

    def standing(self, name: str | None) -> Standing:
        """The same, with what stands beside it."""
        try:
            return self._by_name[name or self.default]
        except KeyError:
            hint = did_you_mean(str(name), self._by_name) or f"Policies are {', '.join(self.names)}."
            raise UnknownPolicy("unknown_policy", f"There is no policy '{name}'.", hint=hint, at="/policy") from None

    def version(self, name: str, hash: str) -> Policy | None:
        """The policy of this name that has this hash, in force or a canary; None where it is here no more."""
        known = self._by_name.get(name)
        held = [] if known is None else [known.policy, *([known.canary.policy] if known.canary else [])]
        return next((policy for policy in held if policy.hash == hash), None)

    def restore(self, file: str, source: str, lists: Mapping[str, str]) -> Policy:
        """A version that is here no more, of what was kept of it. Reads and writes files; raises ConfigError."""
        return restored(file, source, lists, self._taxonomy, self._messages)

    @property
    def names(self) -> list[str]:
        return sorted({standing.policy.name for standing in self._by_name.values()})

    @property
    def versions(self) -> list[Version]:
        """All that are loaded, by file."""
        return [self._by_file[file] for file in sorted(self._by_file)]

    @property
    def halts(self) -> dict[str, str]:
        """Canaries that ended by themselves, by file, and why."""
        return {canary.policy.file.name: canary.halted for canary in self._canaries.values() if canary.halted}

    async def watch(self, told: Callable[[str], None], taken: Taken = _nobody) -> None:
        """Follow the folder for ever. `told` hears of each change why it was not taken up; nothing where it was.

        Why is one of invalid, tests, place and gone. `taken` hears of each version that was.
        """
        while True:
            await asyncio.sleep(LOOK_EVERY)
            stamps = await asyncio.to_thread(self._look)
            changed = [file for file, stamp in stamps.items() if self._stamps.get(file) != stamp]
            gone = sorted(self._stamps.keys() - stamps.keys())
            for file in gone:
                self._stamps.pop(file)
                told(self._gone(file))
            if gone:  # what is gone may have stood in their way
                changed += self._waiting.keys() - set(changed)
            for file in changed:
                self._stamps[file] = stamps[file]
                for why in await self._renew(file, taken):
                    told(why)

    async def _renew(self, file: Path, taken: Taken) -> list[str]:
        """Why it was not taken up, or nothing for it and for each that had waited for it."""
        self._waiting.pop(file, None)
        try:
            version = await asyncio.to_thread(self._read, file)
        except TestsFailed as error:
            return [self._complain(file, str(error), "tests")]
        except ConfigError as error:
            return [self._complain(file, str(error), "invalid")]
        entered = self._enter(file, version)
        for other in entered:
            self._note(other)
            await taken(self._by_file[other])
        return [""] * len(entered) or ["place"]

    def _enter(self, file: Path, version: Version) -> list[Path]:
        """Put it in its place, with those that waited: versions that change places come one file after the other.

        Gives those that are in their place now. Where it is not, nothing has changed, and it waits.
        """
        self._waiting[file] = version
        entered: list[Path] = []
        for some in ({**self._waiting}, {file: version}, *({one: held} for one, held in self._waiting.items())):
            if not some.keys() <= self._waiting.keys():
                continue  # it came in before
            try:
                self._place({**self._by_file, **some})
            except ConfigError as error:
                problem = str(error)
                continue
            entered += some
            self._waiting = {one: held for one, held in self._waiting.items() if one not in some}
        if file not in entered:
            self._complain(file, problem, "place")
        return entered

    def _note(self, file: Path) -> None:
        """It is in force now."""
        version = self._by_file[file]
        policy = version.policy
        self._stamps[file] = (*self._stamps[file][:_OWN], *self._stamps_of_lists(file))
        self.problems.pop(file.name, None)
        log.info(
            "policy_loaded",
            policy=policy.name,
            version=policy.version,
            hash=policy.hash,
            role=version.role,
            tests=version.tests,
        )

    def _gone(self, file: Path) -> str:
        """Whoever takes a shadow or a canary away means it; without its policy in force a gateway could not go on."""
        self._waiting.pop(file, None)
        version = self._by_file.get(file)
        if version is not None and not version.policy.rollout.beside:
            return self._complain(file, f"{file}: gone; its last policy goes on", "gone")
        self._place({other: kept for other, kept in self._by_file.items() if other != file})
        self.problems.pop(file.name, None)
        log.info("policy_withdrawn", file=file.name)
        return ""

    def _complain(self, file: Path, problem: str, why: str) -> str:
        if self.problems.get(file.name) != problem:
            log.error("policy_reload_failed", file=file.name, problem=problem, why=why)
        self.problems[file.name] = problem
        return why

    def _place(self, by_file: dict[Path, Version]) -> None:
        """Swap what is in force, all of it or nothing. Raises ConfigError."""
        canaries: dict[str, Canary] = {}

        def canary_of(policy: Policy) -> Canary:
            return canaries.setdefault(policy.hash, self._canaries.get(policy.hash) or Canary(policy, self._halted))

        named = placed({file: version.policy for file, version in by_file.items()}, self.default, canary_of)
        if self.default not in named:
            hint = did_you_mean(self.default, named) or f"there are {', '.join(sorted(named))}"
            raise ConfigError(f"policies.default names '{self.default}', which is not in {self._folder}", hint=hint)
        self._by_file, self._by_name, self._canaries = by_file, named, canaries

    def _look(self) -> dict[Path, Stamp]:
        found = {}
        for file in sorted(self._folder.glob("*.yaml")):
            if not file.name.endswith(_TESTS) and file.is_file():
                with suppress(FileNotFoundError):  # gone since
                    found[file] = (*_stamp(file), *self._stamp_of_tests(file), *self._stamps_of_lists(file))
        return found

    def _stamp_of_tests(self, file: Path) -> Stamp:
        """Tests that change are tried again."""
        tests = file.with_name(f"{file.stem}{_TESTS}")
        return _stamp(tests) if self._trial and tests.is_file() else (0, 0)

    def _stamps_of_lists(self, file: Path) -> Iterator[int]:
        """A list that changes changes its policy."""
        version = self._by_file.get(file)
        for each in version.policy.files[1:] if version else ():
            yield from _stamp(each) if each.is_file() else (0, 0)

    def _read(self, file: Path) -> Version:
        checked = read(file, self._taxonomy, self._providers)
        policy = make(checked, file, self._taxonomy, self._messages)
        tests = self._trial(policy) if self._trial else UNTRIED
        return Version(policy, tests, checked.document.text, lists_of(checked))


def _stamp(file: Path) -> tuple[int, int]:
    status = file.stat()
    return status.st_mtime_ns, status.st_size
