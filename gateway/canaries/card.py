"""The picture that is asked about. Apart, for it needs Pillow, which a gateway otherwise has in its decoders only."""

from __future__ import annotations

import io

from PIL import Image, ImageDraw

_BARS = (
    *((192, 192, 192), (192, 192, 0), (0, 192, 192), (0, 192, 0)),
    *((192, 0, 192), (192, 0, 0), (0, 0, 192)),
)


def draw_card() -> bytes:
    """A television's test card as PNG, 320 by 240: bars, a ramp, squares, so that nobody finds it empty."""
    card = Image.new("RGB", (320, 240), (128, 128, 128))
    pen = ImageDraw.Draw(card)
    for place, colour in enumerate(_BARS):
        pen.rectangle((place * 320 // 7, 0, (place + 1) * 320 // 7, 150), fill=colour)
    for x in range(320):
        pen.line((x, 151, x, 195), fill=(x * 255 // 319,) * 3)
    for x in range(0, 320, 20):
        pen.rectangle((x, 200, x + 9, 219), fill=(20, 20, 20))
        pen.rectangle((x + 10, 220, x + 19, 239), fill=(235, 235, 235))
    held = io.BytesIO()
    card.save(held, "PNG")
    return held.getvalue()
