"""Every label that a vendor's pages list is in its table: mapped, or left out with the reason beside it."""

import pytest

from adapters.simulator import azure_content_safety, google_vision, llama_guard, mistral, openai, sieve
from adapters.simulator.pixicular import FLAGS
from adapters.simulator.rekognition_labels import MODERATION
from adapters.simulator.sightengine_models import MODELS, RULES
from tests.endtoend import tables

PUBLISHED = {
    "openai": openai.LABELS,
    "evolink": openai.LABELS,
    "azure_content_safety": azure_content_safety.LABELS,
    "rekognition": MODERATION,
    "pixicular": FLAGS,
    "sieve": (*sieve.OF_IMAGES, *sieve.OF_TEXTS, *sieve.ALSO_IN_QUICKSTART),
    "sightengine": [path for paths in (*MODELS.values(), *RULES.values()) for path in paths],
    "google_vision": google_vision.LABELS,
    "mistral": (*mistral.OF_2603, *mistral.OF_2411),
    "llama_guard": llama_guard.HAZARDS,
}


@pytest.mark.parametrize("vendor", PUBLISHED)
def test_none_of_them_is_in_no_table(vendor):
    table = tables.read(f"vendors/{vendor}")
    assert PUBLISHED[vendor]
    assert set(PUBLISHED[vendor]) <= {*table["labels"], *table["unmapped"]}
