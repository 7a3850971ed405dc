"""Pixicular, which flags images and names what is in them.

Wire:    POST /v1/detect, multipart: the image and `services`, a comma-separated list; Bearer key; one image a call
Reports: detect-moderation: five flags; detect-labels: an open vocabulary of things, each with how sure the model is.
         Its guides write 0..1, with a key for each service; its reference writes 0..100, in another envelope
Source:  pixicular.com, the guides on UGC and on NSFW detection and the API documentation, read 2026-11
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, SecretStr

from adapters.multipart import Upload, form
from gateway.adapter import Address, Call, Reply, VendorAdapter, VendorSettings, one_image_each
from gateway.domain import Content, Finding, Minimum, Modality, Opinion
from gateway.errors import VendorRejected

Service = Literal["detect-moderation", "detect-labels"]
LISTS = {"detect-moderation": "flags", "detect-labels": "labels"}  # where each service keeps what it found
FLAGS = frozenset({"Nudity", "Sexual Activity", "Suggestive", "Violence", "Drug Use"})
A_HAIR = 1e-6  # over 1 is rounding, not a percentage


class PixicularSettings(VendorSettings):
    """The vendor's pages contradict each other, so each choice can be made here.

    `file_field`: the guides call the file image, the reference file. `scale`: `share` reads every confidence as 0..1,
    `percent` as 0..100; `auto` tells them apart by answer, and refuses one that does not say.
    """

    base_url: Address = "https://api.pixicular.com"
    api_key: SecretStr
    services: tuple[Service, ...] = Field(default=("detect-moderation", "detect-labels"), min_length=1)
    file_field: Literal["image", "file"] = "image"
    scale: Literal["auto", "share", "percent"] = "auto"


class Adapter(VendorAdapter):
    Settings: ClassVar[type[VendorSettings]] = PixicularSettings
    settings: PixicularSettings
    accepts = frozenset({Modality.IMAGE})

    @property
    def address(self) -> str:
        return self.settings.base_url

    def ask(self, content: Content) -> Iterable[Call]:
        if not content.images:
            raise VendorRejected("looks at images only, and there is none")
        key = {"Authorization": f"Bearer {self.settings.api_key.get_secret_value()}"}
        for part in one_image_each(content):
            [view] = part.images[0].views
            file = Upload(f"image.{view.media_type.removeprefix('image/')}", view.media_type, view.data)
            kind, body = form({self.settings.file_field: file, "services": ",".join(self.settings.services)})
            yield Call("POST", "/v1/detect", headers={**key, **kind}, data=body)

    def read(self, reply: Reply) -> Iterator[Finding | Opinion | Minimum]:
        in_reference = "services" in reply.json
        if in_reference and (reply["success"] is not True or reply["photo"]["status"] != "COMPLETED"):
            raise ValueError("it says that it has not finished")
        services = reply["services"] if in_reference else reply.json
        said = {name: confidences(services[name][LISTS[name]]) for name in self.settings.services}  # absent: not asked
        if "detect-moderation" in said:
            missing = FLAGS - said["detect-moderation"].keys()
            if missing and (not in_reference or missing == FLAGS):  # the reference does not say that it names all
                raise ValueError(f"it is silent about {', '.join(sorted(missing))}")
        share = {"share": 1.0, "percent": 0.01}.get(self.settings.scale) or share_of_one(said, in_reference)
        for service, found in said.items():
            for name, value in found.items():
                yield Finding(name, value if share == 1 else value / 100, open=service == "detect-labels")

    def version(self, reply: Reply) -> str:
        """No answer names its model: the services that were asked for stand for it."""
        return ",".join(self.settings.services)

    def fault_code(self, reply: Reply) -> str | None:
        code = reply["error"]["code"]
        return code[:80] if isinstance(code, str) else None


def confidences(entries: Any) -> dict[str, float]:
    """What one service found, by name. ValueError or TypeError for what is no list of names and numbers."""
    if not isinstance(entries, list):
        raise TypeError(f"{type(entries).__name__} where a list should be")
    found: dict[str, float] = {}
    for entry in entries:
        name, value = entry["name"], entry["confidence"]
        if not isinstance(name, str) or name in found:
            raise ValueError("a name that is none, or comes twice")
        if type(value) not in (int, float) or value < 0:
            raise ValueError(f"the confidence of '{name[:80]}' is no number from 0 up")
        found[name] = value
    return found


def share_of_one(said: Mapping[Service, Mapping[str, float]], in_reference: bool) -> float:
    """What 1 is worth in this answer, all of it: 1.0 where it writes 0..1, and 0.01 where it writes 0..100.

    Never told by a single value, or 0.9 percent would read as 0.9. ValueError where an answer does not tell: a
    reference envelope with nothing over 1, or one in the form of the guides with one service over 1 and another not.
    """
    highest = [max(found.values(), default=0) for found in said.values()]
    if max(highest) == 0:
        return 1.0
    over = [value > 1 + A_HAIR for value in highest if value]
    if in_reference and any(over):
        return 0.01
    if in_reference or (any(over) and not all(over)):
        raise ValueError("it does not tell whether it counts to 1 or to 100: set `scale` to share or to percent")
    return 0.01 if any(over) else 1.0
