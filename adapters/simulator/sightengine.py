"""Sightengine, as its clients hear it.

Wire:    /1.0/check.json, GET with `url` or POST with `media`; POST /1.0/text/check.json; `api_user` and `api_secret`
         among the parameters
Says:    a block for each model asked, 0..1; matches of rules, each low, medium or high. Its errors have `status:
         failure`
Source:  sightengine.com/docs: reference, error codes, the pages of the models, read 2026-11. The statuses of errors and
         what it says over its limits are not documented, and assumed
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from adapters.simulator.answer import Answer
from adapters.simulator.forms import Part, fields
from adapters.simulator.images import NotAPicture, look
from adapters.simulator.sightengine_models import CLASSES, HIGHEST_OF, MODELS, PLAIN, REMAINS_OF, RULES
from adapters.simulator.truth import Truth
from adapters.simulator.wire import Heard, Refusal, Trouble, Vendor
from gateway.domain import Modality

INTENSITIES = ((0.85, "high"), (0.6, "medium"), (0.4, "low"))  # from this score on
NOTHING = 0.01  # what is lower is the small number of what is not there
OF_RULES = frozenset(label for labels in RULES.values() for label in labels)
FACE = {"x1": 0.4, "y1": 0.2, "x2": 0.6, "y2": 0.5}


class Simulated(Vendor):
    name = "sightengine"
    routes: ClassVar[Mapping[str, str]] = {r"/1\.0/check\.json": "GET POST", r"/1\.0/text/check\.json": "POST"}
    kinds: ClassVar[Mapping[str, str]] = {
        "refused_key": "wrong_credentials",
        "forbidden": "plan_error",
        "quota": "usage_limit",
        "throttled": "too_many_requests",
        "rejected": "argument_error",
        "not_found": "request_error",
        "too_large": "media_too_large",
        "server_error": "api_error",
        "overloaded": "unavailable",
    }
    troubles: ClassVar[Mapping[str, Trouble]] = {
        "wrong_credentials": Trouble(401, "Incorrect API user or API secret", "argument_error", extra={"code": 1}),
        "argument_error": Trouble(400, "A parameter is missing or wrong", extra={"code": 2}),
        "plan_error": Trouble(400, "This model is not part of your plan", extra={"code": 3}),
        "media_error": Trouble(400, "The image could not be decoded", extra={"code": 12}),
        "media_too_large": Trouble(413, "The media is too large", "media_error", extra={"code": 13}),
        "request_error": Trouble(404, "There is nothing at this address", extra={"code": 15}),
        "too_many_requests": Trouble(429, "Too many requests at once", "request_error", 1, {"code": 16}),
        "usage_limit": Trouble(429, "Daily usage limit reached", extra={"code": 32}),
        "api_error": Trouble(500, "Internal error", extra={"code": 20}),
        "unavailable": Trouble(503, "Service unavailable", "api_error", extra={"code": 21}),
    }

    def answer(self, heard: Heard) -> Answer:
        form = self.form(heard)
        asked = {name: part.data.decode("utf-8", "replace") for name, part in form.items() if part.file is None}
        if not asked.get("api_user") or not self.takes(asked.get("api_secret", "")):
            raise Refusal("wrong_credentials")
        if "text" in heard.path:
            said = self.of_text(heard, asked)
            return self.envelope(heard, "success", 1, said)
        wanted = _listed(asked, "models", MODELS)
        said = self.of_image(self.seen(heard, form, asked), wanted)
        media = {"id": f"med_{heard.token(22)}", "uri": "upload"}
        return self.envelope(heard, "success", len(wanted), {**said, "media": media})

    def form(self, heard: Heard) -> dict[str, Part]:
        given = {name: Part(value.encode()) for name, value in heard.query.items()}
        if heard.method == "GET":
            return given
        try:
            return given | fields(heard.headers.get("Content-Type", ""), heard.body)
        except ValueError as error:
            raise Refusal("argument_error", f"The form cannot be read: {error}") from None

    def seen(self, heard: Heard, form: Mapping[str, Part], asked: Mapping[str, str]) -> Truth:
        if asked.get("url"):
            truth = self.pointed_to(heard, asked["url"])
            if truth is None:
                raise Refusal("media_error", "The media could not be downloaded")
            return truth
        if "media" not in form or form["media"].file is None:
            raise Refusal("argument_error", "Either url or media is needed")
        try:
            return self.shown(heard, look(form["media"].data))
        except NotAPicture:
            raise Refusal("media_error") from None

    def of_image(self, truth: Truth, wanted: list[str]) -> dict[str, Any]:
        unasked = {path for model, paths in MODELS.items() if model not in wanted for path in paths}
        said_by_all = self.words.all(truth, Modality.IMAGE, [path for paths in MODELS.values() for path in paths])
        found = {path: value for path, value in said_by_all.items() if path not in unasked}
        found |= {path: 0.8 + 0.19 * truth.hum(path) for path in PLAIN if path in found and found[path] < NOTHING}
        return _blocks(_agreeing(found))

    def of_text(self, heard: Heard, asked: Mapping[str, str]) -> dict[str, Any]:
        if not asked.get("text"):
            raise Refusal("argument_error", "text is missing")
        modes = _listed(asked, "mode", ("rules", "ml"))
        truth = self.told(heard, asked["text"])
        said: dict[str, Any] = {}
        if "rules" in modes:
            found = self.words.named(truth, Modality.TEXT, OF_RULES)
            for category in _listed(asked, "categories", RULES):
                matched = [_matches(label, found.get(label, 0.0), asked["text"]) for label in RULES[category]]
                said[category] = {"matches": [match for some in matched for match in some]}
        if "ml" in modes:
            classes = [name for model in _listed(asked, "models", CLASSES) for name in CLASSES[model]]
            found = self.words.all(truth, Modality.TEXT, [f"moderation_classes.{name}" for name in classes])
            scores = {name: found[f"moderation_classes.{name}"] for name in classes}
            said["moderation_classes"] = {"available": classes, **scores}
        return said

    def envelope(self, heard: Heard, status: str, operations: int, said: Mapping[str, Any], http: int = 200) -> Answer:
        stamp = round(heard.now.timestamp(), 6)
        request = {"id": f"req_{heard.token(22)}", "timestamp": stamp, "operations": operations}
        return Answer(http, {"status": status, "request": request, **said})

    def apology(self, code: str, trouble: Trouble, heard: Heard) -> Answer:
        error = {"type": trouble.type or code, **trouble.extra, "message": trouble.message}
        return self.envelope(heard, "failure", 0, {"error": error}, trouble.status)


def _listed(asked: Mapping[str, str], name: str, known: Any) -> list[str]:
    """The entries of a comma list, each of them known."""
    entries = [entry.strip() for entry in asked.get(name, "").split(",") if entry.strip()]
    wrong = [entry for entry in entries if entry not in known]
    if not entries or wrong:
        message = f"{name} is one or more of {', '.join(known)}" + (f", not {wrong[0][:60]}" if wrong else "")
        raise Refusal("argument_error", message)
    return entries


def _agreeing(found: dict[str, float]) -> dict[str, float]:
    """The same with the numbers that follow from others: a `prob` that is the highest class, a `none` that remains."""
    for path, classes in HIGHEST_OF.items():
        if path in found:
            found[classes[0]] = max(found[classes[0]], found[path] if found[path] >= NOTHING else 0.0)
            found[path] = max(found[each] for each in classes)  # a boxing match is as high as a brawl
    return found | {
        path: 1 - max(found[each] for each in rest) for path, rest in REMAINS_OF.items() if rest[0] in found
    }


def _blocks(found: Mapping[str, float]) -> dict[str, Any]:
    """Numbers by path as the blocks of an answer."""
    said: dict[str, Any] = {}
    faces = {path: value for path, value in found.items() if path.startswith("faces[].")}
    for path, value in found.items():
        if path not in faces:
            _put(said, path.removesuffix("[]"), _matches(path[:-2], value) if path.endswith("[]") else value)
    return said | ({"faces": _faces(faces)} if faces else {})


def _matches(label: str, value: float, text: str = "simulated") -> list[dict[str, Any]]:
    """One match of a rule, as bad as the score says; none where that is low."""
    intensity = next((name for least, name in INTENSITIES if value >= least), None)
    if intensity is None:
        return []
    kind, _, finer = label.rpartition(".")[2].partition(":")
    named = {"type": "url", "category": None} if kind == "link" else {"type": finer or kind}
    return [{**named, "intensity": intensity, "match": text[:40], "start": 0, "end": len(text[:40])}]


def _faces(found: Mapping[str, float]) -> list[dict[str, Any]]:
    """One face where something is known of it, else none."""
    if max(found.values()) < NOTHING:
        return []
    face: dict[str, Any] = {**FACE}
    for path, value in found.items():
        _put(face, path.removeprefix("faces[]."), value)
    return [face]


def _put(document: dict[str, Any], path: str, value: Any) -> None:
    *blocks, last = path.split(".")
    for block in blocks:
        document = document.setdefault(block, {})
    document[last] = value
