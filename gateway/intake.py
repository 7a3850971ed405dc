"""What a caller sent → Content: counted, measured, fetched and decoded behind the guards. A bad request ends here."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pybase64

from gateway.domain import Content, Image, Text
from gateway.errors import BadContent, RequestError, TooLarge
from gateway.media.fetch import Fetcher
from gateway.media.images import guard_image
from gateway.media.pool import DecodePool
from gateway.settings import LimitSettings


@dataclass(slots=True)
class Picture:
    """An image as the caller gave it: an address, or bytes. `at` says where in the request, for error messages.

    `Intake.content` takes the bytes out of it: what was sent is not held while vendors are asked.
    """

    at: str
    url: str | None = None
    data: bytes | None = None


class Decoded(str):
    """An image in base64 that was decoded where the request was read. The string is what of a data URI precedes it."""

    __slots__ = ("_data",)
    _data: bytes

    def __new__(cls, head: str, data: bytes) -> Decoded:
        made = super().__new__(cls, head)
        made._data = data
        return made

    def take(self) -> bytes:
        """The image, once: who has the request has it no more."""
        data, self._data = self._data, b""
        return data


class Intake:
    """The way in, for every dialect and for the command line."""

    def __init__(
        self,
        limits: LimitSettings,
        pool: DecodePool,
        fetcher: Fetcher,
        printed: bool = False,
        until: float = math.inf,
    ):
        """`printed`: pictures get a PDQ. After `until`, on the clock of time.perf_counter, none is decoded."""
        self._limits = limits
        self._pool = pool
        self._fetcher = fetcher
        self._printed = printed
        self._until = until

    def wanted(self, until: float) -> Intake:
        """The same, for a submission that nobody waits for after that."""
        return Intake(self._limits, self._pool, self._fetcher, self._printed, until)

    async def content(
        self, text: str | None, pictures: Sequence[Picture], context: Mapping[str, Any], *, at: str = "/text"
    ) -> Content:
        """Text and pictures, looked through. Raises RequestError for the first that cannot be moderated."""
        written = text if text and not text.isspace() else None
        if written is None and not pictures:
            raise BadContent("empty_submission", "There is nothing to moderate.", hint="Send text, images or both.")
        if written is not None and len(written) > self._limits.text_chars:
            raise TooLarge(
                "text_too_long",
                f"The text has {len(written)} characters; the limit is {self._limits.text_chars}.",
                hint="Send it in parts.",
                at=at,
            )
        if len(pictures) > self._limits.images:
            raise TooLarge(
                "too_many_images",
                f"There are {len(pictures)} images; the limit is {self._limits.images}.",
                hint="Send them in several submissions.",
                at="/images",
            )
        texts = (Text(written),) if written is not None else ()
        return Content((*texts, *await self._images(pictures)), context)

    async def _images(self, pictures: Sequence[Picture]) -> list[Image]:
        """All at once; the first that cannot be taken stops the others."""
        if not pictures:
            return []
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._image(picture)) for picture in pictures]
        except* RequestError as refused:
            raise refused.exceptions[0] from None
        return [task.result() for task in tasks]

    async def _image(self, picture: Picture) -> Image:
        try:
            data, picture.data = picture.data, None
            if data is None:
                data = (await self._fetcher.fetch(str(picture.url))).data
            return await guard_image(
                data,
                self._pool,
                url=picture.url,
                max_bytes=self._limits.image_bytes,
                printed=self._printed,
                until=self._until,
            )
        except RequestError as error:
            error.at = error.at or picture.at
            raise

    def inline(self, data: str, at: str) -> Picture:
        """An image from `data:image/…;base64,…` or bare base64. Raises BadContent, and TooLarge before decoding."""
        if isinstance(data, Decoded):
            return Picture(at, data=data.take())
        encoded = data.partition(",")[2] if data.startswith("data:") else data
        if data.startswith("data:") and not re.match(r"data:[^,]{0,200};base64,", data[:260]):
            raise BadContent(
                "invalid_data_uri", "The data URI is not base64.", hint="Write data:image/png;base64,…", at=at
            )
        if len(encoded) * 3 // 4 > self._limits.image_bytes + 3:
            raise TooLarge(
                "image_too_large",
                f"The image is over {self._limits.image_bytes} bytes.",
                hint="Scale it down or compress it more.",
                at=at,
            )
        try:
            decoded = pybase64.b64decode(encoded, validate=True)
        except ValueError:
            raise BadContent(
                "invalid_base64",
                "The image data is not valid base64.",
                hint="Use the standard alphabet with padding, without line breaks.",
                at=at,
            ) from None
        if not decoded:
            raise BadContent("empty_image", "The image has no bytes.", hint="Send the file's content.", at=at)
        return Picture(at, data=decoded)
