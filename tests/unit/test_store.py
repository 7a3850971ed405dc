"""What is kept: the database, decisions and their evidence."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import asynccontextmanager
from pathlib import Path
from textwrap import dedent

import pytest
from sqlalchemy import text

from gateway.domain import (
    Answer,
    Exchange,
    Failure,
    Image,
    Opinion,
    Reading,
    Role,
    Signal,
    Text,
    View,
)
from gateway.errors import ConfigError, NotFound, Overloaded
from gateway.ledger import DatabaseLedger
from gateway.paths import MESSAGES, TAXONOMY
from gateway.policy.decide import decide
from gateway.policy.making import load_policy
from gateway.policy.messages import Messages
from gateway.policy.tally import InputFacts
from gateway.record import Case, PolicyName, Record, Timings, digest, evidence
from gateway.store.database import Database
from gateway.store.schema import NEWEST
from gateway.taxonomy import Taxonomy

TAXONOMY_READ = Taxonomy.from_file(TAXONOMY)
SHIPPED = Messages.from_file(MESSAGES)


# The database


@asynccontextmanager
async def opened(folder: Path):
    database = await Database.open(folder)
    try:
        yield database
    finally:
        await database.close()


def file_of(folder: Path) -> Path:
    return folder / "modgate.sqlite"


async def test_it_makes_its_folder_and_its_tables(tmp_path):
    async with opened(tmp_path / "new" / "var") as database, database.reader.connect() as connection:
        assert (await connection.execute(text("select version_num from alembic_version"))).scalar_one() == NEWEST
        assert (await connection.execute(text("pragma journal_mode"))).scalar_one() == "wal"


async def test_what_was_written_is_there_when_it_is_opened_again(tmp_path):
    async with opened(tmp_path) as database:
        await DatabaseLedger(database).record(record())
    async with opened(tmp_path) as database:
        assert (await DatabaseLedger(database).find("mod_1", "acme")).record.id == "mod_1"


def a_file(folder: Path) -> Path:
    (folder / "var").write_text("not a folder")
    return folder / "var"


def below_a_file(folder: Path) -> Path:
    return a_file(folder) / "deeper"


def nowhere_to_write(folder: Path) -> Path:
    return Path("/proc/modgate")  # refuses even root


def a_folder_in_its_place(folder: Path) -> Path:
    file_of(folder).mkdir()
    return folder


def another_format(folder: Path) -> Path:
    file_of(folder).write_bytes(b"GIF89a" * 1000)
    return folder


def from_a_newer_modgate(folder: Path) -> Path:
    asyncio.run(_open_and_close(folder))
    with sqlite3.connect(file_of(folder)) as connection:
        connection.execute("update alembic_version set version_num = '9999'")
    connection.close()
    return folder


async def _open_and_close(folder: Path) -> None:
    async with opened(folder):
        pass


@pytest.mark.parametrize(
    "broken",
    [a_file, below_a_file, nowhere_to_write, a_folder_in_its_place, another_format, from_a_newer_modgate],
    ids=lambda make: make.__name__,
)
def test_a_folder_that_cannot_be_used_is_a_mistake_of_the_configuration(tmp_path, broken: Callable[[Path], Path]):
    folder = broken(tmp_path)
    with pytest.raises(ConfigError, match=r"storage\.dir: .*modgate\.sqlite"):
        asyncio.run(_open_and_close(folder))


def test_several_processes_may_open_a_new_folder_at_the_same_moment(tmp_path):
    """As `modgate serve --workers 2` does the first time."""
    program = dedent("""
        import asyncio, sys
        from pathlib import Path
        from gateway.store.database import Database

        async def main():
            print("ready", flush=True)
            sys.stdin.readline()
            await (await Database.open(Path(sys.argv[1]))).close()

        asyncio.run(main())
    """)
    command = [sys.executable, "-c", program, str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    workers = [subprocess.Popen(command, **pipes) for _ in range(2)]
    for worker in workers:
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        worker.stdin.write("go\n")
        worker.stdin.flush()
    said = [worker.communicate(timeout=30)[1].strip().splitlines()[-1:] for worker in workers]
    assert said == [[], []]
    asyncio.run(_open_and_close(tmp_path))


async def test_tables_that_fail_half_way_leave_nothing_behind(tmp_path):
    """Else the next start would find tables of a database that has no version."""
    with sqlite3.connect(file_of(tmp_path)) as other:
        other.execute("create table api_keys (in_the_way)")
    with pytest.raises(ConfigError, match="api_keys already exists"):
        await Database.open(tmp_path)
    with other:
        other.execute("drop table api_keys")
    other.close()
    async with opened(tmp_path) as database:
        await DatabaseLedger(database).record(record())


# Decisions and their evidence


def record(id: str = "mod_1", tenant: str = "acme") -> Record:
    """A caption and a picture; one provider looked at the caption only, one failed."""
    signal = Signal("hate", 7250, "a", "hate", 0)
    looked = Reading(
        provider="a",
        inputs=(0, 1),
        signals=(signal,),
        model="m-1",
        opinion=Opinion("high"),
        exchanges=(Exchange(200, '{"hate": 0.725}', 12.0),),
        attempts=2,
        latency_ms=15.0,
    )
    blind = Failure("a", (0, 1), "drift", "it did not look at this input", 2, 15.0, 200, '{"hate": 0.725}')
    down = Failure("b", (1,), "unavailable", "HTTP 503", 1, 3.0, 503, "<html>Überlast</html>")
    answers = (Answer(0, Role.ASK, looked), Answer(1, Role.ASK, blind), Answer(1, Role.FALLBACK, down))
    inputs = (
        Text("what they wrote"),
        Image("ab" * 32, (View(b"jpeg", "image/jpeg", 1, 1),), "gif", 9, 5, "https://example.org/x.gif?key=1#f"),
    )
    facts = [
        InputFacts(modality=part.modality, answers=tuple(a for a in answers if a.input == index), sees={}, need=1)
        for index, part in enumerate(inputs)
    ]
    decision = decide(POLICY, facts)
    return Record(
        id=id,
        created_at=1_764_000_000.25,
        tenant=tenant,
        request_id="req_1",
        route="default",
        policy=PolicyName(POLICY.name, POLICY.version, POLICY.hash),
        context={"country": "DE", "strikes": 3, "nested": {"a": [1, 2.5, None, True]}, "user": "ü\u2028"},
        content=tuple(digest(part) for part in inputs),
        answers=answers,
        decision=decision,
        degraded=True,
        tier=2,
        timings=Timings(15.0, 0.1, 15.2),
        objects=("a",),
    )


POLICY = load_policy(Path(__file__).parents[2] / "config" / "policies" / "social.yaml", TAXONOMY_READ, SHIPPED)


async def test_a_decision_is_found_as_it_was_recorded(tmp_path):
    async with opened(tmp_path) as database:
        ledger = DatabaseLedger(database)
        await ledger.record(record())
        assert await ledger.find("mod_1", "acme") == Case(record())


@pytest.mark.parametrize("id, tenant", [("mod_1", "other"), ("mod_2", "acme"), ("", "acme"), ("mod_%", "acme")])
async def test_another_tenants_decision_does_not_exist(tmp_path, id, tenant):
    async with opened(tmp_path) as database:
        ledger = DatabaseLedger(database)
        await ledger.record(record())
        with pytest.raises(NotFound) as caught:
            await ledger.find(id, tenant)
        assert (caught.value.http, caught.value.code) == (404, "unknown_decision")


async def test_many_decisions_at_once_are_all_kept(tmp_path):
    async with opened(tmp_path) as database:
        ledger = DatabaseLedger(database)
        ids = [f"mod_{number}" for number in range(250)]
        await asyncio.gather(*(ledger.record(record(id)) for id in ids))
        async with database.reader.connect() as connection:
            kept = (await connection.execute(text("select count(*) from decisions"))).scalar_one()
        assert kept == len(ids)


def test_the_evidence_holds_no_content_and_no_secret_of_an_address():
    told = str(evidence(Case(record())))
    assert "what they wrote" not in told
    assert "key=1" not in told


def test_the_evidence_keeps_what_was_said_even_where_it_says_nothing_of_another_input():
    """One answer about two inputs bears on the first, and is a failure for the second."""
    told = evidence(Case(record()))
    assert [(signal["category"], signal["score"], signal["input"]) for signal in told["signals"]] == [
        ("hate", 0.725, 0)
    ]
    assert [label["name"] for label in told["labels"]] == ["hate"]
    assert {raw["provider"] for raw in told["raw"]} == {"a", "b"}


@asynccontextmanager
async def broken_disk(folder: Path):
    """Every insert fails until `mend` is called, as it does on a full disk."""
    async with opened(folder) as database:
        other = sqlite3.connect(file_of(folder))
        other.execute("create trigger full before insert on decisions begin select raise(abort, 'disk full'); end")
        other.commit()

        def mend() -> None:
            other.execute("drop trigger full")
            other.commit()

        yield DatabaseLedger(database), mend
        other.close()


async def test_a_decision_that_cannot_be_kept_is_not_given(tmp_path):
    async with broken_disk(tmp_path) as (ledger, mend):
        with pytest.raises(Overloaded) as caught:
            await ledger.record(record())
        assert (caught.value.http, caught.value.code) == (503, "evidence_unavailable")
        assert caught.value.retry_after
        mend()
        await ledger.record(record())
        assert (await ledger.find("mod_1", "acme")).record.id == "mod_1"


async def test_nor_is_one_that_comes_while_the_database_closes(tmp_path):
    database = await Database.open(tmp_path)
    await database.close()
    with pytest.raises(Overloaded) as caught:
        await DatabaseLedger(database).record(record())
    assert caught.value.code == "evidence_unavailable"
