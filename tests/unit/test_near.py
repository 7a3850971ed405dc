"""Pictures that are nearly the same: told apart by PDQ, and answered for one another only where a route says so."""

import asyncio
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Picture
from PIL import ImageDraw

from gateway.dispatch.cache import Asker
from gateway.dispatch.deadline import Deadline
from gateway.dispatch.memory import Memory
from gateway.dispatch.near import LEAST_QUALITY, Prints
from gateway.dispatch.question import Question
from gateway.domain import Alike, Content, Image, Pdq
from gateway.errors import VendorRejected
from gateway.media.images import guard_image
from gateway.media.pool import DecodePool
from gateway.media.prints import print_of
from tests.scripted import CAPTION, CLEAN, HATE, Scripted, dispatched, leg, provider
from tests.virtualtime import virtual

PHOTOS = Path(find_spec("sklearn").origin).parent / "datasets" / "images"  # two of them, CC-BY
NEAR = 8


def off(bits, number=0):
    """A hash so many bits from the plainest one, and what it is known by."""
    return (((1 << bits) - 1) << number).to_bytes(32, "little")


SAME = off(0)


def image(name, hash=SAME, quality=100):
    return Image(name, (), "png", pdq=Pdq(hash, quality))


def asker(most=10**6):
    return Asker(Memory(600.0, most))


async def put(asker, who, *parts, near=NEAR, tenant="acme"):
    where = {part.modality: place for place, part in enumerate(parts)}
    return await asker.put(tenant, Question(Content(parts), where), who, Deadline.after(5.0), 1.0, near)


FIRST = image("first")


@virtual
async def test_a_picture_nearly_the_same_has_its_answer_and_says_so():
    asks, who = asker(), provider(Scripted(HATE))
    first = await put(asks, who, FIRST)
    again = await put(asks, who, image("second", off(5)))
    assert (again.status, again.like, again.attempts) == ("cached", Alike("first", 5), 0)
    assert (again.signals, first.like, len(who.adapter.heard)) == (first.signals, None, 1)


@pytest.mark.parametrize(
    ("second", "more"),
    [
        (image("second", off(NEAR + 1)), {}),
        (image("second", quality=LEAST_QUALITY - 1), {}),
        (Image("second", (), "png"), {}),
        (image("second"), {"near": None}),
        (image("second"), {"tenant": "else"}),
    ],
    ids=["too far", "too little to see", "no hash", "not switched on", "another tenant"],
)
@virtual
async def test_what_is_not_near_enough_is_asked_about(second, more):
    asks, who = asker(), provider(Scripted(HATE))
    await put(asks, who, FIRST)
    assert (await put(asks, who, second, **more)).status == "ok"


@virtual
async def test_a_submission_has_it_where_its_route_says_so_and_of_its_own_tenant():
    asks, who = asker(), provider(Scripted(HATE))
    for name, near, tenant, like in (
        ("first", NEAR, "acme", None),
        ("second", NEAR, "acme", Alike("first", 0)),
        ("third", NEAR, "else", None),
        ("fourth", None, "acme", None),
    ):
        [answer] = (await dispatched(leg([who], near=near), image(name), asker=asks, tenant=tenant)).answers
        assert answer.outcome.like == like, name


@virtual
async def test_each_provider_answers_for_itself():
    asks, one, two = asker(), provider(Scripted(HATE), "one"), provider(Scripted(CLEAN), "two")
    await put(asks, one, FIRST)
    assert (await put(asks, two, image("second"))).status == "ok"
    assert (await put(asks, two, image("third"))).like == Alike("second", 0)


@virtual
async def test_a_failure_answers_for_nothing():
    asks, who = asker(), provider(Scripted(VendorRejected("no"), CLEAN))
    assert (await put(asks, who, FIRST)).status == "rejected"
    assert (await put(asks, who, image("second"))).status == "ok"


@virtual
async def test_small_steps_lead_nowhere():
    asks, who = asker(), provider(Scripted(HATE))
    await put(asks, who, FIRST)
    statuses = [(await put(asks, who, image(f"step {bits}", off(bits)))).status for bits in range(1, 40)]
    assert statuses.count("ok") == 4  # at 9, 18, 27 and 36 bits from what a vendor saw


@virtual
async def test_the_nearest_is_taken_and_exactly_the_same_before_it():
    asks, who = asker(), provider(Scripted(CLEAN, HATE))
    await put(asks, who, FIRST)
    await put(asks, who, image("other", off(12)))
    assert (await put(asks, who, image("third", off(7)))).like == Alike("other", 5)
    assert (await put(asks, who, image("first", off(12)))).like is None


@virtual
async def test_with_a_caption_it_is_another_question():
    asks, who = asker(), provider(Scripted(HATE, together=True))
    await put(asks, who, CAPTION, FIRST)
    assert (await put(asks, who, CAPTION, image("second"))).status == "ok"
    assert (await put(asks, who, image("third"))).status == "ok"


@virtual
async def test_what_is_forgotten_answers_for_nothing():
    asks, who = asker(), provider(Scripted(HATE))
    await put(asks, who, FIRST)
    await asyncio.sleep(600)
    assert (await put(asks, who, image("second"))).status == "ok"


@given(
    st.lists(st.binary(min_size=32, max_size=32), max_size=40), st.binary(min_size=32, max_size=32), st.integers(0, 256)
)
@settings(max_examples=100, deadline=None)
def test_it_finds_what_a_look_at_each_finds(known, asked, distance):
    prints = Prints()
    for number, hash in enumerate(known):
        prints.add(("t", "p", str(number)), Pdq(hash, 100))
    whole = int.from_bytes(asked)
    away = [((int.from_bytes(hash) ^ whole).bit_count(), -number) for number, hash in enumerate(known)]
    expected = [(("t", "p", str(-number)), bits) for bits, number in sorted(away) if bits <= distance]
    assert list(prints.near(("t", "p", "x"), Pdq(asked, 100), distance)) == expected


def test_the_newest_thousand_are_kept():
    prints = Prints()
    for number in range(1500):
        prints.add(("t", "p", str(number)), Pdq(number.to_bytes(32), 100))
    found = [key[2] for key, _ in prints.near(("t", "p"), Pdq(bytes(32), 100), 256)]
    assert sorted(map(int, found)) == list(range(1500 - 1024, 1500))


def test_and_so_many_tenants():
    prints = Prints()
    for number in range(300):
        prints.add((f"t{number}", "p", "x"), Pdq(bytes(32), 100))
    there = [number for number in range(300) if list(prints.near((f"t{number}", "p"), Pdq(bytes(32), 100), 0))]
    assert there == list(range(300 - 256, 300))


# Pictures


def saved(picture, kind="JPEG", **how):
    held = BytesIO()
    picture.save(held, kind, **how)
    return held.getvalue()


def photo(name="china.jpg"):
    return Picture.open(PHOTOS / name).convert("RGB")


def bits(one, other):
    return (int.from_bytes(one.hash) ^ int.from_bytes(other.hash)).bit_count()


def hashed(picture, kind="JPEG", **how):
    return print_of(saved(picture, kind, **how))[1]


def test_saved_again_it_is_nearly_the_same_and_half_as_large_not_far():
    first = hashed(photo(), quality=95)
    assert first.quality >= LEAST_QUALITY
    for other in (hashed(photo(), quality=40), hashed(photo(), "PNG"), hashed(photo(), "WEBP", quality=60)):
        assert bits(first, other) <= NEAR
    assert NEAR < bits(first, hashed(photo().resize((320, 213)))) <= 31
    assert bits(first, hashed(photo("flower.jpg"))) > 64


def test_a_small_change_that_may_matter_is_as_near_which_is_why_this_is_off():
    marked = photo()
    ImageDraw.Draw(marked).text((300, 200), "you know where", fill="white")
    assert bits(hashed(photo()), hashed(marked)) <= NEAR


@pytest.mark.parametrize(
    "data",
    [
        saved(photo().convert("RGBA").resize((99, 99)).point(lambda value: value // 2), "PNG"),
        saved(photo(), "GIF", save_all=True, append_images=[photo("flower.jpg")]),
    ],
    ids=["see-through", "moving"],
)
def test_what_is_several_pictures_is_compared_with_none(data):
    normalised, pdq = print_of(data)
    assert len(normalised.views) > 1
    assert pdq is None


async def test_the_guard_gives_it_where_it_is_asked_for():
    pool = DecodePool(workers=1)
    try:
        data = saved(photo())
        plain = await guard_image(data, pool, max_bytes=10**7)
        printed = await guard_image(data, pool, max_bytes=10**7, printed=True)
    finally:
        await pool.close()
    assert plain.pdq is None
    assert printed.pdq == print_of(data)[1]
    assert printed.views == plain.views
