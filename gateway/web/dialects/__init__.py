"""Other people's endpoints, so that their clients change one address. One file each; vendors are named here only."""

from collections.abc import Mapping

from gateway.inverse import Inverse
from gateway.paths import VENDORS
from gateway.taxonomy import Taxonomy
from gateway.web.dialects import azure, pixicular, rekognition, sieve
from gateway.web.dialects.openai import OPENAI_ROUTES

DIALECT_ROUTES = [
    *OPENAI_ROUTES,
    *azure.AZURE_ROUTES,
    *rekognition.REKOGNITION_ROUTES,
    *pixicular.PIXICULAR_ROUTES,
    *sieve.SIEVE_ROUTES,
]

# The words of each dialect that answers by a vendor's table. What follows a vendor's / is what it looks at
VOCABULARIES: Mapping[str, Mapping[str, str]] = {
    azure.VENDOR: azure.VOCABULARY,
    rekognition.VENDOR: rekognition.VOCABULARY,
    pixicular.VENDOR: pixicular.VOCABULARY,
    sieve.IMAGE: sieve.IMAGE_VOCABULARY,
    sieve.TEXT: sieve.TEXT_VOCABULARY,
}


def learn(taxonomy: Taxonomy) -> dict[str, Inverse]:
    """The words of every dialect. Raises ConfigError where a vendor's table lacks one of them."""
    return {
        name: Inverse.from_file(VENDORS / f"{name.partition('/')[0]}.yaml", taxonomy, words)
        for name, words in VOCABULARIES.items()
    }
