"""A form as a server reads it: multipart/form-data or urlencoded, whole and in memory."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl


@dataclass(frozen=True)
class Part:
    """One field. `file` is the name of an upload, None for a plain field."""

    data: bytes
    file: str | None = None

    @property
    def text(self) -> str:
        """The field as text; ValueError where it is none."""
        return self.data.decode()


def fields(content_type: str, body: bytes) -> dict[str, Part]:
    """The last field of each name. Raises ValueError for a body that is no such form."""
    if content_type.startswith("application/x-www-form-urlencoded"):
        return {name: Part(value.encode()) for name, value in parse_qsl(body.decode(), keep_blank_values=True)}
    boundary = re.search(r'^multipart/form-data;.*boundary="?([^";]+)"?', content_type)
    if not boundary:
        raise ValueError("the body is no form")
    found: dict[str, Part] = {}
    mark = b"--" + boundary[1].encode()
    for piece in (b"\r\n" + body).split(b"\r\n" + mark)[1:]:
        if piece.startswith(b"--"):
            return found
        head, gap, data = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        disposition = re.search(rb"^content-disposition:(.*)$", head, re.IGNORECASE | re.MULTILINE)
        names = _parameters(disposition[1].decode()) if disposition and gap else {}
        if "name" not in names:
            raise ValueError("a part of the form has no name")
        found[names["name"]] = Part(data, names.get("filename"))
    raise ValueError("the form has no end")


def _parameters(text: str) -> Mapping[str, str]:
    return {
        name.lower(): quoted or plain for name, quoted, plain in re.findall(r';\s*(\w+)=(?:"([^"]*)"|([^;\s]+))', text)
    }
