"""Amazon Rekognition: `POST /` with X-Amz-Target, DetectModerationLabels and DetectLabels, signed with SigV4.

What it can say: the 52 labels of model 7.0 with their ancestors, in percent; names of things where a provider gives
them. What it cannot: review, our other categories, "not looked at" (an empty list is "nothing found"): those are in
`modgate`, which its client drops, and in the headers X-Modgate-…, which it keeps. Where a gap made the decision it
answers its own 500.
Source: docs.aws.amazon.com/rekognition, botocore's service-2.json of 2016-06-27, label list 7.0. Read 2026-11.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from typing import Any, Literal

import orjson
from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from gateway.domain import Action
from gateway.errors import BadContent, NotFound, RequestError
from gateway.inverse import Inverse, Said
from gateway.record import Record
from gateway.web.auth import Role
from gateway.web.bodies import read_json
from gateway.web.cutting import Inline
from gateway.web.dialects.decided import answer, decided, insist_on_an_answer, insist_on_telling, told
from gateway.web.dialects.shapes import RekognitionErrorOut, RekognitionOut
from gateway.web.dialects.things import insist_on_things, moderation_words, things
from gateway.web.endpoint import Endpoint, Visit

VENDOR = "rekognition"
_JSON = "application/x-amz-json-1.1"
_OTHER_SENSE = {"Drinking (Beverage)": "Drinking"}  # how our adapter tells the thing from the label of that name
_KINDS = "ContentTypes:"  # how our table writes a kind of content, which is no label

# Model 7.0: 10 labels, those under each, and those under these
_MODEL = "7.0"
_TREE: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "Explicit": {
        "Explicit Nudity": (
            "Exposed Male Genitalia",
            "Exposed Female Genitalia",
            "Exposed Buttocks or Anus",
            "Exposed Female Nipple",
        ),
        "Explicit Sexual Activity": (),
        "Sex Toys": (),
    },
    "Non-Explicit Nudity of Intimate parts and Kissing": {
        "Non-Explicit Nudity": (
            "Bare Back",
            "Exposed Male Nipple",
            "Partially Exposed Buttocks",
            "Partially Exposed Female Breast",
            "Implied Nudity",
        ),
        "Obstructed Intimate Parts": ("Obstructed Female Nipple", "Obstructed Male Genitalia"),
        "Kissing on the Lips": (),
    },
    "Swimwear or Underwear": {"Female Swimwear or Underwear": (), "Male Swimwear or Underwear": ()},
    "Violence": {
        "Weapons": (),
        "Graphic Violence": (
            "Weapon Violence",
            "Physical Violence",
            "Self-Harm",
            "Blood & Gore",
            "Explosions and Blasts",
        ),
    },
    "Visually Disturbing": {"Death and Emaciation": ("Emaciated Bodies", "Corpses"), "Crashes": ("Air Crash",)},
    "Drugs & Tobacco": {"Products": ("Pills",), "Drugs & Tobacco Paraphernalia & Use": ("Smoking",)},
    "Alcohol": {"Alcohol Use": ("Drinking",), "Alcoholic Beverages": ()},
    "Rude Gestures": {"Middle Finger": ()},
    "Gambling": {},
    "Hate Symbols": {"Nazi Party": (), "White Supremacy": (), "Extremist": ()},
}


def _vocabulary() -> Iterator[tuple[str, str]]:
    for top, below in _TREE.items():
        yield top, ""
        for middle, leaves in below.items():
            yield middle, top
            yield from ((leaf, middle) for leaf in leaves)


VOCABULARY = dict(_vocabulary())

# Our codes → theirs, all of them HTTP 400 but those of our own fault; else by our status
_CODES = {
    "missing_key": "MissingAuthenticationTokenException",
    "malformed_signature": "IncompleteSignatureException",
    "wrong_signature": "InvalidSignatureException",
    "unknown_target": "UnknownOperationException",
    "unknown_adapter": "ResourceNotFoundException",
    "malformed_json": "SerializationException",
    "invalid_base64": "SerializationException",
    "empty_image": "ValidationException",
    "no_bucket": "InvalidS3ObjectException",
    "overloaded": "ThrottlingException",
    "batch_waits": "ThrottlingException",
    "waited_too_long": "ThrottlingException",
    "decoders_busy": "ThrottlingException",
}
_BY_STATUS = {
    401: "UnrecognizedClientException",
    403: "AccessDeniedException",
    413: "ImageTooLargeException",
    415: "InvalidImageFormatException",
    422: "InvalidImageFormatException",
    429: "ProvisionedThroughputExceededException",
}


class _Image(BaseModel):
    Bytes: Inline | None = Field(default=None, description="base64")
    S3Object: dict[str, Any] | None = Field(default=None, description="Refused: no bucket is read here.")


class _Filters(BaseModel):
    model_config = ConfigDict(extra="forbid")
    LabelInclusionFilters: list[str] = []
    LabelExclusionFilters: list[str] = []

    def lets(self, name: str) -> bool:
        included = not self.LabelInclusionFilters or name in self.LabelInclusionFilters
        return included and name not in self.LabelExclusionFilters


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid")
    GeneralLabels: _Filters = _Filters()


class DetectIn(BaseModel):
    """Both operations: an image, and from which confidence on. What nothing here can do is refused, never ignored."""

    model_config = ConfigDict(extra="forbid")
    Image: _Image
    MinConfidence: float | None = Field(default=None, ge=0, le=100, description="50; DetectLabels: 55.")
    ProjectVersion: str | None = Field(default=None, description="Refused: no custom adapter is here.")
    MaxLabels: int = Field(default=1000, ge=0, description="DetectLabels")
    Features: list[Literal["GENERAL_LABELS"]] = Field(default=["GENERAL_LABELS"], description="DetectLabels")
    Settings: _Settings = _Settings()


async def detect(visit: Visit) -> web.Response:
    """Either operation, as X-Amz-Target says."""
    target = visit.request.headers.get("X-Amz-Target", "")
    tell = _OPERATIONS.get(target)
    if tell is None:
        hint = f"There are {' and '.join(_OPERATIONS)}."
        raise NotFound("unknown_target", f"The operation '{target[:64]}' is not known here.", hint=hint)
    return await tell(visit, await read_json(visit.request, DetectIn))


async def _looked_at(visit: Visit, asked: DetectIn) -> Record:
    if asked.ProjectVersion is not None:
        raise NotFound("unknown_adapter", "No custom adapter is here.", hint="Leave out ProjectVersion.")
    if (asked.Image.Bytes is None) == (asked.Image.S3Object is None):
        hint = "Send Image.Bytes."
        raise BadContent("invalid_field", "An image has exactly one of Bytes and S3Object.", hint=hint, at="/Image")
    if asked.Image.Bytes is None:
        hint = "Send the picture itself as Image.Bytes."
        raise BadContent("no_bucket", "Unable to get the object: no bucket is read here.", hint=hint, at="/Image")
    intake = visit.intake
    return await decided(visit, await intake.content(None, [intake.inline(asked.Image.Bytes, "/Image/Bytes")], {}))


async def _moderation_labels(visit: Visit, asked: DetectIn) -> web.Response:
    record = await _looked_at(visit, asked)
    words = visit.desk.spoken[VENDOR]
    telling = told(visit, record, VENDOR)
    least = 50.0 if asked.MinConfidence is None else asked.MinConfidence
    known = {**telling.said, **telling.unknown}
    said = {name: one for name, one in known.items() if words.value(one.score) >= least}
    insist_on_telling(record, shown=any(one.action is not Action.ALLOW for one in said.values()))
    body = {
        "ModerationLabels": [_moderation_label(name, one, words) for name, one in _surest_first(said)],
        "ModerationModelVersion": _MODEL,
        "ContentTypes": [
            {"Name": name.removeprefix(_KINDS), "Confidence": words.value(score)}
            for name, score in (things(record, visit.desk.spoken) or {}).items()
            if name.startswith(_KINDS)
        ],
    }
    return _response(visit, body, record, telling.not_assessed)


def _surest_first(said: Mapping[str, Said]) -> list[tuple[str, Said]]:
    return sorted(said.items(), key=lambda entry: -entry[1].score)


def _moderation_label(name: str, said: Said, words: Inverse) -> dict[str, Any]:
    return {
        "Name": name,
        "Confidence": words.value(said.score),
        "ParentName": VOCABULARY.get(name, ""),
        "TaxonomyLevel": words.level(name),
    }


async def _labels(visit: Visit, asked: DetectIn) -> web.Response:
    record = await _looked_at(visit, asked)
    insist_on_an_answer(record)
    seen = insist_on_things(record, things(record, visit.desk.spoken))
    least = 55.0 if asked.MinConfidence is None else asked.MinConfidence
    labels = [label for label in _with_parents(seen, visit.desk.spoken) if label["Confidence"] >= least]
    wanted = [label for label in labels if asked.Settings.GeneralLabels.lets(label["Name"])]
    body = {"Labels": wanted[: asked.MaxLabels], "LabelModelVersion": "3.0"}
    return _response(visit, body, record, ())


def _with_parents(seen: Mapping[str, int], spoken: Mapping[str, Inverse]) -> list[dict[str, Any]]:
    """The things seen and, as sure as the surest of their children, those above them; the surest first."""
    words, judgements = spoken[VENDOR], moderation_words(spoken)
    scores: dict[str, int] = {}
    parents: dict[str, list[str]] = {}
    for said, score in seen.items():
        name = _OTHER_SENSE.get(said, said)
        parents[name] = [above for above, below in words.tree.items() if said in below and above not in judgements]
        for each in (name, *parents[name]):
            scores[each] = max(score, scores.get(each, 0))
    return [
        {
            "Name": name,
            "Confidence": words.value(score),
            "Instances": [],
            "Parents": [{"Name": above} for above in parents.get(name, ())],
            "Aliases": [],
            "Categories": [],
        }
        for name, score in sorted(scores.items(), key=lambda entry: -entry[1])
        if not name.startswith(_KINDS)
    ]


def _response(visit: Visit, body: dict[str, Any], record: Record, not_assessed: Collection[str]) -> web.Response:
    return answer(body, record, not_assessed, content_type=_JSON, headers={"x-amzn-RequestId": visit.id})


_OPERATIONS: Mapping[str, Callable[[Visit, DetectIn], Awaitable[web.Response]]] = {
    "RekognitionService.DetectModerationLabels": _moderation_labels,
    "RekognitionService.DetectLabels": _labels,
}


def as_aws_error(error: RequestError, request_id: str) -> web.Response:
    """Their shape, whose `__type` makes their client raise its own exception class."""
    status = 500 if error.http >= 500 else 400
    otherwise = "InternalServerError" if status == 500 else "InvalidParameterException"
    code = _CODES.get(error.code) or _BY_STATUS.get(error.http, otherwise)
    body = {"__type": code, "Code": code, "Logref": request_id, "Message": f"{error.detail} {error.hint}".strip()}
    headers = {"x-amzn-RequestId": request_id, "x-amzn-ErrorType": code}
    return web.Response(status=status, body=orjson.dumps(body), content_type=_JSON, headers=headers)


REKOGNITION_ROUTES = [
    Endpoint(
        "POST",
        "/",
        detect,
        "Amazon Rekognition, DetectModerationLabels and DetectLabels: its clients change one address.",
        roles=frozenset({Role.SUBMIT}),
        body=DetectIn,
        example={"Image": {"Bytes": "iVBORw0KGgo…"}, "MinConfidence": 50},
        reply=RekognitionOut,
        reply_type=_JSON,
        answers={
            200: "Labels with their ancestors, in percent",
            400: "What is wrong is in `__type`; the key and its signature too",
            500: "InternalServerError: nobody answered or something was not looked at. ThrottlingException",
        },
        problem=as_aws_error,
        refusal=RekognitionErrorOut,
        admitted=True,
        signed=VENDOR,
    )
]
