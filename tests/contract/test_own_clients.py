"""`transport: sdk` beyond what goes over the wire: who has it, where keys come from, what stays hidden, what ends."""

import asyncio
import json
import pkgutil
import ssl
import subprocess
import sys
import threading
from contextlib import AsyncExitStack
from types import ModuleType, SimpleNamespace

import aiohttp
import pytest
import trustme
from pydantic import ValidationError

import adapters.sdk
from gateway import registry
from gateway.config import load_config
from gateway.domain import Content, Text
from gateway.errors import ConfigError
from gateway.senders import open_senders
from tests.contract.asking import WITH_CLIENT, opened, put_to, settings_of
from tests.contract.replay import LOOPBACK, listening, picture
from tests.gateway import judgement, response, serving

TEXT, IMAGE = Content((Text("I will kill them all"),)), Content((picture("png"),))
NO_KEYS = {"access_key_id": None, "secret_access_key": None}
CLEAN = {"ModerationLabels": [], "ModerationModelVersion": "7.0"}
FOUR = {
    "categoriesAnalysis": [{"category": name, "severity": 0} for name in ("Hate", "SelfHarm", "Sexual", "Violence")]
}


def always(said):
    async def says(heard, writer):
        writer.write(said)

    return says


async def asked(content, says, vendor, tls=None, **changes):
    """What comes of one question by the vendor's client, and what was heard."""
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(listening(says, tls))
        settings = settings_of(vendor, server.url, transport="sdk", **changes)
        return await put_to(settings, content, await opened(settings, stack)), server.heard


async def moderated(says=None, **changes):
    says = says or always(response(CLEAN))
    return await asked(IMAGE, says, "rekognition", operations=["moderation"], **changes)


# Who has one


async def senders(folder, provider):
    """What gateway.yaml with this provider comes to."""
    file = folder / "gateway.yaml"
    legs = "text: {ask: [it]}" if "rekognition" not in provider else "image: {ask: [it]}"
    file.write_text(f"providers:\n  it: {{{provider}}}\nroutes: {{default: {{{legs}}}}}\n")
    async with open_senders(load_config(file, {}, registry.settings_for, registry.names())) as opened_:
        return opened_


OPENAI = "adapter: openai, api_key: k, transport: sdk"


def test_the_clients_are_those_under_adapters_sdk():
    files = {module.name for module in pkgutil.iter_modules(adapters.sdk.__path__)}
    assert set(WITH_CLIENT) == files - {"answers", "failures"}


@pytest.mark.parametrize(
    "provider",
    ["local_text", *(f"{name}, api_key: k" for name in ("evolink", "mistral", "sieve"))],  # two of OpenAI's dialect
)
async def test_a_vendor_without_one_is_refused_at_its_place(tmp_path, provider):
    with pytest.raises(
        ConfigError,
        match=r":2:\d+: providers.it.transport is \"sdk\": this vendor has no client of its own here; leave it out",
    ):
        await senders(tmp_path, f"adapter: {provider}, transport: sdk")


async def test_what_is_not_installed_is_named_with_its_cure(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "openai", None)
    monkeypatch.delitem(sys.modules, "adapters.sdk.openai", raising=False)
    monkeypatch.delattr(adapters.sdk, "openai", raising=False)
    with pytest.raises(ConfigError, match=r":2:.*no module openai; pip install 'modgate\[sdk\]'") as caught:
        await senders(tmp_path, OPENAI)
    assert caught.value.column == len("  it: {" + OPENAI) - 2


async def test_a_provider_that_is_off_needs_no_client(tmp_path):
    both = f"adapter: local_text}}\n  off: {{{OPENAI}, enabled: false"
    assert list(await senders(tmp_path, both)) == ["it"]


def test_nothing_loads_them_unasked():
    """A client costs up to 60 MB and a second."""
    script = (
        "import sys; from gateway import registry, senders;"
        "[registry.adapter_class(name) for name in registry.names()];"
        "print(sorted({'openai', 'httpx2', 'boto3', 'botocore', 'azure'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=110, check=True)
    assert done.stdout.strip() == "[]"


# Settings


@pytest.mark.parametrize(
    ("vendor", "changes", "words"),
    [
        ("rekognition", NO_KEYS, "give both access_key_id and secret_access_key"),
        ("rekognition", {"access_key_id": None, "transport": "sdk"}, "give both access_key_id"),
        ("rekognition", NO_KEYS | {"session_token": "t", "transport": "sdk"}, "give both access_key_id"),
        ("azure_content_safety", {"api_key": None}, "give either api_key or bearer_token"),
        ("azure_content_safety", {"bearer_token": "t"}, "give either api_key or bearer_token"),
        ("azure_content_safety", {"bearer_token": "t", "transport": "sdk"}, "bearer_token is for transport: direct"),
        ("azure_content_safety", {"api_key": None, "transport": "sdk"}, "the endpoint is https"),
        ("azure_content_safety", {"api_key": None, "bearer_token": "t"}, "the endpoint is https"),
    ],
)
def test_keys_that_do_not_go_together_are_refused(vendor, changes, words):
    with pytest.raises(ValidationError, match=words):
        settings_of(vendor, "http://127.0.0.1", **changes)


def test_a_token_is_sent_instead_of_a_key():
    settings = settings_of("azure_content_safety", "https://it", api_key=None, bearer_token="t0k")
    [call] = registry.make(settings).ask(TEXT)
    assert call.headers == {"Authorization": "Bearer t0k"}
    assert "t0k" in settings.secrets()


# Signing in


@pytest.fixture
def nothing_around(monkeypatch, tmp_path):
    """No keys of whoever runs the tests."""
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    return SimpleNamespace(setenv=monkeypatch.setenv, credentials=tmp_path / "credentials")


async def test_keys_are_found_where_boto3_finds_them(nothing_around):
    nothing_around.credentials.write_text("[other]\naws_access_key_id = AKIDFILE\naws_secret_access_key = s3cr3t\n")
    nothing_around.setenv("AWS_PROFILE", "other")
    outcome, [heard] = await moderated(**NO_KEYS)
    assert outcome.status == "ok", outcome.detail
    assert "Credential=AKIDFILE/" in heard.headers["authorization"]


async def test_the_session_token_that_boto3_found_is_told_to_nobody(nothing_around):
    canary = "a/canary+token=="
    for name, value in {"ACCESS_KEY_ID": "AKIDENV", "SECRET_ACCESS_KEY": "s3cr3t", "SESSION_TOKEN": canary}.items():
        nothing_around.setenv(f"AWS_{name}", value)
    said = {"__type": "InvalidSignatureException", "message": f"should have been 'x-amz-security-token:{canary}'"}
    outcome, [heard] = await moderated(always(response(said, "400 Bad Request")), **NO_KEYS)
    assert heard.headers["x-amz-security-token"] == canary
    assert (outcome.status, outcome.http) == ("denied", 400), outcome.detail
    assert "x-amz-security-token:***" in outcome.raw


async def test_no_keys_anywhere_is_denied(nothing_around):
    outcome, heard = await moderated(**NO_KEYS)
    assert (outcome.status, outcome.detail) == ("denied", "sign-in: boto3 finds no usable keys")
    assert not heard


async def test_a_role_that_may_not_be_taken_is_denied(nothing_around):
    nothing_around.credentials.write_text("[base]\naws_access_key_id = AKIDBASE\naws_secret_access_key = s3cr3t\n")
    role = "[profile taker]\nrole_arn = arn:aws:iam::123456789012:role/eyes\nsource_profile = base\n"
    nothing_around.credentials.with_name("config").write_text(role)
    nothing_around.setenv("AWS_PROFILE", "taker")
    refused = b"<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>"
    async with listening(always(response(refused, "403 Forbidden"))) as gives_keys:
        nothing_around.setenv("AWS_ENDPOINT_URL_STS", gives_keys.url)
        outcome, heard = await moderated(**NO_KEYS)
    assert (outcome.status, outcome.detail) == ("denied", "sign-in: boto3 finds no usable keys")
    assert b"Action=AssumeRole" in gives_keys.heard[0].body
    assert not heard


async def test_a_profile_that_is_not_there_stops_the_start(nothing_around, tmp_path):
    nothing_around.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(ConfigError, match=r":2:.*boto3 cannot be set up: The config profile \(nobody\)"):
        await senders(tmp_path, "adapter: rekognition, region: eu-west-1, transport: sdk")


async def test_the_environment_changes_neither_address_nor_way(nothing_around):
    nothing_around.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    nothing_around.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    nothing_around.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9")
    nothing_around.setenv("AWS_MAX_ATTEMPTS", "5")
    outcome, _ = await moderated()
    assert outcome.model == "7.0"
    outcome, heard = await moderated(always(response({}, "500 Internal Server Error")))
    assert (outcome.status, len(heard)) == ("unavailable", 1)
    outcome, _ = await asked(TEXT, always(response(FOUR)), "azure_content_safety")
    assert outcome.model == "2024-09-01"
    outcome, heard = await asked(TEXT, judges, "openai")
    assert (outcome.model, len(heard)) == ("omni-moderation-latest", 1)


async def judges(heard, writer):
    writer.write(response(judgement(heard)))


NO_IDENTITY = "adapter: azure_content_safety, endpoint: 'https://it', transport: sdk"


async def test_entra_id_needs_its_package(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "azure.identity.aio", None)
    with pytest.raises(ConfigError, match=r":2:.*azure-identity is not installed; pip install azure-identity"):
        await senders(tmp_path, NO_IDENTITY)


async def test_a_token_of_entra_id_is_asked_for_and_sent(monkeypatch):
    """The real client, with a stand-in for what finds the token: that would ask the network."""
    asked_for = []

    class Finds:
        async def get_token(self, *scopes, **_):
            asked_for.append(scopes)
            return SimpleNamespace(token="t0k", expires_on=4e9)

        async def close(self):
            asked_for.append("closed")

    identity = ModuleType("azure.identity.aio")
    identity.DefaultAzureCredential = Finds
    monkeypatch.setitem(sys.modules, "azure.identity.aio", identity)
    authority, tls, trusting = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert(LOOPBACK).configure_cert(tls)
    authority.configure_trust(trusting)
    monkeypatch.setattr(aiohttp.connector, "_SSL_CONTEXT_VERIFIED", trusting)
    outcome, [heard] = await asked(TEXT, always(response(FOUR)), "azure_content_safety", tls, api_key=None)
    assert outcome.model == "2024-09-01", outcome
    assert heard.headers["authorization"] == "Bearer t0k"
    assert "ocp-apim-subscription-key" not in heard.headers
    assert asked_for == [("https://cognitiveservices.azure.com/.default",), "closed"]


# Threads of boto3


async def test_calls_we_gave_up_on_hold_their_threads_and_no_more():
    left = 3

    async def hangs_at_first(heard, writer):
        nonlocal left
        left -= 1
        if left >= 0:
            await asyncio.sleep(60)
        writer.write(response(CLEAN))

    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(listening(hangs_at_first))
        changes = {"operations": ["moderation"], "timeout": "400ms", "max_concurrency": 3}
        settings = settings_of("rekognition", server.url, transport="sdk", **changes)
        send = await opened(settings, stack)
        outcomes = await asyncio.gather(*(put_to(settings, IMAGE, send) for _ in range(3)))
        assert [outcome.status for outcome in outcomes] == ["timeout"] * 3
        while (outcome := await put_to(settings, IMAGE, send)).status == "timeout":
            assert left < 0  # boto3's own timeout has yet to end one of them
        assert outcome.model == "7.0"
        names = [thread.name for thread in threading.enumerate()]
        assert len([name for name in names if name.startswith("modgate-rekognition")]) == 3


# The whole gateway


async def test_the_gateway_asks_by_the_vendors_client_and_tells_no_key(tmp_path):
    async def repeats(heard, writer):
        said = {**judgement(heard), "key": heard.headers["authorization"]}
        writer.write(response(said))

    async with listening(repeats) as vendor:
        provider = f'{{adapter: openai, base_url: "{vendor.url}/v1", api_key: sk-canary-1, transport: sdk}}'
        text = f"providers: {{it: {provider}}}\nroutes: {{default: {{text: {{ask: [it]}}}}}}"
        async with serving(text, tmp_path) as url, aiohttp.ClientSession(url) as client:
            async with client.post("/v1/moderate", json={"text": "I will kill them all"}) as answer:
                told = await answer.json()
            async with client.get(f"/v1/decisions/{told['id']}") as answer:
                kept = await answer.text()
    assert (told["action"], told["providers"][0]["status"]) == ("block", "ok")
    assert vendor.heard[0].headers["user-agent"].startswith("AsyncOpenAI/")
    assert "Bearer ***" in kept
    assert "canary" not in json.dumps(told) + kept
