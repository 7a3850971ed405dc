"""From bytes of a stranger to the picture everybody else works with."""

from __future__ import annotations

import asyncio
import math
from hashlib import sha256

from gateway.domain import Image, Pdq
from gateway.errors import TooLarge
from gateway.media.inspect import sniff
from gateway.media.orders import Normalised, normalise, print_of
from gateway.media.pool import DecodePool


async def guard_image(
    data: bytes,
    pool: DecodePool,
    *,
    url: str | None = None,
    max_bytes: int,
    printed: bool = False,
    until: float = math.inf,
) -> Image:
    """The picture in these bytes, as plain views; `digest` is the SHA-256 of the bytes as they came.

    With `printed` it has its PDQ, if it is one that can be compared. After `until`, on the clock of time.perf_counter,
    it is not begun.

    Raises TooLarge (more than `max_bytes`, 16,384 pixels a side or 50 megapixels), NotAnImage, Unreadable, Overloaded.
    """
    if len(data) > max_bytes:
        raise TooLarge(
            "image_too_large", f"The image is over {max_bytes} bytes.", hint="Scale it down or compress it more."
        )
    sniff(data)  # before it costs a worker anything
    plain: Normalised
    pdq: Pdq | None = None
    if printed:
        plain, pdq = await pool.run(print_of, data, until=until)
    else:
        plain = await pool.run(normalise, data, until=until)
    digest = await asyncio.to_thread(_digest, data)
    return Image(digest, plain.views, plain.source_type, plain.frames, plain.unseen, url, pdq)


def _digest(data: bytes) -> str:
    return sha256(data).hexdigest()
