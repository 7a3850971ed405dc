"""Every vendor there is, simulated, and asked what it has to know: well, and ill in each way that can be noticed."""

from contextlib import asynccontextmanager

import yaml

from gateway import paths, registry
from gateway.canaries.verdict import worst
from gateway.config import load_config
from gateway.service import open_service
from tests.simulating import gateway_yaml, simulator

VENDORS = {  # and the provider that docs/simulator.md makes of each
    "anthropic_vision": "claude",
    "azure_content_safety": "azure",
    "evolink": "evolink",
    "google_vision": "google",
    "llama_guard": "guard",
    "mistral": "mistral",
    "openai": "openai",
    "pixicular": "pixicular",
    "rekognition": "aws",
    "sieve": "sieve",
    "sightengine": "sightengine",
}


@asynccontextmanager
async def rehearsal(folder):
    """The simulator, and how every provider stands, as a function."""
    async with simulator() as vendors:
        written = yaml.safe_load(gateway_yaml(vendors.url))
        for provider in written["providers"].values():
            provider["retry"] = {"attempts": 1}
        file = folder / "gateway.yaml"
        file.write_text(yaml.safe_dump(written | {"policies": {"dir": str(paths.SHIPPED / "policies")}}))
        async with open_service(load_config(file, {}, registry.settings_for, registry.names())) as service:

            async def stand():
                given = await service.canaries.ask_all()
                return {name: worst(verdicts) for name, verdicts in given.items()}

            yield vendors, stand


def statuses(stand):
    return {name: verdict.status.value for name, verdict in stand.items()}


async def test_every_vendor_is_well_and_each_illness_is_noticed(tmp_path):
    async with rehearsal(tmp_path) as (vendors, stand):
        well = dict.fromkeys(VENDORS.values(), "ok")
        assert statuses(await stand()) == well

        await vendors.fails({"status": 404})
        gone = statuses(await stand())
        assert gone == {name: "image_path_dead" if name in ("aws", "google", "pixicular") else "dead" for name in gone}

        await vendors.fails({"instead": "wrong_shape"})
        assert set(statuses(await stand()).values()) == {"drift"}

        await vendors.fails({"error": "throttled", "retry_after": "none"})
        assert set(statuses(await stand()).values()) == {"unjudged"}

        await vendors.fails()
        assert statuses(await stand()) == well


RENAMED = {  # vendor: a label, and how its absence is told. Some adapters know themselves what has to be there
    "openai": ("self-harm/intent", "renamed_label"),
    "evolink": ("sexual/minors", "renamed_label"),
    "mistral": ("pii", "renamed_label"),
    "anthropic_vision": ("weapons", "renamed_label"),
    "azure_content_safety": ("SelfHarm", "drift"),
    "google_vision": ("racy", "drift"),
    "pixicular": ("Drug Use", "drift"),
    "sightengine": ("gambling", "drift"),
    "sieve": ("gore", "drift"),
}


async def test_renamed_labels(tmp_path):
    async with rehearsal(tmp_path) as (vendors, stand):
        await vendors.fails(
            *({"vendor": vendor, "rename": {word: "something_else"}} for vendor, (word, _) in RENAMED.items())
        )
        ill = {name: verdict for name, verdict in (await stand()).items() if verdict.status.marks}
    assert statuses(ill) == {VENDORS[vendor]: status for vendor, (_, status) in RENAMED.items()}
    assert [vendor for vendor, (word, _) in RENAMED.items() if word not in ill[VENDORS[vendor]].detail] == []


async def test_scores_that_moved(tmp_path):
    lowered = ("openai", "azure_content_safety", "mistral", "sieve", "sightengine")
    async with rehearsal(tmp_path) as (vendors, stand):
        await stand()
        await vendors.fails(*({"vendor": vendor, "shift": -0.35} for vendor in lowered))
        moved = {name: verdict for name, verdict in (await stand()).items() if verdict.status.marks}
    assert statuses(moved) == {VENDORS[vendor]: "shifted" for vendor in lowered}
    assert {verdict.probe for verdict in moved.values()} == {"threat"}
