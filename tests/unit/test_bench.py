"""What `make bench` makes of its figures; and that its load and its vendor count alike."""

import asyncio
from functools import partial
from math import inf
from xml.etree import ElementTree

import pytest

from bench import outage
from bench.goals import GOALS, verdicts
from bench.load import NUMBER, closed_loop, open_loop, requests
from bench.page import filled, part
from bench.plot import bars
from bench.ratios import Span, added, added_ratio, figure, ratio
from bench.vendor import Books, Vendor


def one_round(**cpu):
    """`cpu` are CPU µs of each target; all else follows from them."""
    return {
        name: {
            "cpu_us": us,
            "rps": 1e6 / us,
            "p50_ms": us / 100,
            "p99_ms": us / 50,
            "calls": 1.0,
            "errors": 0.0,
            "memory_mb": 50.0,
            "cpu_us_at_25": 3 * us,
            "p50_ms_at_25": us / 100,
            "p99_ms_at_25": us / 50,
        }
        for name, us in cpu.items()
    }


ROUNDS = [
    one_round(direct=10, relay=200, modgate1=300, litellm=9000),
    one_round(direct=10, relay=100, modgate1=120, litellm=9000),
    one_round(direct=10, relay=100, modgate1=140),
]
REPORT = {
    "made": "2026-11-22",
    "machine": {"cores": 2, "cpu": "a CPU", "load": 0.5},
    "targets": {"direct": "the vendor", "relay": "a relay", "modgate1": "modgate", "litellm": "LiteLLM"},
    "missing": {"portkey": "not installed: there is no npm"},
    "rounds": ROUNDS,
    "slow": ROUNDS,
    "refusal": {"cpu_us": 120.0, "rps": 8000.0, "p99_ms": 4.0},
}


def test_ratios_are_taken_within_a_round():
    assert ratio(ROUNDS, "cpu_us", "modgate1", "relay") == Span(1.4, 1.2, 1.5)
    assert figure(ROUNDS, "cpu_us", "relay") == Span(100, 100, 200)


def test_rounds_without_one_of_the_two_say_nothing():
    assert ratio(ROUNDS, "rps", "modgate1", "litellm") == Span(52.5, 30.0, 75.0)
    assert ratio(ROUNDS, "rps", "modgate1", "portkey") is None


def test_what_is_added_is_over_the_vendor_asked_directly():
    assert added(ROUNDS, "p50_ms_at_25", "relay") == Span(pytest.approx(0.9), pytest.approx(0.9), pytest.approx(1.9))
    found = added_ratio(ROUNDS, "p50_ms_at_25", "modgate1", "relay")
    assert found.median == pytest.approx(1.3 / 0.9)


def test_where_the_other_adds_nothing_there_is_no_ratio():
    assert added_ratio([one_round(direct=10, relay=10, modgate1=20)], "p50_ms_at_25", "modgate1", "relay") is None


def test_a_goal_is_reached_missed_or_not_measured():
    found = {verdict.what: verdict for verdict in verdicts(REPORT, GOALS)}
    assert len(found) == len(GOALS)
    assert found["CPU a request, 1 vendor, over the relay's"].reached is True
    assert found["requests a second, 1 vendor, over LiteLLM's"].reached is True
    assert found["CPU of a refusal, µs"].reached is False
    assert found["requests a second, 1 vendor, over Portkey's"].reached is None
    assert found["goodput at 3 times the peak, over the peak"].reached is None


def test_the_tables_say_what_was_found_and_what_was_not():
    said = part(REPORT)
    assert "| CPU a request, 1 vendor, over the relay's | ≤ 1.5 | 1.40 (1.20..1.50) | reached |" in said
    assert "| CPU of a refusal, µs | ≤ 100 | 120.00 | **missed** |" in said
    assert "| portkey | not installed: there is no npm |" in said
    widths = [line.count("|") for line in said.splitlines() if line.startswith("| flat out") or "a relay" in line]
    assert len(set(widths[:2])) == 1


def test_every_goal_of_outages_is_of_a_part_that_can_be_measured():
    assert {goal.where[0] for goal in outage.GOALS} == outage.PARTS.keys()
    killed = {"lost_later": 0, "late": 0, "silent": 0, "open_s": 0.2, "closed_s": inf, "lost_before": 3}
    said = outage.told({"made": "2026-11-30", "load": 9.0, "killed": killed})
    assert "| killed: seconds until the breaker is open | ≤ 5 | 0.20 | reached |" in said
    assert "| back again: seconds until it is closed | ≤ 10 | inf | **missed** |" in said
    assert "3 submissions were not decided before anything was killed" in said


def test_only_what_stands_between_the_marks_is_replaced():
    page = "before\n<!-- bench -->\nold\n<!-- /bench -->\nafter\n"
    new = filled(page, "bench", part(REPORT))
    assert new.startswith("before\n<!-- bench -->\n")
    assert new.endswith("<!-- /bench -->\nafter\n")
    assert "old" not in new
    assert filled(new, "bench", part(REPORT)) == new
    with pytest.raises(ValueError, match="bench"):
        filled("a page without marks", "bench", "")


def test_a_plot_is_an_svg_in_which_more_is_longer():
    drawn = ElementTree.fromstring(bars("<CPU>", [("a & b", Span(200, 150, 300)), ("c", Span(9000, 8000, 9900))]))
    widths = [float(bar.get("width")) for bar in drawn.iterfind("{*}rect[@class='bar']")]
    spans = [float(line.get("x2")) - float(line.get("x1")) for line in drawn.iterfind("{*}line[@class='span']")]
    assert 0 < widths[0] < widths[1]
    assert all(span > 0 for span in spans)
    assert drawn.find("{*}title").text == "<CPU>"


def test_no_two_requests_are_equal():
    sent = requests(80, "/", b'{"input": "' + NUMBER + b'"}', {"Authorization": "Bearer k"})
    first, second = next(sent), next(sent)
    assert first != second
    assert len(first) == len(second)
    with pytest.raises(ValueError, match="lacks"):
        next(requests(80, "/", b"{}"))


async def test_every_request_is_answered_counted_and_timed():
    books = Books()
    server = await asyncio.get_running_loop().create_server(partial(Vendor, books), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        sent = requests(port, "/v1/moderations", b'{"input": "' + NUMBER + b'"}')
        flat = await closed_loop(port, sent, 4, 0.05)
        paced = await open_loop(port, sent, 200, 0.05)
        assert (flat.errors, paced.errors, paced.many) == (0, 0, 10)
        assert books.calls == flat.many + paced.many
        assert flat.rps > 0
        assert 0 < flat.quantile(0.5) <= flat.quantile(0.99)


async def test_who_does_not_answer_in_time_is_lost():
    books = Books(wait=60.0)
    server = await asyncio.get_running_loop().create_server(partial(Vendor, books), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        sent = requests(port, "/v1/moderations", b'{"input": "' + NUMBER + b'"}')
        result = await open_loop(port, sent, 100, 0.05, patience=0.05)
        assert {status: len(took) for status, took in result.took.items()} == {0: 5}
