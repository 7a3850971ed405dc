"""Answers changed at random: nothing broken reads as clean, and no exception gets out."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.dispatch.transport import Headers
from gateway.domain import FULL, Failure
from gateway.wire import Reply
from tests.contract.plainly import LIKELY, by_likelihood, by_path
from tests.contract.plainly_http import by_own_shape
from tests.contract.plainly_models import by_generation, by_tool, by_verdict
from tests.contract.plainly_usual import (
    WORTH,
    plainly,
    plainly_by_category,
    plainly_by_service,
    plainly_in_percent,
    plainly_in_steps,
)
from tests.contract.replaying import CASES, FILES, ask_through

STATUSES = {"timeout", "throttled", "unavailable", "denied", "rejected", "drift"}


def cannot_see(label, case) -> bool:
    """Whether the table says that this label is about nothing of what was sent."""
    file = FILES[case.vendor]
    named = [file.get(part.modality, file["labels"]) for part in case.asked.inputs]
    return label in file["labels"] and not any(label in names for names in named)


def left_out(vendor, finding, look) -> bool:
    """Whether the table drops this label: it means nothing to us, or one of its children is at least as high."""
    file = FILES[vendor]
    children = file.get("tree", {}).get(finding.label, ())
    highest = max((other.value or 0 for other in look.findings if other.label in children), default=-1)
    return finding.label in file.get("unmapped", ()) or highest >= finding.value


# How to read an answer without the code under test. A vendor with a shape of its own brings a function of its own.
PLAINLY = {
    "openai": plainly,
    "evolink": plainly,
    "sieve": plainly_by_category,
    "pixicular": plainly_by_service,
    "rekognition": plainly_in_percent,
    "azure_content_safety": plainly_in_steps,
    "sightengine": by_path,
    "google_vision": by_likelihood,
    "mistral": by_generation,
    "llama_guard": by_verdict,
    "anthropic_vision": by_tool,
    "http": by_own_shape,
}
STEPS = {"azure_content_safety": WORTH, "google_vision": LIKELY}
PERCENT = ("rekognition",)  # and with ancestors, which come at the value of a child

JUNK = st.sampled_from(
    ["null", "true", "false", "0", "1", "-1", "97.0", "1e308", "0.0", '""', '"0.9"', '"text"', "[]", '["image"]', "{}"]
)


def places(value, at=()):
    """The path of everything inside a JSON value."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inside:
        yield (*at, key)
        yield from places(part, (*at, key))


@st.composite
def changed_values(draw, body):
    """The answer with a few keys dropped, renamed, doubled or replaced."""
    said, doubled = json.loads(body), {}
    for _ in range(draw(st.integers(1, 3))):
        paths_ = list(places(said))
        if not paths_:
            break
        *way, key = draw(st.sampled_from(paths_))
        holder = said
        for step in way:
            holder = holder[step]
        match draw(st.sampled_from(["drop", "replace", "replace", "rename", "double"])):
            case "drop":
                del holder[key]
            case "rename" if isinstance(key, str):
                holder[f"{key}s"] = holder.pop(key)
            case "double" if isinstance(key, str):
                doubled[key] = draw(JUNK)
            case _:
                holder[key] = json.loads(draw(JUNK))
    written = json.dumps(said)
    for key, junk in doubled.items():
        member = f'"{key}": {junk}, '
        written = written.replace(f'"{key}": ', f'{member}"{key}": ', draw(st.integers(1, 3)))
    return written.encode()


@st.composite
def changed_bytes(draw, body):
    """The answer cut off, or with bytes taken out, put in or overwritten."""
    at = draw(st.integers(0, len(body)))
    rest = draw(st.one_of(st.just(b""), st.integers(0, 40).map(lambda length: body[at + length :])))
    return body[:at] + draw(st.binary(max_size=8)) + rest


def saying(case, body, **headers):
    """A transport whose vendor says this with the status and headers of the case: no socket, so there can be many."""
    line, *lines = case.response.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    said = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)} | headers
    status = int(line.split(" ")[1])

    async def send(address, call):
        return Reply(status, Headers(said), body)

    return send


def is_json(case) -> bool:
    try:
        return bool(list(places(json.loads(case.response.partition(b"\r\n\r\n")[2]))))
    except ValueError:
        return False


@pytest.mark.parametrize("case", [case for case in CASES if case.response and is_json(case)], ids=str)
@given(data=st.data())
@settings(max_examples=20, deadline=None, derandomize=True)
async def test_no_broken_answer_reads_as_clean(case, data):
    body = case.response.partition(b"\r\n\r\n")[2]
    said = data.draw(st.one_of(changed_values(body), changed_bytes(body)))
    outcome, look = await ask_through(saying(case, said), case)
    if isinstance(outcome, Failure):
        assert outcome.status in STATUSES
        assert not outcome.detail.startswith("internal")  # an exception the adapter let through
        return
    stated = PLAINLY[case.vendor](said)
    assert stated is not None, "it is not an answer, and was read as one"
    assert {finding.label: finding.value for finding in look.findings} == stated
    for finding in look.findings:
        named = [signal.score for signal in outcome.signals if signal.label == finding.label]
        scores = {score for score in named if score is not None}  # without what it may also be about
        unseen = finding.looked is None and cannot_see(finding.label, case)
        if finding.value is None or unseen or left_out(case.vendor, finding, look):
            assert not scores, finding.label
        elif case.vendor in PERCENT and not scores:
            others = [other.value for other in look.findings if other.label != finding.label]
            assert max(others) >= finding.value, finding.label
        else:
            share = finding.value / 100 if case.vendor in PERCENT else finding.value
            share = STEPS[case.vendor][finding.value] if case.vendor in STEPS else share
            assert scores == {min(FULL, max(0, round(share * FULL)))}, finding.label


@pytest.mark.parametrize("case", [case for case in CASES if case.name == "throttled-seconds"], ids=str)
@given(wait=st.one_of(st.text(st.characters(min_codepoint=32, max_codepoint=126)), st.floats().map(str)))
@settings(max_examples=60, deadline=None, derandomize=True)
async def test_whatever_retry_after_says_is_throttled(case, wait):
    outcome, _ = await ask_through(saying(case, b"{}", **{"retry-after": wait.strip()}), case)
    assert (outcome.status, outcome.http) == ("throttled", 429)
