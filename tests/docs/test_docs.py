"""Docs that cannot rot: generated parts are up to date, shown commands exist, shown answers are true."""

import json
import re
import tomllib
from pathlib import Path

import aiohttp
import pytest

from docs import policy_page
from docs.generate import pages
from gateway import paths
from gateway.dispatch.strategies import STRATEGIES
from gateway.policy import schema
from gateway.policy.making import load_policy
from gateway.policy.messages import Messages
from gateway.taxonomy import Taxonomy
from gateway.web.app import endpoints
from gateway.web.problems import _TITLES
from tests.gateway import serving

ROOT = Path(__file__).parents[2]
PROSE = sorted(file for file in ROOT.glob("**/*.md") if ".venv" not in file.parts and "node_modules" not in file.parts)


def test_generated_parts_are_up_to_date():
    assert {path.name: text for path, text in pages().items()} == {path.name: path.read_text() for path in pages()}


@pytest.mark.parametrize("file", PROSE, ids=lambda file: str(file.relative_to(ROOT)))
def test_every_link_leads_somewhere(file):
    for target, heading in re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)", file.read_text()):
        if not target.startswith("http"):
            page = file.parent / target if target else file
            assert page.exists(), target
            assert not heading or heading in anchors(page), f"{target}#{heading}"


def anchors(page: Path) -> set[str]:
    """What its headings can be linked as, as code hosts make them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_dependency_has_its_reason():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    said = (ROOT / "docs/dependencies.md").read_text()
    asked = [
        *project["dependencies"],
        *(entry for extra in project["optional-dependencies"].values() for entry in extra),
    ]
    names = {re.split(r"[\[<>=]", entry)[0].lower() for entry in asked}
    assert names - set(re.findall(r"[a-z0-9-]+", said.lower())) == set()


def test_every_strategy_is_in_the_table():
    said = (ROOT / "docs/configuration.md").read_text()
    assert [name for name in STRATEGIES if f"\n| `{name}` | " not in said] == []


def test_every_make_target_is_shown_by_help():
    makefile = (ROOT / "Makefile").read_text()
    told = set(re.findall(r"^([a-z]+):.*## ", makefile, re.M))
    assert {"install", "run", "test", "check", "bench", "help"} <= told
    assert set(re.findall(r"^\.PHONY: (.+)$", makefile, re.M)[0].split()) == told


def test_every_error_code_is_in_the_table():
    said = (ROOT / "docs/api.md").read_text()
    raised = re.compile(
        r'(?:BadContent|TooLarge|NotAnImage|Unreadable|UnknownPolicy|Unauthorized|Forbidden|NotFound|Conflict|Overloaded)\(\s*"([a-z_]+)"'
    )
    codes = {code for file in (ROOT / "gateway").rglob("*.py") for code in raised.findall(file.read_text())}
    of_the_command_line = {"unreadable_file", "name_taken", "no_gateway"}
    of_the_dialects = {"too_many_texts", "no_provider_answered"}
    assert {code for code in codes - of_the_command_line - of_the_dialects if f"`{code}`" not in said} == set()
    assert all(str(status) in said or status in (409, 429, 500) for status in _TITLES)


def test_every_endpoint_is_in_the_table():
    said = (ROOT / "docs/api.md").read_text()
    assert [endpoint.path for endpoint in endpoints() if f"{endpoint.method} {endpoint.path}`" not in said] == []


def test_every_part_of_a_policy_is_in_its_reference():
    models = {each for each in vars(schema).values() if isinstance(each, type) and issubclass(each, schema._Strict)}
    told = {model for _, model in policy_page.SECTIONS}
    assert {model for model in models - told if not model.__name__.startswith("_")} == {schema.RulePatch}  # as a rule


def test_the_policy_in_its_reference_is_one(tmp_path):
    [shown] = re.findall(r"```yaml\n(policy: .*?)```", (ROOT / "config/README.md").read_text(), re.S)
    file = tmp_path / "social.yaml"
    file.write_text(shown)
    policy = load_policy(file, Taxonomy.from_file(paths.TAXONOMY), Messages.from_file(paths.MESSAGES))
    assert policy.name == "social"


def test_the_readmes_piece_of_a_policy_is_one(tmp_path):
    [shown] = re.findall(r"```yaml\n(thresholds:.*?)```", (ROOT / "README.md").read_text(), re.S)
    file = tmp_path / "piece.yaml"
    file.write_text(f"policy: piece\n{shown}")
    policy = load_policy(file, Taxonomy.from_file(paths.TAXONOMY), Messages.from_file(paths.MESSAGES))
    assert [clause.id for clause in policy.clauses] == ["hate-agreed", "prohibited-thing"]


def holds(shown, real):
    """Whether all that is shown is really there; scores are as shown to one decimal."""
    if isinstance(shown, dict):
        return all(key in real and holds(value, real[key]) for key, value in shown.items())
    if isinstance(shown, list):
        return len(shown) == len(real) and all(holds(*pair) for pair in zip(shown, real, strict=True))
    return abs(shown - real) < 0.05 if isinstance(shown, float) else shown == real


async def test_the_readmes_first_answer_is_the_real_one(tmp_path):
    readme = (ROOT / "README.md").read_text()
    body = json.loads(re.search(r"-d '(\{.*?\})'", readme)[1])
    shown = json.loads(re.search(r"```json\n(.*?)```", readme, re.S)[1])
    shown.pop("id")
    config = (ROOT / "config/gateway.yaml").read_text().replace("./policies", str(ROOT / "config/policies"))
    async with (
        serving(config, tmp_path) as url,
        aiohttp.ClientSession(url) as client,
        client.post("/v1/moderate", json=body) as response,
    ):
        real = await response.json()
    assert holds(shown, real), real
