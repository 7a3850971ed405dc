"""A view made over by a plan. `refit` runs in the decode pool.

It starts from the normalised view, whose bytes are ours: what one vendor sees is what all others see, scaled. Where a
plan's bytes are too many, quality goes first and size after it, as far as a classifier can follow.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from io import BytesIO

from PIL import Image

from gateway.domain import Fitted, Needs, View
from gateway.media.plan import Plan, plan

QUALITIES: dict[str, tuple[int | None, ...]] = {
    "image/jpeg": (90, 80, 65, 50),
    "image/webp": (90, 80, 65, 50),
    "image/png": (None,),
}
STEP = 0.7  # of each side: half the pixels
SMALLEST = 64  # pixels of the longer side, below which scaling down for the sake of bytes ends


def refit(view: View, needs: Needs, number: int) -> tuple[View, Fitted] | None:
    """The view as `needs` want it, and what was done; None where no quality and no size brings it under their bytes.

    `number` is the view's own, for the note.
    """
    with Image.open(BytesIO(view.data), formats=("JPEG", "PNG", "WEBP")) as image:
        image.draft("RGB", plan(view, needs).size)  # far too large is decoded at 1/2, 1/4 or 1/8
        picture = image.convert("RGB")
    for way in _ways(view, needs):
        drawn = _drawn(picture, way)
        for quality in QUALITIES[way.media_type]:
            data = _written(drawn, way.media_type, quality)
            if needs.size is None or len(data) <= needs.size:
                digest = sha256(data).hexdigest()
                note = Fitted(number, *way.canvas, len(data), way.media_type, digest, quality)
                return View(data, way.media_type, *way.canvas), note
    return None


def _ways(view: View, needs: Needs) -> Iterator[Plan]:
    """The plan, then ever smaller ones."""
    share = 1.0
    way = plan(view, needs)
    yield way
    while max(way.size) * STEP >= SMALLEST:
        share *= STEP
        way = plan(view, needs, share)
        yield way


def _drawn(picture: Image.Image, way: Plan) -> Image.Image:
    scaled = picture
    if picture.size != way.size:
        scaled = picture.resize(way.size, Image.Resampling.BICUBIC, reducing_gap=2.0)
    if way.size == way.canvas:
        return scaled
    ground = Image.new("RGB", way.canvas)
    ground.paste(scaled, ((way.canvas[0] - way.size[0]) // 2, (way.canvas[1] - way.size[1]) // 2))
    return ground


def _written(picture: Image.Image, media_type: str, quality: int | None) -> bytes:
    held = BytesIO()
    options = {} if quality is None else {"quality": quality}
    picture.save(held, media_type.removeprefix("image/"), **options)
    return held.getvalue()
