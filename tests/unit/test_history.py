"""Which policies came into force when, and by whom: written once, and read again to explain old decisions."""

import sqlite3
from contextlib import asynccontextmanager

import orjson
import pytest
from msgspec.structs import replace
from sqlalchemy import select

from gateway.errors import NotFound
from gateway.history import CHANGE, START, History
from gateway.policy.book import PolicyBook
from gateway.policytools.own import try_own
from gateway.record import PolicyName
from gateway.store.database import Database
from gateway.store.tables import events
from gateway.witness import Witness
from tests.policies.saying import SHIPPED, TAXONOMY_READ
from tests.unit.test_policy_versions import expect, write
from tests.unit.test_store import record


class Ears(Witness):
    def __init__(self):
        self.heard = []

    def canary_halted(self, policy):
        self.heard.append(policy)


@asynccontextmanager
async def opened(folder):
    """A process that starts."""
    database = await Database.open(folder / "var")
    history = History(database, Ears())
    policies = PolicyBook(folder, "social", TAXONOMY_READ, SHIPPED, None, try_own, history.halted)
    policies.load()
    await history.begin(policies)
    yield history, policies
    await history.close()
    await database.close()


async def told(history):
    """Oldest first."""
    rows = await history.versions.newest(100)
    return [(row.version, row.role, row.activated_by, row.tests) for row in reversed(rows)]


async def test_what_comes_into_force_is_written_once(tmp_path):
    write(tmp_path)
    async with opened(tmp_path) as (history, _):
        assert await told(history) == [(1, "in_force", START, "none")]
    async with opened(tmp_path), opened(tmp_path) as (history, policies):  # two processes, as it was
        await history.taken(policies.versions[0])
        assert len(await told(history)) == 1


async def test_a_change_is_written_and_so_is_the_way_back(tmp_path):
    write(tmp_path)
    expect(tmp_path, "review")
    async with opened(tmp_path) as (history, policies):
        [first] = policies.versions
        write(tmp_path, version=2)
        policies.load()
        await history.taken(policies.versions[0])
        await history.taken(first)
        assert await told(history) == [
            (1, "in_force", START, "1 passed"),
            (2, "in_force", CHANGE, "1 passed"),
            (1, "in_force", CHANGE, "1 passed"),
        ]
        assert len(await history.versions.of(first.policy.hash)) == 2


async def test_a_canary_is_written_as_one(tmp_path):
    write(tmp_path)
    write(tmp_path, "next", 0.75, 2, "rollout: {canary_percent: 10}")
    async with opened(tmp_path) as (history, _):
        assert sorted(await told(history)) == [(1, "in_force", START, "none"), (2, "canary", START, "none")]


async def test_a_halt_is_an_event(tmp_path):
    write(tmp_path)
    write(tmp_path, "next", 0.75, 2, "rollout: {canary_percent: 10}")
    async with opened(tmp_path) as (history, policies):
        canary = policies.standing(None).canary
        canary.halt("too much")
        await history.close()
        assert history._witness.heard == ["social"]
        async with history._database.reader.connect() as connection:
            [event] = (await connection.execute(select(events))).all()
        assert (event.kind, event.subject) == ("policy.halted", "social@2")
        assert orjson.loads(event.body)["why"] == "too much"


def decided_by(policy):
    return replace(record(), policy=PolicyName(policy.name, policy.version, policy.hash, policy.resolved))


async def test_an_old_decision_finds_the_version_it_was_made_by(tmp_path):
    write(tmp_path)
    async with opened(tmp_path) as (history, policies):
        old = policies.get(None)
        assert await history.policy_of(decided_by(old), policies) is old
        write(tmp_path, version=2)
        policies.load()
        again = await history.policy_of(decided_by(old), policies)
        assert (again.hash, again.version) == (old.hash, 1)


@pytest.mark.parametrize("spoil", ["delete from policy_versions", "update policy_versions set source = 'policy: ['"])
async def test_a_version_that_is_not_to_be_had_is_said_to_be_so(tmp_path, spoil):
    write(tmp_path)
    async with opened(tmp_path) as (history, policies):
        old = policies.get(None)
        write(tmp_path, version=2)
        policies.load()
        with sqlite3.connect(tmp_path / "var" / "modgate.sqlite") as database:
            database.execute(spoil)
        with pytest.raises(NotFound) as caught:
            await history.policy_of(decided_by(old), policies)
        assert caught.value.code == "policy_has_changed"


async def test_a_database_that_does_not_answer_stops_no_policy(tmp_path):
    write(tmp_path)
    async with opened(tmp_path) as (history, policies):
        with sqlite3.connect(tmp_path / "var" / "modgate.sqlite") as database:
            database.execute("drop table policy_versions")
        write(tmp_path, version=2)
        policies.load()
        await history.taken(policies.versions[0])
        assert policies.get(None).version == 2
