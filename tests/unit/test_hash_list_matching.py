"""What lists of known things rest on: PDQ against the reference, lookups against a full scan, and files."""

from importlib.util import find_spec
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance

from adapters.hash_list_matching.files import read_hashes
from adapters.hash_list_matching.index import Index
from gateway.errors import ConfigError
from gateway.pdq import TURNS, pdq

PHOTOS = Path(find_spec("sklearn").origin).parent / "datasets" / "images"  # two of them, CC-BY

# pdqhash 0.2.8 (the reference in C++) on scikit-learn's two photographs: as it is, rotated by 90, 180 and 270 degrees,
# flipped vertically and horizontally, rotated by 90 degrees and flipped vertically and horizontally
REFERENCE = {
    "china.jpg": """
        bf18cef3407e8678e6833b1937d14066988e5cd2046eac5f783103f157abf50e
        dc9986b48e197934c4f8258cde0669f84ac68c8b716e09a3b4b3de4e79f3b0e1
        ea4d6459152b24d0b3d611b36284eacccddbf658493b06f52d64a95b02fe5fa4
        8dcc3c1edb4cd3be91ad8f268b53d3521f932621247ba309e1e674e42ca61b4b
        bf18310c407e7985e683c4e637d1bf99988ea32d1c6e53a0f831fc0e57ab0af1
        ea4d9ba6152b922fb3d6ee4c62841532cddb09a7593bf90aad6456a402fea05b
        d891694b8e1986cbc4d8da73de0686074ac67374712ef65cb4b321b169f34e1e
        89c4c3e1db4c2c4181ad70d98b532cad1f93d9de243b5cf6e1e68b1b2ca6e4b4""",
    "flower.jpg": """
        673966dcb772a66499a69a666196a9476599a21b9649a659596624b3e58ea693
        35733d75f3d7d3d70d080f48f47150754a878a47bc0c1d2ac0f2a0f52f4f7a0a
        336ccc76e3670ccecdf731cd34c703ed71dd08b1c31c0cf30c338e19b0db0c39
        6826975fa682797d585da5e2a124d6df1fd2206de959b78095a7085f7a1ad4a0
        67399923b672599b98a66599619256b825995de4964959a65966db4ce58e596c
        326c3389e227f3314cf3ce3234c3fc12308cf74ec31cf30c0c3371e6b0dbf3c6
        3d73c28af3d72c280d08f0b7f471ab8a4a877538bc0ce2d5c0f25f0a2f4f81f5
        682668a0a6828682585d5a1da124ada01fd2ff92e95948ff95a7ffa07a1a2fdf""",
}
IN_OUR_ORDER = (0, 5, 4, 2, 6, 1, 3, 7)  # where each of TURNS stands in it


def photo(name="china.jpg"):
    return Image.open(PHOTOS / name).convert("RGB")


def saved(picture, form="JPEG", **options) -> bytes:
    out = BytesIO()
    picture.save(out, form, **options)
    return out.getvalue()


def again(picture, quality):
    return Image.open(BytesIO(saved(picture, quality=quality))).convert("RGB")


def without_edges(picture, share):
    x, y = round(picture.width * share / 2), round(picture.height * share / 2)
    return picture.crop((x, y, picture.width - x, picture.height - y))


def grainy(picture, sigma):
    grain = np.random.default_rng(3).normal(0, sigma, (picture.height, picture.width, 3))
    return Image.fromarray(np.clip(np.asarray(picture) + grain, 0, 255).astype(np.uint8))


def apart(one, other) -> np.ndarray:
    return np.bitwise_count(one ^ other).sum(axis=-1)


def hashes_of(picture):
    return pdq(np.asarray(picture))[0]


# PDQ


@pytest.mark.parametrize("name", REFERENCE)
def test_the_eight_hashes_are_those_of_the_reference(name):
    found, quality = pdq(np.asarray(photo(name)))
    known = np.array([np.frombuffer(bytes.fromhex(line), np.uint8) for line in REFERENCE[name].split()])
    assert quality == 100
    assert (apart(found, known[list(IN_OUR_ORDER)]) <= 2).all()  # 0 where JPEG is decoded by the same library


@pytest.mark.parametrize("name", REFERENCE)
def test_each_turn_is_the_hash_of_the_picture_turned(name):
    for turn, transposed in {
        "mirrored": Image.Transpose.FLIP_LEFT_RIGHT,
        "upside down": Image.Transpose.FLIP_TOP_BOTTOM,
        "half turn": Image.Transpose.ROTATE_180,
        "transposed": Image.Transpose.TRANSPOSE,
        "transverse": Image.Transpose.TRANSVERSE,
    }.items():
        turned = hashes_of(photo(name).transpose(transposed))
        assert apart(hashes_of(photo(name))[TURNS.index(turn)], turned[0]) <= 14, turn


CHANGES = {  # what is done to a picture, and the most bits it moves either photograph (measured 2026-11)
    "saved at quality 30": (lambda picture: again(picture, 30), 2),
    "saved at quality 10": (lambda picture: again(picture, 10), 6),
    "half as large": (lambda picture: picture.resize((picture.width // 2, picture.height // 2)), 14),
    "a thumbnail": (lambda picture: picture.resize((128, 85)), 18),
    "brighter": (lambda picture: ImageEnhance.Brightness(picture).enhance(1.3), 16),
    "grey": (lambda picture: picture.convert("L").convert("RGB"), 0),
    "grainy": (lambda picture: grainy(picture, 25), 4),
    "1 % off the edges": (lambda picture: without_edges(picture, 0.01), 12),
    "2 % off the edges": (lambda picture: without_edges(picture, 0.02), 22),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", REFERENCE)
def test_a_picture_is_known_again(name, change):
    changed, moved = CHANGES[change]
    assert apart(hashes_of(photo(name))[0], hashes_of(changed(photo(name)))[0]) <= moved + 2 <= 31


def test_more_than_a_little_off_the_edges_is_too_much_and_another_picture_is_far():
    known = hashes_of(photo())[0]
    assert apart(known, hashes_of(without_edges(photo(), 0.05))[0]) > 31
    assert apart(known, hashes_of(photo("flower.jpg"))).min() > 100


@pytest.mark.parametrize("size", [(1, 1), (4, 400), (300, 4)])
def test_a_sliver_has_no_quality(size):
    assert pdq(np.asarray(photo().resize(size)))[1] == 0


def test_what_is_flat_has_no_quality():
    assert pdq(np.full((100, 80, 3), 77, np.uint8))[1] == 0


# Lookup


@given(st.integers(0, 2**32 - 1), st.sampled_from([0, 3, 15, 16, 31, 40, 63]))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_a_lookup_finds_what_a_full_scan_finds(seed, distance):
    chance = np.random.default_rng(seed)
    known = chance.integers(0, 256, (400, 32), dtype=np.uint8)
    asked = known[:8].copy()
    for row, flips in enumerate((0, distance, distance + 1, *chance.integers(0, 80, 5))):
        for bit in chance.choice(256, flips, replace=False):
            asked[row, bit // 8] ^= 1 << bit % 8
    found = {(hit.query, hit.row, hit.distance) for hit in Index(known, distance).near(asked)}
    distances = apart(asked[:, np.newaxis], known)
    assert found == {(q, r, distances[q, r]) for q, r in zip(*np.nonzero(distances <= distance), strict=True)}
    assert (0, 0, 0) in found


def test_the_nearest_comes_first_and_nothing_is_found_in_nothing():
    known = np.zeros((3, 32), np.uint8)
    known[0, 0], known[1, 0] = 0b111, 0b1
    assert [(hit.row, hit.distance) for hit in Index(known, 31).near(known[2:])] == [(2, 0), (1, 1), (0, 3)]
    assert Index(np.empty((0, 32), np.uint8), 31).near(known) == []


# Files

ONE, TWO = "0f" * 32, "A1" * 32


@pytest.mark.parametrize(
    ("written", "same", "alike"),
    [
        (f"sha256:{ONE}\npdq:{TWO}\n", [ONE], [TWO]),
        (f"# by us\r\n\r\n  PDQ: {TWO}  # the second\r\nsha256:{ONE}", [ONE], [TWO]),
        (f"\ufeffsha256:{ONE}\nsha256:{ONE}\n", [ONE, ONE], []),
        (f"sha256\n{ONE}\n{TWO}\n", [ONE, TWO], []),
        (f'# export\nid,pdq,Sha256,note\n1,{TWO},{ONE},"a, b"\n# end\n2,,{TWO},\n', [ONE, TWO], [TWO]),
    ],
)
def test_a_list_is_read_in_both_forms(tmp_path, written, same, alike):
    file = tmp_path / "list"
    file.write_bytes(written.encode())
    held = read_hashes(file)
    assert [row.tobytes().hex() for row in held.sha256] == [digits.lower() for digits in same]
    assert [row.tobytes().hex() for row in held.pdq] == [digits.lower() for digits in alike]


@pytest.mark.parametrize(
    ("written", "place", "said"),
    [
        (f"sha256:{ONE}\n  {TWO}\n", ":2:3:", "does not say which kind of hash it is; write sha256: or pdq:"),
        (f"sha256:{ONE}\nmd5:{TWO}\n", ":2:1:", "'md5' is no kind of hash"),
        (f"pdq:{ONE[:-1]}\n", ":1:1:", f"'{ONE[:20]}' is not 64 hex digits"),
        (f"pdq:{ONE[:-1]}g\n", ":1:1:", "is not 64 hex digits"),
        (f"id,pdq\n1,{ONE}\n2,{ONE[:-2]}\n", ":3:3:", "is not 64 hex digits"),
        (f"id,pdq\n1,{ONE}\n2\n", ":3:1:", "does not say which kind"),
        ("", ":", "there is no hash in it"),
        ("# nothing yet\nsha256,note\n", ":", "there is no hash in it"),
        (b"sha256:\xff", ":", "neither text in UTF-8 nor CSV"),
        (None, ":", "cannot be read: No such file or directory"),
    ],
)
def test_a_broken_list_says_where_and_what(tmp_path, written, place, said):
    file = tmp_path / "list"
    if written is not None:
        file.write_bytes(written if isinstance(written, bytes) else written.encode())
    with pytest.raises(ConfigError) as caught:
        read_hashes(file)
    assert str(caught.value).startswith(f"{file}{place}")
    assert said in str(caught.value)


def test_a_list_of_good_things_holds_no_pdq(tmp_path):
    file = tmp_path / "good.txt"
    file.write_text(f"sha256:{ONE}\npdq:{TWO}\n")
    with pytest.raises(ConfigError, match="2:1: a list of good things holds no pdq"):
        read_hashes(file, only_same=True)
