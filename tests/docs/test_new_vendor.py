"""adapters/README.md, followed to the letter in a copy of the tree: at its end a new vendor is asked, and decides."""

import asyncio
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.contract.replay import listening

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "adapters/README.md").read_text().partition("\n## Beyond that\n")[0]
COPIED = (
    *("gateway", "adapters", "config", "fixtures", "tests", "docs", "bench"),
    *("pyproject.toml", "Makefile", "README.md"),
)

# A file named in bold, perhaps with the line under which a block belongs, and the block; or a block of commands
STEP = re.compile(
    r"^\*\*`(?P<file>[^`]+)`\*\*(?:, under `(?P<under>[^`]+)`:[^`]*?)?\n\n```\w+\n(?P<text>.*?)^```$"
    r"|^```sh\n(?P<commands>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


def steps():
    return [match.groupdict() for match in STEP.finditer(PAGE)]


@pytest.fixture
def copy(tmp_path):
    """The tree as it stands, without what running it made."""
    ignore = shutil.ignore_patterns("__pycache__", "var", "out", ".*_cache")
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tmp_path / name, ignore=ignore)
        else:
            shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    return tmp_path


def write(folder, step):
    """A whole file; or a block after the line that the page names."""
    file = folder / step["file"]
    if step["under"] is None:
        assert not file.exists(), f"{file} is not new"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(step["text"])
        return
    before, line, after = file.read_text().partition(f"\n{step['under']}")
    rest, end, after = after.partition("\n")
    assert line, f"{step['file']} has no line {step['under']}"
    file.write_text(before + line + rest + end + step["text"] + after)


async def run(command, folder, server):
    """Exit code and what it said. The vendor of the page is asked at `server`, for it is nowhere else."""
    file = folder / "gateway.yaml"
    if file.exists():
        file.write_text(file.read_text().replace("https://api.lantern.example", server))
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "MODGATE_CONFIG")}
    environment |= {"LANTERN_KEY": "test-key"}
    done = await asyncio.to_thread(
        subprocess.run,
        shlex.split(command),
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_the_page_has_all_the_steps():
    named = [step["file"] for step in steps() if step["file"]]
    assert named[:2] == ["config/vendors/lantern.yaml", "adapters/lantern.py"]
    assert named[-1] == "gateway.yaml"
    assert len([name for name in named if name.startswith("fixtures/lantern/")]) == 12
    assert sum(1 for step in steps() if step["under"]) == 4
    assert PAGE.count("\n```") == 2 * len(steps()), "a block that no step is made of"


@pytest.mark.timeout(300)  # five programs, one after the other
async def test_a_vendor_is_added_by_following_the_page(copy):
    async def says(heard, writer):
        assert heard.headers["x-lantern-key"] == "test-key"
        assert heard.json == {"text": "I will kill them all"}
        writer.write((copy / "fixtures/lantern/flagged/response.http").read_bytes())

    said = {}
    async with listening(says) as vendor:
        for step in steps():
            if step["file"]:
                write(copy, step)
            for command in (step["commands"] or "").replace("\\\n", "").splitlines():
                code, said[command] = await run(command, copy, vendor.url)
                assert code == (4 if " moderate " in command else 0), said[command]
    told = list(said.values())
    assert told[0].count("wrote fixtures/lantern/") >= 20
    assert "wrote docs/vendors.md" in told[1]
    assert re.search(r"\d\d\d passed", told[2])
    answer = json.loads(told[3][: told[3].rindex("}") + 1])
    assert (answer["action"], answer["degraded"]) == ("block", False)
    assert [(asked["name"], asked["status"], asked["model"]) for asked in answer["providers"]] == [
        ("lantern", "ok", "lantern-3")
    ]
    assert answer["categories"]["violence"]["providers"] == {"lantern": 0.97}
    assert len(vendor.heard) == 1
