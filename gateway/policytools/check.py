"""All that is wrong with a policy file, and all that looks as if it were meant otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from gateway.policy.making import load_policy, make
from gateway.policy.messages import Messages
from gateway.policy.policy import Policy
from gateway.policy.reading import Checked, examine
from gateway.policy.schema import PolicyFile
from gateway.policytools.alike import alike
from gateway.policytools.casefile import policy_of, tests_of
from gateway.policytools.dead import dead
from gateway.policytools.idle import idle
from gateway.policytools.salvage import beside
from gateway.policytools.sight import Sight, unseen
from gateway.policytools.trial import read_cases, try_cases, untested
from gateway.policytools.warning import warning
from gateway.taxonomy import Taxonomy
from gateway.yamlfile import Document, Problem, first_of, load


def check(path: Path, taxonomy: Taxonomy, messages: Messages, sight: Sight | None = None) -> list[Problem]:
    """Errors and warnings in file order. `sight` is what the configured providers see; None where that is not known.

    Warnings are of files without an error: what a rule means is only known where all of it can be read.
    """
    try:
        document = load(path, env=None)
    except Problem as error:
        return list(error.problems)
    wrong = _shape(document, path, taxonomy)
    if wrong:
        return wrong
    try:
        checked = examine(document, path, taxonomy)
        policy = make(checked, path, taxonomy, messages)
    except Problem as error:
        return list(error.problems)
    kinds = [dead(checked, policy), idle(checked, policy, messages), alike(checked), _tests(checked, policy, path)]
    kinds += [unseen(checked, sight)] if sight else []
    return _in_order([problem for kind in kinds for problem in first_of(kind)])


def check_tests(tests: Path, taxonomy: Taxonomy, messages: Messages) -> list[Problem]:
    """What is wrong with a test file itself; of its policy only that it cannot be used."""
    try:
        try_cases(load_policy(policy_of(tests, read_cases(tests)[1]), taxonomy, messages), tests)
    except Problem as error:
        return list(error.problems)
    return []


def _shape(document: Document, path: Path, taxonomy: Taxonomy) -> list[Problem]:
    """What is wrong with the shape of a file, and then what is wrong besides."""
    try:
        document.parse(PolicyFile)
    except Problem as error:
        return _in_order([*error.problems, *beside(document, path, taxonomy, error.problems)])
    return []


def _in_order(problems: list[Problem]) -> list[Problem]:
    return sorted(problems, key=lambda each: (each.line, each.column))


def _tests(checked: Checked, policy: Policy, path: Path) -> Iterator[Problem]:
    """Rules that no case has true. What is wrong with the test file itself, `policy test` says."""
    tests = tests_of(path)
    if not tests.is_file():
        hint = "write cases there, and modgate policy test tries them"
        yield warning(checked, ("policy",), f"no tests: there is no {tests.name} beside it", hint, "no_tests")
        return
    try:
        trial = try_cases(policy, tests)
    except Problem as error:
        hint = f"modgate policy test {tests.name} says what"
        detail = f"{tests.name} cannot be used: {error.detail} (line {error.line})"
        yield warning(checked, ("policy",), detail, hint, "broken_tests")
        return
    places = {row.id: place for place, row in enumerate(checked.said.rules)}
    for name in untested(policy, trial):
        hint = f"add a case to {tests.name} that expects it"
        yield warning(checked, ("rules", places[name], "id"), f"no test has the rule '{name}' true", hint, "untested")
