"""Pixicular, as its clients hear it: as its guides describe it, or as its reference does, for they disagree.

Wire:    POST /v1/detect, multipart: the picture and `services`; the file field is `image` in the guides, `file` in the
         reference, which has POST /v1/detect-from-url too. Bearer key
Says:    guides: a key for each service, 0..1, all five flags. Reference: an envelope, 0..100, a cost
Source:  pixicular.com, the guides on UGC and on NSFW detection and the API documentation, read 2026-11. Its errors are
         not in what was read: their shape, and limits of size and format, are assumed
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from adapters.simulator.answer import Answer
from adapters.simulator.forms import fields
from adapters.simulator.images import NotAPicture, look
from adapters.simulator.truth import Truth
from adapters.simulator.wire import Heard, Options, Refusal, Trouble, Vendor
from gateway.domain import Modality

FLAGS = ("Nudity", "Sexual Activity", "Suggestive", "Violence", "Drug Use")
THINGS = frozenset({"Weapon", "Firearm", "Knife", "Drug Paraphernalia"})  # beside any other
HARMLESS = ("Person", "Outdoor", "Coffee Cup", "Cafe")


class PixicularOptions(Options):
    """`speaks`: like the vendor's guides, or like its reference."""

    speaks: Literal["guides", "reference"] = "guides"


class Simulated(Vendor):
    name = "pixicular"
    routes: ClassVar[Mapping[str, str]] = {"/v1/detect": "POST", "/v1/detect-from-url": "POST"}
    Settings: ClassVar[type[Options]] = PixicularOptions
    options: PixicularOptions
    kinds: ClassVar[Mapping[str, str]] = {
        "refused_key": "invalid_api_key",
        "forbidden": "forbidden",
        "quota": "insufficient_credits",
        "throttled": "rate_limit_exceeded",
        "rejected": "invalid_request",
        "not_found": "not_found",
        "too_large": "file_too_large",
        "server_error": "internal_error",
        "overloaded": "service_unavailable",
    }
    troubles: ClassVar[Mapping[str, Trouble]] = {
        "invalid_request": Trouble(400, "The request is invalid."),
        "invalid_image": Trouble(400, "The file is not an image."),
        "invalid_api_key": Trouble(401, "The API key is missing or invalid."),
        "insufficient_credits": Trouble(402, "No operations are left on this account."),
        "forbidden": Trouble(403, "The API key may not use this service."),
        "not_found": Trouble(404, "There is nothing at this address."),
        "file_too_large": Trouble(413, "The file is too large."),
        "rate_limit_exceeded": Trouble(429, "Too many requests.", retry_after=1),
        "internal_error": Trouble(500, "Something went wrong on our side."),
        "service_unavailable": Trouble(503, "The service is temporarily unavailable."),
    }

    def answer(self, heard: Heard) -> Answer:
        if not self.takes(heard.bearer):
            raise Refusal("invalid_api_key")
        by_address = heard.path.endswith("from-url")
        if by_address and self.options.speaks == "guides":
            raise Refusal("not_found")
        asked, truth = self.addressed(heard) if by_address else self.uploaded(heard)
        wanted = [service.strip() for service in asked.split(",") if service.strip()]
        services = {"detect-moderation": self.flags, "detect-labels": self.things}
        if not wanted or any(service not in services for service in wanted):
            raise Refusal("invalid_request", f"'services' is one or more of {', '.join(services)}.")
        said = {service: services[service](truth) for service in wanted}
        return Answer(200, self.envelope(said, heard), self.headers(heard))

    def uploaded(self, heard: Heard) -> tuple[str, Truth]:
        name = "image" if self.options.speaks == "guides" else "file"
        try:
            form = fields(heard.headers.get("Content-Type", ""), heard.body)
            asked = form["services"].text if "services" in form else ""
        except ValueError as error:
            raise Refusal("invalid_request", f"The form cannot be read: {error}.") from None
        if name not in form or form[name].file is None:
            raise Refusal("invalid_request", f"The form has no file '{name}'.")
        try:
            return asked, self.shown(heard, look(form[name].data))
        except NotAPicture:
            raise Refusal("invalid_image") from None

    def addressed(self, heard: Heard) -> tuple[str, Truth]:
        try:
            asked, address = str(heard.json["services"]), str(heard.json["url"])
        except (ValueError, TypeError, KeyError):
            raise Refusal("invalid_request", "The body is JSON with 'services' and 'url'.") from None
        truth = self.pointed_to(heard, address)
        if truth is None:
            raise Refusal("invalid_image", "The image could not be downloaded.")
        return asked, truth

    def flags(self, truth: Truth) -> dict[str, Any]:
        return {"flags": self.listed(self.words.all(truth, Modality.IMAGE, FLAGS), FLAGS)}

    def things(self, truth: Truth) -> dict[str, Any]:
        sure = {name: 0.5 + truth.hum(name) / 2 for name in HARMLESS}
        own = {name: value for name, value in truth.own.get(self.name, {}).items() if name not in FLAGS}
        found = sure | self.words.named(truth, Modality.IMAGE, THINGS) | own
        return {"labels": self.listed(found, sorted(found, key=lambda name: -found[name]))}

    def listed(self, found: Mapping[str, float], names: tuple[str, ...] | list[str]) -> list[dict[str, Any]]:
        by = 1 if self.options.speaks == "guides" else 100
        return [{"name": name, "confidence": found[name] * by} for name in names]

    def envelope(self, said: dict[str, Any], heard: Heard) -> dict[str, Any]:
        took = 300 + heard.digest[0]
        if self.options.speaks == "guides":
            return {**said, "meta": {"processingTimeMs": took, "requestId": f"req_{heard.token(6)}"}}
        photo = {"id": f"photo_{heard.token(18)}", "status": "COMPLETED"}
        return {"success": True, "services": said, "photo": photo, "creditCost": len(said), "processingTimeMs": took}

    def apology(self, code: str, trouble: Trouble, heard: Heard) -> Answer:
        error = {"code": code, "message": trouble.message}
        return Answer(trouble.status, {"success": False, "error": error}, self.headers(heard))

    def headers(self, heard: Heard) -> dict[str, str | None]:
        return {"x-request-id": f"req_{heard.token(6)}"}
