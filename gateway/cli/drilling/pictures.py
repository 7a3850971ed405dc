"""The pictures of a drill. Apart, for they need Pillow, and the command is loaded with all others."""

from __future__ import annotations

import io
from hashlib import sha256

from PIL import Image


def beach(drill: str, number: int) -> bytes:
    """Sky, sea and sand as PNG, and a line in it that no other picture has."""
    picture = Image.new("RGB", (96, 72), (236, 214, 160))
    picture.paste((135, 190, 235), (0, 0, 96, 34))
    picture.paste((30, 110, 160), (0, 34, 96, 48))
    for place, shade in enumerate(sha256(f"{drill}/{number}".encode()).digest()):
        picture.putpixel((place, 71), (shade, shade, shade))
    held = io.BytesIO()
    picture.save(held, "PNG")
    return held.getvalue()
