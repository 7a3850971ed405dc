"""A wheel installed elsewhere serves without the checkout: configuration, tables and weights are inside."""

import json
import os
import re
import subprocess
import sys
import tomllib
import venv
from pathlib import Path
from zipfile import ZipFile

ROOT = Path(__file__).parents[2]


def test_the_image_builds_it_with_a_backend_that_is_pinned_by_hash():
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    locked = re.findall(
        r"^([\w-]+)==(\S+) \\\n    --hash=sha256:", (ROOT / "requirements-build.lock").read_text(), re.M
    )
    assert {re.match(r"[\w-]+", each)[0] for each in wanted} <= {name for name, _ in locked}
    here = (ROOT / "requirements-test.lock").read_text()
    assert [pin for pin in locked if f"\n{'=='.join(pin)} " not in here] == []


def test_the_wheel_moderates_far_from_the_checkout(tmp_path):
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "dist")]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=120)
    [wheel] = (tmp_path / "dist").glob("*.whl")
    assert not [name for name in ZipFile(wheel).namelist() if name.startswith(("tests", "bench", "docs", "fixtures"))]

    venv.create(tmp_path / "venv", with_pip=False)
    [packages] = (tmp_path / "venv").glob("lib/python*/site-packages")
    ZipFile(wheel).extractall(packages)
    [dependencies] = {path for path in sys.path if path.endswith("site-packages")}
    (packages / "dependencies.pth").write_text(dependencies + "\n")  # installed once already; only ours is new
    python = tmp_path / "venv/bin/python"

    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "MODGATE_CONFIG")}
    command = [python, "-m", "gateway.cli", "moderate", "--json", "--text", "I will find you and beat you to death"]
    done = subprocess.run(
        command, cwd=elsewhere, env=environment, capture_output=True, text=True, timeout=110, check=False
    )
    assert done.returncode in (3, 4), done.stderr
    assert json.loads(done.stdout)["policy"]["name"] == "social"
    assert (elsewhere / "var/modgate.sqlite").is_file()

    where = subprocess.run(
        [python, "-c", "import gateway; print(gateway.__file__)"],
        cwd=elsewhere,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert str(packages) in where.stdout
