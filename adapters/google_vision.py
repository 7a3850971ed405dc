"""Google Cloud Vision, SafeSearch.

Wire:    POST …/images:annotate, key in X-Goog-Api-Key or an OAuth token; one view of one image a call, as base64
Reports: five labels, each with one of six likelihoods, how sure the model is; UNKNOWN says it did not look. An image it
         could not read is an error inside a 200. Medical and spoof are no harm, but explain one
Source:  cloud.google.com/vision/docs: SafeSearch, supported files, quotas; the types of google-cloud-vision 3.16;
         google/rpc/code.proto; cloud.google.com/docs/authentication/api-keys-use for the header, read 2026-11
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

import pybase64
from pydantic import SecretStr, model_validator

from gateway.adapter import Address, Call, Reply, VendorAdapter, VendorSettings, one_image_each
from gateway.domain import Content, Finding, Modality
from gateway.errors import VendorDenied, VendorError, VendorRejected, VendorThrottled, VendorTimeout, VendorUnavailable

LABELS = ("adult", "spoof", "medical", "violence", "racy")
LIKELIHOODS: Mapping[str, int | None] = {  # what each is worth is in the table
    "UNKNOWN": None,
    "VERY_UNLIKELY": 1,
    "UNLIKELY": 2,
    "POSSIBLE": 3,
    "LIKELY": 4,
    "VERY_LIKELY": 5,
}

MODEL = "builtin/stable"  # the one that a feature is for which names none
CODES = (  # google.rpc.Code, numbered from 0
    *("OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS"),
    *("PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED"),
    *("INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"),
)


class GoogleVisionSettings(VendorSettings):
    """`base_url` is what precedes /images:annotate; with a project and a place in it, the image stays in that place.

    Either `api_key` or `access_token`, an OAuth token as a service account gets it, which ends within the hour.
    """

    base_url: Address = "https://vision.googleapis.com/v1"
    api_key: SecretStr | None = None
    access_token: SecretStr | None = None

    @model_validator(mode="after")
    def _one_sign_in(self) -> GoogleVisionSettings:
        if bool(self.api_key) == bool(self.access_token):
            raise ValueError("either api_key or access_token, and not both")
        return self


class Adapter(VendorAdapter):
    Settings: ClassVar[type[VendorSettings]] = GoogleVisionSettings
    settings: GoogleVisionSettings
    accepts = frozenset({Modality.IMAGE})
    faults: ClassVar[Mapping[int | str, type[VendorError]]] = {
        "API_KEY_INVALID": VendorDenied,  # a reason, with INVALID_ARGUMENT and HTTP 400
        "CANCELLED": VendorUnavailable,
        "UNKNOWN": VendorUnavailable,
        "INVALID_ARGUMENT": VendorRejected,
        "DEADLINE_EXCEEDED": VendorTimeout,
        "NOT_FOUND": VendorDenied,  # a project or a place: ours to mend
        "PERMISSION_DENIED": VendorDenied,
        "RESOURCE_EXHAUSTED": VendorThrottled,
        "FAILED_PRECONDITION": VendorDenied,
        "ABORTED": VendorUnavailable,
        "OUT_OF_RANGE": VendorRejected,
        "UNIMPLEMENTED": VendorDenied,
        "INTERNAL": VendorUnavailable,
        "UNAVAILABLE": VendorUnavailable,
        "DATA_LOSS": VendorUnavailable,
        "UNAUTHENTICATED": VendorDenied,
    }

    def __init__(self, settings: GoogleVisionSettings):
        super().__init__(settings)
        self._headers = sign_in(settings)

    @property
    def address(self) -> str:
        return self.settings.base_url

    def ask(self, content: Content) -> Iterable[Call]:
        if not content.images:
            raise VendorRejected("looks at images only, and there is none")
        for part in one_image_each(content):
            [view] = part.images[0].views
            image = {"content": pybase64.b64encode_as_string(view.data)}
            body = {"requests": [{"image": image, "features": [{"type": "SAFE_SEARCH_DETECTION"}]}]}
            yield Call("POST", "/images:annotate", headers=self._headers, json=body)

    def read(self, reply: Reply) -> Iterator[Finding]:
        [said] = reply["responses"]
        if "error" in said:
            raise self._fault(reply)
        steps = {label: LIKELIHOODS[likelihood] for label, likelihood in said["safeSearchAnnotation"].items()}
        missing = [label for label in LABELS if label not in steps]
        if missing or all(step is None for step in steps.values()):
            raise ValueError(f"it is silent about {', '.join(missing) or 'all'}")
        for label, step in steps.items():
            yield Finding(label, step) if step else Finding(label, None, frozenset())  # None: did not look. Never 0

    def version(self, reply: Reply) -> str:
        """No answer names its model: what was asked for stands for it."""
        return MODEL

    def fault_code(self, reply: Reply) -> str | None:
        """The reason where a known one is given, else the status; in an error about the image that is a number."""
        error = reply["responses"][0]["error"] if "responses" in reply.json else reply["error"]
        names = [detail.get("reason") for detail in error.get("details", ())]
        names = [name for name in names if name in self.faults]
        return names[0] if names else word(error.get("status") or dict(enumerate(CODES))[error["code"]])


def sign_in(settings: GoogleVisionSettings) -> dict[str, str]:
    """The header that says who asks."""
    if settings.access_token:
        return {"Authorization": f"Bearer {settings.access_token.get_secret_value()}"}
    return {"X-Goog-Api-Key": settings.api_key.get_secret_value()} if settings.api_key else {}


def word(said: Any) -> str:
    """A name the vendor gives; TypeError for anything but text."""
    if not isinstance(said, str):
        raise TypeError(f"{type(said).__name__} where a name should be")
    return said[:80]
