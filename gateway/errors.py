"""Every error modgate names.

GatewayError
├─ RequestError     the caller hears it; web/problems.py or a dialect gives it its shape
│  ├─ BadContent 400 · UnknownPolicy 400 · Unauthorized 401 · Forbidden 403
│  ├─ NotFound 404 · NotAllowed 405 · Conflict 409
│  ├─ TooLarge 413 · NotAnImage 415 · Unreadable 422
│  ├─ TooMany 429 · Overloaded 503              both carry Retry-After
│  └─ Internal 500                              not theirs but ours; in their shape all the same
└─ VendorError      becomes a Failure in the evidence, never a verdict
   ├─ ask again:    VendorTimeout · VendorThrottled · VendorUnavailable
   ├─ do not:       VendorDenied (our key) · VendorRejected (this content) · VendorDrift (their shape)
   └─ not asked:    VendorHeld (its breaker is open)
ConfigError         apart, so no request handler can swallow it: file:line:column, what was read, what would fit
"""

from __future__ import annotations

from typing import ClassVar


class GatewayError(Exception):
    """Anything that goes wrong while a submission is on its way."""


class RequestError(GatewayError):
    """The caller can mend it.

    `code` is stable and machine-readable, `detail` says what was wrong, `hint` what would be right,
    `at` where (a JSON pointer or the name of a multipart field).
    """

    http: ClassVar[int] = 400

    def __init__(self, code: str, detail: str, *, hint: str = "", at: str = "", retry_after: float | None = None):
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.hint = hint
        self.at = at
        self.retry_after = retry_after


class BadContent(RequestError):
    """The submission is malformed."""


class UnknownPolicy(RequestError):
    """A policy or route of that name is not configured."""


class Unauthorized(RequestError):
    """No key, or a key nobody knows."""

    http = 401


class Forbidden(RequestError):
    """The key is known and lacks the role."""

    http = 403


class NotFound(RequestError):
    """Nothing by that name, or nothing this tenant may see."""

    http = 404


class NotAllowed(RequestError):
    """That method is not for this address; `allow` names those that are, as the header of that name does."""

    http = 405

    def __init__(self, code: str, detail: str, *, allow: str):
        super().__init__(code, detail, hint=f"Use {allow}.")
        self.allow = allow


class Conflict(RequestError):
    """It contradicts what has already happened."""

    http = 409


class TooLarge(RequestError):
    """More bytes, pixels or characters than the limits allow."""

    http = 413


class NotAnImage(RequestError):
    """The bytes are not JPEG, PNG, GIF or WebP, whatever they are called."""

    http = 415


class Unreadable(RequestError):
    """An image address that is refused or does not answer, or an image that does not decode."""

    http = 422


class TooMany(RequestError):
    """The caller's own limit is used up."""

    http = 429


class Overloaded(RequestError):
    """Our limit is used up; nothing was started."""

    http = 503


class Internal(RequestError):
    """A bug of ours. The caller hears only the request id, by which the log knows it."""

    http = 500


class VendorError(GatewayError):
    """A vendor gave no usable answer.

    `status` is the word the answer shows for it; `again` whether asking again may help; `http` the vendor's own status
    where there was one; `retry_after` seconds the vendor asked us to wait; `raw` the start of what it said.
    """

    status: ClassVar[str] = "unavailable"
    again: bool = False

    def __init__(
        self,
        detail: str,
        *,
        http: int | None = None,
        retry_after: float | None = None,
        raw: bytes = b"",
        again: bool | None = None,
    ):
        super().__init__(detail)
        self.again = type(self).again if again is None else again
        self.detail = detail
        self.http = http
        self.retry_after = retry_after
        self.raw = raw


class VendorTimeout(VendorError):
    """No answer within the provider's timeout."""

    status = "timeout"
    again = True


class VendorThrottled(VendorError):
    """Too many requests; the vendor is well."""

    status = "throttled"
    again = True


class VendorUnavailable(VendorError):
    """Refused, reset, 5xx: the vendor or the way to it is down."""

    status = "unavailable"
    again = True


class VendorDenied(VendorError):
    """Our key, credit or region is refused: asking again is useless until somebody acts."""

    status = "denied"


class VendorHeld(VendorError):
    """It was not asked: its breaker is open."""

    status = "open"


class VendorRejected(VendorError):
    """This vendor will not take this content; another may."""

    status = "rejected"


class VendorDrift(VendorError):
    """The answer is not of the documented shape, scale or vocabulary, or says nothing."""

    status = "drift"


class ConfigError(Exception):
    """A file that says something we cannot use. The message begins `file:line:column:`.

    Raised at start, and on reload, where the old configuration goes on.
    """

    def __init__(self, detail: str, *, file: str = "", line: int = 0, column: int = 0, hint: str = ""):
        where = f"{file}:{line}:{column}: " if file and line else f"{file}: " if file else ""
        super().__init__(f"{where}{detail}" + (f"; {hint}" if hint else ""))
        self.detail = detail
        self.file = file
        self.line = line
        self.column = column
        self.hint = hint
