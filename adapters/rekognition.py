"""Amazon Rekognition: DetectModerationLabels and, beside it, DetectLabels.

Wire:    POST / with X-Amz-Target, JSON 1.1, signed with SigV4; one view of one image a call, its bytes or an S3 object
Reports: 52 moderation labels of model 7.0, each with all its ancestors, and some 3,000 names of things (open); percent,
         how sure the model is; below MinConfidence nothing is named. Throttling is HTTP 400: the code says what it is
Source:  docs.aws.amazon.com/rekognition, botocore's service-2.json of 2016-06-27, DetectLabels list 3.0, read 2026-11
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal, NamedTuple
from urllib.parse import quote, unquote, urlsplit

import pybase64
from msgspec.structs import replace
from pydantic import AfterValidator, Field, SecretStr, model_validator

from gateway.adapter import Address, Call, Reply, VendorAdapter, VendorSettings, one_image_each
from gateway.domain import Content, Finding, Image, Minimum, Modality, Opinion
from gateway.errors import VendorDenied, VendorError, VendorRejected, VendorThrottled, VendorUnavailable

# DetectLabels says this of any beverage, DetectModerationLabels of alcohol: two words, so that milk is no alarm
OTHER_SENSE = {"Drinking": "Drinking (Beverage)"}


class Operation(NamedTuple):
    """What a question is called, and where its answer says what."""

    target: str
    listed: str
    model: str


OPERATIONS = {
    "moderation": Operation("DetectModerationLabels", "ModerationLabels", "ModerationModelVersion"),
    "labels": Operation("DetectLabels", "Labels", "LabelModelVersion"),
}


def _once(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) < len(names):
        raise ValueError("each operation is asked once")
    return names


class RekognitionSettings(VendorSettings):
    """`endpoint_url` as the vendor's own client takes it; left out, the public one of the region.

    Each operation on an image is billed. `session_token` comes with temporary keys; empty is none. With
    `transport: sdk` all three can be left out: boto3 then finds keys as it does everywhere. A still picture whose
    address is in one of `s3_buckets` is not sent but named, and read there by the vendor; it has to stay as it is.
    """

    sdk: ClassVar[str] = "rekognition"
    region: str = Field(pattern=r"^[a-z0-9-]+$")
    endpoint_url: Address | None = None
    access_key_id: SecretStr | None = Field(default=None, min_length=1)
    secret_access_key: SecretStr | None = Field(default=None, min_length=1)
    session_token: SecretStr | None = None
    operations: Annotated[tuple[Literal["moderation", "labels"], ...], AfterValidator(_once)] = Field(
        default=("moderation", "labels"), min_length=1
    )
    min_confidence: float = Field(default=30.0, ge=0, le=30)
    s3_buckets: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _both_keys(self) -> RekognitionSettings:
        given = [key is not None for key in (self.access_key_id, self.secret_access_key)]
        if not all(given) and (any(given) or self.session_token or self.transport == "direct"):
            hint = "only with transport: sdk all keys can be left out"
            raise ValueError(f"give both access_key_id and secret_access_key; {hint}")
        return self


class Adapter(VendorAdapter):
    Settings: ClassVar[type[VendorSettings]] = RekognitionSettings
    settings: RekognitionSettings
    accepts = frozenset({Modality.IMAGE})
    faults: ClassVar[Mapping[int | str, type[VendorError]]] = {
        # Nearly all of them HTTP 400: the code decides. No Retry-After, no 429
        "ThrottlingException": VendorThrottled,  # 400, and 500 with "Service Unavailable"
        "ProvisionedThroughputExceededException": VendorThrottled,
        "Throttling": VendorThrottled,
        "TooManyRequestsException": VendorThrottled,
        "RequestLimitExceeded": VendorThrottled,
        "LimitExceededException": VendorThrottled,
        "InternalServerError": VendorUnavailable,
        "InternalFailure": VendorUnavailable,
        "ServiceUnavailable": VendorUnavailable,
        "ServiceUnavailableException": VendorUnavailable,
        "AccessDenied": VendorDenied,
        "AccessDeniedException": VendorDenied,
        "UnrecognizedClientException": VendorDenied,
        "InvalidClientTokenId": VendorDenied,
        "InvalidSignatureException": VendorDenied,
        "SignatureDoesNotMatch": VendorDenied,
        "IncompleteSignatureException": VendorDenied,
        "IncompleteSignature": VendorDenied,
        "MissingAuthenticationToken": VendorDenied,
        "MissingAuthenticationTokenException": VendorDenied,
        "ExpiredToken": VendorDenied,
        "ExpiredTokenException": VendorDenied,
        "RequestExpired": VendorDenied,  # or our clock
        "OptInRequired": VendorDenied,
        "SubscriptionRequiredException": VendorDenied,
        "UnknownOperationException": VendorDenied,  # a region without it, ca-central-1 say
        "InvalidImageFormatException": VendorRejected,
        "ImageTooLargeException": VendorRejected,
        "InvalidParameterException": VendorRejected,  # a picture under 80 pixels too
        "ValidationException": VendorRejected,
    }

    def __init__(self, settings: RekognitionSettings):
        super().__init__(settings)
        keys = (settings.access_key_id, settings.secret_access_key)
        self._id, self._secret = (key.get_secret_value() if key else "" for key in keys)
        self._day, self._key = "", b""

    @property
    def address(self) -> str:
        return self.settings.endpoint_url or f"https://rekognition.{self.settings.region}.amazonaws.com"

    def ask(self, content: Content) -> Iterator[Call]:
        if not content.images:
            raise VendorRejected("there is no picture to look at")
        for part in one_image_each(content):
            picture = self.picture(part.images[0], alone=len(content.images[0].views) == 1)
            for name in self.settings.operations:
                yield self.call(name, picture)

    def picture(self, image: Image, alone: bool) -> Mapping[str, Any]:
        """The bytes of the one view, or the object in a bucket of ours that they are from."""
        stored = stored_object(image.url) if image.url and alone else None
        if stored and stored["Bucket"] in self.settings.s3_buckets:
            return {"S3Object": stored}
        [view] = image.views
        return {"Bytes": pybase64.b64encode_as_string(view.data)}

    def call(self, name: str, picture: Mapping[str, Any]) -> Call:
        target = f"RekognitionService.{OPERATIONS[name].target}"
        headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": target}
        body = {"Image": picture, "MinConfidence": self.settings.min_confidence}
        return Call("POST", "/", headers=headers, json=body, about=name)

    def sign(self, call: Call, now: datetime) -> Call:
        """SigV4 as boto3 does it here: every header we send, Host among them, and no x-amz-content-sha256."""
        stamp = now.strftime("%Y%m%dT%H%M%SZ")
        scope = f"{stamp[:8]}/{self.settings.region}/rekognition/aws4_request"
        where = urlsplit(self.address + call.path)
        headers = {**call.headers, "Host": where.netloc, "X-Amz-Date": stamp}
        token = self.settings.session_token
        if token and token.get_secret_value():
            headers["X-Amz-Security-Token"] = token.get_secret_value()
        body = call.body or b""
        if self._day != stamp[:8]:
            self._day, self._key = stamp[:8], day_key(self._secret, scope)
        names, signature = signed(self._key, scope, call.method, where.path, headers, body)
        credential = f"{self._id}/{scope}"
        headers["Authorization"] = f"{ALGORITHM} Credential={credential}, SignedHeaders={names}, Signature={signature}"
        return replace(call, headers=headers, json=None, data=body)

    def read(self, reply: Reply) -> Iterator[Finding | Opinion | Minimum]:
        listed = reply[
            OPERATIONS[reply.about].listed
        ]  # {} is what a proxy or a broken answer looks like, not "nothing"
        if not isinstance(listed, list):
            raise TypeError("the labels are no list")
        if reply.about == "labels":
            for name, confidence in with_parents(listed).items():
                yield Finding(OTHER_SENSE.get(name, name), confidence, open=True)
            return
        for name, confidence in highest(map(named, listed)).items():
            yield Finding(name, confidence)
        for kind in reply.json.get("ContentTypes") or ():  # null or absent on some paths: aws/aws-sdk-ruby#3005
            name, confidence = named(kind)
            yield Finding(f"ContentTypes:{name}", confidence, open=True)
        # Said of the moderation labels alone: where only things were asked for, nobody looked at the rest
        yield Minimum(self.settings.min_confidence)

    def version(self, reply: Reply) -> str | None:
        """The moderation model's, without which it is no answer of theirs; the label model's where it gives one."""
        said = reply.json.get(OPERATIONS[reply.about].model)
        return None if said is None and reply.about == "labels" else word(said)

    def fault_code(self, reply: Reply) -> str | None:
        """`__type`, perhaps with a namespace before it and an address after it, or the header of that meaning."""
        code = reply.headers.get("x-amzn-ErrorType") or reply["__type"]
        return word(code.partition(":http")[0].rpartition("#")[2]) if isinstance(code, str) else None


def named(label: Any) -> tuple[str, float]:
    """Name and confidence of a label; TypeError or ValueError for what is none."""
    confidence = label["Confidence"]
    if type(confidence) is not float and type(confidence) is not int:
        raise TypeError(f"the confidence is {str(confidence)[:40]!r}")
    return word(label["Name"]), confidence


def highest(pairs: Iterable[tuple[str, float]]) -> dict[str, float]:
    """Each name once, with the highest confidence it was given."""
    best: dict[str, float] = {}
    for name, confidence in pairs:
        best[name] = max(confidence, best.get(name, confidence))
    return best


def with_parents(labels: list[Any]) -> dict[str, float]:
    """The things seen. Their ancestors are listed too; one that is not is as sure as its surest child."""
    things = highest(map(named, labels))
    parents = ((word(parent["Name"]), named(label)[1]) for label in labels for parent in label.get("Parents") or ())
    return things | {name: confidence for name, confidence in highest(parents).items() if name not in things}


def stored_object(url: str) -> dict[str, str] | None:
    """Bucket and key of an address of Amazon S3, in either of its two forms; None for any other.

    Source: docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html, read 2026-11.
    """
    where = urlsplit(url)
    host = re.fullmatch(r"(?:(?P<bucket>[a-z0-9.-]+)\.)?s3[.-](?:[a-z0-9-]+\.)?amazonaws\.com", where.hostname or "")
    if host is None:
        return None
    path = unquote(where.path).removeprefix("/")
    bucket, key = (host["bucket"], path) if host["bucket"] else path.partition("/")[::2]
    return {"Bucket": bucket, "Name": key} if bucket and key else None


def word(said: Any) -> str:
    """A name the vendor gives; TypeError for anything but text, ValueError for none."""
    if not isinstance(said, str):
        raise TypeError(f"{type(said).__name__} where a name should be")
    if not said:
        raise ValueError("an empty name")
    return said[:80]


# Signature Version 4: docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html, read 2026-11

ALGORITHM = "AWS4-HMAC-SHA256"


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")


def day_key(secret: str, scope: str) -> bytes:
    """The key that signs everything of one day, region and service: `scope` is day/region/service/aws4_request."""
    key = b"AWS4" + secret.encode()
    for part in scope.split("/"):
        key = _hmac(key, part)
    return key


def signed(key: bytes, scope: str, method: str, path: str, headers: Mapping[str, str], body: bytes) -> tuple[str, str]:
    """The names of the signed headers, which are all of `headers`, and the signature in hex. There is no query."""
    lines = {name: " ".join(value.split()) for name, value in sorted((n.lower(), v) for n, v in headers.items())}
    names = ";".join(lines)
    said = [f"{name}:{value}" for name, value in lines.items()]
    canonical = "\n".join([method, quote(path), "", *said, "", names, hashlib.sha256(body).hexdigest()])
    text = "\n".join([ALGORITHM, lines["x-amz-date"], scope, hashlib.sha256(canonical.encode()).hexdigest()])
    return names, _hmac(key, text).hex()
