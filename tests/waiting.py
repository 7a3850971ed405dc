"""Waiting for what a test wants to see, never for a while: pytest's own timeout is the end of patience."""

import asyncio
from inspect import isawaitable

STEP = 0.02  # seconds between two looks


async def until(what):
    """What this tells, a function or one to be awaited, once it is true."""
    while True:
        found = what()
        if isawaitable(found):
            found = await found
        if found:
            return found
        await asyncio.sleep(STEP)
