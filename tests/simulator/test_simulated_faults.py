"""Everything that can be made to go wrong, one by one: on the wire, and as our own transport and adapter name it."""

import asyncio
import time
from email.utils import parsedate_to_datetime
from statistics import median

import aiohttp
import pytest

from adapters.simulator.faults import Fault, Faults
from gateway import registry
from gateway.dispatch.transport import HttpTransport
from gateway.domain import Content, Text
from gateway.errors import VendorDenied, VendorDrift, VendorRejected, VendorThrottled, VendorUnavailable
from tests.simulating import simulator
from tests.waiting import until

KEY = {"Authorization": "Bearer rehearsal"}


async def ask(vendors, text="hello"):
    """The raw answer of the simulated OpenAI: status, headers, body."""
    async with vendors.client.post("/v1/moderations", json={"input": text}, headers=KEY) as response:
        return response.status, response.headers, await response.read()


async def look(vendors, text="hello"):
    """What our own adapter makes of the same."""
    settings = registry.settings_for("openai")(adapter="openai", base_url=f"{vendors.url}/v1", api_key="rehearsal")
    transport = HttpTransport()
    await transport.open()
    try:
        return await registry.make(settings).look(Content((Text(text),)), transport)
    finally:
        await transport.close()


NAMED = [
    ({"error": "throttled"}, VendorThrottled),
    ({"error": "slow_down"}, VendorThrottled),
    ({"error": "quota"}, VendorDenied),
    ({"error": "refused_key"}, VendorDenied),
    ({"error": "forbidden"}, VendorDenied),
    ({"error": "rejected"}, VendorRejected),
    ({"error": "server_error"}, VendorUnavailable),
    ({"error": "overloaded"}, VendorUnavailable),
    ({"status": 418}, VendorRejected),
    ({"status": 502}, VendorUnavailable),
    ({"reset": "before_answer"}, VendorUnavailable),
    ({"reset": "mid_body"}, VendorUnavailable),
    ({"truncate": 0.5}, VendorUnavailable),
    ({"truncate": 0}, VendorUnavailable),
    ({"instead": "html"}, VendorDrift),
    ({"instead": "html_502"}, VendorUnavailable),
    ({"instead": "empty"}, VendorDrift),
    ({"instead": "no_content"}, VendorDrift),
    ({"instead": "object"}, VendorDrift),
    ({"instead": "null"}, VendorDrift),
    ({"instead": "garbage"}, VendorDrift),
    ({"instead": "not_a_number"}, VendorDrift),
    ({"instead": "wrong_shape"}, VendorDrift),
    ({"instead": "huge"}, VendorDrift),
    ({"instead": "gzip"}, VendorDrift),
    ({"instead": "redirect"}, VendorDrift),
    ({"remove": ["/results/0/category_scores"]}, VendorDrift),
    ({"remove": ["/results/0"]}, VendorDrift),
    ({"set": {"/results/0/category_scores/violence": None}}, VendorDrift),
    ({"set": {"/results/0/category_scores/violence/graphic": 1, "/results": []}}, VendorDrift),
    ({"rename": {"results": "verdicts"}}, VendorDrift),
]


@pytest.mark.parametrize("fault, error", NAMED, ids=[str(row[0]) for row in NAMED])
async def test_every_fault_has_a_name_in_the_gateway(fault, error):
    async with simulator() as vendors:
        await vendors.fails({"vendor": "openai", **fault})
        with pytest.raises(error):
            await look(vendors)
        await vendors.control("DELETE", "faults")
        assert (await look(vendors)).findings


async def test_a_renamed_label_and_a_shifted_score_come_through():
    async with simulator() as vendors:
        await vendors.fails({"rename": {"violence": "violent_content"}}, {"shift": 0.3})
        found = {
            finding.label: finding.value for finding in (await look(vendors, "[[hate=0.5, violence=0.9]]")).findings
        }
    assert found["hate"] == pytest.approx(0.8)
    assert found["violent_content"] == 1 and "violence" not in found
    assert 0.3 < found["illicit"] < 0.304


WAITS = [
    ({"retry_after": 2}, "2"),
    ({"retry_after": -5}, "-5"),
    ({"retry_after": 1e9}, "1000000000"),
    ({"retry_after": "none"}, None),
    ({"headers": {"Retry-After": "soon"}}, "soon"),
    ({}, "1"),  # what this vendor says by itself
]


@pytest.mark.parametrize("how, said", WAITS, ids=[str(row[0]) for row in WAITS])
async def test_retry_after_in_all_its_forms(how, said):
    async with simulator() as vendors:
        await vendors.fails({"error": "throttled", **how})
        status, headers, _ = await ask(vendors)
    assert (status, headers.get("Retry-After")) == (429, said)


async def test_retry_after_as_a_date_by_the_vendors_own_clock():
    async with simulator() as vendors:
        await vendors.fails({"error": "throttled", "retry_after": 90, "retry_after_as": "date", "clock": "-2h"})
        _, headers, _ = await ask(vendors)
    told, due = (parsedate_to_datetime(headers[name]) for name in ("Date", "Retry-After"))
    assert (due - told).total_seconds() == 90
    assert 7190 < time.time() - told.timestamp() < 7290


async def test_a_delay_and_a_drip_take_their_time():
    async with simulator() as vendors:
        await vendors.fails({"latency": "150ms"})
        began = time.monotonic()
        await ask(vendors)
        assert time.monotonic() - began >= 0.15
        await vendors.fails({"drip": "1ms"})
        began = time.monotonic()
        status, headers, body = await ask(vendors)
        assert status == 200 and len(body) == int(headers["Content-Length"]) > 1000
        assert time.monotonic() - began >= 1


async def test_who_hangs_up_on_a_hanging_vendor_leaves_nothing_behind():
    async with simulator() as vendors:
        await vendors.fails({"vendor": "openai", "hang": True})
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(ask(vendors), 1.0)

        async def noted():
            calls, last = await vendors.calls("openai")
            return (calls, last) if last else None

        calls, last = await until(noted)
    assert calls == 1 and last[0]["faults"] == ["hang"]


async def test_a_truncated_body_is_shorter_than_it_says():
    async with simulator() as vendors:
        await vendors.fails({"truncate": 0.5})
        with pytest.raises(aiohttp.ClientPayloadError):
            await ask(vendors)
        await vendors.fails({"reset": "before_answer"})
        with pytest.raises(aiohttp.ClientConnectionError):
            await ask(vendors)


def hits(faults, vendor="openai", calls=200, about=(), now=0.0):
    return [bool(faults.plan(vendor, about, now).faults) for _ in range(calls)]


def standing(seed=0, **fault):
    return Faults([Fault.model_validate({"error": "throttled"} | fault)], seed)


def test_a_share_is_drawn_by_the_seed():
    one, again, other = (hits(standing(seed, share=0.3)) for seed in (7, 7, 8))
    assert one == again != other
    assert 40 <= sum(one) <= 80


def test_vendors_do_not_disturb_each_others_dice():
    alone, mixed = standing(share=0.3), standing(share=0.3)
    expected = hits(alone)
    seen = []
    for _ in range(200):
        hits(mixed, "sieve", calls=3)
        seen += hits(mixed, calls=1)
    assert seen == expected


def test_so_many_calls_after_so_many():
    assert hits(standing(after=2, calls=3), calls=7) == [False, False, True, True, True, False, False]


def test_a_window_of_time():
    fault = standing(**{"from": "10s", "until": "20s"})
    assert [hits(fault, calls=1, now=now)[0] for now in (0, 9.9, 10, 19.9, 20)] == [False, False, True, True, False]


def test_only_what_it_is_about():
    fault = standing(about="kill")
    assert hits(fault, calls=1, about=["they kill"]) == [True]
    assert hits(fault, calls=1, about=["they sing"]) == [False]
    assert hits(standing(vendor="sieve"), calls=1) == [False]


@pytest.mark.parametrize(
    "latency, p50, p99",
    [
        ({"lognormal": {"p50": "100ms", "p99": "900ms"}}, 0.1, 0.9),
        ({"pareto": {"p50": "100ms", "p99": "900ms"}}, 0.1, 0.9),
        ({"uniform": ["100ms", "300ms"]}, 0.2, 0.298),
        ("200ms", 0.2, 0.2),
    ],
    ids=["lognormal", "pareto", "uniform", "fixed"],
)
def test_latencies_have_the_middle_and_the_tail_they_were_given(latency, p50, p99):
    faults = Faults([Fault.model_validate({"latency": latency})], seed=1)
    drawn = sorted(faults.plan("openai", (), 0.0).delay for _ in range(20_000))
    assert median(drawn) == pytest.approx(p50, rel=0.03)
    assert drawn[int(len(drawn) * 0.99)] == pytest.approx(p99, rel=0.12)


def test_delays_add_up_and_the_first_error_counts():
    faults = Faults(
        [
            Fault.model_validate(each)
            for each in ({"latency": "1s"}, {"latency": "2s", "error": "quota"}, {"error": "throttled"})
        ]
    )
    plan = faults.plan("openai", (), 0.0)
    assert (plan.delay, plan.first("error")) == (3.0, "quota")
