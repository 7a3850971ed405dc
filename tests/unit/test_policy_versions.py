"""Versions of policies in a folder that is followed: tried before they count, beside one another, and withdrawn."""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager, suppress

import pytest

from gateway.errors import ConfigError
from gateway.paths import SHIPPED as CONFIG
from gateway.policy import book
from gateway.policy.book import PolicyBook
from gateway.policy.version import TestsFailed
from gateway.policytools.own import try_own
from tests.policies.saying import SHIPPED, TAXONOMY_READ
from tests.unit.test_policy_book import save
from tests.waiting import until

POLICY = "policy: social\nversion: {version}\nthresholds: {{hate: {{review: {review}}}}}\n"
CASES = "cases:\n  - {{name: doubtful, given: {{scores: {{one: {{hate: 0.5}}}}}}, expect: {{action: {action}}}}}\n"


def write(folder, name="social", review=0.5, version=1, rollout=""):
    save(folder / f"{name}.yaml", POLICY.format(version=version, review=review) + rollout)


def expect(folder, action, name="social"):
    save(folder / f"{name}.test.yaml", CASES.format(action=action))


def opened(folder, **more):
    policies = PolicyBook(folder, "social", TAXONOMY_READ, SHIPPED, None, try_own, **more)
    policies.load()
    return policies


@asynccontextmanager
async def following(policies, monkeypatch):
    """Yields a function that waits for the next change and says why it was not taken up, and what was taken."""
    monkeypatch.setattr(book, "LOOK_EVERY", 0.02)
    told, taken = asyncio.Queue(), []

    async def keep(version):
        taken.append((version.policy.version, version.role, version.tests))

    watching = asyncio.create_task(policies.watch(told.put_nowait, keep))
    try:
        yield told.get, taken
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching


def in_force(policies):
    return policies.get(None).version


async def test_a_version_that_fails_its_own_tests_does_not_come_into_force(tmp_path, monkeypatch):
    write(tmp_path)
    expect(tmp_path, "review")
    policies = opened(tmp_path)
    assert [version.tests for version in policies.versions] == ["1 passed"]
    async with following(policies, monkeypatch) as (why, taken):
        write(tmp_path, review=0.75, version=2)
        assert await why() == "tests"
        assert in_force(policies) == 1
        problem = policies.problems["social.yaml"]
        assert "social.test.yaml: social.yaml does not do what its tests expect: line 2, 'doubtful'" in problem
        assert "expected review, got allow" in problem
        expect(tmp_path, "allow")  # the tests were what was wrong: mending them is enough
        assert await why() == ""
        assert (in_force(policies), policies.problems) == (2, {})
        assert taken == [(2, "in_force", "1 passed")]


async def test_tests_that_cannot_be_read_hold_it_back_too(tmp_path, monkeypatch):
    write(tmp_path)
    policies = opened(tmp_path)
    assert [version.tests for version in policies.versions] == ["none"]
    async with following(policies, monkeypatch) as (why, _):
        save(tmp_path / "social.test.yaml", "cases: [")
        assert await why() == "invalid"
        write(tmp_path, version=2)
        assert await why() == "invalid"
        assert in_force(policies) == 1
        assert "social.test.yaml:2:1: broken YAML" in policies.problems["social.yaml"]
        (tmp_path / "social.test.yaml").unlink()
        assert await why() == ""
        assert in_force(policies) == 2


def test_it_does_not_start_with_a_version_that_fails_its_tests(tmp_path):
    write(tmp_path)
    expect(tmp_path, "block")
    with pytest.raises(TestsFailed, match="expected block, got review"):
        opened(tmp_path)


def test_cases_that_show_less_than_was_asked_for_are_told_and_stop_nothing(tmp_path):
    write(tmp_path)
    expect(tmp_path, "review")
    with (tmp_path / "social.test.yaml").open("a") as tests:
        tests.write("coverage: {min_thresholds: 100%}\n")
    with (tmp_path / "social.yaml").open("a") as policy:
        policy.write("rules:\n  - {id: links, action: review, when: ocr.has_url}\n")
    opened(tmp_path)
    save(tmp_path / "social.test.yaml", (tmp_path / "social.test.yaml").read_text().replace("thresholds", "rules"))
    assert "rules: 0% shown, 100% asked for" in try_own(opened(tmp_path).get("social"))


async def test_a_canary_comes_grows_and_goes_with_its_file(tmp_path, monkeypatch):
    write(tmp_path)
    policies = opened(tmp_path)
    async with following(policies, monkeypatch) as (why, taken):
        write(tmp_path, "next", 0.75, 2, "rollout: {canary_percent: 10}")
        assert await why() == ""
        standing = policies.standing(None)
        assert (standing.policy.version, standing.canary.policy.version) == (1, 2)
        assert policies.version("social", standing.canary.policy.hash) is standing.canary.policy
        (tmp_path / "next.yaml").unlink()
        assert await why() == ""
        assert policies.standing(None).alone
        assert (taken, policies.problems) == ([(2, "canary", "none")], {})


async def test_a_version_in_force_cannot_become_a_canary_of_nothing(tmp_path, monkeypatch):
    write(tmp_path)
    policies = opened(tmp_path)
    async with following(policies, monkeypatch) as (why, _):
        write(tmp_path, version=2, rollout="rollout: {canary_percent: 10}")
        assert await why() == "place"
        assert in_force(policies) == 1
        assert "leave the version in force in its file" in policies.problems["social.yaml"]


async def test_two_versions_change_places(tmp_path, monkeypatch):
    """Each file alone leaves two versions in force, or none."""
    write(tmp_path)
    policies = opened(tmp_path)
    async with following(policies, monkeypatch) as (why, _):
        write(tmp_path, "next", version=2)
        assert await why() == "place"
        assert in_force(policies) == 1
        write(tmp_path, rollout="rollout: {shadow: true}")
        assert [await why(), await why()] == ["", ""]
        standing = policies.standing(None)
        assert (standing.policy.version, [shadow.version for shadow in standing.shadows]) == (2, [1])
        assert policies.problems == {}


async def test_versions_that_come_together_are_placed_whatever_their_files_are_called(tmp_path, monkeypatch):
    """A folder that is deployed anew: the canary is read before the policy it stands beside."""
    write(tmp_path)
    policies = opened(tmp_path)
    async with following(policies, monkeypatch) as (why, _):
        canary = POLICY.replace("social", "forum").format(version=2, review=0.75) + "rollout: {canary_percent: 10}\n"
        save(tmp_path / "a.yaml", canary)
        assert await why() == "place"
        save(tmp_path / "b.yaml", POLICY.replace("social", "forum").format(version=1, review=0.5))
        assert [await why(), await why()] == ["", ""]
        assert policies.standing("forum").canary.policy.version == 2
        assert policies.problems == {}


async def test_what_waited_for_a_place_takes_it_when_it_is_left(tmp_path, monkeypatch):
    write(tmp_path)
    for version, name in ((2, "a"), (3, "z")):
        write(tmp_path, name, 0.75, version, "rollout: {canary_percent: 10}")
        if version == 2:
            policies = opened(tmp_path)
    async with following(policies, monkeypatch) as (why, _):
        assert await why() == "place"
        assert "a second canary beside 'social'; the first is in a.yaml" in policies.problems["z.yaml"]
        write(tmp_path, "y", 0.75, 4, "rollout: {canary_percent: 10}")
        assert await why() == "place"
        for name in ("a", "y"):
            (tmp_path / f"{name}.yaml").unlink()
        await until(lambda: [each.policy.version for each in policies.versions] == [1, 3])
        assert policies.standing(None).canary.policy.version == 3
        assert policies.problems == {}


async def test_a_halted_canary_stays_halted_until_it_says_something_else(tmp_path, monkeypatch):
    write(tmp_path)
    write(tmp_path, "next", 0.75, 2, "rollout: {canary_percent: 10}")
    halted = []
    policies = opened(tmp_path, halted=halted.append)
    policies.standing(None).canary.halt("for a test")
    assert (len(halted), policies.halts) == (1, {"next.yaml": "for a test"})
    async with following(policies, monkeypatch) as (why, _):
        write(tmp_path, "next", 0.75, 2, "# tried again\nrollout: {canary_percent: 10}")
        assert await why() == ""
        assert policies.halts == {"next.yaml": "for a test"}
        write(tmp_path, "next", 0.75, 3, "rollout: {canary_percent: 10}")
        assert await why() == ""
        assert policies.halts == {}


def test_a_version_is_made_again_of_what_was_kept_of_it(tmp_path):
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "bad.txt").write_text("# what we do not want\nKnife\nGun\n")
    listed = "lists: {bad: {file: lists/bad.txt}}\nrules:\n"
    listed += "  - {id: r, action: block, when: 'labels.exists(l, l.name in lists.bad)'}\n"
    write(tmp_path, rollout=listed)
    policies = opened(tmp_path)
    [version] = policies.versions
    assert version.lists == {"lists/bad.txt": "Gun\nKnife\n"}
    assert policies.restore("social.yaml", version.source, version.lists).hash == version.policy.hash
    with pytest.raises(ConfigError, match="an address of its own"):
        policies.restore("social.yaml", version.source, {"/etc/passwd": ""})


def test_the_rollout_that_the_page_shows_is_one(tmp_path):
    [shown] = re.findall(r"```yaml\n(rollout:.*?)```", (CONFIG / "README.md").read_text(), re.DOTALL)
    write(tmp_path)
    write(tmp_path, "next", version=2, rollout=shown)
    assert opened(tmp_path).standing(None).canary.policy.rollout.halt.block_rate == (0.001, 0.03)
