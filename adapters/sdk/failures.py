"""What goes wrong below a vendor's own client, in the words of our own transport.

They all wrap the same few errors of sockets and TLS in errors of theirs: what counts is found by going down the causes.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from functools import partial

from gateway.errors import VendorError, VendorTimeout, VendorUnavailable

Row = tuple[type[BaseException], Callable[[], VendorError]]

TRUNCATED = partial(VendorUnavailable, "truncated: the answer broke off")
CLOSED = partial(VendorUnavailable, "reset: it closed the connection without an answer")
NOT_HTTP = partial(VendorUnavailable, "protocol: the answer is not HTTP")

_ANYWHERE: tuple[Row, ...] = (  # the most specific first
    (socket.gaierror, partial(VendorUnavailable, "dns: its name does not resolve")),
    (ssl.SSLCertVerificationError, partial(VendorUnavailable, "tls: its certificate is not valid", again=False)),
    (ssl.SSLError, partial(VendorUnavailable, "tls: no secure connection", again=False)),
    (TimeoutError, partial(VendorTimeout, "no answer in time")),
    (ConnectionRefusedError, partial(VendorUnavailable, "refused: no connection")),
    (ConnectionError, partial(VendorUnavailable, "reset: the connection broke")),
    (OSError, partial(VendorUnavailable, "refused: no connection")),
)


def named(error: BaseException, *own: Row) -> VendorError:
    """The error that a client raised as one of ours. `own` are rows of the client's library, which come first."""
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, VendorError):
            return cause
    for kind, ours in (*own, *_ANYWHERE):
        if any(isinstance(cause, kind) for cause in causes):
            return ours()
    return VendorUnavailable(f"the vendor's client failed: {type(error).__name__}")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        if isinstance(error, BaseExceptionGroup):
            for inner in error.exceptions:
                yield from _causes(inner)
        error = error.__cause__ or error.__context__  # httpcore hides the cause (`from None`) that we want
