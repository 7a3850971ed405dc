"""Policies on disk, followed while the gateway runs: what changes counts, what breaks changes nothing."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from gateway.errors import ConfigError, UnknownPolicy
from gateway.paths import MESSAGES, TAXONOMY
from gateway.policy import book
from gateway.policy.book import PolicyBook
from gateway.policy.messages import Messages
from gateway.taxonomy import Taxonomy

TAXONOMY_READ = Taxonomy.from_file(TAXONOMY)
SHIPPED = Messages.from_file(MESSAGES)


def save(file: Path, said: str) -> None:
    """All at once, so that nobody reads half of it."""
    draft = file.with_suffix(".draft")
    draft.write_text(said, encoding="utf-8")
    draft.replace(file)


def write(folder: Path, name: str, review: float = 0.5, policy: str = "") -> None:
    save(folder / f"{name}.yaml", f"policy: {policy or name}\nthresholds: {{hate: {{review: {review}}}}}\n")


def review_from(policies: PolicyBook, name: str | None) -> int | None:
    return policies.get(name).rules["hate"].review


@pytest.fixture
def folder(tmp_path) -> Path:
    for name in ("first", "second", "third"):
        write(tmp_path, name)
    return tmp_path


@pytest.fixture
def policies(folder) -> PolicyBook:
    policies = PolicyBook(folder, "first", TAXONOMY_READ, SHIPPED)
    policies.load()
    return policies


@asynccontextmanager
async def following(policies: PolicyBook):
    """Yields a function that waits for this many more reloads and returns whether each worked."""
    told: asyncio.Queue[bool] = asyncio.Queue()
    watching = asyncio.create_task(policies.watch(lambda why: told.put_nowait(not why)))

    async def heard(count: int) -> list[bool]:
        async with asyncio.timeout(3):
            return [await told.get() for _ in range(count)]

    yield heard
    watching.cancel()
    with suppress(asyncio.CancelledError):
        await watching


@pytest.fixture
def often(monkeypatch):
    monkeypatch.setattr(book, "LOOK_EVERY", 0.02)


async def test_a_changed_file_counts_within_five_seconds(folder, policies):
    async with following(policies) as heard:
        write(folder, "second", 0.75)
        assert await heard(1) == [True]
    assert [review_from(policies, name) for name in (None, "second", "third")] == [5000, 7500, 5000]


async def test_each_file_is_followed_by_itself(folder, policies, often):
    async with following(policies) as heard:
        write(folder, "first", 0.25)
        save(folder / "second.yaml", "policy: second\nthresholds: {hate: {reveiw: 0.5}}\n")
        (folder / "third.yaml").unlink()
        write(folder, "fourth", 0.125)
        write(folder, "fifth", 0.1, policy="first")
        assert sorted(await heard(5)) == [False, False, False, True, True]
    assert [review_from(policies, name) for name in ("first", "second", "third", "fourth")] == [2500, 5000, 5000, 1250]
    assert policies.names == ["first", "fourth", "second", "third"]
    assert sorted(policies.problems) == ["fifth.yaml", "second.yaml", "third.yaml"]
    assert "second.yaml:2:21: unknown key" in policies.problems["second.yaml"]
    assert "a second policy named 'first'" in policies.problems["fifth.yaml"]


async def test_a_mended_file_counts_and_is_no_problem_any_more(folder, policies, often):
    async with following(policies) as heard:
        save(folder / "second.yaml", "policy: [")
        assert await heard(1) == [False]
        assert "second.yaml" in policies.problems
        write(folder, "second", 0.25)
        assert await heard(1) == [True]
    assert (review_from(policies, "second"), policies.problems) == (2500, {})


async def test_a_file_that_comes_back_counts_again(folder, policies, often):
    async with following(policies) as heard:
        (folder / "second.yaml").unlink()
        assert await heard(1) == [False]
        write(folder, "second", 0.25)
        assert await heard(1) == [True]
    assert (review_from(policies, "second"), policies.problems) == (2500, {})


async def test_the_default_policy_cannot_be_renamed_away(tmp_path, often):
    """A gateway without its default could answer nobody who names no policy: the last good one goes on."""
    write(tmp_path, "a", policy="first")
    policies = PolicyBook(tmp_path, "first", TAXONOMY_READ, SHIPPED)
    policies.load()
    async with following(policies) as heard:
        write(tmp_path, "a", policy="renamed")
        await heard(1)
    assert policies.get(None)


async def test_a_link_that_leads_nowhere_does_not_stop_it_from_following(folder, policies, often):
    """Emacs leaves `.#second.yaml` beside a file that is being edited."""
    async with following(policies) as heard:
        (folder / ".#second.yaml").symlink_to("nobody@nowhere.1234")
        await asyncio.sleep(0.1)
        write(folder, "second", 0.75)
        assert await heard(1) == [True]
    assert review_from(policies, "second") == 7500


async def test_test_files_and_other_files_are_no_policies(folder, policies, often):
    async with following(policies) as heard:
        (folder / "first.test.yaml").write_text("policy: ./first.yaml\ncases: []\n")
        (folder / "README.md").write_text("# What we allow\n")
        write(folder, "second", 0.75)
        assert await heard(1) == [True]
    assert policies.problems == {}


@pytest.mark.parametrize(
    "files, default, words",
    [
        ({}, "a", "there is no policy here"),
        ({"a": "policy: a\nthresholds: {}\n", "b": "policy: a\nthresholds: {}\n"}, "a", "a second policy named 'a'"),
        ({"a": "policy: a\nthresholds: {hatte: {}}\n"}, "a", "a.yaml:2:14: unknown category 'hatte'"),
        ({"social": "policy: social\nthresholds: {}\n"}, "socail", "did you mean 'social'?"),
    ],
)
def test_it_does_not_start_with_a_broken_folder(tmp_path, files, default, words):
    for name, said in files.items():
        (tmp_path / f"{name}.yaml").write_text(said)
    with pytest.raises(ConfigError) as caught:
        PolicyBook(tmp_path, default, TAXONOMY_READ, SHIPPED).load()
    assert words in str(caught.value)


def test_a_policy_goes_by_its_own_name_and_its_files(tmp_path):
    write(tmp_path, "file", policy="own")
    policies = PolicyBook(tmp_path, "own", TAXONOMY_READ, SHIPPED)
    policies.load()
    assert policies.get("own") is policies.get("file") is policies.get(None)
    assert policies.names == ["own"]
    with pytest.raises(UnknownPolicy) as caught:
        policies.get("onw")
    assert (caught.value.http, caught.value.hint) == (400, "did you mean 'own'?")
