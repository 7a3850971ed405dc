"""What the commands on policies share: which files are meant, what they are held against, how a problem is shown."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from rich.text import Text

from gateway import paths, registry
from gateway.cli.common import configuration, stderr, stdout
from gateway.config import Config
from gateway.domain import Modality
from gateway.errors import ConfigError
from gateway.policy.making import load_policy
from gateway.policy.messages import Messages
from gateway.policy.policy import Policy
from gateway.policytools.casefile import ENDING
from gateway.policytools.sight import Sight
from gateway.replay import Sees
from gateway.service import load_tables
from gateway.taxonomy import Taxonomy
from gateway.yamlfile import Problem

_COLOUR = {"error": "bold red", "warning": "yellow"}
_WIDEST = 160  # characters of a source line


@cache
def taxonomy() -> Taxonomy:
    return Taxonomy.from_file(paths.TAXONOMY)


@cache
def messages() -> Messages:
    return Messages.from_file(paths.MESSAGES)


def compiled(file: Path) -> Policy:
    """A policy ready to decide. Raises Problem with all that is wrong in it."""
    return load_policy(file, taxonomy(), messages())


def policies(given: list[Path] | None, config: Path | None) -> list[Path]:
    """The files that are meant: those named, else all of policies.dir."""
    return given or all_of(configuration(config).policies.dir)


def all_of(folder: Path) -> list[Path]:
    """The policies of a folder. Raises ConfigError where there is none."""
    found = [file for file in sorted(folder.glob("*.yaml")) if not file.name.endswith(ENDING)]
    if not found:
        raise ConfigError("there is no policy here", file=str(folder), hint="name a file")
    return found


def sight(config: Path | None) -> Sight | None:
    """What the configured providers see together; None where no configuration is named and none is at hand.

    One that is only at hand and cannot be used does not keep a policy from being checked: it is told.
    """
    if config is None and not Path("config/gateway.yaml").is_file():
        return None
    try:
        return _sight(configuration(config))
    except ConfigError as error:
        if config is not None:
            raise
        stderr.print(f"What providers see was not looked at: {error}", markup=False, highlight=False, soft_wrap=True)
        return None


def _sight(config: Config) -> Sight:
    tables, seen = load_tables(config, taxonomy()), seen_by_providers(config)
    asked = {
        (name, modality)
        for route in config.routes
        for modality in Modality
        if (leg := config.leg(route, modality))
        for name in (*leg.ask, *leg.fallback)
    }
    heard: dict[str, frozenset[str]] = {}
    unheard: dict[str, frozenset[str]] = {}
    for name, by_modality in seen.items():
        for modality, slugs in by_modality.items():
            kept = heard if (name, modality) in asked else unheard
            kept[name] = kept.get(name, frozenset()) | slugs
    return Sight(heard, any(tables[name].objects for name in heard), unheard)


def seen_by_providers(config: Config) -> dict[str, dict[Modality, frozenset[str]]]:
    """What each enabled provider can see in content of each modality."""
    tables = load_tables(config, taxonomy())
    adapters = {name: registry.make(settings) for name, settings in config.providers.items() if settings.enabled}
    return {
        name: {modality: tables[name].covers(modality) for modality in adapter.accepts}
        for name, adapter in adapters.items()
    }


def seen_by_routes(config: Config) -> Sees:
    """Who can see what on each route. Nobody is asked, and nothing opened."""
    seen = seen_by_providers(config)
    found: dict[str, dict[str, dict[str, tuple[str, ...]]]] = {}
    for route in config.routes:
        for modality in Modality:
            leg = config.leg(route, modality)
            names = [name for name in (*leg.ask, *leg.fallback) if name in seen] if leg else []
            slugs = {name: tuple(sorted(seen[name].get(modality, ()))) for name in names}
            found.setdefault(route, {})[modality.value] = slugs
    return found


def show(problem: Problem) -> None:
    """One line `file:line:column: message; hint [code]`, which editors find; on a terminal the source line under it."""
    place = f"{problem.file}:{problem.line or 1}:{problem.column or 1}"
    hint = f"; {problem.hint}" if problem.hint else ""
    kind = "warning: " if problem.severity == "warning" else ""
    line = Text.assemble(
        (place, "bold"), ": ", (kind, _COLOUR[problem.severity]), problem.detail, hint, (f" [{problem.code}]", "dim")
    )
    stdout.print(line, soft_wrap=True)
    if stdout.is_terminal and problem.line:
        _show_source(problem)


def _show_source(problem: Problem) -> None:
    lines = Path(problem.file).read_text(encoding="utf-8", errors="replace").split("\n")
    if problem.line > len(lines):
        return
    begin = max(0, problem.column - _WIDEST // 2)
    written = lines[problem.line - 1].replace("\t", " ")[begin : begin + _WIDEST]
    stdout.print(Text.assemble((" | ", "dim"), written), soft_wrap=True)
    caret = " " * (problem.column - 1 - begin) + "^"
    stdout.print(Text.assemble((" | ", "dim"), (caret, _COLOUR[problem.severity])), soft_wrap=True)
