"""EvoLink Moderation 1.0.

Wire:    POST /moderations in OpenAI's dialect, `input` always as parts, images only as HTTPS addresses, one a call
Reports: OpenAI's thirteen labels, and `evolink_summary.risk_level`, its own verdict (`flagged` is true at high only)
Source:  docs.evolink.ai, EvoLink Moderation 1.0 API reference, and its image moderation guide, read 2026-11
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import ClassVar

from adapters.openai import Adapter as OpenAIAdapter
from adapters.openai import OpenAISettings, word
from gateway.adapter import Address, Call, Reply, VendorSettings
from gateway.domain import Content, Finding, Image, Minimum, Opinion
from gateway.errors import VendorRejected


class EvoLinkSettings(OpenAISettings):
    base_url: Address = "https://direct.evolink.ai/v1"
    model: str = "evolink-moderation-1.0"


class Adapter(OpenAIAdapter):
    Settings: ClassVar[type[VendorSettings]] = EvoLinkSettings

    def ask(self, content: Content) -> Iterable[Call]:
        for image in content.images or (None,):  # one call an image, whatever its views: only the address is sent
            sent = tuple(part for part in content.inputs if part is image or not isinstance(part, Image))
            yield self.call(self.parts(Content(sent)))

    def picture(self, image: Image) -> str:
        if not (image.url or "").startswith("https://"):
            raise VendorRejected("takes images by HTTPS address only, and this one came as bytes")
        return str(image.url)

    def read(self, reply: Reply) -> Iterator[Finding | Opinion | Minimum]:
        yield from super().read(reply)
        yield Opinion(word(reply["evolink_summary"]["risk_level"]))
