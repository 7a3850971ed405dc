"""The plan for a picture and a vendor's limits: always within them, never distorted, and nothing without need."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gateway import registry
from gateway.adapter import VendorAdapter
from gateway.domain import Modality, Needs, View
from gateway.errors import ConfigError
from gateway.mapping import VendorTable
from gateway.media.plan import ROOM, Plan, plan, suits
from gateway.paths import TAXONOMY, VENDORS
from gateway.taxonomy import Taxonomy
from gateway.yamlfile import load

AZURE = Needs(("image/jpeg", "image/png"), 4 << 20, (50, 7200))


def view(width, height, size=1000, media_type="image/jpeg"):
    return View(bytes(size), media_type, width, height)


SIDE = st.one_of(st.integers(1, 100), st.integers(1, 16_384))
VIEWS = st.builds(view, SIDE, SIDE, st.integers(1, 5000), st.sampled_from(["image/jpeg", "image/png"]))
FORMATS = st.sampled_from(
    [(), ("image/jpeg",), ("image/gif", "image/png"), ("image/webp",), ("image/jpeg", "image/png")]
)


@st.composite
def needs(draw):
    least = draw(st.integers(1, 400))
    sides = draw(st.none() | st.just((least, draw(st.integers(least, 20_000)))))
    square = least * least if sides else 1
    pixels = draw(st.none() | st.integers(square, square + 10) | st.integers(square, 300_000_000))
    return Needs(draw(FORMATS), draw(st.none() | st.integers(1, 5000)), sides, pixels)


@given(VIEWS, needs())
def test_what_comes_of_a_plan_is_within_the_limits(picture, wanted):
    way = plan(picture, wanted)
    width, height = way.canvas
    assert suits(View(b"", way.media_type, width, height), wanted)
    assert 1 <= way.size[0] <= width and 1 <= way.size[1] <= height


@given(VIEWS, needs(), st.floats(0.01, 1))
def test_a_share_of_it_is_too(picture, wanted, share):
    way = plan(picture, wanted, share)
    assert suits(View(b"", way.media_type, *way.canvas), wanted)
    assert all(smaller <= larger for smaller, larger in zip(way.size, plan(picture, wanted).size, strict=True))


@given(VIEWS, needs())
def test_proportions_stay(picture, wanted):
    way = plan(picture, wanted)
    across, down = way.size[0] / picture.width, way.size[1] / picture.height
    assume(min(way.size) > 1)  # a line of one pixel cannot be thinner
    assert abs(across - down) <= 1 / min(picture.width, picture.height)


@given(VIEWS, needs())
def test_what_suits_needs_nothing(picture, wanted):
    assume(suits(picture, wanted))
    whole = picture.width, picture.height
    assert plan(picture, wanted) == Plan(whole, whole, picture.media_type)


@given(VIEWS, needs())
def test_only_what_is_too_small_is_enlarged(picture, wanted):
    way = plan(picture, wanted)
    if way.size > (picture.width, picture.height):
        assert wanted.sides and min(picture.width, picture.height) < wanted.sides[0]
        assert max(way.size) <= max(ROOM, picture.width, picture.height)


@pytest.mark.parametrize(
    ("size", "scaled", "canvas"),
    [
        ((30, 30), (50, 50), (50, 50)),
        ((30, 60), (50, 100), (50, 100)),
        ((1, 1), (50, 50), (50, 50)),
        ((2048, 6), (2048, 6), (2048, 50)),  # enlarged, it would have 17,067 pixels
        ((100, 1), (2048, 20), (2048, 50)),
        ((20_000, 60), (7200, 21), (7200, 50)),
        ((9000, 9000), (7200, 7200), (7200, 7200)),
        ((50, 7200), (50, 7200), (50, 7200)),
    ],
)
def test_small_long_and_large_pictures(size, scaled, canvas):
    assert plan(view(*size), AZURE) == Plan(scaled, canvas, "image/jpeg")


def test_every_limit_counts():
    assert suits(view(50, 50, 4 << 20), AZURE)
    assert not suits(view(49, 50), AZURE)
    assert not suits(view(50, 7201), AZURE)
    assert not suits(view(50, 50, (4 << 20) + 1), AZURE)
    assert not suits(view(50, 50, media_type="image/webp"), AZURE)
    assert not suits(view(50, 50), Needs(pixels=2499))
    assert suits(view(1, 16_384, 10**7), Needs())


def table(tmp_path, media):
    file = tmp_path / "vendor.yaml"
    file.write_text(f"measures: confidence\nscale: [0, 1]\nsilence: drift\nlabels: {{nsfw: sexual}}\nmedia: {media}\n")
    return VendorTable("vendor", load(file, env=None), Taxonomy.from_file(TAXONOMY))


def test_a_table_says_what_is_taken(tmp_path):
    media = table(tmp_path, "{formats: [image/png], bytes: 4MiB, sides: [50, 7200], pixels: 1000000}").media
    assert media.needs == Needs(("image/png",), 4 << 20, (50, 7200), 1_000_000)
    assert media.by == "bytes"
    assert table(tmp_path, "{by: address}").media.by == "address"
    assert table(tmp_path, "{}").media.needs == Needs()


@pytest.mark.parametrize(
    ("media", "said"),
    [
        ("{bytes: 4000}", "10MB"),
        ("{sides: [80, 50]}", "least and the most"),
        ("{sides: [0, 50]}", "sides"),
        ("{sides: [50, 100], pixels: 2499}", "2499"),
        ("{formats: [image/gif, image/tiff]}", "none is written here"),
        ("{formats: [image/jpg]}", "image/jpg"),
        ("{by: post}", "post"),
        ("{byte: 4MiB}", "byte"),
    ],
)
def test_a_table_that_cannot_be_met_is_refused(tmp_path, media, said):
    with pytest.raises(ConfigError, match=said) as caught:
        table(tmp_path, media)
    assert f"{tmp_path / 'vendor.yaml'}:5" in str(caught.value)


@pytest.mark.parametrize("name", registry.names())
def test_every_vendor_that_takes_images_says_which(name):
    adapter = registry.adapter_class(name)
    if issubclass(adapter, VendorAdapter):  # a model in this process reads what we write
        table = VendorTable.from_file(VENDORS / f"{name}.yaml", Taxonomy.from_file(TAXONOMY))
        assert (Modality.IMAGE in adapter.accepts) == (table.media is not None), "write media: {…} in its table"
