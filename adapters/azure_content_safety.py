"""Azure AI Content Safety.

Wire:    POST /contentsafety/text:analyze or /image:analyze, key in Ocp-Apim-Subscription-Key; a text or an image, not
         both; a text over 10,000 code points goes in overlapping parts, asked at once, of which the highest counts
Reports: four labels, a severity: how bad it is, not how sure it is; 0..7 for a text, 0, 2, 4 or 6 for an image. A text
         on a blocklist of the customer's own is a label `blocklist/<name>` at 7
Source:  learn.microsoft.com/azure/ai-services/content-safety with its page of error codes, and contentsafety.json
         2024-09-01 of Azure/azure-rest-api-specs, read 2026-11

A blocklist is in no table, so a hit becomes `unmapped/azure_content_safety/blocklist_<name>`: a person looks, unless a
policy names that category and says otherwise. With `halt_on_blocklist_hit` the vendor looks no further after one, and
the four labels are "did not look". A text in parts is never halted: other parts would speak for the one not seen.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Annotated, Any, ClassVar

import pybase64
from pydantic import Field, SecretStr, model_validator

from gateway.adapter import Address, Call, Reply, VendorAdapter, VendorSettings
from gateway.domain import Content, Finding, Modality, View
from gateway.errors import VendorDenied, VendorError, VendorRejected, VendorThrottled, VendorUnavailable

TEXT_LENGTH = 10_000  # Unicode code points in a call, which is what Python counts
OVERLAP = 200  # what stands across a cut is whole in one of the parts; a blocklist's item has at most 128
CATEGORIES = ("Hate", "SelfHarm", "Sexual", "Violence")
WORST = 7

# What a call was about, and the severities its answer may hold. They decide what `read` accepts
_TEXT, _HALTING, _IMAGE = "text", "text, halting", "image"
_LEVELS: Mapping[str, Container[int]] = {_TEXT: range(8), _HALTING: range(8), _IMAGE: (0, 2, 4, 6)}

Blocklist = Annotated[str, Field(pattern=r"^[0-9A-Za-z._~-]{1,64}$")]


class AzureSettings(VendorSettings):
    """`endpoint` is the resource's, https://<resource>.cognitiveservices.azure.com; `blocklists` are names in it.

    Either `api_key` or `bearer_token`, a token of Entra ID, which ends within the hour. With `transport: sdk` both can
    be left out: the client then signs in with Entra ID by itself, and needs azure-identity installed.
    """

    sdk: ClassVar[str] = "azure_content_safety"
    endpoint: Address
    api_key: SecretStr | None = Field(default=None, min_length=1)
    bearer_token: SecretStr | None = Field(default=None, min_length=1)
    api_version: str = Field(default="2024-09-01", pattern=r"^\d{4}-\d{2}-\d{2}(-preview)?$")
    blocklists: tuple[Blocklist, ...] = ()
    halt_on_blocklist_hit: bool = False

    @model_validator(mode="after")
    def _one_way_in(self) -> AzureSettings:
        if self.transport == "sdk" and self.bearer_token:
            raise ValueError("bearer_token is for transport: direct; without an api_key the client gets tokens itself")
        if self.transport == "direct" and (self.api_key is None) == (self.bearer_token is None):
            raise ValueError("give either api_key or bearer_token; only with transport: sdk both can be left out")
        if not self.api_key and not self.endpoint.startswith("https://"):
            raise ValueError("without an api_key the endpoint is https: a token is sent over nothing else")
        return self


class Adapter(VendorAdapter):
    Settings: ClassVar[type[VendorSettings]] = AzureSettings
    settings: AzureSettings
    accepts = frozenset({Modality.TEXT, Modality.IMAGE})
    faults: ClassVar[Mapping[int | str, type[VendorError]]] = {
        # The service's words; the front door says the status once more, as text
        "InvalidRequestBody": VendorRejected,
        "InvalidResourceName": VendorDenied,  # a blocklist's name: ours to mend, like one that does not exist
        "ResourceNotFound": VendorDenied,
        "TooManyRequests": VendorThrottled,
        "InternalError": VendorUnavailable,
        "ServerBusy": VendorUnavailable,
    }

    def __init__(self, settings: AzureSettings):
        super().__init__(settings)
        self._headers = _sign_in(settings)
        self._query = {"api-version": settings.api_version}

    @property
    def address(self) -> str:
        return self.settings.endpoint

    def ask(self, content: Content) -> Iterable[Call]:
        views = [view for image in content.images for view in image.views]
        if content.text is None:
            return [self.image(view) for view in views]
        if views:
            raise VendorRejected("it looks at a text or at an image, never at both in one question")
        return self.texts(content.text)

    def texts(self, text: str) -> list[Call]:
        """One call, or one for each part of a text that is too long for one."""
        parts = split(text)
        options: dict[str, Any] = {"outputType": "EightSeverityLevels"}
        halting = bool(self.settings.blocklists) and self.settings.halt_on_blocklist_hit and len(parts) == 1
        if self.settings.blocklists:
            options |= {"blocklistNames": self.settings.blocklists, "haltOnBlocklistHit": halting}
        return [self.call("text", {"text": part, **options}, _HALTING if halting else _TEXT) for part in parts]

    def image(self, view: View) -> Call:
        """The bytes themselves: the only address this vendor reads is one in its own storage."""
        picture = {"content": pybase64.b64encode_as_string(view.data)}
        return self.call("image", {"image": picture, "outputType": "FourSeverityLevels"}, _IMAGE)

    def call(self, kind: str, body: dict[str, Any], about: str) -> Call:
        path = f"/contentsafety/{kind}:analyze"
        return Call("POST", path, headers=self._headers, json=body, query=self._query, about=about)

    def read(self, reply: Reply) -> Iterator[Finding]:
        hits = self.hits(reply)
        analysis = reply["categoriesAnalysis"]
        if analysis == [] and hits and reply.about == _HALTING:
            yield from (Finding(label, None, frozenset()) for label in CATEGORIES)  # did not look. Never 0
        else:
            found = severities(analysis, _LEVELS[reply.about])
            yield from (Finding(label, severity) for label, severity in found.items())
        yield from (Finding(f"blocklist/{name}", WORST) for name in hits)

    def hits(self, reply: Reply) -> list[str]:
        """The blocklists that this text is on, each once. An answer about blocklists has to speak of them."""
        matches = reply.json.get("blocklistsMatch", [])
        asked = bool(self.settings.blocklists) and reply.about != _IMAGE
        if not isinstance(matches, list) or (asked and "blocklistsMatch" not in reply.json):
            raise TypeError("blocklistsMatch is no list")
        return list(dict.fromkeys(word(match["blocklistName"]) for match in matches))

    def version(self, reply: Reply) -> str:
        """No answer names its model: the version of the interface stands for it."""
        return self.settings.api_version

    def fault_code(self, reply: Reply) -> str | None:
        code = word(reply["error"]["code"])
        return None if code == str(reply.status) else code


def _sign_in(settings: AzureSettings) -> dict[str, str]:
    if settings.api_key:
        return {"Ocp-Apim-Subscription-Key": settings.api_key.get_secret_value()}
    if settings.bearer_token:
        return {"Authorization": f"Bearer {settings.bearer_token.get_secret_value()}"}
    return {}  # the vendor's own client sends, and signs in


def split(text: str) -> list[str]:
    """Parts of at most TEXT_LENGTH, each beginning with the last OVERLAP of the one before."""
    step = TEXT_LENGTH - OVERLAP
    return [text[start : start + TEXT_LENGTH] for start in range(0, max(1, len(text) - OVERLAP), step)]


def severities(analysis: Any, levels: Container[int]) -> dict[str, int]:
    """Severity by label. ValueError or the like for anything but one entry, on its scale, for each of the four.

    `severity` may be left out by the schema, which does not say what that means (Azure/azure-sdk-for-python#34878). It
    is looked at here and not in the table: put together with other parts, a gap in one of them would not be seen.
    """
    found: dict[str, int] = {}
    for entry in analysis:
        label, severity = word(entry["category"]), entry["severity"]
        if type(severity) is not int or severity not in levels:
            raise ValueError(f"the severity of {label[:40]!r} is {str(severity)[:20]!r}")
        if label in found:
            raise ValueError(f"{label[:40]!r} stands there twice")
        found[label] = severity
    missing = [label for label in CATEGORIES if label not in found]
    if missing:
        raise ValueError(f"it names every label but {', '.join(missing)}")
    return found


def word(said: Any) -> str:
    """A name the vendor gives; TypeError for anything but text."""
    if not isinstance(said, str):
        raise TypeError(f"{type(said).__name__} where a name should be")
    return said[:80]
