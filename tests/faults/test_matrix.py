"""The fault matrix, rows 1 to 13: a vendor, or the way to it, fails in one way after the other.

For each the same is asked: another provider steps in; with nobody else a person looks; the answer comes in time; it is
recorded, counted, and all is as before once the fault is gone.
Rows 15, 16, 22 to 24, 26 and 28 are in test_matrix_inside.py; the burst of row 5 in test_vendor_protection.py.

Not there yet: 14 clock jumps · 17 Redis · 18 moving what is stored · 19 webhooks · 20, 21 workers and replicas killed ·
25 two reviewers at once · 27 keys rotated · 29, 30 PostgreSQL. They come with what they are about; so does I3 (nothing
is public without a decision) and I4 (no job is lost).
"""

import asyncio
import json
import socket
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Event

import pytest
import pytest_asyncio

from tests.contract.replay import listening
from tests.faultproxy import Certificates
from tests.faults.stage import (
    BAD,
    DEADLINE,
    IN_TIME,
    PATIENT,
    SHORT,
    forget_peak,
    peak,
    provider,
    rss,
    spare,
    stage,
)
from tests.gateway import judgement, response
from tests.waiting import until


async def huge(heard, writer):
    """A gigabyte, if anybody reads it."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
    for _ in range(10_000):
        writer.write(b" " * 100_000)
        await writer.drain()


async def in_utf_16(heard, writer):
    writer.write(response(json.dumps(judgement(heard)).encode("utf-16"), Content_Type="application/json"))


def score(value):
    return {"set": {"/results/0/category_scores/violence": value}}


@dataclass(frozen=True)
class Row:
    """`status` is what the answer calls it and `then` what it does the second time; `attempts` of the first question.

    What spoils: `way` the proxy, `fault` the simulator, `certificate` the TLS, `says` a vendor of its own, `host` DNS.
    """

    status: str
    attempts: int
    then: str = ""
    way: Callable | None = None
    fault: dict | None = None
    certificate: str = ""
    says: Callable | None = None
    host: str = ""
    within: float = IN_TIME

    @property
    def patience(self):
        return SHORT if self.status == "timeout" else PATIENT

    @property
    def mends(self):
        """Whether it is well again once nothing is spoiled."""
        asked_to_wait = "retry_after" in (self.fault or {})
        return bool(self.way or self.fault) and not (self.certificate or self.then or asked_to_wait)


UNTRUSTED = ("expired", "wrong_host", "self_signed")
ROWS = {
    "1-silence": Row("timeout", 1, way=lambda proxy: proxy.downstream.timeout()),
    "1-slow": Row("timeout", 1, way=lambda proxy: proxy.downstream.latency(60)),
    "1-slow-to-hear": Row("timeout", 1, way=lambda proxy: proxy.upstream.latency(60)),
    "2-refused": Row("unavailable", 2, way=lambda proxy: proxy.down(), within=5.0),
    "3-reset-at-once": Row("unavailable", 2, way=lambda proxy: proxy.downstream.reset_peer()),
    "3-reset-mid-body": Row("unavailable", 2, way=lambda proxy: proxy.downstream.reset_peer(after=400)),
    "3-cut-mid-body": Row("unavailable", 2, way=lambda proxy: proxy.downstream.limit_data(400)),
    "3-reset-by-the-vendor": Row("unavailable", 2, fault={"reset": "mid_body"}),
    "4-seconds": Row("throttled", 1, fault={"error": "throttled", "retry_after": 30}),
    "4-date": Row("throttled", 1, fault={"error": "throttled", "retry_after": 60, "retry_after_as": "date"}),
    "4-absurd": Row("throttled", 1, fault={"error": "throttled", "retry_after": 1e9}),
    "4-negative": Row("throttled", 2, fault={"error": "throttled", "retry_after": -5}),
    "4-not-said": Row("throttled", 2, fault={"error": "throttled", "retry_after": "none"}),
    "5-server-error": Row("unavailable", 2, fault={"error": "server_error"}),
    "6-half-a-json": Row("drift", 1, fault={"instead": "garbage"}),
    "6-not-a-number": Row("drift", 1, fault={"instead": "not_a_number"}),
    "6-in-utf-16": Row("drift", 1, says=in_utf_16),
    "6-enormous": Row("drift", 1, fault=score(1e308)),
    "6-negative": Row("drift", 1, fault=score(-0.2)),
    "6-a-string": Row("drift", 1, fault=score("0.97")),
    "6-true": Row("drift", 1, fault=score(True)),
    "7-a-label-less": Row("drift", 1, fault={"remove": ["/results/0/category_scores/violence"]}),
    "7-a-label-renamed": Row("drift", 1, fault={"rename": {"violence": "violent_content"}}),
    "7-another-scale": Row("drift", 1, fault=score(97)),
    "7-another-shape": Row("drift", 1, fault={"instead": "wrong_shape"}),
    "8-empty": Row("drift", 1, fault={"instead": "empty"}),
    "8-no-content": Row("drift", 1, fault={"instead": "no_content"}),
    "8-no-results": Row("drift", 1, fault={"set": {"/results": []}}),
    "9-gigabyte": Row("drift", 1, says=huge),
    "9-compressed": Row("drift", 1, fault={"instead": "gzip"}),
    "10-drip": Row("timeout", 1, way=lambda proxy: proxy.downstream.slicer(1, delay=0.1)),
    "10-narrow": Row("timeout", 1, way=lambda proxy: proxy.downstream.bandwidth(30)),
    "11-expired": Row("unavailable", 1, certificate="expired"),
    "11-wrong-host": Row("unavailable", 1, certificate="wrong_host"),
    "11-self-signed": Row("unavailable", 1, certificate="self_signed"),
    "11-stall": Row("timeout", 1, certificate="none", way=lambda proxy: proxy.upstream.timeout()),
    "12-refused-key": Row("denied", 1, then="open", fault={"error": "refused_key"}),
    "12-forbidden": Row("denied", 1, then="open", fault={"error": "forbidden"}),
    "13-no-such-name": Row("unavailable", 2, host="http://vendor.invalid"),
    "13-slow-name": Row("timeout", 1, host="http://slow.invalid"),
}


def config(addresses):
    """A provider for each row; routes `with-…` that have another to fall back on, and `only-…` that have not."""
    rows = [
        line
        for name in ROWS
        for line in (
            f'  with-{name}: {{text: {{ask: ["{name}"], fallback: [spare], deadline: {DEADLINE}s}}}}',
            f'  only-{name}: {{text: {{ask: ["{name}"], deadline: {DEADLINE}s}}}}',
        )
    ]
    rows_own = [provider(name, addresses[name], row.patience) for name, row in ROWS.items()]
    providers = [spare(addresses), provider("well", addresses["well"]), *rows_own]
    default = f"  default: {{text: {{ask: [well], deadline: {DEADLINE}s}}}}"
    return "\n".join(["providers:", *providers, "routes:", default, *rows])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(tmp_path_factory):
    folder, certificates = tmp_path_factory.mktemp("matrix"), Certificates()
    context = {name: getattr(certificates, row.certificate, None) for name, row in ROWS.items()}
    proxies = {name: make and make() for name, make in context.items()} | {"well": certificates.good()}
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("SSL_CERT_FILE", str(certificates.trusted(folder)))
        async with AsyncExitStack() as stack:
            elsewhere = {name: row.host for name, row in ROWS.items() if row.host}
            for name, row in ROWS.items():
                if row.says:
                    elsewhere[name] = (await stack.enter_async_context(listening(row.says))).url
                if row.certificate == "none":
                    elsewhere[name] = ""
            yield await stack.enter_async_context(stage(folder, lambda found: config(_at(found, elsewhere)), proxies))


def _at(found, elsewhere):
    """The addresses of the providers; one whose handshake stalls is a proxy without TLS."""
    stalls = {name: found[name].replace("http:", "https:") for name, address in elsewhere.items() if not address}
    return found | elsewhere | stalls


@pytest.fixture(autouse=True)
def slow_names(monkeypatch):
    """A name server that says nothing while the test lasts, and then knows nothing."""
    resolve, over = socket.getaddrinfo, Event()

    def getaddrinfo(host, *args, **kwargs):
        if host == "slow.invalid":
            over.wait()
        return resolve(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    yield
    over.set()


together = pytest.mark.asyncio(loop_scope="module")


@together
@pytest.mark.parametrize("name", ROWS)
async def test_row(gateway, name):
    row, text = ROWS[name], f"{name} {BAD}"
    async with gateway.row(row.within):
        counted = await gateway.metric("modgate_provider_answers_total", provider=name)
        if row.way:
            row.way(gateway.proxies[name])
        if row.fault:
            await gateway.vendors.fails({"vendor": "openai", **row.fault})
        helped = await gateway.moderate(text, f"with-{name}")
        alone = await gateway.moderate(text, f"only-{name}")
        asked = helped.body["providers"][0]
        assert helped.providers == [(name, row.status, "ask"), ("spare", "ok", "fallback")]
        assert (asked["attempts"], bool(asked["error"])) == (row.attempts, True)
        assert (helped.body["action"], helped.body["degraded"]) == ("block", True)
        assert alone.providers == [(name, row.then or row.status, "ask")]
        assert (alone.body["action"], alone.body["degraded"]) == ("review", True)
        assert any(code.startswith("coverage_") for code in alone.codes)
        assert {verdict["score"] for verdict in alone.body["categories"].values()} == {None}
        assert await gateway.metric("modgate_provider_answers_total", provider=name) - counted == 2, "I6"
        if row.certificate in UNTRUSTED:  # no handshake with them ends, and no key goes to them
            assert gateway.proxies[name].accepted == 0
    while row.mends:  # a short patience may be too short once more, on a busy machine
        again = await gateway.moderate(text, f"only-{name}")
        if again.providers == [(name, "ok", "ask")]:
            assert again.body["action"] == "block"
            break
        assert row.patience is SHORT, again.providers


@together
async def test_row_4_waits_as_long_as_it_was_told_whoever_asks(gateway):
    async with gateway.row():
        asked = (await gateway.provider("well"))["attempts"]
        await gateway.vendors.fails({"vendor": "openai", "error": "throttled", "retry_after": 0.5, "calls": 1})
        first = asyncio.create_task(gateway.moderate(f"first {BAD}"))

        async def told():
            return (await gateway.provider("well"))["attempts"] > asked

        await until(told)
        await asyncio.gather(first, *(gateway.moderate(f"{number} {BAD}") for number in range(3)))
        assert {told.providers[0] for told in gateway.told} == {("well", "ok", "ask")}
        _, calls = await gateway.vendors.calls("openai")
        times = [datetime.fromisoformat(call["at"]) for call in calls[-5:]]
        assert [call["status"] for call in calls[-5:]] == [429, 200, 200, 200, 200]
        assert times[1] - times[0] >= timedelta(seconds=0.5)


@together
@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row.status == "throttled"])
async def test_row_4_leaves_the_breaker_alone(gateway, name):
    async with gateway.row():
        await gateway.vendors.fails({"vendor": "openai", **ROWS[name].fault})
        await gateway.moderate(f"again {BAD}", f"only-{name}")
        assert (await gateway.breaker(name))["state"] == "closed"


@together
async def test_row_7_a_new_label_is_seen_counted_and_looked_at(gateway):
    async with gateway.row():
        new = {
            "set": {"/results/0/category_scores/gloom": 0.9, "/results/0/category_applied_input_types/gloom": ["text"]}
        }
        await gateway.vendors.fails({"vendor": "openai", **new})
        told = await gateway.moderate("A walk on the beach")
        assert (told.providers, told.body["action"]) == ([("well", "ok", "ask")], "review")
        assert await gateway.metric("modgate_unmapped_labels_total", provider="well") == 1


@together
async def test_row_9_memory_stays_where_it_was(gateway):
    async with gateway.row():
        forget_peak()
        before = rss()
        await gateway.moderate(f"once more {BAD}", "only-9-gigabyte")
        assert peak() - before <= 8_000_000


@together
async def test_row_12_a_refused_key_rests_for_long(gateway):
    async with gateway.row():
        await gateway.vendors.fails({"vendor": "openai", "error": "refused_key"})
        await gateway.moderate(f"once more {BAD}", "only-12-refused-key")
        circuit = await gateway.breaker("12-refused-key")
        assert (circuit["state"], circuit["next_probe_in_s"] > 200) == ("open", True)
        assert await gateway.metric("modgate_circuit", provider="12-refused-key") == 2
