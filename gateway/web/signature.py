"""Signature Version 4, verified: a caller who signs its request instead of sending its key.

The access key id is a key's name, the secret the key itself, so only keys that the configuration holds in clear can
sign: of a hash no signature can be computed. What the headers alone show to be wrong is refused with the body unread.
Source: AWS IAM User Guide, "AWS Signature Version 4 for API requests", and its test suite, read 2026-11.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import NoReturn
from urllib.parse import quote, unquote

from aiohttp import web

from gateway.errors import Unauthorized
from gateway.web.auth import Caller, Keyring, Role
from gateway.web.bodies import peek_body

ALGORITHM = "AWS4-HMAC-SHA256"
SKEW = timedelta(minutes=15)  # between the caller's clock and ours, either way

_STAMP = "%Y%m%dT%H%M%SZ"
_MUST_SIGN = {"host", "x-amz-date", "x-amz-target"}  # or whoever overhears a request could turn it into another
_FIELDS = re.compile(
    rf"{ALGORITHM} +Credential=(?P<name>[^/\s,]+)/(?P<day>[0-9]{{8}})"
    r"/(?P<region>[^/\s,]+)/(?P<service>[^/\s,]+)/aws4_request"
    r"\s*,\s*SignedHeaders=(?P<signed>[a-z0-9;_-]+)\s*,\s*Signature=(?P<signature>[0-9a-f]{64})\s*"
)


@dataclass(frozen=True, slots=True)
class Claim:
    """What a request says of its own signature. `signed` are names of headers, in lower case."""

    name: str
    day: str
    region: str
    service: str
    signed: tuple[str, ...]
    signature: str
    stamp: str

    @property
    def scope(self) -> str:
        return f"{self.day}/{self.region}/{self.service}/aws4_request"


async def admit_signed(request: web.Request, keyring: Keyring, roles: frozenset[Role], service: str) -> Caller:
    """The caller whose key signed this request. Raises Unauthorized or Forbidden. Without keys anything is good."""
    if not keyring.asks:
        return keyring.admit(request, roles)
    claim = claimed(request, service, datetime.now(UTC))
    secret, caller = keyring.signer(claim.name)
    path, _, query = request.raw_path.partition("?")
    headers = [(name, ",".join(request.headers.getall(name, ()))) for name in claim.signed]
    canonical = canonical_request(request.method, path, query, headers, await peek_body(request))
    if not hmac.compare_digest(sign(secret, claim.scope, claim.stamp, canonical), claim.signature):
        _refuse(
            "wrong_signature",
            "The signature is not the one that this key makes of this request.",
            "Check the secret, and that no proxy changes Host, the path or the body.",
        )
    return keyring.permit(caller, roles)


def claimed(request: web.Request, service: str, now: datetime) -> Claim:
    """What the headers say, as far as they alone can be judged. Raises Unauthorized."""
    written = request.headers.get("Authorization", "").strip()
    if not written:
        _refuse("missing_key", "The request is not signed.", _HINT)
    fields = _FIELDS.fullmatch(written)
    if fields is None:
        _refuse("malformed_signature", "The Authorization header is no signature of this form.", _HINT)
    said = fields.groupdict()
    signed = tuple(said.pop("signed").split(";"))
    claim = Claim(**said, signed=signed, stamp=request.headers.get("X-Amz-Date", ""))
    if unsigned := _MUST_SIGN - set(signed):
        _refuse("malformed_signature", f"These headers are not signed: {', '.join(sorted(unsigned))}.", _HINT)
    if (claim.day, claim.service) != (claim.stamp[:8], service):
        _refuse("wrong_signature", f"The credential is not scoped to the day of the request and to '{service}'.", _HINT)
    _check_clock(claim.stamp, now)
    return claim


def _check_clock(stamp: str, now: datetime) -> None:
    try:
        signed_at = datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC)
    except ValueError:
        _refuse("malformed_signature", "X-Amz-Date is no time.", "Write it like 20150830T123600Z.")
    if abs(now - signed_at) > SKEW:
        when = "expired" if signed_at < now else "not yet current"
        _refuse("wrong_signature", f"Signature {when}: {stamp} is over 15 minutes from our clock.", "Set your clock.")


_HINT = f"Sign with {ALGORITHM}: a key's name as access key id, the key as secret."


def _refuse(code: str, detail: str, hint: str) -> NoReturn:
    raise Unauthorized(code, detail, hint=hint)


def canonical_request(method: str, path: str, query: str, headers: Sequence[tuple[str, str]], body: bytes) -> str:
    """The request in the form that is signed. `path` and `query` as sent, `headers` those signed, in their order."""
    lines = [f"{name}:{' '.join(value.split())}" for name, value in headers]
    names = ";".join(name for name, _ in headers)
    return "\n".join(
        [method, quote(path, safe="/~"), _sorted_query(query), *lines, "", names, sha256(body).hexdigest()]
    )


def _sorted_query(query: str) -> str:
    pairs = [pair.partition("=") for pair in query.split("&") if pair]
    return "&".join(
        f"{name}={value}" for name, value in sorted((_encoded(name), _encoded(value)) for name, _, value in pairs)
    )


def _encoded(written: str) -> str:
    return quote(unquote(written), safe="~")


def sign(secret: str, scope: str, stamp: str, canonical: str) -> str:
    """The signature, in hex."""
    key = b"AWS4" + secret.encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    hashed = sha256(canonical.encode("utf-8", "surrogateescape")).hexdigest()
    return hmac.digest(key, "\n".join([ALGORITHM, stamp, scope, hashed]).encode(), "sha256").hex()
