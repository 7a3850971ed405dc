"""PDQ, the perceptual hash for photographs that most lists of known pictures hold: 256 bits and a quality.

Grey, blurred and sampled at 64 x 64, the lower 16 x 16 frequencies of that, each above or below their median. All but
the last step is linear, so blur and sampling are one matrix a side: that gives the very bits of the reference in a
fifth of the time. Mirroring and turning change no more than signs and order of frequencies: eight hashes for one.

Source: "The TMK+PDQF Video-Hashing Algorithm and the PDQ Image-Hashing Algorithm", Facebook 2019, and hashing/pdq of
facebook/ThreatExchange for what the paper leaves open; the hashes in the tests are those of pdqhash 0.2.8, read 2026-11
"""

from __future__ import annotations

from functools import lru_cache
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SAMPLED, KEPT = 64, 16  # samples and frequencies a side
LEAST_SIDE = 5  # pixels; a smaller picture has no hash
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
TURNS = (
    *("as it is", "mirrored", "upside down", "half turn"),
    *("transposed", "quarter turn", "quarter turn back", "transverse"),
)

Floats = NDArray[np.floating[Any]]
Hash = NDArray[np.uint8]


def hashes(data: bytes) -> tuple[Hash, int]:
    """The hashes of a JPEG, shape (8, 32), one for each of TURNS, and its quality 0..100. For the decode pool."""
    with Image.open(BytesIO(data), formats=("JPEG", "PNG")) as image:
        rgb = np.asarray(image.convert("RGB"))
    return pdq(rgb)


def pdq(rgb: NDArray[np.uint8]) -> tuple[Hash, int]:
    """The same of pixels, shape (height, width, 3)."""
    return pdq_of_grey(rgb @ LUMA)


def pdq_of_picture(grey: Image.Image) -> tuple[Hash, int]:
    """The same of a picture in mode L."""
    return pdq_of_grey(np.asarray(grey, np.float32))


def pdq_of_grey(grey: Floats) -> tuple[Hash, int]:
    """The same of grey ones, shape (height, width), 0..255. A picture with a side under 5 pixels has quality 0."""
    height, width = grey.shape
    if min(height, width) < LEAST_SIDE:
        return np.zeros((len(TURNS), 32), np.uint8), 0
    samples = _sampling(height) @ grey @ _sampling(width).T
    waves = _waves()
    frequencies = waves @ samples @ waves.T
    return np.stack([_bits(turned) for turned in _turned(frequencies)]), _quality(samples)


@lru_cache(32)
def _sampling(length: int) -> Floats:
    """What makes 64 samples of this many pixels, shape (64, length): two box filters, then every so many-th pixel."""
    if length == SAMPLED:
        return np.eye(SAMPLED, dtype=np.float32)
    window = -(-length // (2 * SAMPLED))
    at = np.arange(length)
    right = at + (window + 2) // 2
    left = right - window
    box = ((at >= left[:, None]) & (at < right[:, None])).astype(np.float32)
    box /= box.sum(axis=1, keepdims=True)
    chosen = ((np.arange(SAMPLED) + 0.5) * length / SAMPLED).astype(int)
    sampling: Floats = box[chosen] @ box
    return sampling


@lru_cache(1)
def _waves() -> Floats:
    """Rows 1 to 16 of the discrete cosine transform of 64 samples, shape (16, 64)."""
    wave, sample = np.arange(1, KEPT + 1)[:, None], np.arange(SAMPLED)
    waves: Floats = (np.sqrt(2 / SAMPLED) * np.cos(np.pi / (2 * SAMPLED) * wave * (2 * sample + 1))).astype(np.float32)
    return waves


def _turned(frequencies: Floats) -> list[Floats]:
    """The frequencies of the eight turns: mirroring a side changes the sign of its odd waves."""
    odd = np.where(np.arange(KEPT) % 2 == 0, -1, 1).astype(np.float32)  # waves count from 1
    across, down = odd[None, :], odd[:, None]
    upright = [frequencies, frequencies * across, frequencies * down, frequencies * across * down]
    return [*upright, *(turned.T for turned in upright)]


def _bits(frequencies: Floats) -> Hash:
    """Which are above the lower median, the highest frequency first, as lists write it."""
    flat = frequencies.ravel()
    median = np.partition(flat, flat.size // 2 - 1)[flat.size // 2 - 1]
    return np.packbits(flat[::-1] > median)


def _quality(samples: Floats) -> int:
    """How much there is to see: steps between neighbouring samples, in percent of white, and cut at 100."""
    steps = (np.diff(samples, axis=axis) * (100 / 255) for axis in (0, 1))
    return min(100, int(sum(int(np.abs(np.trunc(step)).sum()) for step in steps)) // 90)
