"""What has to be done to a picture so that a vendor takes it. Pure; a moment's arithmetic, no pixel is touched.

Proportions are kept: what is too small is enlarged, and what is too narrow even then is put on a black ground.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

from gateway.domain import Needs, View

WRITTEN = ("image/jpeg", "image/png", "image/webp")  # what pictures can be turned into
ROOM = 2_048  # pixels up to which a side is enlarged; the rest of the way is ground
_A_HAIR = 1e-9  # 30 pixels, 5/3 times, are 50

Size = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Plan:
    """Scale the picture to `size`, put it in the middle of `canvas`, write it as `media_type`."""

    size: Size
    canvas: Size
    media_type: str


def suits(view: View, needs: Needs) -> bool:
    """Whether a vendor takes this picture as it is."""
    least, most = needs.sides or (1, max(view.width, view.height))
    return (
        (not needs.formats or view.media_type in needs.formats)
        and (needs.size is None or len(view.data) <= needs.size)
        and (least <= view.width <= most and least <= view.height <= most)
        and (needs.pixels is None or view.width * view.height <= needs.pixels)
    )


def plan(view: View, needs: Needs, share: float = 1.0) -> Plan:
    """How to make it fit in all but the bytes, which only writing it tells; for fewer of those, a `share` of its size.

    There always is a way, as long as `needs` are not at odds with themselves: a square of the least side, at worst.
    """
    size = width, height = view.width, view.height
    least, most = needs.sides or (1, max(size))
    scale = min(_enlarged(size, least), most / max(size))
    if needs.pixels is not None:
        scale = min(scale, _within(needs.pixels, size, least))
    small = max(1, int(width * scale * share + _A_HAIR)), max(1, int(height * scale * share + _A_HAIR))
    return Plan(small, (max(small[0], least), max(small[1], least)), _media_type(view, needs))


def _enlarged(size: Size, least: int) -> float:
    """Times as large as brings the shorter side to `least`, or the longer one to ROOM; never less than once."""
    return max(1.0, min(least / min(size), ROOM / max(size)))


def _within(pixels: int, size: Size, least: int) -> float:
    """Times as large as gives at most so many pixels, ground included."""
    scale = sqrt(pixels / (size[0] * size[1]))
    return scale if scale * min(size) >= least else pixels / (least * max(size))


def _media_type(view: View, needs: Needs) -> str:
    if not needs.formats or view.media_type in needs.formats:
        return view.media_type
    return next(media_type for media_type in WRITTEN if media_type in needs.formats)
