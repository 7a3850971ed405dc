"""Pictures of about five megabytes as a caller sends them: no two are equal, or the cache would answer."""

from __future__ import annotations

import random
from functools import cache
from io import BytesIO
from itertools import count

import orjson
import pybase64
from PIL import Image

SIDE = 2400  # pixels of noise, which at this quality are 5 MB
_QUALITY = 90
_BOUNDARY = b"modgate-bench"
_numbers = count()


@cache
def _noise() -> bytes:
    pixels = random.Random(7).randbytes(SIDE * SIDE * 3)
    out = BytesIO()
    Image.frombytes("RGB", (SIDE, SIDE), pixels).save(out, "JPEG", quality=_QUALITY)
    return out.getvalue()


def picture() -> bytes:
    """A JPEG with a number in its comment, so that its digest is another than all before."""
    data, note = _noise(), b"%010d" % next(_numbers)
    return data[:2] + b"\xff\xfe" + (len(note) + 2).to_bytes(2, "big") + note + data[2:]


def as_json() -> bytes:
    """For /v1/moderations, as a data URL."""
    url = "data:image/jpeg;base64," + pybase64.b64encode(picture()).decode()
    return orjson.dumps({"input": [{"type": "image_url", "image_url": {"url": url}}]})


def as_form() -> tuple[bytes, str]:
    """For /v1/moderate, and its content type."""
    head = b'--%b\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\n\r\n' % _BOUNDARY
    return head + picture() + b"\r\n--%b--\r\n" % _BOUNDARY, f"multipart/form-data; boundary={_BOUNDARY.decode()}"
