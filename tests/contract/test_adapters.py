"""Every adapter against every answer under fixtures/, over a real socket and through the vendor's table."""

import json
from base64 import b64encode
from contextlib import asynccontextmanager
from email import message_from_bytes
from email.policy import HTTP

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from openai import AsyncOpenAI

from gateway import errors, paths, registry
from gateway.adapter import VendorAdapter
from gateway.dispatch.deadline import Deadline
from gateway.dispatch.question import Provider, Question, put
from gateway.dispatch.transport import HttpTransport
from gateway.domain import FULL, Failure, Finding, Modality, Opinion, Reading
from gateway.mapping import VendorTable
from gateway.taxonomy import Taxonomy
from tests.contract.plainly import LIKELY, by_likelihood, by_path
from tests.contract.plainly_http import by_own_shape
from tests.contract.plainly_models import by_generation, by_tool, by_verdict
from tests.contract.replay import FIXTURES, ORIGINS, cases, replay

CASES = cases()
VENDORS = [name for name in registry.names() if issubclass(registry.adapter_class(name), VendorAdapter)]
TAXONOMY = Taxonomy.from_file(paths.TAXONOMY)
SETTINGS = {name: yaml.safe_load((FIXTURES / name / "settings.yaml").read_text()) for name in VENDORS}
OWN = {name: FIXTURES / name / written["table"] for name, written in SETTINGS.items() if "table" in written}
TABLE_FILES = {name: paths.VENDORS / f"{name}.yaml" for name in VENDORS} | OWN
TABLES = {name: VendorTable.from_file(file, TAXONOMY) for name, file in TABLE_FILES.items()}
FILES = {name: yaml.safe_load(file.read_text()) for name, file in TABLE_FILES.items()}
STATUSES = {"timeout", "throttled", "unavailable", "denied", "rejected", "drift"}

OPENAI_DIALECT = ("openai", "evolink")

REQUIRED = {
    *("clean", "flagged", "text-and-image", "image-only", "throttled-seconds", "throttled-date", "quota-exhausted"),
    *("refused-key", "rejected-content", "server-error", "overloaded-503", "changed-shape", "missing-label"),
    *("null-score", "empty-200", "empty-body", "html-200", "truncated-body", "huge", "slow", "unknown-label"),
    *("wrong-scale", "nan-token", "huge-number", "string-number", "gzipped"),
}


def adapter_for(case, server):
    """The adapter of the case, pointed at the replaying server."""
    written = {
        name: value if isinstance(value, dict | list) else str(value).replace("{server}", server)
        for name, value in SETTINGS[case.vendor].items()
    }
    written |= {"adapter": case.vendor, "retry": {"attempts": 1}} | case.settings
    folder = {"folder": FIXTURES / case.vendor}
    return registry.make(registry.settings_for(case.vendor).model_validate(written, context=folder))


@asynccontextmanager
async def transport():
    opened = HttpTransport()
    await opened.open()
    try:
        yield opened
    finally:
        await opened.close()


async def ask(case, server):
    """What came of it, and what the adapter made of the answer before the table did (None where it made nothing)."""
    looks = [None]

    def translate(look, provider, inputs):
        looks.append(look)
        return TABLES[case.vendor].translate(look, provider, inputs)

    where = {part.modality: index for index, part in enumerate(case.asked.inputs)}
    async with transport() as send:
        provider = Provider(case.vendor, adapter_for(case, server), translate, {}, send)
        return await put(Question(case.asked, where), provider, Deadline.after(5.0)), looks[-1]


def finding(label, written) -> Finding:
    """As expected in a case: `0.3` is about all that was sent, `null` is "did not look"."""
    if written is None:
        return Finding(label, None, frozenset())
    if isinstance(written, dict):
        looked = frozenset(map(Modality, written["looked"])) if "looked" in written else None
        return Finding(label, written["value"], looked, written.get("open", False))
    return Finding(label, written)


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_an_answer_is_taken_for_what_it_says(case):
    expected = case.expected
    async with replay(case) as vendor:
        outcome, look = await ask(case, vendor.url)
    if "error" in expected:
        assert isinstance(outcome, Failure)
        assert (outcome.status, outcome.http) == (getattr(errors, expected["error"]).status, expected.get("http"))
        assert outcome.detail
        return
    assert isinstance(outcome, Reading), outcome.detail
    assert list(look.findings) == [finding(*item) for item in expected["findings"].items()]
    assert outcome.model == expected["model"]
    assert outcome.opinion == (Opinion(expected["opinion"]) if "opinion" in expected else None)
    rising = sorted(outcome.signals, key=lambda signal: signal.score or 0)
    scores = {signal.category: signal.score for signal in rising}  # of each category the highest
    for slug, share in expected.get("signals", {}).items():
        assert scores.get(slug) == (None if share is None else round(share * FULL)), slug


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_the_question_is_put_as_the_vendor_documents_it(case):
    async with replay(case, b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n") as vendor:
        await ask(case, vendor.url)
    if case.request is None:
        assert not vendor.heard
        return
    [heard] = vendor.heard
    assert (heard.method, heard.path, sent(heard)) == tuple(case.request[key] for key in ("method", "path", "body"))
    assert case.request["headers"].items() <= heard.headers.items()


def sent(heard):
    """The body that was sent: its JSON, or a form as an object; a file in it is its name, type and bytes."""
    kind = heard.headers["content-type"]
    if not kind.startswith("multipart/form-data"):
        return heard.json if heard.body else None
    form = message_from_bytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + heard.body, policy=HTTP)
    return {part.get_param("name", header="content-disposition"): field(part) for part in form.iter_parts()}


def field(part):
    data = part.get_payload(decode=True)
    if part.get_filename() is None:
        return data.decode()
    return {"filename": part.get_filename(), "type": part.get_content_type(), "data": b64encode(data).decode()}


@pytest.mark.parametrize("case", [case for case in CASES if "retry_after" in case.expected], ids=str)
async def test_how_long_to_wait_is_passed_on(case):
    async with replay(case) as vendor, transport() as send:
        with pytest.raises(getattr(errors, case.expected["error"])) as caught:
            await adapter_for(case, vendor.url).look(case.asked, send)
    assert caught.value.retry_after == case.expected["retry_after"]


@pytest.mark.parametrize(
    "case",
    [case for case in CASES if case.name in ("text-and-image", "image-only") and case.vendor in OPENAI_DIALECT],
    ids=str,
)
async def test_our_call_is_the_one_the_vendors_own_client_makes(case):
    async with replay(case) as vendor:
        async with AsyncOpenAI(base_url=f"{vendor.url}/v1", api_key="test-key", max_retries=0) as client:
            await client.moderations.create(**case.request["body"])
        await ask(case, vendor.url)
    theirs, ours = vendor.heard
    assert (ours.method, ours.path, ours.body) == (theirs.method, theirs.path, theirs.body)
    assert ours.headers["authorization"] == theirs.headers["authorization"]


# What is broken must not read as clean


def plainly(body: bytes) -> dict[str, float | None] | None:
    """What an answer in OpenAI's dialect says of each label, None for "did not look"; None where it is not one."""
    try:
        [result] = json.loads(body, parse_constant=float.fromhex)["results"]  # which refuses NaN, as JSON does
        applied = result.get("category_applied_input_types")
        return {
            label: None if applied is not None and applied[label] == [] else number(score)
            for label, score in result["category_scores"].items()
        }
    except (ValueError, LookupError, TypeError, AttributeError):
        return None


def number(score) -> float:
    if type(score) not in (int, float) or not -1e-6 <= score <= 1 + 1e-6:
        raise ValueError(score)
    return score


def plainly_by_category(body: bytes) -> dict[str, float | None] | None:
    """The same of an answer with an object for each category: its score, and whether that is flagged."""
    try:
        said = json.loads(body, parse_constant=float.fromhex)
        if not isinstance(said["action"], str) or not said["categories"]:
            return None
        return {name: number(about["score"]) for name, about in said["categories"].items()}
    except (ValueError, LookupError, TypeError, AttributeError):
        return None


def plainly_in_percent(body: bytes) -> dict[str, float | None] | None:
    """The same of a list of labels with a confidence each, where the list is empty if there is nothing."""
    try:
        said, best = json.loads(body, parse_constant=float.fromhex), {}
        if not isinstance(said["ModerationLabels"], list) or not isinstance(said["ModerationModelVersion"], str):
            return None
        for label in said["ModerationLabels"]:
            number(label["Confidence"] / 100)
            best[label["Name"]] = max(label["Confidence"], best.get(label["Name"], 0))
        return best
    except (ValueError, LookupError, TypeError, AttributeError):
        return None


FOUR = {"Hate", "SelfHarm", "Sexual", "Violence"}
WORTH = {0: 0.0, 1: 0.15, 2: 0.35, 3: 0.5, 4: 0.7, 5: 0.8, 6: 0.95, 7: 1.0}  # severities


def plainly_in_steps(body: bytes) -> dict[str, float | None] | None:
    """The same of an answer with a list of four severities or more, and a list of hits on blocklists."""
    try:
        said = json.loads(body, parse_constant=float.fromhex)
        hits = {f"blocklist/{match['blocklistName']}": 7 for match in said.get("blocklistsMatch", [])}
        found = {entry["category"]: entry["severity"] for entry in said["categoriesAnalysis"]}
        if hits and said["categoriesAnalysis"] == []:
            found = dict.fromkeys(FOUR)
        elif not found.keys() >= FOUR or any(type(step) is not int or step not in WORTH for step in found.values()):
            return None
        return found | hits
    except (ValueError, LookupError, TypeError, AttributeError):
        return None


def plainly_by_service(body: bytes) -> dict[str, float | None] | None:
    """The same of two lists of names, in either of two envelopes, where one number over 1 says that all are percent."""
    try:
        said = json.loads(body, parse_constant=float.fromhex)
        if not isinstance(said, dict) or said.get("success", True) is not True:
            return None
        services = said.get("services", said)
        lists = [services["detect-moderation"]["flags"], services.get("detect-labels", {"labels": []})["labels"]]
        found = {entry["name"]: entry["confidence"] for entries in lists for entry in entries}
        percent = max(found.values()) > 1 + 1e-6
        return {name: number(value / 100 if percent else value) for name, value in found.items()}
    except (ValueError, LookupError, TypeError, AttributeError):
        return None


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


def frame(head, body):
    kept = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"content-length")]
    return b"\r\n".join([*kept, b"Content-Length: %d" % len(body), b"", body])


def is_json(case) -> bool:
    try:
        return bool(list(places(json.loads(case.response.partition(b"\r\n\r\n")[2]))))
    except ValueError:
        return False


@pytest.mark.parametrize("case", [case for case in CASES if case.response and is_json(case)], ids=str)
@given(data=st.data())
@settings(max_examples=20, deadline=None, derandomize=True)
async def test_no_broken_answer_reads_as_clean(case, data):
    head, _, body = case.response.partition(b"\r\n\r\n")
    said = data.draw(st.one_of(changed_values(body), changed_bytes(body)))
    async with replay(case, frame(head, said)) as vendor:
        outcome, look = await ask(case, vendor.url)
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
    said = case.response.replace(b"retry-after: 2", b"Retry-After: " + wait.encode())
    async with replay(case, said) as vendor:
        outcome, _ = await ask(case, vendor.url)
    assert (outcome.status, outcome.http) == ("throttled", 429)


# The fixtures themselves


@pytest.mark.parametrize("vendor", VENDORS)
def test_every_vendor_brings_the_required_cases(vendor):
    assert REQUIRED - {case.name for case in CASES if case.vendor == vendor} == set()


def test_every_fixture_is_replayed():
    known = {case.folder / name for case in CASES for name in ("case.yaml", "request.json", "response.http")}
    known |= {FIXTURES / vendor / "settings.yaml" for vendor in VENDORS} | set(OWN.values())
    known |= {FIXTURES / "README.md", FIXTURES / ".gitattributes"}
    assert {file for file in FIXTURES.rglob("*") if file.is_file()} - known == set()
    assert {case.vendor for case in CASES} <= set(VENDORS)


def test_every_folder_holds_a_case():
    assert {folder for folder in FIXTURES.glob("*/*") if folder.is_dir()} == {case.folder for case in CASES}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_case_says_where_it_is_from(case):
    assert case.origin in ORIGINS
    assert case.source
