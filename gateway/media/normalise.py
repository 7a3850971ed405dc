"""Any picture as plain JPEGs: what a viewer shows, and nothing else of the file.

`normalise` runs in the decode pool and may be killed there; it raises TooLarge, NotAnImage or Unreadable for what it
refuses, and whatever the decoder raises for what it cannot read (the pool calls that Unreadable). Everything is encoded
anew, so EXIF, GPS, ICC, XMP, comments, thumbnails and trailing data are gone.

Parsers that disagree are a way past moderation: the viewer shows A, the vendor saw B. So orientation is applied, a
transparent picture is shown on black and on white, an animation gives several frames and counts the others, and a
picture that looks another one without its colour profile or gamma is shown both ways.

One rule for the output: JPEG, quality 90, RGB, whatever came. Every vendor reads it, its size is bounded by its pixels
(a photo of 2,048 x 2,048 takes about 1 MB, as PNG it would take 8), and photographs are what classifiers learnt on.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from hashlib import blake2b
from io import BytesIO
from typing import Any

from PIL import Image, ImageChops, ImageCms
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from gateway.domain import View
from gateway.media.inspect import MAX_PIXELS, Survey, check_size, survey
from gateway.media.orders import Normalised

MAX_SIDE = 2_048
QUALITY = 90
SAMPLED = frozenset({0, 1, 2, 5, 10, 20, 40, 80})  # frames of an animation that become views, besides the last
MAX_SCANNED = 100  # frames decoded at most
MAX_SCANNED_PIXELS = 100_000_000  # of all frames together: about 2 s of work
_BAND = 256  # rows that are resized together
NOTICEABLE = 48  # difference, of 255 and in the mean over 1/64 of the picture, that makes two pictures of one

Image.MAX_IMAGE_PIXELS = MAX_PIXELS

# Pillow's Image.open would try whatever plugin is loaded, and takes a JPEG with an appendix for another format.
_DECODERS: dict[str, type[ImageFile]] = {
    "image/jpeg": JpegImageFile,
    "image/png": PngImageFile,
    "image/gif": GifImageFile,
    "image/webp": WebPImageFile,
}
_ORIENTATION = 0x0112  # the EXIF tag; its values: exif.org, Exif 2.32, 4.6.4
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def normalise(data: bytes, max_side: int = MAX_SIDE) -> Normalised:
    """The views of a picture, none larger than `max_side` pixels a side, no two alike, in the order of the frames."""
    header = survey(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what is odd but decodes is no news
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with _DECODERS[header.media_type](BytesIO(data)) as image:
            check_size(*image.size)
            views, seen = _still(image, max_side) if header.frames == 1 else _moving(image, header, max_side)
    return Normalised(tuple(dict.fromkeys(views)), header.media_type, header.frames, header.frames - seen)


def _still(image: ImageFile, max_side: int) -> tuple[list[View], int]:
    image.draft(image.mode, _fitting(image.size, max_side))  # a JPEG far too large is decoded at 1/2, 1/4 or 1/8
    return list(_views(_eight_bits(image), image, max_side)), 1


def _moving(image: ImageFile, header: Survey, max_side: int) -> tuple[list[View], int]:
    """Views of the sampled frames and of the last one reached, and how many frames look exactly like one of these."""
    views: list[View] = []
    shown: set[bytes] = set()
    prints: list[bytes] = []
    reach = _reach(header)
    for index in range(reach):
        try:
            image.seek(index)
        except EOFError:
            break  # the headers count more frames than the decoder finds; those stay unseen
        check_size(*image.size)
        frame = _eight_bits(image)
        prints.append(blake2b(frame.tobytes(), digest_size=16).digest())
        if (index in SAMPLED or index == reach - 1) and prints[-1] not in shown:
            shown.add(prints[-1])
            views += _views(frame, image, max_side)
    return views, sum(each in shown for each in prints)


def _reach(header: Survey) -> int:
    """How many frames the budget allows to decode; the first one always."""
    affordable = MAX_SCANNED_PIXELS // (header.width * header.height)
    return max(1, min(header.frames, MAX_SCANNED, affordable))


def _views(frame: Image.Image, image: ImageFile, max_side: int) -> Iterator[View]:
    """One frame made small, opaque and upright, in the colours of `image`, which it is from."""
    for opaque in _on_grounds(_shrunk(frame, max_side)):
        for shown in _in_colours(opaque, image.info):
            yield _encoded(_turned(shown, image))


def _eight_bits(image: Image.Image) -> Image.Image:
    """The decoded picture as L, RGB, CMYK, or RGBA where anything may be seen through.

    Greyscale of 16 bits is scaled here: converting it would clip it to white.
    """
    image.load()
    if image.mode.startswith("I"):
        deep = image.convert("I")
        image, key = deep.point(lambda value: value * (1 / 256)).convert("L"), image.info.get("transparency")
        if key is not None:
            above = deep.point(lambda value: value * 1 - key).convert("L")
            below = deep.point(lambda value: value * -1 + key).convert("L")
            image.putalpha(ImageChops.lighter(above, below).point([0] + [255] * 255))
    mode = "RGBA" if image.has_transparency_data else image.mode if image.mode in ("L", "CMYK") else "RGB"
    return image if image.mode == mode else image.convert(mode)


def _shrunk(image: Image.Image, max_side: int) -> Image.Image:
    size = _fitting(image.size, max_side)
    if size == image.size:
        return image
    if image.mode == "RGBA":  # weighed by alpha, so what is invisible does not bleed in
        return image.convert("RGBa").resize(size, Image.Resampling.BICUBIC, reducing_gap=1.0).convert("RGBA")
    if image.height >= 2 * size[1]:  # it is halved first, or more, and that is small
        return image.resize(size, Image.Resampling.BICUBIC, reducing_gap=1.0)
    return _in_bands(image, size)


def _in_bands(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Resized some rows at a time: Pillow keeps all that is half done, which here is as much as the picture itself."""
    small, step = Image.new(image.mode, size), image.height / size[1]
    for top in range(0, size[1], _BAND):
        bottom = min(size[1], top + _BAND)
        rows = (0, top * step, image.width, min(image.height, bottom * step))
        small.paste(image.resize((size[0], bottom - top), Image.Resampling.BICUBIC, rows), (0, top))
    return small


def _fitting(size: tuple[int, int], max_side: int) -> tuple[int, int]:
    """The same proportions within `max_side`, never enlarged."""
    scale = min(1.0, max_side / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _on_grounds(image: Image.Image) -> Iterator[Image.Image]:
    """An opaque picture as it is, another on black and on white."""
    if image.mode != "RGBA" or image.getchannel("A").getextrema() == (255, 255):
        yield image.convert("RGB") if image.mode == "RGBA" else image
        return
    for ground in ((0, 0, 0, 255), (255, 255, 255, 255)):
        yield Image.alpha_composite(Image.new("RGBA", image.size, ground), image).convert("RGB")


def _in_colours(image: Image.Image, info: dict[str | tuple[int, int], Any]) -> Iterator[Image.Image]:
    """RGB as a viewer that heeds profile and gamma shows it; also as the others do, where that is another picture."""
    plain = image if image.mode == "RGB" else image.convert("RGB")
    managed = _managed(image, info)
    yield managed or plain
    if managed:
        parts = ImageChops.difference(plain, managed).resize((8, 8), Image.Resampling.BOX)
        if max(parts.tobytes()) > NOTICEABLE:
            yield plain


def _managed(image: Image.Image, info: dict[str | tuple[int, int], Any]) -> Image.Image | None:
    """The picture in sRGB; None where nothing says it is not, or what says so is broken, which viewers ignore too."""
    if profile := info.get("icc_profile"):
        try:
            return ImageCms.profileToProfile(image, BytesIO(profile), ImageCms.createProfile("sRGB"), outputMode="RGB")
        except (ImageCms.PyCMSError, OSError, TypeError, ValueError):
            return None
    gamma = info.get("gamma")
    if not gamma or "srgb" in info or 0.9 < gamma * 2.2 < 1.1:
        return None
    curve = [round(255 * (value / 255) ** (1 / (gamma * 2.2))) for value in range(256)]
    return image.convert("RGB").point(curve * 3)


def _turned(image: Image.Image, source: ImageFile) -> Image.Image:
    """Upright as EXIF says. EXIF nobody can read says nothing, and is common in good pictures."""
    try:
        turn = _UPRIGHT.get(source.getexif().get(_ORIENTATION, 1))
    except Exception:  # Pillow reads EXIF as a TIFF file and lets any error of that through
        turn = None
    return image if turn is None else image.transpose(turn)


def _encoded(image: Image.Image) -> View:
    encoded = BytesIO()
    image.info = {}  # Pillow would write the comment it read
    image.save(encoded, "JPEG", quality=QUALITY)
    return View(encoded.getvalue(), "image/jpeg", image.width, image.height)
