"""By what pictures that are nearly the same are known again: PDQ of a small version of what vendors see.

In the decode pool, in the same go as the view itself: 2 to 10 ms more for a photograph (measured 2026-11). Only a
picture with a single view is compared. One that moves or is see-through is several, each of which would have to match.
"""

from __future__ import annotations

from importlib import import_module
from io import BytesIO

from PIL import Image

from gateway.domain import Pdq, View
from gateway.media.normalise import normalise
from gateway.media.orders import Normalised

_SIDE = 256  # pixels a side at least, where there are as many: a JPEG is decoded at 1/2, 1/4 or 1/8 at little cost


def print_of(data: bytes) -> tuple[Normalised, Pdq | None]:
    """What `normalise` makes of a picture, and the hash of its one view. Raises as that does."""
    plain = normalise(data)
    alone = plain.frames == len(plain.views) == 1
    return plain, _pdq(plain.views[0]) if alone else None


def _pdq(view: View) -> Pdq:
    pdq = import_module("gateway.pdq")  # and with it 10 MB of numpy, which only the decoders need
    with Image.open(BytesIO(view.data), formats=("JPEG",)) as image:
        image.draft("L", (_SIDE, _SIDE))
        turns, quality = pdq.pdq_of_picture(image.convert("L"))
    return Pdq(turns[0].tobytes(), quality)
