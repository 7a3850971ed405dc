"""Every recipe of docs/cookbook.md is a policy without a fault or a warning, and does what its cases say."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.paths import MESSAGES, TAXONOMY
from gateway.policy.making import load_policy
from gateway.policy.messages import Messages
from gateway.policytools.check import check
from gateway.policytools.trial import try_cases
from gateway.taxonomy import Taxonomy

PAGE = (Path(__file__).parents[2] / "docs/cookbook.md").read_text()
TAXONOMY_READ, TEXTS = Taxonomy.from_file(TAXONOMY), Messages.from_file(MESSAGES)
_PART = re.compile(r"^#{2,3} (?P<title>[^\n]+)$|^```(?P<kind>yaml|text)\n(?P<code>.*?)^```$", re.M | re.S)


@dataclass
class Recipe:
    """A policy, whole or in part, the cases that follow it, and lists as `# <path>` and lines."""

    title: str
    policy: str
    cases: str
    lists: tuple[str, ...]


def recipes() -> list[Recipe]:
    """All of the page, in its order: what stands before the first of them is the base."""
    found, title, policy = [], "", ""
    lists: list[str] = []
    for part in _PART.finditer(PAGE):
        if part["title"]:
            assert not policy, f"{title}: a policy without cases"
            title, lists = part["title"], []
        elif part["kind"] == "text":
            lists.append(part["code"])
        elif part["code"].startswith("cases:"):
            found.append(Recipe(title, policy, part["code"], tuple(lists)))
            policy = ""
        elif title:
            assert not policy, f"{title}: a policy without cases"
            policy = part["code"]
    return found


BASE = yaml.safe_load(re.search(r"```yaml\n(policy: .*?)```", PAGE, re.S)[1])
RECIPES = recipes()
LIVE = [recipe for recipe in RECIPES if "mode: shadow" not in recipe.policy]


def over(base: Any, piece: Any) -> Any:
    """The base with the keys of the piece set: mappings key by key, all else as a whole."""
    if not (isinstance(base, dict) and isinstance(piece, dict)):
        return piece
    return {**base, **{key: over(base.get(key), value) for key, value in piece.items()}}


def whole(recipe: Recipe) -> str:
    """As somebody would write it who begins with the base; a policy that has its own name is one already."""
    said = yaml.safe_load(recipe.policy)
    return recipe.policy if "policy" in said else yaml.safe_dump(over(BASE, said), sort_keys=False)


def written(recipe: Recipe, folder: Path) -> Path:
    file = folder / "recipe.yaml"
    file.write_text(whole(recipe))
    file.with_name("recipe.test.yaml").write_text(recipe.cases)
    for text in recipe.lists:
        path = folder / text.splitlines()[0].removeprefix("# ")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return file


def test_there_are_recipes():
    assert len(RECIPES) >= 16
    assert sum("policy:" in recipe.policy for recipe in RECIPES) == 3  # the flows


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.title)
def test_a_recipe_is_right_and_does_what_its_cases_say(recipe, tmp_path):
    file = written(recipe, tmp_path)
    assert [str(problem) for problem in check(file, TAXONOMY_READ, TEXTS)] == []
    policy = load_policy(file, TAXONOMY_READ, TEXTS)
    trial = try_cases(policy, file.with_name("recipe.test.yaml"))
    assert {outcome.case.name: outcome.wrong for outcome in trial.outcomes if not outcome.ok} == {}
    assert trial.shown.rules == 1, "each rule is seen true and false"


@pytest.mark.parametrize("recipe", LIVE, ids=lambda recipe: recipe.title)
def test_without_the_recipe_some_case_comes_out_otherwise(recipe, tmp_path):
    """Else it would show nothing."""
    plain = tmp_path / "recipe.yaml"
    plain.write_text(yaml.safe_dump(BASE))
    cases = plain.with_name("recipe.test.yaml")
    said = yaml.safe_load(recipe.cases)
    for case in said["cases"]:  # rules of the recipe are not there to be asked for
        case["expect"] = {key: case["expect"][key] for key in ("action", "reason", "message") if key in case["expect"]}
    cases.write_text(yaml.safe_dump(said))
    assert not try_cases(load_policy(plain, TAXONOMY_READ, TEXTS), cases).ok
