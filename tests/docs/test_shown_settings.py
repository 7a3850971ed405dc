"""Pieces of gateway.yaml that pages show are right, and so is the client in the README."""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path

import pytest
import yaml

from gateway import registry
from gateway.config import load_config
from gateway.settings import FileSettings
from tests.gateway import serving

ROOT = Path(__file__).parents[2]
SHIPPED = yaml.safe_load((ROOT / "config/gateway.yaml").read_text())
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))]
_YAML = re.compile(r"^```yaml\n(.*?)^```$", re.M | re.S)
_SOMEBODYS = {"vendor": {"adapter": "local_image"}}  # a name that pages give a provider of the reader's


def pieces(page: Path) -> list[dict]:
    """Every block of a page in which all keys are sections of gateway.yaml."""
    blocks = [yaml.safe_load(block) for block in _YAML.findall(page.read_text())]
    return [block for block in blocks if block and block.keys() <= FileSettings.model_fields.keys()]


SHOWN = [pytest.param(piece, id=f"{page.name} {', '.join(piece)}") for page in PAGES for piece in pieces(page)]


def test_the_pages_show_some():
    assert len(SHOWN) >= 5


@pytest.mark.parametrize("piece", SHOWN)
def test_a_piece_of_the_configuration_is_right(piece, tmp_path):
    """With the sections that it does not show as they are shipped."""
    whole = {**SHIPPED, **piece}
    whole["providers"] = {**SHIPPED["providers"], **piece.get("providers", {}), **_SOMEBODYS}
    file = tmp_path / "gateway.yaml"
    file.write_text(yaml.safe_dump(whole))
    env = dict.fromkeys(re.findall(r"\$\{(\w+)\}", file.read_text()), "a-key-of-some-length")
    config = load_config(file, env, registry.settings_for, registry.names())
    assert set(piece.get("providers", {})) <= set(config.providers)


async def test_the_readmes_client_works(tmp_path, monkeypatch):
    [shown] = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    config = (ROOT / "config/gateway.yaml").read_text().replace("./policies", str(ROOT / "config/policies"))
    monkeypatch.setattr(os, "environ", {})  # the client heeds OPENAI_BASE_URL and proxies
    said: list[tuple] = []
    async with serving(config, tmp_path) as url:
        here = shown.replace("http://127.0.0.1:8080", str(url).rstrip("/"))
        await asyncio.to_thread(exec, here, {"print": lambda *words: said.append(words)})
    assert said == [(False, "low")]
