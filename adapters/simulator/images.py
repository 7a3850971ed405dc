"""A picture as a vendor gets it: what its bytes are, how large it is, and of what colour most of it is.

Only the header is read, by Pillow's reader of that one format, so that a picture of any size can be refused with its
size. Pixels are looked at for the colour alone, and only of pictures that are small enough.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from io import BytesIO
from urllib.parse import unquote_to_bytes

import pybase64
from PIL import Image

MOST_PIXELS = 30_000_000  # of a picture whose colour is looked for

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"BM", "bmp"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
)

COLOURS = {
    "red": (255, 0, 0),
    "magenta": (255, 0, 255),
    "orange": (255, 165, 0),
    "yellow": (255, 255, 0),
    "lime": (0, 255, 0),
    "cyan": (0, 255, 255),
    "blue": (0, 0, 255),
    "black": (0, 0, 0),
}
_NEAR = 40  # of 255, in each channel
_GRID = 16  # the picture as that many points each way


class NotAPicture(ValueError):
    """The bytes are no picture, or none that can be opened."""


@dataclass(frozen=True)
class Picture:
    """`kind` is what its first bytes say: jpeg, png, gif, webp, bmp or tiff."""

    data: bytes
    kind: str
    width: int
    height: int

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the bytes, in hex."""
        return sha256(self.data).hexdigest()

    @cached_property
    def colour(self) -> str | None:
        """The name of the colour that most of it has; None where that is none of ours, or nobody could look."""
        if self.width * self.height > MOST_PIXELS:
            return None
        try:
            with Image.open(BytesIO(self.data), formats=[self.kind.upper()]) as opened:
                opened.draft("RGB", (_GRID * 4, _GRID * 4))
                seen = opened.convert("RGB").resize((_GRID, _GRID), Image.Resampling.NEAREST).tobytes()
        except (OSError, ValueError, SyntaxError):
            return None
        return next((name for name, wanted in COLOURS.items() if _share(seen, wanted) > 0.5), None)


def _share(seen: bytes, wanted: tuple[int, int, int]) -> float:
    points = [seen[start : start + 3] for start in range(0, len(seen), 3)]
    near = [all(abs(a - b) <= _NEAR for a, b in zip(point, wanted, strict=True)) for point in points]
    return sum(near) / len(points)


def look(data: bytes) -> Picture:
    """The picture in these bytes. Raises NotAPicture."""
    kind = next((kind for magic, kind in _MAGIC if data.startswith(magic)), None)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        kind = "webp"
    if kind is None:
        raise NotAPicture("its first bytes are those of no picture")
    Image.init()
    reader = Image.OPEN[kind.upper()][0]  # past Image.open, which will not tell the size of a very large picture
    try:
        opened = reader(BytesIO(data), "")
    except (OSError, ValueError, SyntaxError, IndexError, TypeError, KeyError) as error:
        raise NotAPicture("it cannot be opened") from error
    return Picture(data, kind, opened.width, opened.height)


def decoded(text: str) -> bytes:
    """Base64, strictly. Raises NotAPicture."""
    try:
        return pybase64.b64decode(text, validate=True)
    except ValueError as error:
        raise NotAPicture("it is not base64") from error


def from_data_address(address: str) -> bytes:
    """What a data: address holds. Raises NotAPicture."""
    head, comma, payload = address.partition(",")
    if not comma:
        raise NotAPicture("a data: address has a comma before its data")
    return decoded(payload) if head.endswith(";base64") else unquote_to_bytes(payload)
