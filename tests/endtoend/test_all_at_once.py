"""Every vendor and the local models asked in one request: who said what, what is kept of it, and who was missing."""

import json
from contextlib import AsyncExitStack
from itertools import count

import aiohttp
import pytest
import pytest_asyncio
import yaml
from structlog.testing import capture_logs

from adapters.simulator.pixicular import FLAGS
from tests.endtoend.gateways import LOCAL, PUBLIC, Gateway, data_uri, documented, providers
from tests.gateway import serving
from tests.simulating import photo, simulator

pytestmark = pytest.mark.asyncio(loop_scope="module")

ASKED = {
    (name, place)
    for name, takes in providers().items()
    for place, kind in enumerate(("text", "image"))
    if kind in takes
}
EVERYBODY = {name for name, _ in ASKED}
THREAT = "I will find you [[violence=0.97, harassment/threatening=0.93]]"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(tmp_path_factory):
    async with AsyncExitStack() as stack:
        vendors = await stack.enter_async_context(simulator())
        config = documented(vendors.url)
        for name, kind in LOCAL.items():
            config["routes"]["default"][kind]["ask"].append(name)
        url = await stack.enter_async_context(serving(yaml.safe_dump(config), tmp_path_factory.mktemp("gateway")))
        await vendors.reaches({PUBLIC: url})
        client = await stack.enter_async_context(aiohttp.ClientSession(url))
        yield Gateway("all", "", {"text", "image"}, url, vendors, client)


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def all_is_well(gateway):
    await gateway.vendors.fails()


NUMBERS = count()


def unseen():
    """A picture of nothing in particular that nobody was asked about before."""
    return photo((9, 90, next(NUMBERS)))


async def moderate(gateway, text, picture=None):
    images = {"images": [{"data": data_uri(picture)}]} if picture else {}
    async with gateway.client.post("/v1/moderate", json={"text": text, **images}) as response:
        assert response.status == 200, await response.text()
        return await response.json()


async def evidence(gateway, answer):
    async with gateway.client.get(f"/v1/decisions/{answer['id']}") as response:
        return await response.json()


async def test_each_is_listed_once_for_each_input_it_takes(gateway):
    answer = await moderate(gateway, THREAT, photo("red"))
    told = answer["providers"]
    assert len(told) == len(ASKED)
    assert {(each["name"], each["input"]): each["status"] for each in told} == dict.fromkeys(ASKED, "ok")
    assert all(each["latency_ms"] > 0 and each["attempts"] == 1 and each["error"] is None for each in told)
    assert {each["name"]: each["model"] for each in told if not each["model"]} == {}
    assert (answer["action"], answer["degraded"]) == ("block", False)


async def test_the_evidence_holds_each_raw_answer(gateway):
    await gateway.vendors.control("DELETE", "calls")
    kept = await evidence(gateway, await moderate(gateway, f"{THREAT}, and here is the proof", photo("magenta")))
    raw = [(said["provider"], answer) for said in kept["raw"] for answer in said["answers"]]
    assert {provider for provider, _ in raw} == {signal["provider"] for signal in kept["signals"]} == EVERYBODY
    sent = [answer for provider, answer in raw if provider not in LOCAL]
    assert len(sent) == sum(each["calls"] for each in (await gateway.vendors.calls()).values())
    assert all(answer["status"] == 200 and isinstance(json.loads(answer["body"]), dict) for answer in sent)


# What each vendor says that no table knows: in a text by a marker, of a picture by what is set in its answer
INVENTED = {
    **{
        name: (vendor, f"[[{vendor}:{label}=0.9]]", label, {})
        for name, vendor, label in (
            ("openai", "openai", "doxxing"),
            ("evolink", "evolink", "doxxing"),
            ("sieve", "sieve", "doxxing"),
            ("mistral", "mistral", "doxxing"),
            ("guard", "llama_guard", "S15"),
            ("claude", "anthropic_vision", "doxxing"),
        )
    },
    "azure": ("azure_content_safety", "[[azure_content_safety:Extremism=6]]", "Extremism", {}),
    "aws": (
        "rekognition",
        "",
        "Doxxing",
        {"/ModerationLabels": [{"Name": "Doxxing", "Confidence": 91.0, "ParentName": "", "TaxonomyLevel": 1}]},
    ),
    "google": ("google_vision", "", "gore", {"/responses/0/safeSearchAnnotation/gore": "LIKELY"}),
    "pixicular": (
        "pixicular",
        "",
        "Gore",
        {
            "/detect-moderation/flags": [
                {"name": name, "confidence": 0.9 * (name == "Gore")} for name in (*FLAGS, "Gore")
            ]
        },
    ),
    "sightengine": ("sightengine", "", "vandalism.prob", {"/vandalism": {"prob": 0.9}}),
}


@pytest.mark.parametrize("provider", [name for name in providers() if name not in LOCAL])
async def test_an_invented_label_ends_in_review(gateway, provider):
    """Whoever says it: its own category, counted each time, and one line in the log."""
    vendor, text, label, put = INVENTED[provider]
    if put:
        await gateway.vendors.fails({"vendor": vendor, "set": put})
    counted = await unmapped(gateway, provider)
    with capture_logs() as lines:
        answers = [await moderate(gateway, f"{text} {vendor} {turn}", unseen()) for turn in (1, 2)]
    category = f"unmapped/{vendor}/{label}"
    for answer in answers:
        assert answer["action"] == "review"
        assert {reason["category"] for reason in answer["reasons"]} == {category}
        assert answer["categories"][category]["providers"].keys() == {provider}
    assert await unmapped(gateway, provider) > counted
    alarms = [line for line in lines if line["event"] == "unmapped_label"]
    assert [(line["provider"], line["label"], line["log_level"]) for line in alarms] == [(provider, label, "error")]


async def unmapped(gateway, provider):
    """How many labels of this provider no table knew."""
    async with gateway.client.get("/metrics") as response:
        lines = (await response.text()).splitlines()
    start = f'modgate_unmapped_labels_total{{provider="{provider}"}} '
    return sum(float(line.removeprefix(start)) for line in lines if line.startswith(start))


async def test_one_that_is_down_degrades_and_the_others_decide(gateway):
    await gateway.vendors.fails({"vendor": "azure_content_safety", "error": "overloaded"})
    answer = await moderate(gateway, f"{THREAT} while one is down", unseen())
    well = {(each["name"], each["input"]) for each in answer["providers"] if each["status"] == "ok"}
    assert ASKED - well == {("azure", 0), ("azure", 1)}
    assert (answer["action"], answer["degraded"]) == ("block", True)


async def test_it_takes_as_long_as_the_slowest_and_not_as_all_of_them(gateway):
    await gateway.vendors.fails({"latency": "300ms"}, {"vendor": "openai", "latency": "700ms"})
    answer = await moderate(gateway, "Is anybody in a hurry?", unseen())
    took = [each["latency_ms"] for each in answer["providers"]]
    assert max(took) >= 1000
    assert max(took) <= answer["latency_ms"]
    assert sum(took) > 3 * answer["latency_ms"]
