"""A form with a file in it, as bytes: multipart/form-data of RFC 7578, for vendors that take uploads.

The boundary is a digest of the content, so the same form is always the same bytes, and no content can hold it by plan.
A package, for a module beside the adapters would be taken for a vendor.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256


@dataclass(frozen=True, slots=True)
class Upload:
    """A file in a form. `name` is what the vendor is told it is called: never what somebody else wrote."""

    name: str
    media_type: str
    data: bytes


def form(fields: Mapping[str, str | Upload]) -> tuple[dict[str, str], bytes]:
    """The Content-Type header and the body. ValueError for a name that would break a line or its quotes."""
    parts = [_part(name, value) for name, value in fields.items()]
    digest = sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    boundary = f"form-{digest.hexdigest()[:40]}"
    mark = b"--" + boundary.encode()
    body = b"".join(mark + b"\r\n" + part + b"\r\n" for part in parts) + mark + b"--\r\n"
    return {"Content-Type": f"multipart/form-data; boundary={boundary}"}, body


def _part(name: str, value: str | Upload) -> bytes:
    if isinstance(value, str):
        return f"Content-Disposition: form-data; name={_quoted(name)}\r\n\r\n{value}".encode()
    head = f"Content-Disposition: form-data; name={_quoted(name)}; filename={_quoted(value.name)}"
    return f"{head}\r\nContent-Type: {value.media_type}\r\n\r\n".encode() + value.data


def _quoted(name: str) -> str:
    if any(sign in name for sign in '"\\\r\n'):
        raise ValueError(f"{name!r} cannot be a name in a form")
    return f'"{name}"'
