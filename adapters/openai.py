"""OpenAI moderation, and every server that speaks its dialect.

Wire:    POST /moderations, Bearer key, one image a call; a text and its image go in one call and are judged together
Reports: thirteen labels, float 0..1, how sure the model is; an empty applied-types list says it did not look
Source:  platform.openai.com/docs/guides/moderation and the openapi.yaml of openai/openai-openapi, read 2026-11
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import starmap
from typing import Any, ClassVar

import pybase64
from pydantic import SecretStr

from gateway.adapter import Address, Call, Reply, VendorAdapter, VendorSettings, one_image_each
from gateway.domain import Content, Finding, Image, Minimum, Modality, Opinion
from gateway.errors import VendorDenied, VendorError


class OpenAISettings(VendorSettings):
    """`base_url` ends in /v1, as the vendor's own client takes it."""

    sdk: ClassVar[str] = "openai"
    base_url: Address = "https://api.openai.com/v1"
    api_key: SecretStr
    model: str = "omni-moderation-latest"


class Adapter(VendorAdapter):
    Settings: ClassVar[type[VendorSettings]] = OpenAISettings
    settings: OpenAISettings
    accepts = frozenset({Modality.TEXT, Modality.IMAGE})
    together = True
    faults: ClassVar[Mapping[int | str, type[VendorError]]] = {
        # All 429, and no waiting helps: error-codes guide, read 2026-11
        "insufficient_quota": VendorDenied,
        "credit_balance_exhausted": VendorDenied,
        "organization_spend_limit_exceeded": VendorDenied,
        "project_spend_limit_exceeded": VendorDenied,
        "organization_usage_limit_exceeded": VendorDenied,
    }

    def __init__(self, settings: OpenAISettings):
        super().__init__(settings)
        self._headers = {"Authorization": f"Bearer {settings.api_key.get_secret_value()}"}

    @property
    def address(self) -> str:
        return self.settings.base_url

    def ask(self, content: Content) -> Iterable[Call]:
        for part in one_image_each(content):
            yield self.call(self.parts(part) if part.images else part.text)

    def call(self, given: Any) -> Call:
        body = {"model": self.settings.model, "input": given}
        return Call("POST", "/moderations", headers=self._headers, json=body)

    def parts(self, content: Content) -> list[dict[str, Any]]:
        """A text and its image, to be judged in the light of each other."""
        texts = [{"type": "text", "text": content.text}] if content.text else []
        return [*texts, *({"type": "image_url", "image_url": {"url": self.picture(image)}} for image in content.images)]

    def picture(self, image: Image) -> str:
        """The bytes themselves: a vendor that has to download an address fails where we would not."""
        [view] = image.views
        return f"data:{view.media_type};base64,{pybase64.b64encode_as_string(view.data)}"

    def read(self, reply: Reply) -> Iterator[Finding | Opinion | Minimum]:
        [result] = reply["results"]
        applied, scores = result.get("category_applied_input_types"), result["category_scores"]
        if None in scores.values():
            blank = next(label for label, score in scores.items() if score is None)
            raise ValueError(f"the score of '{blank}' is null")  # it would read as "did not look"
        if applied is None:  # compatible servers leave it out; our table knows which labels can be about an image
            return map(Finding, scores, scores.values())
        kinds = list(map(applied.__getitem__, scores))
        if set(map(type, kinds)) != {list}:
            odd = next(label for label in scores if type(applied[label]) is not list)
            raise TypeError(f"the applied types of '{odd}' are no list")
        looked = list(starmap(looked_at, kinds))
        if all(looked):
            return map(Finding, scores, scores.values(), looked)
        values = [score if where else None for score, where in zip(scores.values(), looked, strict=True)]
        return map(Finding, scores, values, looked)  # None: did not look. Never 0

    def version(self, reply: Reply) -> str:
        return word(reply["model"])

    def fault_code(self, reply: Reply) -> str | None:
        names = [name for name in (reply["error"].get("code"), reply["error"].get("type")) if isinstance(name, str)]
        return next((name for name in names if name in self.faults), names[0][:80] if names else None)


@lru_cache(16)
def looked_at(*kinds: str) -> frozenset[Modality]:
    """`"text", "image"` in our words; ValueError for a kind nobody has documented."""
    return frozenset(map(Modality, kinds))


def word(said: Any) -> str:
    """A name the vendor gives; TypeError for anything but text."""
    if not isinstance(said, str):
        raise TypeError(f"{type(said).__name__} where a name should be")
    return said[:80]
