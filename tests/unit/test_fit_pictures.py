"""Real pictures made over for vendors with limits: within them, still the same picture, once for equal needs."""

import asyncio
import os
from contextlib import asynccontextmanager
from hashlib import sha256
from io import BytesIO

import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from PIL import ImageChops, ImageDraw

from gateway.domain import Content, Fitted, Image, Needs, Text
from gateway.errors import VendorRejected, VendorThrottled, VendorTimeout
from gateway.media.fitting import Fitter
from gateway.media.normalise import normalise
from gateway.media.outbox import Outbox
from gateway.media.plan import suits
from gateway.media.pool import DecodePool
from gateway.media.refit import refit

AZURE = Needs(("image/jpeg", "image/png"), 4 << 20, (50, 7200))
REKOGNITION = Needs(("image/jpeg", "image/png"), 5 << 20, (80, 10_000))
ANTHROPIC = Needs(("image/jpeg",), 3840 * 1024, (1, 8000))


def saved(image, form="PNG", **options):
    held = BytesIO()
    image.save(held, form, **options)
    return held.getvalue()


def scene(width, height, mode="RGB"):
    """Red above, blue below."""
    image = PIL.Image.new("RGB", (width, height), (200, 30, 30))
    ImageDraw.Draw(image).rectangle((0, height // 2, width, height), (30, 30, 200))
    return image.convert(mode)


def noise(width, height, mode="L"):
    """Dots of black and white, or of the eight purest colours: nothing takes a JPEG more bytes."""
    values = os.urandom(width * height * len(mode))
    return PIL.Image.frombytes(mode, (width, height), values).point(lambda value: 255 * (value > 127))


def taken(data):
    """The picture as intake hands it on."""
    plain = normalise(data)
    return Image(sha256(data).hexdigest(), plain.views, plain.source_type, plain.frames, plain.unseen)


def shown(view):
    image = PIL.Image.open(BytesIO(view.data))
    image.load()
    assert f"image/{image.format.lower()}" == view.media_type
    assert image.size == (view.width, view.height)
    return image


def check(view, note, wanted, number=0):
    """Within the limits, and the note tells it as it is."""
    assert suits(view, wanted)
    told = Fitted(number, view.width, view.height, len(view.data), view.media_type, sha256(view.data).hexdigest())
    assert note == replace(told, quality=note.quality)


@pytest.mark.parametrize(
    ("picture", "wanted", "size"),
    [
        (scene(30, 30), AZURE, (50, 50)),
        (scene(30, 30), REKOGNITION, (80, 80)),
        (scene(1, 1), AZURE, (50, 50)),
        (scene(16_000, 48), AZURE, (2048, 50)),
        (scene(48, 16_000), REKOGNITION, (80, 2048)),
        (scene(900, 600), Needs(sides=(1, 300)), (300, 200)),
        (scene(900, 600), Needs(pixels=150_000), (474, 316)),
        (scene(900, 600, "L"), Needs(("image/png",)), (900, 600)),
        (scene(900, 600), Needs(("image/webp",)), (900, 600)),
    ],
)
def test_sides_pixels_and_formats(picture, wanted, size):
    [view] = taken(saved(picture)).views
    assert not suits(view, wanted)
    made, note = refit(view, wanted, 0)
    check(made, note, wanted)
    assert (made.width, made.height) == size
    assert shown(made).mode == "RGB"


def test_the_picture_is_enlarged_and_not_distorted():
    made, _ = refit(taken(saved(scene(30, 20))).views[0], AZURE, 0)
    assert (made.width, made.height) == (75, 50)
    image = shown(made)
    assert image.getpixel((10, 10))[0] > 150 and image.getpixel((65, 40))[2] > 150


def test_what_stays_too_narrow_stands_in_the_middle_of_a_black_ground():
    made, _ = refit(taken(saved(scene(2000, 20))).views[0], AZURE, 0)
    assert (made.width, made.height) == (2048, 50)
    image = shown(made)
    assert image.getpixel((1000, 2)) < (20, 20, 20) and image.getpixel((1000, 47)) < (20, 20, 20)
    assert image.getpixel((1000, 18))[0] > 150 and image.getpixel((1000, 31))[2] > 150


def test_twelve_megapixels_of_noise_are_small_once_normalised():
    data = saved(PIL.Image.frombytes("L", (4000, 3000), os.urandom(12_000_000)), compress_level=1)
    assert len(data) > 10 << 20
    [view] = taken(data).views
    assert all(suits(view, wanted) for wanted in (AZURE, REKOGNITION, ANTHROPIC))


@pytest.mark.parametrize("wanted", [AZURE, ANTHROPIC])
def test_coloured_noise_is_too_many_bytes_and_loses_quality_alone(wanted):
    [view] = taken(saved(noise(2048, 2048, "RGB"), compress_level=1)).views
    assert len(view.data) > 4 << 20
    made, note = refit(view, wanted, 0)
    check(made, note, wanted)
    assert (made.width, made.height, note.quality) == (2048, 2048, 80)


@pytest.mark.parametrize("limit", [400_000, 100_000, 20_000, 6_000])
def test_quality_goes_first_and_size_after_it(limit):
    [view] = taken(saved(noise(1200, 900))).views
    wanted = Needs(("image/jpeg",), limit, (50, 7200))
    made, note = refit(view, wanted, 0)
    check(made, note, wanted)
    assert abs(made.width / made.height - 4 / 3) < 0.05 or made.height == 50


def test_no_further_than_a_classifier_can_follow():
    [view] = taken(saved(noise(1200, 900))).views
    assert refit(view, Needs(size=600), 0) is None
    assert refit(view, Needs(("image/png",), 3000), 0) is None


MADE = [
    taken(saved(picture)).views[0] for picture in (scene(7, 300), scene(90, 60), noise(200, 120), noise(64, 64, "RGB"))
]


@given(
    st.sampled_from(MADE),
    st.integers(1, 120),
    st.integers(120, 400),
    st.none() | st.integers(14_400, 60_000),
    st.none() | st.integers(300, 20_000),
    st.sampled_from([(), ("image/png",), ("image/webp", "image/gif"), ("image/jpeg",)]),
)
@settings(max_examples=60, deadline=None)
def test_any_limits_are_kept_or_it_is_refused(view, least, most, pixels, size, formats):
    wanted = Needs(formats, size, (least, most), pixels)
    made = refit(view, wanted, 0)
    if made is None:
        assert size is not None
    else:
        check(*made, wanted)
        shown(made[0])


@asynccontextmanager
async def fitter(outbox=None, **options):
    """A fitter whose pool keeps a list of what it was asked to do."""
    pool = DecodePool(workers=1, **{"timeout": 60.0, **options})
    await pool.warm()
    run, asked = pool.run, []

    async def counted(work, *args):
        asked.append(work)
        return await run(work, *args)

    pool.run = counted
    try:
        yield Fitter(pool, outbox), asked
    finally:
        await pool.close()


async def test_a_usual_photo_costs_nothing():
    content = Content((taken(saved(scene(900, 600))), Text("a caption")))
    async with fitter() as (fits, asked):
        for wanted in (AZURE, REKOGNITION, ANTHROPIC, Needs()):
            assert fits.fit(wanted, False, content, 1.0) is None
            assert fits.fit(wanted, True, content, 1.0) is None  # there is no outbox to lend an address
    assert not asked


async def test_it_is_made_once_for_equal_needs():
    content = Content((taken(saved(scene(30, 30))), Text("a caption")))
    equal = Needs(("image/jpeg", "image/png"), 4 << 20, (50, 7200))

    async def sent(wanted):
        async with fits.fit(wanted, False, content, 60.0) as (made, notes):
            return made, notes

    async with fitter() as (fits, asked):
        (one, notes), (two, _), (other, _) = await asyncio.gather(sent(AZURE), sent(equal), sent(REKOGNITION))
        again, _ = await sent(AZURE)
    assert len(asked) == 2
    assert one.images[0].views[0].data is two.images[0].views[0].data is again.images[0].views[0].data
    assert (other.images[0].views[0].width, one.images[0].views[0].width) == (80, 50)
    assert one.text == "a caption"
    assert [(note.view, note.width, note.by_address) for note in notes] == [(0, 50, False)]
    assert content.images[0].views[0].width == 30  # what the others get is as it was


async def test_every_view_of_alpha_and_animation_is_made_over():
    see_through = scene(40, 40, "RGBA")
    see_through.putalpha(90)
    frames = [scene(40, 40), scene(40, 40).rotate(180), scene(40, 40).rotate(90)]
    moving = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    async with fitter() as (fits, _):
        for data, views in ((saved(see_through), 2), (moving, 3)):
            async with fits.fit(AZURE, False, Content((taken(data),)), 60.0) as (made, notes):
                assert len(made.images[0].views) == views
                assert [note.view for note in notes] == list(range(views))
                for number, (view, note) in enumerate(zip(made.images[0].views, notes, strict=True)):
                    check(view, note, AZURE, number)
                first, second = (shown(view) for view in made.images[0].views[:2])
                assert ImageChops.difference(first, second).getbbox()


async def test_what_cannot_be_made_to_fit_is_rejected_by_name():
    content = Content((taken(saved(noise(600, 600))),))
    async with fitter() as (fits, _):
        with pytest.raises(VendorRejected, match="cannot be made to fit in the 700 bytes"):
            async with fits.fit(Needs(size=700), False, content, 60.0):
                pytest.fail("it was sent")


async def test_time_decoders_and_crashes_end_as_vendor_errors():
    content = Content((taken(saved(noise(2000, 2000))),))
    async with fitter() as (fits, _):
        with pytest.raises(VendorTimeout, match="no time was left"):
            async with fits.fit(Needs(size=700), False, content, 0.05):
                pytest.fail("it was sent")
        async with fits.fit(AZURE, False, Content((taken(saved(scene(9, 9))),)), 60.0) as (made, _):
            assert made.images[0].views[0].width == 50  # the pool goes on
    async with fitter(timeout=0.01) as (fits, _):
        with pytest.raises(VendorRejected, match="takes too long"):
            async with fits.fit(Needs(size=700), False, content, 60.0):
                pytest.fail("it was sent")
    with pytest.raises(VendorThrottled):  # closed: it takes nothing more
        async with fits.fit(Needs(size=701), False, content, 60.0):
            pytest.fail("it was sent")


async def test_who_leaves_leaves_the_turn_to_the_next():
    content = Content((taken(saved(noise(2000, 2000))),))

    async def sent():
        async with fits.fit(Needs(size=200_000), False, content, 60.0) as (made, _):
            return made

    async with fitter() as (fits, asked):
        first, second = asyncio.create_task(sent()), asyncio.create_task(sent())
        await asyncio.sleep(0.02)
        first.cancel()
        made = await second
        assert len(made.images[0].views[0].data) <= 200_000
        assert len(asked) == 2
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_an_address_of_ours_comes_with_the_bytes_it_leads_to(tmp_path):
    outbox = await Outbox.open(tmp_path, "https://mod.example.com")
    content = Content((taken(saved(scene(30, 30))),))
    async with fitter(outbox) as (fits, _):
        for wanted, width in ((Needs(), 30), (AZURE, 50)):
            async with fits.fit(wanted, True, content, 60.0) as (made, [note]):
                [view] = made.images[0].views
                token = view.url.removeprefix("https://mod.example.com/v1/media/")
                assert await outbox.read(token) == (view.data, "image/jpeg")
                assert (note.width, note.by_address, note.sha256) == (width, True, sha256(view.data).hexdigest())
            assert await outbox.read(token) is None
