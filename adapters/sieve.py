"""Sieve (getsieve.dev), which judges texts and images with several models.

Wire:    POST /v1/moderate/image with `data` as a data URI, one image a call; POST /v1/moderate/text; Bearer key
Reports: a category each with score 0..1, threshold and flagged; its own action allow, flag or block; the tier that
         answered. Tier 2 is a language model that writes its scores down: they are its word, not a probability
Source:  Sieve's Moderate Image page and docs (moderate-text, categories, quickstart, overview), read 2026-11
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, ClassVar, Literal

import pybase64
from pydantic import SecretStr

from gateway.adapter import Address, Call, Reply, VendorAdapter, VendorSettings, one_image_each
from gateway.domain import Content, Finding, Image, Minimum, Modality, Opinion
from gateway.errors import VendorRejected

IMAGE_CATEGORIES = frozenset({"sexual", "violence", "hate_symbols", "self_harm", "drugs", "gore"})
TIERS = ("pipeline_tier", "tier_used")  # the pages write it both ways


class SieveSettings(VendorSettings):
    """`text_field` is what the text is called in a request: the vendor's pages say content, and text.

    `image_categories` narrows what is asked of an image; left out, the vendor looks for all it knows.
    """

    base_url: Address = "https://api.getsieve.dev"
    api_key: SecretStr
    text_field: Literal["content", "text"] = "content"
    image_categories: tuple[str, ...] = ()


class Adapter(VendorAdapter):
    Settings: ClassVar[type[VendorSettings]] = SieveSettings
    settings: SieveSettings
    accepts = frozenset({Modality.TEXT, Modality.IMAGE})

    def __init__(self, settings: SieveSettings):
        super().__init__(settings)
        self._headers = {"Authorization": f"Bearer {settings.api_key.get_secret_value()}"}
        self._named_for_images = frozenset(settings.image_categories) or IMAGE_CATEGORIES

    @property
    def address(self) -> str:
        return self.settings.base_url

    def ask(self, content: Content) -> Iterable[Call]:
        if content.images and content.text is not None:
            raise VendorRejected("judges a text and an image apart, and was asked about both at once")
        for part in one_image_each(content):
            [asked] = part.images or ("",)
            yield self.about_image(asked) if isinstance(asked, Image) else self.about_text(part.text)

    def about_image(self, image: Image) -> Call:
        [view] = image.views
        body: dict[str, Any] = {"data": f"data:{view.media_type};base64,{pybase64.b64encode_as_string(view.data)}"}
        if self.settings.image_categories:
            body["categories"] = list(self.settings.image_categories)
        return Call("POST", "/v1/moderate/image", headers=self._headers, json=body, about=Modality.IMAGE)

    def about_text(self, text: str | None) -> Call:
        body = {self.settings.text_field: text}
        return Call("POST", "/v1/moderate/text", headers=self._headers, json=body, about=Modality.TEXT)

    def read(self, reply: Reply) -> Iterator[Finding | Opinion | Minimum]:
        looked, categories = Modality(reply.about), reply["categories"]
        if looked is Modality.IMAGE and self._named_for_images - categories.keys():
            raise ValueError(f"it is silent about {', '.join(sorted(self._named_for_images - categories.keys()))}")
        if not categories:
            raise ValueError("it names no category")
        for name, said in categories.items():
            if said["score"] is None:
                raise ValueError(f"the score of '{name}' is null")  # it would read as "did not look"
            yield Finding(name, said["score"], frozenset({looked}))
        yield Opinion(verdict(reply["action"], [reply["flagged"], *(said["flagged"] for said in categories.values())]))

    def version(self, reply: Reply) -> str | None:
        """The tier says which kind of model the numbers are from; there is no other name."""
        tier = next((reply[key] for key in TIERS if key in reply.json), None)
        if tier is None:
            return None
        if type(tier) not in (int, str):
            raise TypeError(f"{type(tier).__name__} where a tier should be")
        return f"tier {tier}"[:80]

    def fault_code(self, reply: Reply) -> str | None:
        code = reply["error"]["code"]
        return code[:80] if isinstance(code, str) else None


def verdict(action: Any, flags: list[Any]) -> str:
    """The vendor's action; `flagged` where it allows what it flags, for the account's own thresholds set the flags.

    TypeError where they are not words and booleans.
    """
    if not isinstance(action, str) or not all(isinstance(flag, bool) for flag in flags):
        raise TypeError("an action is a word, and flagged is true or false")
    return "flagged" if action == "allow" and any(flags) else action[:80]
