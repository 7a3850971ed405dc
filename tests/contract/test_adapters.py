"""Every adapter against every answer under fixtures/, over a real socket and through the vendor's table."""

from base64 import b64encode
from email import message_from_bytes
from email.policy import HTTP

import pytest
from openai import AsyncOpenAI

from gateway import errors
from gateway.domain import FULL, Failure, Finding, Modality, Opinion, Reading
from tests.contract.replay import FIXTURES, ORIGINS, replay
from tests.contract.replaying import CASES, OWN, VENDORS, adapter_for, ask, transport

POLICIES = FIXTURES / "policies"  # no vendor: policy files for tests/policies
OPENAI_DIALECT = ("openai", "evolink")

REQUIRED = {
    *("clean", "flagged", "text-and-image", "image-only", "throttled-seconds", "throttled-date", "quota-exhausted"),
    *("refused-key", "rejected-content", "server-error", "overloaded-503", "changed-shape", "missing-label"),
    *("null-score", "empty-200", "empty-body", "html-200", "truncated-body", "huge", "slow", "unknown-label"),
    *("wrong-scale", "nan-token", "huge-number", "string-number", "gzipped"),
}


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


@pytest.mark.parametrize("vendor", VENDORS)
def test_every_vendor_brings_the_required_cases(vendor):
    assert REQUIRED - {case.name for case in CASES if case.vendor == vendor} == set()


def test_every_fixture_is_replayed():
    known = {case.folder / name for case in CASES for name in ("case.yaml", "request.json", "response.http")}
    known |= {FIXTURES / vendor / "settings.yaml" for vendor in VENDORS} | set(OWN.values())
    known |= {FIXTURES / "README.md", FIXTURES / ".gitattributes"}
    known |= set(POLICIES.rglob("*"))
    assert {file for file in FIXTURES.rglob("*") if file.is_file()} - known == set()
    assert {case.vendor for case in CASES} <= set(VENDORS)


def test_every_folder_holds_a_case():
    folders = {folder for folder in FIXTURES.glob("*/*") if folder.is_dir() and folder.parent != POLICIES}
    assert folders == {case.folder for case in CASES}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_case_says_where_it_is_from(case):
    assert case.origin in ORIGINS
    assert case.source
