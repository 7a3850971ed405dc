"""How the house is built: who may import whom, who may be named where, how long a file is.

A room is a file or a folder directly under gateway/. MAY_IMPORT is the plan; a new room gets its row here first.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

WORDS = {"errors", "domain"}  # the words everything is told in
LOW = {"frozen", "suggest", "yamlfile"}  # no opinion of their own: open to all
READS_FILES = {"taxonomy", "mapping", "policy", "config", "registry", "paths"}
DECIDING = {"aftermath", "intake", "moderation", "witness", "record", "ledger", "spending", "store", "history"}
SPINE = DECIDING | {"canaries", "debt", "drills"}

MAY_IMPORT: dict[str, set[str]] = {
    "frozen": set(),
    "errors": set(),
    "patience": {"errors"},
    "forking": set(),
    "domain": {"frozen"},
    "units": set(),
    "pdq": set(),
    "suggest": set(),
    "paths": set(),
    "yamlfile": {"errors", "suggest"},
    "logs": set(),
    "wire": {"errors", "frozen"},
    "adapter": WORDS | {"units", "wire"},
    # these work for the spine and do not know each other
    "taxonomy": WORDS | LOW,
    "mapping": WORDS | LOW | {"taxonomy", "units"},
    "inverse": WORDS | LOW | {"mapping", "taxonomy"},
    "policy": WORDS | LOW | {"taxonomy"},
    "policytools": WORDS | LOW | {"policy", "taxonomy"},
    "dispatch": WORDS | {"adapter", "frozen", "wire"},
    "media": WORDS | {"forking", "patience", "pdq"},
    "store": {"errors"},
    # the file that says what runs
    "settings": WORDS | LOW | {"units"},
    "crosscheck": WORDS | LOW | {"adapter", "settings"},
    "config": WORDS | LOW | {"adapter", "crosscheck", "settings"},
    "registry": {"adapter", "paths"},
    # the spine
    "record": WORDS | {"frozen"},
    "replay": {"domain", "policy", "record"},
    "ledger": WORDS | {"frozen", "record", "store"},
    "moderation": WORDS | LOW | {"aftermath", "dispatch", "patience", "policy", "record", "replay", "ledger"},
    "aftermath": WORDS | {"dispatch", "ledger", "record"},
    "witness": WORDS | {"dispatch", "record"},
    "intake": WORDS | {"media", "settings"},
    "history": {"errors", "policy", "record", "store", "witness"},
    "debt": WORDS | {"dispatch", "ledger", "moderation", "record", "settings", "store", "witness"},
    "replicas": WORDS | {"adapter", "dispatch", "witness"},
    "spending": WORDS | {"record", "witness"},
    "drills": WORDS | LOW | {"dispatch", "witness"},
    "canaries": WORDS | {"dispatch", "frozen", "intake", "mapping", "store", "taxonomy", "witness"},
    "sweep": WORDS | {"forking", "policy", "record", "replay", "store", "taxonomy"},
    # everything joined once, and the ways in
    "senders": {"adapter", "config", "dispatch", "errors", "registry"},
    "service": WORDS | READS_FILES | SPINE | {"adapter", "dispatch", "media", "policytools", "replicas", "senders"},
    "web": WORDS
    | LOW
    | SPINE
    | {"config", "dispatch", "inverse", "paths", "patience", "policy", "service", "taxonomy", "units"},
    "cli": WORDS
    | LOW
    | READS_FILES
    | SPINE
    | {"dispatch", "logs", "policytools", "replay", "senders", "service", "sweep", "units", "web"},
}

ADAPTERS_MAY_IMPORT = {
    *("gateway.adapter", "gateway.domain", "gateway.errors", "gateway.wire", "gateway.units", "gateway.pdq"),
}
# It speaks in the vendors' words out of our categories, and reads a script: the tables backwards, and YAML
SIMULATOR_MAY_IMPORT = ADAPTERS_MAY_IMPORT | {
    *("gateway.mapping", "gateway.taxonomy", "gateway.paths", "gateway.suggest", "gateway.yamlfile"),
}

# How people write a vendor's name where that is not the name of its file; see also _spellings
BRANDS = {
    "openai": ("open ai", "omni moderation"),
    "evolink": ("evo link",),
    "azure_content_safety": ("azure", "microsoft"),
    "rekognition": ("amazon",),
    "sightengine": ("sight engine",),
    "anthropic_vision": ("anthropic", "claude"),
    "llama_guard": ("purple llama",),
}

NOBODY = {"http", "hash_list"}  # adapters of no vendor: their names are words of ours

TOP_LEVEL = {
    *("pyproject.toml", "Makefile", "Dockerfile", "requirements*.lock"),
    *("README.md", "CHANGELOG.md", "LICENSE", "NOTICE"),
    *("gateway", "adapters", "config", "tests", "fixtures", "docs", "bench", "deploy"),
    *(".ci", ".gitignore", ".dockerignore"),
}

LONGEST_FILE = 400


def files_of(*folders: str) -> list[Path]:
    return sorted(file.relative_to(ROOT) for folder in folders for file in (ROOT / folder).rglob("*.py"))


GATEWAY = files_of("gateway")
ADAPTERS = files_of("adapters")


@cache
def tree_of(file: Path) -> ast.Module:
    return ast.parse((ROOT / file).read_text(encoding="utf-8"))


def imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and full name of everything imported; `from gateway import paths` is gateway.paths."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: a relative import hides where it leads"
            whole = node.module or ""
            yield from ((node.lineno, f"{whole}.{alias.name}" if whole == "gateway" else whole) for alias in node.names)


def room_of(file: Path) -> str:
    return Path(file.parts[1]).stem


def test_the_plan_is_a_plan():
    """Every room has a row, every row a room, and no two rooms need each other."""
    rooms = {room_of(file) for file in GATEWAY} - {"__init__"}
    assert rooms - MAY_IMPORT.keys() == set(), "a room without a row in MAY_IMPORT"
    assert set().union(*MAY_IMPORT.values()) <= MAY_IMPORT.keys()
    TopologicalSorter(MAY_IMPORT).prepare()  # CycleError names the circle


@pytest.mark.parametrize("file", GATEWAY, ids=str)
def test_a_room_imports_only_rooms_below_it(file):
    allowed = MAY_IMPORT.get(room_of(file), set()) | {room_of(file), "__init__"}
    found = [(line, name) for line, name in imports(tree_of(file)) if name.split(".")[0] == "gateway"]
    wrong = [f"{file}:{line} imports {name}" for line, name in found if room(name) not in allowed]
    assert wrong == []


def room(name: str) -> str:
    """The room of `gateway.store.tables` is store; `gateway.__version__` is the house itself."""
    part = name.split(".")[1] if "." in name else "__init__"
    return "__init__" if part.startswith("__") else part


def test_the_gateway_imports_no_adapter():
    found = [(str(file), name) for file in GATEWAY for _, name in imports(tree_of(file))]
    assert [pair for pair in found if pair[1].split(".")[0] == "adapters"] == []


@pytest.mark.parametrize("file", ADAPTERS, ids=str)
def test_an_adapter_knows_only_the_seam(file):
    found = {name for _, name in imports(tree_of(file)) if name.split(".")[0] == "gateway"}
    allowed = SIMULATOR_MAY_IMPORT if file.parts[:2] == ("adapters", "simulator") else ADAPTERS_MAY_IMPORT
    assert found - allowed == set()


def test_nothing_is_imported_inside_a_function():
    functions = [
        (file, node)
        for file in GATEWAY + ADAPTERS
        for node in ast.walk(tree_of(file))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    assert [f"{file}:{line} {name}" for file, function in functions for line, name in imports(function)] == []


def _spellings() -> re.Pattern[str]:
    """local_text is also local-text, LocalText and LOCAL_TEXT."""
    stems = {file.stem for file in (ROOT / "config" / "vendors").glob("*.yaml")} - NOBODY
    names = [*stems, *(brand for stem in stems for brand in BRANDS.get(stem, ()))]
    return re.compile("|".join(re.sub(r"[_ ]", r"[-_ ]?", name) for name in sorted(names)), re.IGNORECASE)


def test_the_gateway_names_no_vendor():
    """Neither in code nor in strings nor in comments. Other people's dialects are the one place that has to."""
    vendor = _spellings()
    named = [
        f"{file}:{number}: {line.strip()}"
        for file in GATEWAY
        if file.parts[:3] != ("gateway", "web", "dialects")
        for number, line in enumerate((ROOT / file).read_text(encoding="utf-8").splitlines(), start=1)
        if vendor.search(line)
    ]
    assert named == []


@pytest.mark.parametrize("file", GATEWAY + ADAPTERS, ids=str)
def test_a_file_says_what_it_is_for_and_is_not_too_long(file):
    assert ast.get_docstring(tree_of(file))
    assert len((ROOT / file).read_text(encoding="utf-8").splitlines()) <= LONGEST_FILE


TESTS = files_of("tests")


@pytest.mark.parametrize("file", TESTS, ids=str)
def test_a_file_of_tests_is_no_longer_than_any_other(file):
    assert len((ROOT / file).read_text(encoding="utf-8").splitlines()) <= LONGEST_FILE


def test_every_vendor_has_a_file_of_each_kind():
    tables = {file.stem for file in (ROOT / "config" / "vendors").glob("*.yaml")}
    adapters = {file.stem for file in (ROOT / "adapters").glob("*.py")} - {"__init__"}
    assert tables == adapters


def test_the_top_level_holds_what_was_agreed():
    made = [line.strip("/") for line in (ROOT / ".gitignore").read_text(encoding="utf-8").split()]
    allowed = [*TOP_LEVEL, *made, ".git"]
    strangers = [entry.name for entry in ROOT.iterdir() if not any(fnmatch(entry.name, glob) for glob in allowed)]
    assert strangers == []
