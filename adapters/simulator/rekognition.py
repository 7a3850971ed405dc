"""Amazon Rekognition, as its clients hear it: DetectModerationLabels and DetectLabels.

Wire:    POST / with X-Amz-Target, JSON 1.1, SigV4. The signature is checked where the secret is known, its form always
Says:    labels at or above MinConfidence, percent, each with all its ancestors. Errors by `__type`; throttling is HTTP
         400 (or 500), and there is no Retry-After
Source:  docs.aws.amazon.com/rekognition, botocore's service-2.json of 2016-06-27, read 2026-11; aws/aws-sdk-js-v3#2310,
         aws/aws-sdk-js#2315 and boto/botocore#1366 for what is said of empty, mis-encoded and tiny pictures
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar

from adapters.rekognition import day_key, signed
from adapters.simulator.answer import Answer
from adapters.simulator.images import NotAPicture, Picture, decoded, look
from adapters.simulator.rekognition_labels import HARMLESS, MODERATION, THINGS
from adapters.simulator.truth import Truth
from adapters.simulator.wire import REFUSED_KEY, Heard, Options, Refusal, Trouble, Vendor
from gateway.domain import Modality

MOST_BYTES = 5_242_880
LEAST_SIDE, MOST_SIDE = 80, 10_000
SKEW = 300.0  # seconds that a signature's date may be off
FAST = ("us-east-1", "us-west-2", "eu-west-1")  # 50 requests a second of each operation; elsewhere 5
WITHOUT = ("ca-central-1",)  # regions that answer, and know neither operation
EXPIRED_TOKEN = "expired-token"  # noqa: S105  # a session token that is over
LISTED = "ContentTypes:"  # a label of this name is a kind of content

_CREDENTIAL = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/,\s]+)/((\d{8})/([a-z0-9-]+)/([a-z0-9-]+)/aws4_request), ?"
    r"SignedHeaders=([a-z0-9;-]+), ?Signature=([0-9a-f]{64})"
)
_BUFFER = (
    "1 validation error detected: Value 'java.nio.HeapByteBuffer[pos=0 lim={0} cap={0}]' at 'image.bytes' failed to "
)
_WRONG_SIGNATURE = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
    "and signing method. Consult the service documentation for details."
)


class RekognitionOptions(Options):
    """`secrets` by access key id: their signatures are checked, others only for their form."""

    secrets: Mapping[str, str] = {"simulator": "simulator-secret"}


class Simulated(Vendor):
    name = "rekognition"
    routes: ClassVar[Mapping[str, str]] = {"/": "POST"}
    Settings: ClassVar[type[Options]] = RekognitionOptions
    options: RekognitionOptions
    kinds: ClassVar[Mapping[str, str]] = {
        "refused_key": "UnrecognizedClientException",
        "forbidden": "AccessDeniedException",
        "quota": "SubscriptionRequiredException",
        "throttled": "ProvisionedThroughputExceededException",
        "rejected": "InvalidParameterException",
        "not_found": "UnknownOperationException",
        "too_large": "ImageTooLargeException",
        "server_error": "InternalServerError",
        "overloaded": "ThrottlingException/500",
    }
    troubles: ClassVar[Mapping[str, Trouble]] = {
        # Those of the model: `Code`, `Logref` and `Message` beside `__type`
        "AccessDeniedException": Trouble(400, "User is not authorized to perform this operation.", "modeled"),
        "ImageTooLargeException": Trouble(400, "Image size is too large", "modeled"),
        "InvalidImageFormatException": Trouble(400, "Request has invalid image format", "modeled"),
        "InvalidParameterException": Trouble(400, "Request has Invalid Parameters", "modeled"),
        "InvalidS3ObjectException": Trouble(
            400,
            "Unable to get object metadata from S3. Check object key, region and/or access permissions.",
            "modeled",
        ),
        "ProvisionedThroughputExceededException": Trouble(400, "Provisioned Rate exceeded.", "modeled"),
        "ResourceNotFoundException": Trouble(400, "The resource specified in the request cannot be found.", "modeled"),
        "ThrottlingException": Trouble(400, "Slow down; sudden increase in rate of requests.", "modeled"),
        "ThrottlingException/500": Trouble(500, "Service Unavailable", "modeled"),
        "InternalServerError": Trouble(500, "Internal server error", "modeled"),
        # Those of the protocol: `message` alone
        "ValidationException": Trouble(400, "1 validation error detected"),
        "SerializationException": Trouble(400, "The request body is not valid JSON."),
        "UnknownOperationException": Trouble(400, "The requested operation is not known."),
        "MissingAuthenticationTokenException": Trouble(400, "Missing Authentication Token"),
        "IncompleteSignatureException": Trouble(400, "The Authorization header is incomplete."),
        "InvalidSignatureException": Trouble(400, _WRONG_SIGNATURE),
        "UnrecognizedClientException": Trouble(400, "The security token included in the request is invalid."),
        "ExpiredTokenException": Trouble(400, "The security token included in the request is expired"),
        "SubscriptionRequiredException": Trouble(400, "The AWS Access Key Id needs a subscription for the service"),
    }

    def answer(self, heard: Heard) -> Answer:
        region = self.check_signature(heard)
        target = heard.headers.get("X-Amz-Target", "")
        operations = {
            "RekognitionService.DetectModerationLabels": self.moderation,
            "RekognitionService.DetectLabels": self.labels,
        }
        if target not in operations or region in WITHOUT:
            raise Refusal("UnknownOperationException")
        try:
            asked = heard.json
        except ValueError:
            raise Refusal("SerializationException") from None
        if not isinstance(asked, dict):
            raise Refusal("SerializationException")
        return self.reply(200, operations[target](asked, self.picture(heard, asked)), heard)

    def allowance(self, heard: Heard) -> tuple[str, float | None]:
        """Each operation in each region has a limit of its own."""
        _, rate = super().allowance(heard)
        match = _CREDENTIAL.fullmatch(heard.headers.get("Authorization", ""))
        region = match[4] if match else ""
        if self.options.limit == "documented":
            rate = 50.0 if region in FAST else 5.0
        return f"{region}/{heard.headers.get('X-Amz-Target', '')}", rate

    def check_signature(self, heard: Heard) -> str:
        """The region of a signature that holds, as far as that can be told."""
        written = heard.headers.get("Authorization", "")
        if not written:
            raise Refusal("MissingAuthenticationTokenException")
        match = _CREDENTIAL.fullmatch(written)
        stamp = heard.headers.get("X-Amz-Date", "")
        if not match or not re.fullmatch(r"\d{8}T\d{6}Z", stamp):
            raise Refusal("IncompleteSignatureException")
        key, scope, day, region, service, names, signature = match.groups()
        if service != "rekognition" or day != stamp[:8]:
            raise Refusal("InvalidSignatureException", "Credential should be scoped to correct service: 'rekognition'.")
        if not {"host", "x-amz-date", "x-amz-target"} <= set(names.split(";")):
            raise Refusal(
                "InvalidSignatureException", "'host', 'x-amz-date' and 'x-amz-target' must be signed headers."
            )
        self.check_client(heard, key)
        self.check_clock(heard, stamp)
        secret = self.options.secrets.get(key)
        if secret is not None:
            headers = {name: heard.headers.get(name, "") for name in names.split(";")}
            _, ours = signed(day_key(secret, scope), scope, heard.method, heard.written, headers, heard.body)
            if ours != signature:
                raise Refusal("InvalidSignatureException")
        return region

    def check_client(self, heard: Heard, key: str) -> None:
        token = heard.headers.get("X-Amz-Security-Token")
        if token == EXPIRED_TOKEN:
            raise Refusal("ExpiredTokenException")
        if not self.takes(key) or token == REFUSED_KEY:
            raise Refusal("UnrecognizedClientException")

    def check_clock(self, heard: Heard, stamp: str) -> None:
        signed_at = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        off = (heard.now - signed_at).total_seconds()
        now = heard.now.strftime("%Y%m%dT%H%M%SZ")
        if off > SKEW:
            raise Refusal("InvalidSignatureException", f"Signature expired: {stamp} is now earlier than {now} - 5 min.")
        if off < -SKEW:
            raise Refusal(
                "InvalidSignatureException", f"Signature not yet current: {stamp} is later than {now} + 5 min."
            )

    def picture(self, heard: Heard, asked: Mapping[str, Any]) -> Truth:
        image = asked.get("Image")
        sent, stored = (image.get("Bytes"), image.get("S3Object")) if isinstance(image, dict) else (None, None)
        if (sent is None) == (stored is None):
            raise Refusal("InvalidParameterException")
        if stored is not None:
            place = f"s3://{stored.get('Bucket')}/{stored.get('Name')}" if isinstance(stored, dict) else ""
            truth = self.pointed_to(heard, place)
            if truth is None:
                raise Refusal("InvalidS3ObjectException")
            return truth
        return self.shown(heard, _opened(sent))

    def moderation(self, asked: Mapping[str, Any], truth: Truth) -> dict[str, Any]:
        if asked.get("ProjectVersion"):
            raise Refusal("ResourceNotFoundException")
        least = _least(asked, 50)
        found = self.words.named(truth, Modality.IMAGE, frozenset(MODERATION))
        for name in [name for name in found if name in MODERATION]:
            parent = MODERATION[name].parent
            while parent:
                found[parent] = max(found[name], found.get(parent, 0.0))
                parent = MODERATION[parent].parent
        labels = [
            {"Confidence": value, "Name": name, "ParentName": place.parent, "TaxonomyLevel": place.level}
            for name, value in found.items()
            if value >= least and (place := MODERATION[name])
        ]
        kinds = {name: value for name, value in truth.own.get(self.name, {}).items() if name.startswith(LISTED)}
        types = [{"Confidence": value, "Name": name.removeprefix(LISTED)} for name, value in kinds.items()]
        return {"ModerationLabels": labels, "ModerationModelVersion": "7.0", "ContentTypes": types}

    def labels(self, asked: Mapping[str, Any], truth: Truth) -> dict[str, Any]:
        least, most = _least(asked, 55), asked.get("MaxLabels", 1000)
        if type(most) is not int or most < 0:
            raise Refusal("InvalidParameterException")
        filters = ((asked.get("Settings") or {}).get("GeneralLabels")) or {}
        found = {
            name: value for name, value in self.things(truth).items() if value >= least and _asked_for(name, filters)
        }
        best = sorted(found, key=lambda name: -found[name])[:most]
        return {"Labels": [_thing(name, found[name]) for name in best], "LabelModelVersion": "3.0"}

    def things(self, truth: Truth) -> dict[str, float]:
        """What is seen, with all its ancestors: something harmless, and what is true of the picture."""
        seen = HARMLESS[int(truth.hum("thing") * len(HARMLESS))]
        own = truth.own.get(self.name, {}).items()
        found = {seen: 80 + 19 * truth.hum("sure"), **self.words.named(truth, Modality.IMAGE, frozenset(THINGS))}
        found |= {name: value for name, value in own if name not in MODERATION and not name.startswith(LISTED)}
        for name in [name for name in found if name in THINGS]:
            for parent in THINGS[name].parents:
                found[parent] = max(found[name], found.get(parent, 0.0))
        return found

    def apology(self, code: str, trouble: Trouble, heard: Heard) -> Answer:
        name = code.partition("/")[0]
        said = {"Code": name, "Logref": heard.uuid, "Message": trouble.message}
        return self.reply(
            trouble.status, {"__type": name, **(said if trouble.type else {"message": trouble.message})}, heard, name
        )

    def reply(self, status: int, document: dict[str, Any], heard: Heard, error: str | None = None) -> Answer:
        headers = {"x-amzn-RequestId": heard.uuid, "x-amzn-ErrorType": error}
        return Answer(status, document, headers, content_type="application/x-amz-json-1.1")


def _opened(sent: Any) -> Picture:
    try:
        data = decoded(sent if isinstance(sent, str) else "!")
    except NotAPicture:
        raise Refusal("SerializationException", "image.bytes is not valid base64") from None
    if not data:
        raise Refusal(
            "ValidationException",
            _BUFFER.format(0) + "satisfy constraint: Member must have length greater than or equal to 1",
        )
    if len(data) > MOST_BYTES:
        limit = f"satisfy constraint: Member must have length less than or equal to {MOST_BYTES}"
        raise Refusal("ValidationException", _BUFFER.format(len(data)) + limit)
    try:
        picture = look(data)
    except NotAPicture:
        raise Refusal("InvalidImageFormatException") from None
    if picture.kind not in ("jpeg", "png"):
        raise Refusal("InvalidImageFormatException")
    if min(picture.width, picture.height) < LEAST_SIDE:
        raise Refusal("InvalidParameterException")
    if max(picture.width, picture.height) > MOST_SIDE:
        raise Refusal("ImageTooLargeException")
    return picture


def _least(asked: Mapping[str, Any], default: float) -> float:
    """MinConfidence, 0 to 100."""
    least = asked.get("MinConfidence", default)
    if type(least) not in (int, float):
        raise Refusal("SerializationException")
    if not 0 <= least <= 100:
        bound = "less than or equal to 100" if least > 100 else "greater than or equal to 0"
        where = f"1 validation error detected: Value '{least}' at 'minConfidence' failed to satisfy constraint: "
        raise Refusal("ValidationException", f"{where}Member must have value {bound}")
    return float(least)


def _asked_for(name: str, filters: Mapping[str, Any]) -> bool:
    category = THINGS[name].category if name in THINGS else ""
    wanted, unwanted = filters.get("LabelInclusionFilters"), filters.get("LabelExclusionFilters") or ()
    kinds, unkinds = filters.get("LabelCategoryInclusionFilters"), filters.get("LabelCategoryExclusionFilters") or ()
    inside = (not wanted and not kinds) or name in (wanted or ()) or category in (kinds or ())
    return inside and name not in unwanted and category not in unkinds


def _thing(name: str, confidence: float) -> dict[str, Any]:
    thing = THINGS.get(name)
    return {
        "Name": name,
        "Confidence": confidence,
        "Instances": [],
        "Parents": [{"Name": parent} for parent in thing.parents] if thing else [],
        "Aliases": [],
        "Categories": [{"Name": thing.category}] if thing else [],
    }
