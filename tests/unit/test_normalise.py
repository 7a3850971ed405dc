"""What comes out of any picture: plain JPEGs that show what a viewer shows, or a refusal."""

import asyncio
import pickle
import struct
import zlib
from hashlib import sha256
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageCms, ImageDraw

from gateway.errors import NotAnImage, RequestError, TooLarge, Unreadable
from gateway.media.images import guard_image
from gateway.media.inspect import check_size, sniff, survey
from gateway.media.normalise import MAX_SCANNED, _in_bands, normalise
from gateway.media.pool import DecodePool

RED, GREEN, BLUE = (200, 30, 30), (30, 160, 30), (30, 30, 200)


def saved(image, form, **options) -> bytes:
    out = BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def scene(size=(96, 64), mode="RGB"):
    """Red above, blue below, so that orientation shows."""
    image = Image.new("RGB", size, RED)
    ImageDraw.Draw(image).rectangle((0, size[1] // 2, *size), BLUE)
    return image.quantize(16) if mode == "P" else image.convert(mode)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, *chunks, depth=8, colour=2) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(chunks) + chunk(b"IEND", b"")


def gif(canvas, frames) -> bytes:
    """Single-pixel frames at the given places of a canvas."""
    one = b"".join(b"\x2c" + struct.pack("<HHHH", x, y, 1, 1) + b"\x00\x02\x02\x44\x01\x00" for x, y in frames)
    return b"GIF89a" + struct.pack("<HH", *canvas) + b"\x80\x00\x00" + b"\x00\x00\x00\xff\xff\xff" + one + b";"


def vp8l(width, height) -> bytes:
    bits = struct.pack("<I", (width - 1) | (height - 1) << 14)
    body = b"VP8L" + struct.pack("<I", 6) + b"\x2f" + bits + b"\x00"
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def shown(view) -> Image.Image:
    assert view.media_type == "image/jpeg"
    image = Image.open(BytesIO(view.data))
    assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (view.width, view.height))
    assert set(image.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
    assert not image.getexif()
    return image


def close(pixel, expected, by=14) -> bool:
    return all(abs(one - other) <= by for one, other in zip(pixel, expected, strict=True))


@pytest.mark.parametrize(
    ("form", "mode", "kind"),
    [
        *(("JPEG", mode, "image/jpeg") for mode in ("RGB", "L", "CMYK")),
        *(("PNG", mode, "image/png") for mode in ("RGB", "L", "P", "1", "I;16", "RGBA", "LA")),
        *(("GIF", mode, "image/gif") for mode in ("P", "L")),
        *(("WEBP", mode, "image/webp") for mode in ("RGB", "RGBA")),
    ],
)
def test_every_format_and_mode_becomes_one_rgb_jpeg(form, mode, kind):
    plain = normalise(saved(scene(mode=mode), form))
    assert (plain.source_type, plain.frames, plain.unseen, len(plain.views)) == (kind, 1, 0, 1)
    assert shown(plain.views[0]).size == (96, 64)


@pytest.mark.parametrize("mode", ["RGB", "P", "CMYK"])
def test_colours_stay(mode):
    form = "JPEG" if mode == "CMYK" else "PNG"
    image = shown(normalise(saved(scene(mode=mode), form)).views[0])
    assert close(image.getpixel((48, 10)), RED)
    assert close(image.getpixel((48, 54)), BLUE)


def test_sixteen_bits_are_scaled_and_not_clipped():
    [view] = normalise(saved(Image.new("I;16", (32, 32), 0x8000), "PNG")).views
    assert close(shown(view).getpixel((9, 9)), (128, 128, 128), by=2)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_and_metadata_is_gone(orientation):
    upright = scene((96, 64))
    undo = [None, None, 0, 3, 1, 5, 2, 6, 4][orientation]  # Image.Transpose, which turns the other way
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010E] = "a secret description"
    stored = upright if undo is None else upright.transpose(undo)
    data = saved(stored, "JPEG", exif=exif, comment=b"a secret comment", quality=95) + b"<script>appended</script>"
    [view] = normalise(data).views
    image = shown(view)
    assert image.size == (96, 64)
    assert close(image.getpixel((48, 10)), RED)
    assert b"secret" not in view.data
    assert b"script" not in view.data


def test_broken_exif_is_no_broken_picture():
    data = saved(scene(), "JPEG", exif=b"Exif\x00\x00MM\x00*\xff\xff\xff\xff\x01\x12")
    assert len(normalise(data).views) == 1


@pytest.mark.parametrize(
    "data",
    [
        saved(Image.new("RGBA", (8, 8), (*RED, 0)), "PNG"),
        saved(Image.new("LA", (8, 8), (90, 0)), "PNG"),
        saved(Image.new("RGB", (8, 8), RED).quantize(4), "PNG", transparency=0),
        saved(Image.new("RGB", (8, 8), RED).quantize(4), "GIF", transparency=0),
        saved(Image.new("L", (8, 8), 3), "PNG", transparency=3),
        saved(Image.new("RGB", (8, 8), RED), "PNG", transparency=RED),
        saved(Image.new("I;16", (8, 8), 777), "PNG", transparency=777),
        saved(Image.new("1", (8, 8), 1), "PNG", transparency=1),
        saved(Image.new("RGBA", (8, 8), (*RED, 0)), "WEBP", lossless=True),
    ],
)
def test_see_through_pictures_are_shown_on_black_and_on_white(data):
    black, white = (shown(view) for view in normalise(data).views)
    assert black.getpixel((4, 4)) == (0, 0, 0)
    assert white.getpixel((4, 4)) == (255, 255, 255)


def test_a_transparent_value_of_sixteen_bits_hides_its_neighbours_not():
    data = saved(Image.new("I;16", (8, 8), 0x8001), "PNG", transparency=0x8000)
    assert len(normalise(data).views) == 1


def test_writing_that_only_one_ground_shows_is_in_one_view():
    hidden = Image.new("RGBA", (200, 100), (255, 255, 255, 0))
    ImageDraw.Draw(hidden).rectangle((50, 25, 150, 75), (0, 0, 0, 255))
    views = [shown(view) for view in normalise(saved(hidden, "PNG")).views]
    assert [view.convert("L").getextrema() for view in views] == [(0, 0), (0, 255)]


@pytest.mark.parametrize(
    ("size", "small"), [((5000, 2500), (2048, 1024)), ((300, 9000), (68, 2048)), ((16384, 1), (2048, 1))]
)
@pytest.mark.parametrize(("form", "mode"), [("JPEG", "RGB"), ("PNG", "RGBA"), ("PNG", "1")])
def test_large_pictures_shrink_in_proportion(size, small, form, mode):
    [view, *_] = normalise(saved(Image.new(mode, size), form)).views
    assert (view.width, view.height) == small


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("size", [(500, 700), (401, 513), (999, 257), (30, 900)])
def test_in_bands_it_is_the_same_picture(size, mode):
    """But for what Pillow rounds half way, columns first or rows first."""
    ground = Image.radial_gradient("L").resize((1000, 1000))
    picture = Image.merge("RGB", (ground, ground.rotate(90), Image.linear_gradient("L").resize((1000, 1000))))
    ImageDraw.Draw(picture).ellipse((200, 150, 800, 900), outline=GREEN, width=5)
    picture = picture.convert(mode)
    apart = ImageChops.difference(_in_bands(picture, size), picture.resize(size, Image.Resampling.BICUBIC))
    assert max(apart.tobytes()) <= 2


def test_the_side_is_a_parameter():
    assert normalise(saved(scene((100, 50)), "PNG"), max_side=20).views[0].width == 20


def frames(count, size=(40, 40)):
    return [Image.new("RGB", size, (index * 5 % 256, 255 - index * 3 % 256, 90)) for index in range(count)]


@pytest.mark.parametrize(("form", "kind"), [("GIF", "image/gif"), ("WEBP", "image/webp"), ("PNG", "image/png")])
@pytest.mark.parametrize(("count", "views"), [(2, 2), (3, 3), (12, 6), (40, 7), (120, 9)])
def test_animations_are_sampled_and_the_rest_is_counted(form, kind, count, views):
    first, *others = frames(count)
    data = saved(
        first, form, save_all=True, append_images=others, duration=50, **({"lossless": True} if form == "WEBP" else {})
    )
    plain = normalise(data)
    assert (plain.source_type, plain.frames) == (kind, count)
    assert (len(plain.views), plain.unseen) == (views, count - views)
    sampled = [index for index in (0, 1, 2, 5, 10, 20, 40, 80, min(count, MAX_SCANNED) - 1) if index < count]
    for view, index in zip(plain.views, sorted(set(sampled)), strict=True):
        assert close(shown(view).getpixel((20, 20)), (index * 5 % 256, 255 - index * 3 % 256, 90))


def test_frames_that_look_like_a_view_are_seen():
    one, other = frames(2)
    data = saved(one, "WEBP", save_all=True, append_images=[other, one, one, other, one, other], lossless=True)
    plain = normalise(data)
    assert len(plain.views) == 2
    assert plain.unseen == 0


def test_the_default_image_of_an_apng_counts_as_a_frame():
    first, *others = frames(3)
    data = saved(first, "PNG", save_all=True, append_images=others, default_image=True)
    plain = normalise(data)
    assert plain.frames == 3
    assert len(plain.views) == 3
    assert plain.unseen == 0


def test_two_hundred_thousand_frames_are_counted_and_not_decoded():
    plain = normalise(gif((64, 64), [(0, 0)] * 200_000))
    assert plain.frames == 200_000
    assert plain.unseen == 200_000 - MAX_SCANNED
    assert len(plain.views) == 1


def test_the_pixel_budget_stops_an_animation():
    plain = normalise(gif((5_000, 5_000), [(index, 0) for index in range(30)]))
    assert plain.frames == 30
    assert 26 <= plain.unseen < 30


def swapped() -> bytes:
    """A colour profile under which red is shown as blue."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, blue = profile.index(b"rXYZ", 128), profile.index(b"bXYZ", 128)
    profile[red : red + 4], profile[blue : blue + 4] = b"bXYZ", b"rXYZ"
    return bytes(profile)


def test_a_profile_that_makes_another_picture_of_it_gives_both():
    managed, plain = (shown(view) for view in normalise(saved(scene(), "PNG", icc_profile=swapped())).views)
    assert close(plain.getpixel((48, 10)), RED)
    assert close(managed.getpixel((48, 10)), RED[::-1])


def test_a_gamma_that_makes_another_picture_of_it_gives_both():
    dark = saved(Image.new("RGB", (8, 8), (60, 60, 60)), "PNG")
    gamma = dark[:33] + chunk(b"gAMA", struct.pack(">I", 2_000)) + dark[33:]
    managed, plain = (shown(view) for view in normalise(gamma).views)
    assert plain.getpixel((4, 4)) == (60, 60, 60)
    assert managed.getpixel((4, 4)) != (60, 60, 60)


@pytest.mark.parametrize(
    "profile", [b"", b"nonsense", ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()]
)
def test_usual_and_broken_profiles_change_nothing(profile):
    assert len(normalise(saved(scene(), "PNG", icc_profile=profile)).views) == 1


@pytest.mark.parametrize(
    "data",
    [
        png(16_385, 1),
        png(60_000, 60_000, chunk(b"IDAT", zlib.compress(b"\x00"))),
        png(7_100, 7_100),
        vp8l(16_383, 16_383),
        gif((65_535, 65_535), [(0, 0)]),
        gif((10, 10), [(0, 0), (50_000, 50_000)]),
        saved(Image.new("L", (65_500, 2)), "JPEG"),
    ],
)
def test_headers_that_claim_too_much_are_refused_unopened(data):
    with pytest.raises(TooLarge) as caught:
        normalise(data)
    assert caught.value.code == "image_too_many_pixels"


@pytest.mark.parametrize(("width", "height"), [(0, 5), (5, 0)])
def test_no_pixels_are_no_picture(width, height):
    with pytest.raises(Unreadable):
        check_size(width, height)


@pytest.mark.parametrize("data", [b"", b"\xff", b"<svg/>", b"BM", b"II*\x00", b"RIFF\x00\x00\x00\x00WAVE", b"%PDF-1.4"])
def test_other_formats_are_no_pictures(data):
    with pytest.raises(NotAnImage):
        sniff(data)


def test_a_survey_reads_every_header_the_encoder_wrote():
    for form, kind in (("PNG", "image/png"), ("GIF", "image/gif"), ("WEBP", "image/webp")):
        for count in (1, 4):
            first, *others = frames(count, (50, 30))
            seen = survey(saved(first, form, save_all=True, append_images=others))
            assert (seen.media_type, seen.width, seen.height, seen.frames) == (kind, 50, 30, count)
    seen = survey(saved(Image.new("RGB", (50, 30)), "WEBP", lossless=True))
    assert (seen.width, seen.height) == (50, 30)


round_, flat = Image.radial_gradient("L"), Image.linear_gradient("L")
RICH = Image.merge("RGB", [round_, flat, flat.rotate(90)]).resize((96, 64))
WHOLE = {
    "jpeg": saved(RICH, "JPEG"),
    "progressive": saved(RICH, "JPEG", progressive=True),
    "png": saved(RICH, "PNG"),
    "gif": saved(RICH, "GIF"),
    "webp": saved(RICH, "WEBP"),
    "palette": saved(RICH.quantize(64), "PNG", transparency=0),
    "animation": saved(frames(4)[0], "GIF", save_all=True, append_images=frames(4)[1:]),
    "apng": saved(frames(4)[0], "PNG", save_all=True, append_images=frames(4)[1:]),
    "moving webp": saved(frames(4)[0], "WEBP", save_all=True, append_images=frames(4)[1:]),
}


@pytest.fixture(scope="module")
def pool():
    """A pool within its own loop, so that hypothesis may run many examples in one test."""
    loop = asyncio.new_event_loop()
    decoders = DecodePool(workers=1)
    loop.run_until_complete(decoders.warm())
    yield lambda data: loop.run_until_complete(guard_image(data, decoders, max_bytes=100_000))
    loop.run_until_complete(decoders.close())
    loop.close()


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("kept", [0.4, 0.6, 0.85])
def test_truncated_pictures_are_unreadable(pool, name, kept):
    with pytest.raises(Unreadable) as caught:
        pool(WHOLE[name][: int(len(WHOLE[name]) * kept)])
    assert caught.value.code == "image_undecodable"


@given(
    st.sampled_from(sorted(WHOLE)),
    st.lists(st.tuples(st.integers(0, 4_000), st.integers(0, 255)), max_size=6),
    st.integers(0, 99),
)
@settings(max_examples=250, deadline=None)
def test_mutated_pictures_give_views_or_a_refusal(pool, name, changes, cut):
    data = bytearray(WHOLE[name])
    for at, value in changes:
        data[at % len(data)] = value
    try:
        image = pool(bytes(data[: len(data) - cut]))
    except RequestError as refused:
        assert refused.http in (413, 415, 422)
        return
    assert image.views
    assert 0 <= image.unseen < image.frames
    for view in image.views:
        shown(view)


@pytest.mark.parametrize("kind", [b"zTXt", b"iCCP"])
def test_compressed_text_does_not_unfold(pool, kind):
    whole = WHOLE["png"]
    bomb = chunk(kind, b"k\x00\x00" + zlib.compress(bytes(80_000_000)))
    with pytest.raises(Unreadable):
        pool(whole[:33] + bomb + whole[33:])


def test_a_guarded_image_knows_where_it_came_from(pool):
    image = pool(WHOLE["animation"])
    assert (image.source_type, image.frames, image.unseen) == ("image/gif", 4, 0)
    assert image.digest == sha256(WHOLE["animation"]).hexdigest()
    with pytest.raises(TooLarge) as caught:
        pool(WHOLE["png"] + bytes(100_000))
    assert caught.value.code == "image_too_large"


def test_what_comes_back_survives_pickling():
    plain = normalise(WHOLE["png"])
    assert pickle.loads(pickle.dumps(plain)) == plain
