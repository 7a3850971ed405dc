"""Commands that pages show: each is there and takes what it is given, and those of the quick start do what they say."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import typer.main
from typer.core import TyperGroup
from typer.testing import CliRunner

from gateway.cli.main import app

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "config/README.md", ROOT / "adapters/README.md", *sorted(ROOT.glob("docs/*.md"))]
_BLOCK = re.compile(r"^```(?:sh)?\n(.*?)^```$", re.M | re.S)
_CALL = re.compile(r"(?:^|\| |&& )(?:\.venv/bin/)?modgate ([^|&\n]*)", re.M)


def shown(page: Path) -> list[str]:
    """What stands after `modgate` in its blocks; a line that ends with \\ goes on in the next."""
    blocks = [block.replace("\\\n", " ") for block in _BLOCK.findall(page.read_text())]
    return [call.strip() for block in blocks for call in _CALL.findall(block)]


def mentioned(page: Path) -> list[str]:
    """The same within a sentence, where arguments may be left out."""
    return re.findall(r"`modgate ([a-z][^`]*)`", page.read_text())


def command(words: list[str]):
    """The command these words begin with, and the words that are left."""
    found = typer.main.get_command(app)
    while isinstance(found, TyperGroup) and words and re.fullmatch(r"[a-z]+", words[0]):
        assert words[0] in found.commands, f"modgate has no command '{words[0]}' there"
        found, words = found.commands[words[0]], words[1:]
    return found, words


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_that_is_shown_can_be_called_so(page):
    for call in shown(page):
        found, words = command(shlex.split(call, comments=True))
        assert not isinstance(found, TyperGroup), call
        found.make_context(found.name, words)  # raises where an option or an argument does not fit


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_that_is_mentioned_is_there_and_so_are_its_options(page):
    for call in mentioned(page):
        found, words = command(call.split())
        options = {word.split("=")[0] for word in words if word.startswith("--")}
        assert options <= {name for each in found.params for name in each.opts}, call


def test_the_pages_show_commands():
    assert sum(len(shown(page)) for page in PAGES) >= 12
    assert sum(len(mentioned(page)) for page in PAGES) >= 25


def test_a_policy_is_changed_as_the_quick_start_shows(tmp_path, monkeypatch):
    """With a decision in the storage, which is all that is not on the page."""
    shutil.copytree(ROOT / "config", tmp_path / "config", ignore=shutil.ignore_patterns("var"))
    monkeypatch.chdir(tmp_path)
    [decision] = set(re.findall(r"mod_[0-9a-f]+", modgate("moderate --text 'A walk on the beach' --json")))
    section = (ROOT / "docs/quickstart.md").read_text().split("## Change a policy")[1].split("\n## ")[0]
    lines = [line for block in _BLOCK.findall(section) for line in block.splitlines()]
    told = {}
    for line in lines:
        call = line.removeprefix(".venv/bin/modgate ")
        if call == line:
            subprocess.run(["sh", "-ec", line], check=True, cwd=tmp_path)
        else:
            told[" ".join(call.split()[:2])] = modgate(call.replace("mod_…", decision))
    assert "thresholds.hate.review  0.5 → 0.4  stricter" in told["policy diff"]
    assert "1 decision" in told["policy backtest"]
    assert "1 decision" in told["sweep --policy"]
    assert "ALLOW" in told["policy explain"]


def modgate(call: str) -> str:
    done = CliRunner().invoke(app, shlex.split(call))
    assert done.exit_code == 0, f"{call}: {done.output} {done.exception!r}"
    return done.output
