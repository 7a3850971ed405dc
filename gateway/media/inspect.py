"""What the first bytes and the headers of a picture say, read by hand before any decoder allocates for it.

`sniff` looks at 32 bytes and may run anywhere. `survey` walks the whole file and belongs in the decode pool. Decoders
disagree about lying headers (a GIF whose frames are smaller than its canvas, a WebP of 34 bytes and 268 megapixels), so
the largest size any header claims is the one that counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from gateway.errors import NotAnImage, TooLarge, Unreadable

MAX_SIDE = 16_384
MAX_PIXELS = 50_000_000
SNIFFED = 32  # bytes `sniff` needs to be sure

_MAGIC = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)
_GIF_BLOCK = re.compile(rb"[,!;]")


@dataclass(frozen=True, slots=True)
class Survey:
    """What a file claims: pixels of the canvas, and how many pictures follow each other in it.

    `width` and `height` are 0 where the header has to be read by the decoder (JPEG: it allocates nothing before).
    """

    media_type: str
    width: int = 0
    height: int = 0
    frames: int = 1


def sniff(data: bytes) -> str:
    """The media type by magic bytes, whatever the sender called it. NotAnImage unless JPEG, PNG, GIF or WebP."""
    for magic, media_type in _MAGIC:
        if data.startswith(magic):
            return media_type
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    raise NotAnImage("not_an_image", "The bytes are no image that is read here.", hint="Send JPEG, PNG, GIF or WebP.")


def check_size(width: int, height: int) -> None:
    """TooLarge above 16,384 pixels a side or 50 megapixels, Unreadable where a side is 0."""
    if width < 1 or height < 1:
        raise undecodable("The image has no pixels.")
    if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
        raise TooLarge(
            "image_too_many_pixels",
            f"The image has {width} x {height} pixels.",
            hint=f"Scale it down: at most {MAX_SIDE} a side and {MAX_PIXELS} in all.",
        )


def undecodable(detail: str) -> Unreadable:
    """The one error for every picture that does not decode."""
    return Unreadable("image_undecodable", detail, hint="Save it again as JPEG or PNG, and send the whole file.")


def survey(data: bytes) -> Survey:
    """Media type, canvas and number of frames as the headers tell them, already held against the limits."""
    media_type = sniff(data)
    try:
        seen = _SURVEYS[media_type](data)
    except IndexError:
        raise undecodable("The image ends within its headers.") from None
    if media_type != "image/jpeg":
        check_size(seen.width, seen.height)
    return seen


def _jpeg(data: bytes) -> Survey:
    return Survey("image/jpeg")


def _png(data: bytes) -> Survey:
    """IHDR, and for APNG the frames that are there, with the default image where it is not one of them."""
    width, height, animated, frames, default_is_frame = 0, 0, False, 0, False
    for kind, start, length in _png_chunks(data):
        if kind == b"IHDR" and length >= 8:
            width, height = _int(data, start, 4, "big"), _int(data, start + 4, 4, "big")
        elif kind == b"acTL":
            animated = True
        elif kind == b"fcTL":
            frames += 1
        elif kind == b"IDAT" and frames:
            default_is_frame = True
    return Survey("image/png", width, height, frames + (not default_is_frame) if animated else 1)


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    at = 8
    while at + 8 <= len(data):
        length = _int(data, at, 4, "big")
        yield data[at + 4 : at + 8], at + 8, length
        at += length + 12


def _gif(data: bytes) -> Survey:
    """The canvas, grown to the farthest corner of any frame, as decoders that do not clip would grow it."""
    width, height, frames = _int(data, 6, 2), _int(data, 8, 2), 0
    at = 13 + _table(data[10])
    while at < len(data):
        block = data[at]
        if block == 0x2C and at + 10 <= len(data):
            frames += 1
            width = max(width, _int(data, at + 1, 2) + _int(data, at + 5, 2))
            height = max(height, _int(data, at + 3, 2) + _int(data, at + 7, 2))
            at = _past_blocks(data, at + 11 + _table(data[at + 9]))
        elif block == 0x21:
            at = _past_blocks(data, at + 2)
        elif block == 0x3B:
            break
        else:
            known = _GIF_BLOCK.search(data, at + 1)  # decoders skip what they do not know
            at = known.start() if known else len(data)
    return Survey("image/gif", width, height, max(frames, 1))


def _table(packed: int) -> int:
    """Bytes of the colour table a GIF's packed field announces."""
    return 3 << ((packed & 7) + 1) if packed & 0x80 else 0


def _past_blocks(data: bytes, at: int) -> int:
    while at < len(data) and data[at]:
        at += data[at] + 1
    return at + 1


def _webp(data: bytes) -> Survey:
    """The largest of canvas and bitstream headers, still or animated."""
    width, height, frames = 0, 0, 0
    for kind, start in _webp_chunks(data):
        if kind in (b"VP8X", b"ANMF"):  # in both the size lies in six bytes, 24 bits each, less one
            skip = 4 if kind == b"VP8X" else 6
            size = _int(data, start + skip, 3) + 1, _int(data, start + skip + 3, 3) + 1
            frames += kind == b"ANMF"
        elif kind == b"VP8 ":
            size = _int(data, start + 6, 2) & 0x3FFF, _int(data, start + 8, 2) & 0x3FFF
        elif kind == b"VP8L":
            bits = _int(data, start + 1, 4)
            size = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        else:
            continue
        width, height = max(width, size[0]), max(height, size[1])
    return Survey("image/webp", width, height, max(frames, 1))


def _webp_chunks(data: bytes) -> Iterator[tuple[bytes, int]]:
    at = 12
    while at + 8 <= len(data):
        length = _int(data, at + 4, 4)
        yield data[at : at + 4], at + 8
        at += 8 + length + (length & 1)


def _int(data: bytes, at: int, size: int, order: Literal["little", "big"] = "little") -> int:
    """An unsigned number; IndexError past the end, where a slice would quietly be short."""
    if at + size > len(data):
        raise IndexError(at)
    return int.from_bytes(data[at : at + size], order)


_SURVEYS = {"image/jpeg": _jpeg, "image/png": _png, "image/gif": _gif, "image/webp": _webp}
