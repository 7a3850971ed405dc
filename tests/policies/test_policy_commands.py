"""`modgate policy …` as it is called: what is printed, for people and for programs, and the exit codes."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from gateway import paths
from gateway.cli.main import app
from gateway.errors import ConfigError, NotFound
from gateway.paths import SHIPPED
from gateway.policy.schema import CODE, WORD
from gateway.policytools.editor import schema
from gateway.taxonomy import Taxonomy
from gateway.yamlfile import Problem

SOCIAL = str(SHIPPED / "policies/social.yaml")
RULES = """
policy: p
thresholds: {hate: {review: 0.6}}
rules:
  - {id: agreed, action: block, when: 'votes("hate", 0.7) >= 2'}
  - {id: thing, action: review, when: 'labels.exists(l, l.confidence >= 0.7)'}
"""
CASES = """
cases:
  - {name: two, given: {scores: {a: {hate: 0.9}, b: {hate: 0.8}}}, expect: {action: block}}
  - {name: wrong, given: {scores: all_clear}, expect: {action: block, reason: X}}
"""


def modgate(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["policy", *arguments])


def told(*arguments: str, code: int = 0) -> Any:
    done = modgate(*arguments, "--json")
    assert done.exit_code == code, done.output
    return json.loads(done.stdout)


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    (tmp_path / "p.yaml").write_text(RULES)
    (tmp_path / "p.test.yaml").write_text(CASES)
    return tmp_path / "p.yaml"


def test_check_tells_where_what_and_what_would_be_right(policy):
    policy.write_text(RULES.replace("hate:", "hat:"))
    done = modgate("check", str(policy))
    assert done.exit_code == 2
    assert f"{policy}:3:14: unknown category 'hat'; did you mean 'hate'? [unknown_name]\n" in done.stdout
    report = told("check", str(policy), code=2)
    assert report["ok"] is False
    assert report["problems"] == [
        {
            "file": str(policy),
            "line": 3,
            "column": 14,
            "severity": "error",
            "code": "unknown_name",
            "message": "unknown category 'hat'",
            "hint": "did you mean 'hate'?",
        }
    ]
    done = modgate("check", str(policy), "--format", "sarif")
    assert (done.exit_code, json.loads(done.stdout)["version"]) == (2, "2.1.0")


def test_on_a_terminal_the_line_is_shown_with_a_caret(policy, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    policy.write_text(RULES.replace("hate:", "hat:"))
    plain = re.sub(r"\x1b\[[0-9;]*m", "", modgate("check", str(policy)).stdout)
    line = plain.split("\n")[1:3]
    assert line == [" | thresholds: {hat: {review: 0.6}}", " |              ^"]


def test_warnings_alone_are_no_failure(policy, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    report = told("check", str(policy))
    assert report["ok"] is True
    assert {problem["severity"] for problem in report["problems"]} == {"warning"}
    assert "1 policy, 1 warning." in modgate("check", str(policy)).stdout
    tests = str(policy.with_name("p.test.yaml"))
    assert "1 policy and 1 test file, 1 warning." in modgate("check", str(policy), tests).stdout
    assert "1 test file, nothing wrong." in modgate("check", tests).stdout
    Path(tests).write_text(f"{CASES}  - {{name: two, expect: {{action: allow}}}}\n")
    assert f"{tests}:5:12: the case 'two' is already at 3:12" in modgate("check", tests).stdout


def test_what_the_configured_providers_see_is_looked_at(policy):
    codes = {problem["code"] for problem in told("check", str(policy), "--config", str(paths.GATEWAY))["problems"]}
    assert "unseen_labels" in codes


@pytest.mark.parametrize(
    "asked, codes",
    [
        ("text: {ask: [one], shadow: [two]}", ["too_many_votes"]),
        ("text: {ask: [one]}, image: {ask: [two]}", ["too_many_votes"]),  # it sees no hate in pictures
        ("text: {ask: [one], fallback: [two]}", []),
        ("text: {split: {one: 90, two: 10}}", []),
        ("text: {ask: [one]}", ["too_many_votes"]),
    ],
)
def test_a_shadow_does_not_vote(policy, tmp_path, asked, codes):
    provider = "{adapter: openai, base_url: 'http://127.0.0.1:9/v1', api_key: k}"
    config = tmp_path / "gateway.yaml"
    config.write_text(
        f"providers: {{one: {provider}, two: {provider}}}\nroutes: {{default: {{{asked}}}}}\npolicies: {{dir: .}}\n"
    )
    problems = told("check", str(policy), "--config", str(config))["problems"]
    votes = [problem for problem in problems if problem["code"] == "too_many_votes"]
    assert [problem["code"] for problem in votes] == codes
    assert all("1 provider sees it that a route asks" in problem["message"] for problem in votes)


def test_a_test_file_is_checked_too(policy):
    policy.with_name("p.test.yaml").write_text(CASES.replace("hate: 0.9", "hat: 0.9"))
    [problem] = told("check", str(policy.with_name("p.test.yaml")), code=2)["problems"]
    assert problem["message"] == "unknown category 'hat'"


def test_test_says_which_case_failed_and_how_much_was_shown(policy):
    report = told("test", str(policy), code=1)
    assert report["ok"] is False
    assert [(case["name"], case["ok"]) for case in report["cases"]] == [("two", True), ("wrong", False)]
    wrong = report["cases"][1]
    assert wrong["expected"] == {"action": "block", "reason": "X"}
    assert wrong["got"]["action"] == "allow"
    assert report["coverage"]["rules"] == 0.5
    assert report["unseen"] == [
        {"rule": "thing", "true": False, "false": True, "file": str(policy.with_name("p.test.yaml"))}
    ]
    done = modgate("test", str(policy.with_name("p.test.yaml")))
    assert done.exit_code == 1
    assert "✗ wrong" in done.stdout and "line 4: expected block, got allow" in done.stdout


def test_the_shipped_policies_pass():
    assert told("test", SOCIAL)["ok"] is True


def test_a_policy_without_tests_is_a_mistake_of_the_caller(policy):
    policy.with_name("p.test.yaml").unlink()
    with pytest.raises(ConfigError, match="there are no tests of this policy"):
        raise modgate("test", str(policy)).exception  # type: ignore[misc]


def test_diff_says_what_is_meant_differently(policy):
    other = policy.with_name("q.yaml")
    other.write_text(RULES.replace("0.6", "0.5").replace("block, when", "review, when") + "# later\n")
    report = told("diff", str(policy), str(other))
    assert report["same"] is False
    assert [each["where"] for each in report["differences"]] == ["thresholds.hate", "rules.agreed"]
    shown = modgate("diff", str(policy), str(other)).stdout
    assert "↑ thresholds.hate.review  0.6 → 0.5  stricter" in shown
    assert "~ rules.agreed.action  block → review" in shown
    other.write_text("# the same\n" + RULES)
    assert told("diff", str(policy), str(other)) == {"same": True, "differences": []}


def test_schema_is_what_an_editor_takes(tmp_path):
    made = told("schema")
    assert made["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    out = tmp_path / "policy.schema.json"
    assert "$schema=policy.schema.json" in modgate("schema", "--out", str(out)).stdout
    assert json.loads(out.read_text()) == made


def test_schema_knows_every_category_and_every_key():
    made = schema(Taxonomy.from_file(paths.TAXONOMY))
    models = made["$defs"]
    named = {each.get("const") for each in models["Category"]["anyOf"]}
    assert named >= set(Taxonomy.from_file(paths.TAXONOMY).categories)
    assert made["properties"]["thresholds"]["propertyNames"] == {"$ref": "#/$defs/Category"}
    assert set(models["RuleRow"]["required"]) == {"id", "action", "when"}
    assert "from" in models["Exempt"]["properties"]
    assert all(model.get("additionalProperties") is False for name, model in models.items() if name != "Category")


def test_schema_says_what_its_readers_cannot_say_twice():
    """Keys of a form take no others, the short way to declare a field is one, and what goes only together is said."""
    made = schema(Taxonomy.from_file(paths.TAXONOMY))
    models = made["$defs"]
    [(form, kinds)] = made["properties"]["context"]["patternProperties"].items()
    assert form == WORD and made["properties"]["context"]["additionalProperties"] is False
    assert kinds["anyOf"][0] == {"enum": ["bool", "int", "double", "string", "list"]}
    assert models["RuleRow"]["then"] == {"required": ["because"]}
    assert models["WordList"]["oneOf"] == [{"required": ["values"]}, {"required": ["file"]}]
    assert models["RuleRow"]["properties"]["effects"]["items"]["pattern"] == CODE


def test_a_policy_that_is_not_there_is_not_told_to_lack_tests(tmp_path):
    with pytest.raises(Problem, match=r"nowhere\.yaml: cannot be read"):
        raise modgate("test", str(tmp_path / "nowhere.yaml")).exception  # type: ignore[misc]


def test_bench_measures(policy):
    found = told("bench", str(policy), "--decisions", "200")
    for took in (found, found["one_provider"]):
        for step in ("translation_us", "decision_us", "shadow_us"):
            assert 0 < took[step]["p50"] <= took[step]["p99"]
    assert found["compile_ms"] > 0
    assert found["allowed"] == 0  # each of them has a label somebody is sure of
    assert (found["rules"], found["categories"]) == (2, 1)


@pytest.mark.parametrize(
    "target, words", [("duckdb", "list_filter"), ("sqlite", "json_each"), ("python", "def bind"), ("polars", "agreed")]
)
def test_compile_gives_the_rules_to_others(policy, target, words):
    text = told("compile", str(policy), "--target", target, "--provider", "a", "--provider", "b")["text"]
    assert words in text
    if target == "sqlite":
        database = sqlite3.connect(":memory:")
        database.execute('CREATE TABLE decisions ("s.a.hate", "s.b.hate", labels)')
        database.execute("""INSERT INTO decisions VALUES (9000, 7000, '[{"confidence": 100}]'), (9000, NULL, NULL)""")
        assert database.execute(text).fetchall() == [(1, 0), (None, None)]


def test_there_is_nothing_to_compile_where_there_are_no_rules(policy):
    policy.write_text("policy: p\nthresholds: {hate: {review: 0.6}}\n")
    done = modgate("compile", str(policy))
    assert done.exit_code == 1
    assert "this policy has no rules: a threshold is one comparison with its category's column" in done.stderr


# ---- explain


@pytest.fixture(scope="module")
def decided(tmp_path_factory) -> tuple[Path, str]:
    """A gateway's configuration, and the id of what it decided of a threat."""
    folder = tmp_path_factory.mktemp("gateway")
    (folder / "policies").mkdir()
    for file in (SHIPPED / "policies").glob("*.yaml"):
        (folder / "policies" / file.name).write_text(file.read_text())
    config = folder / "gateway.yaml"
    config.write_text(
        "storage: {dir: ./var}\nproviders: {local-text: {adapter: local_text}}\n"
        "routes: {default: {text: {ask: [local-text]}}}\npolicies: {dir: ./policies, default: social}\n"
    )
    threat = "I am going to come to your house and beat you to death."
    command = [sys.executable, "-m", "gateway.cli", "moderate", "--config", str(config), "--text", threat, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)  # it sets up logs
    return config, json.loads(done.stdout)["id"]


def test_explain_says_why(decided):
    config, id = decided
    found = told("explain", id, "--config", str(config))
    assert found["action"] == found["decided"]["action"] != "allow"
    assert found["decided"]["same_policy"] is True
    assert [each["rule"] for each in found["contributions"]] == found["decided"]["reasons"]
    assert found["contributions"][0]["because"][0]["values"]
    assert found["providers"]["answered"] == ["local-text"]
    assert found["nearest"]
    shown = modgate("explain", id, "--config", str(config)).stdout
    assert found["action"].upper() in shown and "nearly" in shown and "local-text" in shown


def test_explain_is_by_the_version_that_decided_as_long_as_it_is_kept(decided):
    config, id = decided
    file = config.parent / "policies/social.yaml"
    before = file.read_text()
    file.write_text(before.replace("version: 1", "version: 2"))
    try:
        found = told("explain", id, "--config", str(config))
        assert (found["decided"]["same_policy"], found["policy"]["version"]) == (True, 1)
        by_file = told("explain", id, "--config", str(config), "--policy", str(file))
        assert (by_file["decided"]["same_policy"], by_file["policy"]["version"]) == (False, 2)
        with sqlite3.connect(config.parent / "var/modgate.sqlite") as database:
            database.execute("DELETE FROM policy_versions")
        assert told("explain", id, "--config", str(config))["policy"]["version"] == 2
        assert "not the policy that decided" in modgate("explain", id, "--config", str(config)).stdout
    finally:
        file.write_text(before)


def test_explain_of_what_was_never_decided(decided):
    with pytest.raises(NotFound, match="mod_none"):
        raise modgate("explain", "mod_none", "--config", str(decided[0])).exception  # type: ignore[misc]


@pytest.mark.parametrize("command", ["check", "schema", "test", "diff", "explain", "bench", "compile"])
def test_every_tool_explains_itself_with_an_example(command):
    done = modgate(command, "--help")
    assert done.exit_code == 0
    assert "Example: modgate policy" in done.stdout and "--json" in done.stdout and "--config" in done.stdout
