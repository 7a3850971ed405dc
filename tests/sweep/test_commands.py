"""`modgate sweep` and `modgate policy backtest`, from a moderation to a report."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from gateway.cli.main import app

POLICY = """
policy: {name}
thresholds:
  hate: {{review: {hate}, block: 0.95}}
  harassment: {{review: 0.5, block: 0.95}}
"""
CONFIG = """
storage: {dir: ./var}
providers: {local: {adapter: local_text}}
routes: {default: {text: {ask: [local]}}}
policies: {dir: ./policies, default: now}
"""
RUN = CliRunner()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory) -> Path:
    """A configuration, two policies, and two decisions that were made."""
    folder = tmp_path_factory.mktemp("gateway")
    (folder / "policies").mkdir()
    (folder / "policies/now.yaml").write_text(POLICY.format(name="now", hate=0.5))
    (folder / "next.yaml").write_text(POLICY.format(name="next", hate=0))
    (folder / "gateway.yaml").write_text(CONFIG)
    for text in ("A walk on the beach", "A walk in the woods"):
        done = ask(folder, "moderate", "--text", text, "--context", "surface=post")
        assert done.exit_code == 0, done.output
    return folder


def ask(folder: Path, *words: str):
    return RUN.invoke(app, [*words, "--config", str(folder / "gateway.yaml")])


def test_a_sweep_tells_what_would_be_otherwise(gateway):
    told = json.loads(ask(gateway, "sweep", "--policy", str(gateway / "next.yaml"), "--json").stdout)
    assert told["decisions"] == 2
    assert told["flips"] == {"allow->review": 2}
    assert told["per_rule"] == {"thresholds.hate.review": 2}
    assert told["per_surface"] == {"post": {"allow->review": 2}}
    assert told["applied"] is False
    assert told["review_load"]["extra_per_day"] > 0


def test_rebuilt_or_from_the_cache_it_is_the_same(gateway):
    words = ("sweep", "--policy", str(gateway / "next.yaml"), "--json")
    first = ask(gateway, *words).stdout
    assert ask(gateway, *words, "--rebuild", "--cache").stdout == first
    assert list((gateway / "var/sweep").glob("days/*/*/*.mapped"))


def test_a_sample_says_how_sure_it_is(gateway):
    told = json.loads(ask(gateway, "sweep", "--policy", str(gateway / "next.yaml"), "--sample", "1", "--json").stdout)
    assert told["sampled"] == 0.5
    assert all(0 <= low <= high <= 1 for low, high in told["intervals"].values())


def test_a_backtest_writes_a_page(gateway):
    page = gateway / "report.html"
    done = ask(gateway, "policy", "backtest", "now", str(gateway / "next.yaml"), "--since", "30d", "--out", str(page))
    assert done.exit_code == 0
    assert "2 decisions, 2 would be others" in done.output
    assert re.search(r"surface +allow->review +\npost +2", done.output)
    drawn = page.read_text().split("<svg viewBox", 1)[1]
    assert ElementTree.fromstring("<svg viewBox" + drawn.split("</svg>")[0] + "</svg>").tag == "svg"
    assert "thresholds.hate.review" in page.read_text()


def test_the_same_policy_flips_nothing_and_nothing_is_asked_of_what_came_before(gateway):
    same = json.loads(ask(gateway, "policy", "backtest", "now", "now", "--json").stdout)
    assert (same["flips"], same["changed"]) == ({}, [])
    later = json.loads(ask(gateway, "sweep", "--policy", "now", "--since", "2999-01-01", "--json").stdout)
    assert later["decisions"] == 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("sweep", "--policy", "now", "--apply"), "changes nothing yet"),
        (("sweep", "--policy", "now", "--since", "soon"), "a time is like 30d"),
    ],
)
def test_what_cannot_be_done_is_wrong_usage(gateway, words, told):
    done = ask(gateway, *words)
    assert done.exit_code == 2
    assert told in " ".join(done.output.replace("│", " ").split())


def test_polars_is_loaded_by_these_commands_alone():
    code = "import sys, gateway.cli.main; sys.exit('polars' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
