"""The fault matrix, rows 15, 16, 22 to 24, 26 and 28: what fails is ours, or all vendors at once, or two disagree.

Each row has a gateway of its own. test_matrix.py says which rows are not there yet.
"""

import asyncio
import os
import resource
import signal
import sqlite3
from base64 import b64encode
from contextlib import asynccontextmanager, contextmanager, suppress
from io import BytesIO
from pathlib import Path

import pytest

from gateway import paths
from gateway.logs import _Gathered
from tests.faults.stage import BAD, DEADLINE, PATIENT, provider, spare, stage
from tests.gateway import image
from tests.simulating import photo
from tests.waiting import until

LOCKED = 5.0  # seconds that our writer waits for another process to be done with the database
ONE_KEY = {"Idempotency-Key": "one-and-the-same"}
BOMBS = {
    "webp-of-268-megapixels": "524946461a000000574542505650384c0e0000002ffebfff0f071011fd0f4444ff03",
    "gif-of-a-vast-canvas": "474946383961ffffffff800000000000ffffff21f90408010000002c00000000010001000002024401"
    "0021f90408010000002c00000000010001000002024401003b",
    "png-that-lies": "89504e470d0a1a0a0000000d494844520000ea600000ea60080600000080d275420000000c49444154789c6360"
    "a03d00000064000186643c350000000049454e44ae426082",
}


@asynccontextmanager
async def standing(folder, more="", legs="ask: [well], fallback: [spare]", patience=PATIENT):
    """A gateway that asks `well` by way of a proxy, and `spare`."""

    def config(addresses):
        leg = f"{{{legs}, deadline: {DEADLINE}s}}"
        routes = f"routes: {{default: {{text: {leg}, image: {{ask: [well], deadline: {DEADLINE}s}}}}}}"
        return "\n".join([more, "providers:", spare(addresses), provider("well", addresses["well"], patience), routes])

    async with stage(folder, config, {"well": None}) as made:
        yield made


@contextmanager
def written_by_another(folder):
    """Another process is at the database and does not let go."""
    other = sqlite3.connect(folder / "var/modgate.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.rollback()
        other.close()


@contextmanager
def full(folder):
    """No file of this process grows any more, as on a full disk: the database's log least of all."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    most = (folder / "var/modgate.sqlite-wal").stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(("row", "fault"), [("15", written_by_another), ("16", full)])
async def test_rows_15_and_16_what_cannot_be_kept_is_not_decided(tmp_path, row, fault):
    async with standing(tmp_path) as gateway:
        kept = await gateway.moderate("A walk on the beach")
        async with gateway.row(LOCKED + DEADLINE):
            with fault(tmp_path):
                refused = await asyncio.gather(gateway.moderate(BAD), gateway.moderate(BAD, headers=ONE_KEY))
                assert {(told.status, told.body["code"]) for told in refused} == {(503, "evidence_unavailable")}
                assert all(int(told.headers["Retry-After"]) >= 1 for told in refused)
                assert not any("action" in told.body for told in refused)
                assert (await gateway.get(f"/v1/decisions/{kept.body['id']}"))[0] == 200
                assert (await gateway.get("/healthz"))[0] == 200
            again = await gateway.moderate(BAD, headers=ONE_KEY)
            assert (again.status, again.body["action"]) == (200, "block")
        with sqlite3.connect(tmp_path / "var/modgate.sqlite") as database:
            assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


SPOILED = {
    "syntax": lambda text: text.replace("policy:", "policy: [", 1),
    "unknown-category": lambda text: text.replace("violence:", "violins:", 1),
    "empty": lambda text: "",
    "half-written": lambda text: text[: len(text) // 3 * 2].rpartition("{")[0] + "{",
    "gone": None,
}


async def test_row_22_a_broken_policy_changes_nothing(tmp_path):
    shipped, folder = (paths.SHIPPED / "policies/social.yaml").read_text(), tmp_path / "policies"
    folder.mkdir()
    for name in ("social", *SPOILED):
        (folder / f"{name}.yaml").write_text(shipped.replace("policy: social", f"policy: {name}"))
    async with standing(tmp_path, "policies: {dir: ./policies}") as gateway, gateway.row():
        before = {name: await gateway.moderate(BAD, policy=name) for name in SPOILED}
        for name, spoil in SPOILED.items():
            file = folder / f"{name}.yaml"
            file.write_text(spoil(file.read_text())) if spoil else file.unlink()

        async def noticed():
            return await gateway.metric("modgate_policy_reloads_total", result="failed") == len(SPOILED)

        await until(noticed)
        for name, told in before.items():
            after = await gateway.moderate(BAD, policy=name)
            assert (after.body["action"], after.body["policy"]) == ("block", told.body["policy"])
        _, ready = await gateway.get("/readyz")
        assert sorted(ready["checks"]["policies"]["problems"]) == sorted(f"{name}.yaml" for name in SPOILED)


async def test_row_23_bombs_are_refused_and_hurt_nobody(tmp_path):
    async with standing(tmp_path) as gateway, gateway.row():
        for bomb in BOMBS.values():
            refused = await gateway.moderate(images=[{"data": b64encode(bytes.fromhex(bomb)).decode()}])
            assert refused.status in (413, 422)
        well = await gateway.moderate(images=[{"data": image("red")}])
        assert (well.status, well.body["action"]) == (200, "block")


async def test_row_23_a_decoder_that_dies_takes_one_picture_along(tmp_path):
    async with standing(tmp_path) as gateway, gateway.row():
        vast = b64encode(photo("red", "png", (7000, 7000))).decode()
        sent = asyncio.create_task(gateway.moderate(images=[{"data": vast}]))
        await until(busy_decoder)
        os.kill(busy_decoder(), signal.SIGKILL)
        lost = await sent
        assert (lost.status, lost.body["code"]) == (422, "image_undecodable")
        assert await gateway.metric("modgate_decoders_lost_total", cause="crash") == 1
        well = await gateway.moderate(images=[{"data": image("red")}])
        assert (well.status, well.body["action"]) == (200, "block")


def busy_decoder():
    """A process that decodes for us now: a child of the fork server, which is a child of ours. 0 where none does."""
    stats = {}
    for file in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # gone since
            state, parent = file.read_text().rpartition(")")[2].split()[:2]
            stats[int(file.parent.name)] = state, int(parent)
    grandchildren = [pid for pid, (_, parent) in stats.items() if stats.get(parent, ("", 0))[1] == os.getpid()]
    return next((pid for pid in grandchildren if stats[pid][0] == "R"), 0)


async def test_row_24_many_at_once_under_one_key_are_one(tmp_path):
    async with standing(tmp_path) as gateway, gateway.row():
        gateway.proxies["well"].downstream.latency(0.1)
        await asyncio.gather(*(gateway.moderate(BAD, headers=ONE_KEY) for _ in range(12)))
        assert {told.status for told in gateway.told} <= {200, 409}
        again = await gateway.moderate(BAD, headers=ONE_KEY)
        assert (again.status, again.headers["Idempotency-Replayed"]) == (200, "true")
        assert len({told.body["id"] for told in gateway.told if told.status == 200}) == gateway.decisions() == 1
        assert (await gateway.vendors.calls("openai"))[0] == 1
        other = await gateway.moderate(f"else {BAD}", headers=ONE_KEY)
        assert other.status == 409


async def test_row_26_nobody_left_to_ask_means_people_look_and_too_many_are_refused(tmp_path):
    few = standing(tmp_path, "limits: {concurrency: 4}", "ask: [well]", "timeout: 1s")
    async with few as gateway, gateway.row():
        gateway.proxies["well"].upstream.timeout()
        told = await asyncio.gather(*(gateway.moderate(f"{number} {BAD}") for number in range(12)))
        looked_at = [answer for answer in told if answer.status == 200]
        refused = [answer for answer in told if answer.status == 503]
        assert (len(looked_at) + len(refused), bool(refused)) == (12, True)
        assert len(looked_at) >= 4
        assert all(answer.body["action"] == "review" and answer.body["degraded"] for answer in looked_at)
        assert all(any(code.startswith("coverage_") for code in answer.codes) for answer in looked_at)
        assert all(int(answer.headers["Retry-After"]) >= 1 for answer in refused)
        assert await gateway.metric("modgate_refused_total") == len(refused)


ONE_VOICE = "[[openai:violence=0.97]]"  # openai finds violence in it, and nobody else anything


async def test_row_28_of_two_that_answered_in_time_the_stricter_counts(tmp_path):
    async with standing(tmp_path, legs="ask: [spare, well]") as gateway, gateway.row():
        told = await gateway.moderate(ONE_VOICE)
        assert (told.body["action"], told.body["degraded"]) == ("block", False)


async def test_row_28_a_stricter_answer_that_comes_late_revises_the_decision(tmp_path):
    legs = "strategy: hedge, ask: [well], fallback: [spare], hedge_after: 250ms"
    async with standing(tmp_path, legs=legs) as gateway, gateway.row():
        for number in range(50):  # a hedge is one call in twenty, and one of these may have needed it
            await gateway.moderate(f"a quiet day {number}")
        gateway.proxies["well"].downstream.latency(1.5)
        told = await gateway.moderate(ONE_VOICE)
        assert told.providers == [("spare", "ok", "hedge"), ("well", "late", "ask")]
        assert told.body["action"] == "allow"

        async def revised():
            _, found = await gateway.get(f"/v1/decisions/{told.body['id']}")
            return [revision["action"] for revision in found["revisions"]] == ["block"]

        await until(revised)
        assert await gateway.metric("modgate_revisions_total", cause="late_answer") == 1


def test_row_16_a_full_disk_fails_nobody_for_want_of_a_log():
    """/dev/full takes nothing: whatever is written to it finds the disk full."""
    with Path("/dev/full").open("wb", buffering=0) as out:
        logger = _Gathered(out)
        logger.error(b"a line")
        logger.flush()


def test_row_16_nor_does_a_stream_that_somebody_closed():
    out = BytesIO()
    logger = _Gathered(out)
    out.close()
    logger.error(b"a line")
