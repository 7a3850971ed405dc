"""docs/vendors.md: of every label a vendor publishes it says what it means here, or why it means nothing."""

import pytest
import yaml

from adapters.sightengine import MODELS
from docs import vendor_page
from docs.generate import HERE
from gateway import paths, registry
from gateway.domain import Modality
from gateway.mapping import VendorTable
from gateway.taxonomy import Taxonomy

OPENAI = (
    "harassment; harassment/threatening; hate; hate/threatening; illicit; illicit/violent; self-harm; "
    "self-harm/intent; self-harm/instructions; sexual; sexual/minors; violence; violence/graphic"
)
REKOGNITION = (
    # The ten above all
    "Explicit; Non-Explicit Nudity of Intimate parts and Kissing; Swimwear or Underwear; Violence; "
    "Visually Disturbing; Drugs & Tobacco; Alcohol; Rude Gestures; Gambling; Hate Symbols; "
    # The twenty below them
    "Explicit Nudity; Explicit Sexual Activity; Sex Toys; Non-Explicit Nudity; Obstructed Intimate Parts; "
    "Kissing on the Lips; Female Swimwear or Underwear; Male Swimwear or Underwear; Weapons; Graphic Violence; "
    "Death and Emaciation; Crashes; Products; Drugs & Tobacco Paraphernalia & Use; Alcohol Use; Alcoholic Beverages; "
    "Middle Finger; Nazi Party; White Supremacy; Extremist; "
    # The twenty-two below those
    "Exposed Male Genitalia; Exposed Female Genitalia; Exposed Buttocks or Anus; Exposed Female Nipple; Bare Back; "
    "Exposed Male Nipple; Partially Exposed Buttocks; Partially Exposed Female Breast; Implied Nudity; "
    "Obstructed Female Nipple; Obstructed Male Genitalia; Weapon Violence; Physical Violence; Self-Harm; Blood & Gore; "
    "Explosions and Blasts; Emaciated Bodies; Corpses; Air Crash; Pills; Smoking; Drinking"
)
SIGHTENGINE_TEXT = (
    "moderation_classes.sexual; moderation_classes.discriminatory; moderation_classes.insulting; "
    "moderation_classes.violent; moderation_classes.toxic; moderation_classes.self-harm; profanity:sexual; "
    "profanity:discriminatory; profanity:insult; profanity:inappropriate; personal; link; link:unsafe; link:adult; "
    "link:gambling; link:drugs; link:hate; link:custom; drug; weapon; spam; content-trade; money-transaction; "
    "extremism; violence; self-harm; medical; username:misleading"
)
MISTRAL = (  # eleven of 2603, and the one that 2411 has in place of two
    "sexual; hate_and_discrimination; violence_and_threats; dangerous; criminal; selfharm; health; financial; law; "
    "pii; jailbreaking; dangerous_and_criminal_content"
)
SIEVE = (  # six of images; of texts those that its pages name
    "sexual; violence; hate_symbols; self_harm; drugs; gore; toxicity; harassment; hate_speech; threat; profanity; spam"
)

PUBLISHED = {  # how many labels each vendor's pages name, and which
    "openai": (13, OPENAI),
    "evolink": (13, OPENAI),
    "azure_content_safety": (4, "Hate; SelfHarm; Sexual; Violence"),
    "google_vision": (5, "adult; spoof; medical; violence; racy"),
    "mistral": (12, MISTRAL),
    "rekognition": (52, REKOGNITION),
    "pixicular": (5, "Nudity; Sexual Activity; Suggestive; Violence; Drug Use"),
    "sieve": (12, SIEVE),
    "llama_guard": (14, "; ".join(f"S{number}" for number in range(1, 15))),
    "sightengine": (28, SIGHTENGINE_TEXT),
}
SIGHTENGINE_OF_IMAGES = 136  # the classes on the pages of its models
SPELLED_ANEW = {"recreational_drug.classes.recreational_drug_not_cannabis"}  # beside them, in its own examples
OURS = {"anthropic_vision", "local_text", "local_image"}  # they answer in our words
IN_YOUR_SETTINGS = {"http", "hash_list"}

TABLES = vendor_page.tables()
PAGE = (HERE / "vendors.md").read_text()


def between(name):
    return PAGE.partition(f"<!-- {name} -->")[2].partition(f"<!-- /{name} -->")[0]


def test_every_vendor_is_accounted_for():
    assert PUBLISHED.keys() | OURS | IN_YOUR_SETTINGS == set(registry.names())
    assert set(TABLES) == PUBLISHED.keys() | OURS


@pytest.mark.parametrize("vendor", PUBLISHED)
def test_no_published_label_is_unmapped_without_a_reason(vendor):
    number, names = PUBLISHED[vendor]
    published, file = names.split("; "), TABLES[vendor]
    assert len(set(published)) == number
    assert [label for label in published if label not in file.labels and not file.unmapped.get(label)] == []


def test_no_class_of_an_image_is_missing_either():
    file = TABLES["sightengine"]
    of_images = {*file.image, *file.unmapped} - SPELLED_ANEW
    assert len(of_images) == SIGHTENGINE_OF_IMAGES
    assert {label for labels in MODELS.values() for label in labels} <= of_images


@pytest.mark.parametrize("vendor", TABLES)
def test_every_label_and_every_reason_stands_on_the_page(vendor):
    file = TABLES[vendor]
    labels = between("labels")
    assert [label for label in file.labels if f"`{label}`" not in labels] == []
    for label, why in file.unmapped.items():
        assert why
        assert f"| `{vendor}` | `{label}` | {why} |" in PAGE
    counts = f"| {len(file.labels)} | {len(file.unmapped)} |"
    assert any(line.startswith(f"| `{vendor}` |") and counts in line for line in between("vendors").splitlines())


@pytest.mark.parametrize("vendor", TABLES)
def test_what_it_cannot_see_is_what_the_gateway_thinks_so_too(vendor):
    lines = between("blind").splitlines()
    taxonomy = Taxonomy.from_file(paths.TAXONOMY)
    table = VendorTable.from_file(paths.VENDORS / f"{vendor}.yaml", taxonomy)
    for modality in registry.adapter_class(vendor).accepts:
        roots = {slug.split("/")[0] for slug in table.covers(modality)}
        [row] = [line for line in lines if line.startswith(f"| `{vendor}` | {Modality(modality).value} |")]
        blind = set(row.split("|")[3].replace("`", "").replace(",", " ").split()) - {"-"}
        assert blind.isdisjoint(roots)
        assert blind | roots >= {"sexual", "violence", "hate", "self_harm", "drugs", "weapons"}


def test_it_would_notice_a_label_that_was_dropped(tmp_path, monkeypatch):
    shortened = dict(yaml.safe_load((paths.VENDORS / "openai.yaml").read_text()))
    del shortened["labels"]["hate"]
    file = vendor_page.VendorFile.model_validate(shortened)
    monkeypatch.setattr(vendor_page, "tables", lambda: {**TABLES, "openai": file})
    assert vendor_page.parts()["labels"] not in PAGE
