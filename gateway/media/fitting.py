"""Pictures as each vendor takes them: made over once for all with equal needs, and only where one needs it.

What was done is told beside the content. What cannot be done is VendorRejected with the reason: a picture that a vendor
was not shown is a gap, and the policy hears of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from msgspec.structs import replace

from gateway.domain import Content, Fitted, Image, Needs, View
from gateway.errors import Overloaded, RequestError, VendorRejected, VendorThrottled, VendorTimeout
from gateway.media.orders import refit
from gateway.media.outbox import Outbox
from gateway.media.plan import suits
from gateway.media.pool import DecodePool

GRACE = 5.0  # seconds past the deadline that an address is good for, should the processes' clocks differ

Views = tuple[tuple[View, Fitted | None], ...]  # a picture's, each with what was done to it


@dataclass(slots=True)
class _Once:
    """A picture made over for some needs. Who comes second waits for its turn, and finds it made."""

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    made: Views | None = None


class Fitter:
    """Makes pictures over in `pool`, and keeps them as long as the picture itself; `outbox` lends them addresses."""

    def __init__(self, pool: DecodePool, outbox: Outbox | None):
        self._pool = pool
        self._outbox = outbox
        self._known: WeakKeyDictionary[Image, dict[Needs, _Once]] = WeakKeyDictionary()

    def fit(
        self, needs: Needs, by_address: bool, content: Content, seconds: float
    ) -> AbstractAsyncContextManager[tuple[Content, tuple[Fitted, ...]]] | None:
        """None where the pictures are such already; else what to enter, which gives the content and what was done.

        Entering takes `seconds` at most and raises VendorError. An address is good until it is left.
        """
        outbox = self._outbox if by_address else None
        if outbox is None and _all_suit(content, needs):
            return None
        return self._fitted(needs, outbox, content, seconds)

    @asynccontextmanager
    async def _fitted(
        self, needs: Needs, outbox: Outbox | None, content: Content, seconds: float
    ) -> AsyncIterator[tuple[Content, tuple[Fitted, ...]]]:
        async with AsyncExitStack() as lent:
            try:
                async with asyncio.timeout(seconds):
                    pictures = [await self._views(image, needs) for image in content.images]
                    if outbox is not None:
                        pictures = [await _posted(views, outbox, seconds + GRACE, lent) for views in pictures]
            except TimeoutError:
                raise VendorTimeout("no time was left to make the picture fit") from None
            yield _shown(content, pictures), tuple(note for views in pictures for _, note in views if note)

    async def _views(self, image: Image, needs: Needs) -> Views:
        if all(suits(view, needs) for view in image.views):
            return tuple((view, None) for view in image.views)
        once = self._known.setdefault(image, {}).setdefault(needs, _Once())
        async with once.turn:
            if once.made is None:
                once.made = tuple([await self._made(view, number, needs) for number, view in enumerate(image.views)])
        return once.made

    async def _made(self, view: View, number: int, needs: Needs) -> tuple[View, Fitted | None]:
        if suits(view, needs):
            return view, None
        try:
            made = await self._pool.run(refit, view, needs, number)
        except Overloaded as busy:
            raise VendorThrottled(busy.detail, retry_after=busy.retry_after) from busy
        except RequestError as refused:
            raise VendorRejected(f"the picture could not be made to fit: {refused.detail}") from refused
        if made is None:
            raise VendorRejected(f"the picture cannot be made to fit in the {needs.size} bytes that it takes")
        return made


def _all_suit(content: Content, needs: Needs) -> bool:
    """Asked of every picture and vendor, so in plain loops: a microsecond."""
    for part in content.inputs:
        if isinstance(part, Image):
            for view in part.views:
                if not suits(view, needs):
                    return False
    return True


def _shown(content: Content, pictures: Sequence[Views]) -> Content:
    """The same content with its pictures as they were made."""
    made = (tuple(view for view, _ in views) for views in pictures)
    inputs = tuple(replace(part, views=next(made)) if isinstance(part, Image) else part for part in content.inputs)
    return replace(content, inputs=inputs)


async def _posted(views: Views, outbox: Outbox, seconds: float, lent: AsyncExitStack) -> Views:
    """The same with addresses of ours, which end with `lent`."""
    posted = []
    for number, (view, note) in enumerate(views):
        letter = await lent.enter_async_context(outbox.lent(view.data, seconds))
        note = note or Fitted(number, view.width, view.height, len(view.data), view.media_type, letter.sha256)
        posted.append((replace(view, url=letter.url), replace(note, by_address=True)))
    return tuple(posted)
