"""EvoLink Moderation 1.0.

Wire:    POST /moderations in OpenAI's dialect, `input` always as parts, images only as HTTPS addresses, one a call:
         an address of ours for each view, or the one that the caller gave where we have none to give
Reports: OpenAI's thirteen labels, and `evolink_summary.risk_level`, its own verdict (`flagged` is true at high only)
Source:  docs.evolink.ai, EvoLink Moderation 1.0 API reference, and its image moderation guide, read 2026-11
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import ClassVar

from adapters.openai import Adapter as OpenAIAdapter
from adapters.openai import OpenAISettings, word
from gateway.adapter import Address, Call, Reply, VendorSettings, one_image_each
from gateway.domain import Content, Finding, Image, Minimum, Opinion
from gateway.errors import VendorRejected


class EvoLinkSettings(OpenAISettings):
    base_url: Address = "https://direct.evolink.ai/v1"
    model: str = "evolink-moderation-1.0"


class Adapter(OpenAIAdapter):
    Settings: ClassVar[type[VendorSettings]] = EvoLinkSettings

    def ask(self, content: Content) -> Iterable[Call]:
        """One call for each address: of a caller's there is one, however many views its picture has."""
        addresses: set[str] = set()
        for part in one_image_each(content):
            address = self.picture(part.images[0]) if part.images else ""
            if address not in addresses:
                addresses.add(address)
                yield self.call(self.parts(part))

    def picture(self, image: Image) -> str:
        [view] = image.views
        address = view.url or image.url or ""
        if not address.startswith("https://"):
            raise VendorRejected("takes images by HTTPS address only: set server.public_url, so that we can give one")
        return address

    def read(self, reply: Reply) -> Iterator[Finding | Opinion | Minimum]:
        yield from super().read(reply)
        yield Opinion(word(reply["evolink_summary"]["risk_level"]))
